"""One round of the campaign: its claims, and the adversaries behind them."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import httpx
import numpy as np

from challenger.defender import Behaviour, Defender
from challenger.play.reductions import Reductions
from challenger.play.trace import ValueTrace
from challenger.state.l1_state import L1State
from prover.executor import Executor
from prover.trace import ExecutionTrace
from rollup.claim import ClaimId, PostedClaim
from rollup.documents.claims import SignedClaim
from rollup.errors import TouchstoneError
from rollup.form.program import Program
from rollup.types import Timestamp
from rollup.wire import claim_id_of
from tests.campaigns.crash.asking import Question, Requester
from tests.campaigns.crash.killer import Killer
from tests.campaigns.network import ProcessNetwork
from tests.e2e import long_reductions
from tests.e2e.long_reductions import LIES, Forged, false_values
from tests.e2e.toy_program import toy_inputs, toy_numbers
from touchstone.lying.lies import Lie, signed, with_values
from touchstone.lying.publishing import published
from touchstone.lying.tail import resumed

MODEL = "toy"
INFERENCES = 8
"""An application's in each round, in a row, so that several wait for the same batch."""


@dataclass(frozen=True)
class Programs:
    """What claims are about: ``long`` has reductions that are disputed inside an element."""

    toy: Program
    long: Program


@dataclass
class Accepted:
    """What the campaign must find on L1 in the end."""

    honest: set[ClaimId] = field(default_factory=set)
    false: set[ClaimId] = field(default_factory=set)

    @property
    def all(self) -> set[ClaimId]:
        return self.honest | self.false


class Scenario:
    """The claims of one round, and the adversaries behind them (in this process, never killed)."""

    def __init__(
        self, net: ProcessNetwork, programs: Programs, killer: Killer, number: int, accepted: Accepted
    ) -> None:
        self.net, self.programs, self.killer, self.number, self.accepted = net, programs, killer, number, accepted
        self.random = random.Random(1000 + number)
        self.liars: list[Defender] = []
        self.stage = ExitStack()
        self._http = httpx.Client(timeout=30, trust_env=False)

    def begin(self, requester: Requester) -> None:
        """Everything that is claimed and asked in the round."""
        requester.ask("taken")
        self.claim("honest")
        self.claim("withheld")
        requester.ask("mended")
        for turn in range(INFERENCES):
            self._infer(turn)
        requester.ask("reserved")
        self.claim("published")
        requester.ask("refused")
        self.claim("silent")
        requester.ask("cancelled")
        self.claim("inside")
        requester.ask("burned")
        self.claim("withheld", requester.ask("lied about"))
        self._attack(self.claim("honest"))

    def _post(self, path: str, body: object) -> dict[str, object]:
        """Until it is accepted: a client that retries with its idempotency key."""
        key = f"{self.number}-{self.random.random()}"
        for _ in range(600):
            try:
                answer = self._http.post(self.net.url("sequencer") + path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code in (200, 201):
                self.killer.happened("accepted")
                return dict(answer.json())
            assert answer.status_code in (409, 429, 502, 503, 504), answer.text
            time.sleep(0.2)
        raise AssertionError(f"{path} was not accepted in two minutes: {answer.text}")

    def _infer(self, turn: int) -> None:
        inputs = toy_numbers(self.number * INFERENCES + turn)
        answer = self._post("/v1/infer", {"model": MODEL, "inputs": inputs})
        self.accepted.honest.add(claim_id_of(answer["claim_id"]))

    def claim(self, kind: str, asked: Question | None = None) -> PostedClaim:
        """``asked``: what the claim says that it answers."""
        client = self.net.paid_client(f"claimant {self.number} {self.random.random()}")
        client.deposit(self.net.terms.claim_bond)
        program = self.programs.long if kind == "inside" else self.programs.toy
        seed = self.random.randrange(10_000) if asked is None else asked.seed
        inputs = (long_reductions.inputs if kind == "inside" else toy_inputs)(seed)
        right = [np.array(value) for value in ExecutionTrace.of(program, inputs, keep=True).values()]
        values, said = right, None
        if kind == "inside":
            at, forged = self.random.choice(list(LIES)), self.random.random() < 0.5
            values = false_values(right, at, forged)
            if forged:
                _, part, forge = LIES[at]
                said = Forged(Reductions(program, values), part, forge)
        elif kind != "honest":
            at = self.random.randrange(len(inputs), program.header.values)
            value = np.array(right[at])
            value.reshape(-1)[self.random.randrange(value.size)] += 1
            values = resumed(program, [*right[:at], value])
        trace = with_values(Executor(program), values)
        told = Lie(trace, [values[value] for value, _ in program.header.outputs], kind)
        posted = signed(client, program, inputs, told, Timestamp(client.chain.now() + 3600))
        if asked is not None:
            named = replace(posted.claim, request_id=asked.request_id)
            posted = client.sign(named, posted.inputs, posted.outputs)
        claim_id = client.claim_id(posted.claim)
        if kind == "published":
            self.stage.enter_context(published(trace, claim_id, posted, self.net.liar_port))
        self._post("/v1/claims", SignedClaim.of(posted).model_dump())
        (self.accepted.honest if kind == "honest" else self.accepted.false).add(claim_id)
        defender = Defender(client, Behaviour.SILENT if kind == "silent" else Behaviour.WITHHOLDS, None, client.first)
        defender.uphold(claim_id, program, ValueTrace(program, values, trace.roots), said)
        self.liars.append(defender)
        return posted

    def _attack(self, posted: PostedClaim) -> None:
        """Challenge an honest claim, and never move again: its claimant must answer, and collects the clock."""
        attacker = self.net.paid_client(f"attacker {self.number}")
        claim_id = attacker.claim_id(posted.claim)
        l1 = L1State(attacker.first)
        deadline = time.monotonic() + 120
        while claim_id not in l1.claims and time.monotonic() < deadline:
            l1.read(attacker)
            time.sleep(0.2)
        assert claim_id in l1.claims, (
            f"the claim was not posted in two minutes; {self.net.services['sequencer'].tail()}"
        )
        attacker.challenge(posted.claim, l1.inclusion(claim_id), value=self.net.terms.challenge_bond)

    def end(self) -> None:
        self.stage.close()

    def play(self) -> None:
        for liar in self.liars:
            try:
                liar.poll()
            except TouchstoneError:
                continue
