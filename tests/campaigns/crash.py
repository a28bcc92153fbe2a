"""``make crash``: SIGKILL at every transition of a claim's and of a dispute's life, until enough were made.

    python -m tests.campaigns.crash [--kills 200] [--seed 0] [--json FILE]

Rounds of claims (honest ones by the prover and by keys of their own, false ones with a published and with a withheld trace and
about a long reduction, honest ones that a malicious account challenges) run on a real node while the sequencer, the prover and
two watchers are killed: whenever something happens (a claim is accepted, a transaction enters the mempool, an event is mined),
a seeded choice kills one of them within a second, and starts it again. In the end, from L1 alone: no claim that was accepted is
lost, none was posted twice, no account sent the same move twice, nobody opened two games about one claim, false claims are
INVALID, honest ones FINAL. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
from rollup.errors import ChainError, TouchstoneError
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.l1.events import Challenged, ClaimPosted, Convicted
from rollup.service import logs
from rollup.settings import Parameters
from rollup.types import Duration, Timestamp
from rollup.wire import claim_id_of
from tests.anvil import Anvil
from tests.campaigns.network import ProcessNetwork
from tests.e2e import long_reductions
from tests.e2e.long_reductions import LIES, Forged, false_values
from tests.e2e.toy_program import toy_inputs, toy_numbers, toy_program
from touchstone.demo.network import resumed
from touchstone.lying.lies import Lie, signed, with_values
from touchstone.lying.publishing import published

TERMS = Parameters(window=Duration(150), clock=Duration(150), arity=5)
"""Long enough for a watcher that is killed again and again on a busy machine: one that never runs can't be timely."""

VICTIMS = ("sequencer", "prover", "watcher-1", "watcher-2")
MODEL = "toy"

Say = Callable[[str], None]


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


@dataclass
class Killer:
    """Kills one service soon after a transition, by a seeded choice, and starts it again; one at a time."""

    net: ProcessNetwork
    random: random.Random
    most: int
    """How many it makes."""
    kills: Counter[str] = field(default_factory=Counter)
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def happened(self, transition: str) -> None:
        """Kill, unless somebody just dies. Kinds of transitions that had fewer kills are preferred."""
        if self.total >= self.most:
            return
        often = max(self.kills.values(), default=0)
        mine = sum(count for name, count in self.kills.items() if name.startswith(f"{transition}/"))
        if self.random.random() > (0.9 if mine <= often else 0.3) or not self._busy.acquire(blocking=False):
            return
        victim = self.random.choice(VICTIMS)
        thread = threading.Thread(target=self._kill, args=(transition, victim, self.random.random() * 0.8))
        self._threads.append(thread)
        thread.start()

    def _kill(self, transition: str, victim: str, delay: float) -> None:
        try:
            time.sleep(delay)
            service = self.net.services[victim]
            if service.alive:
                service.kill()
                self.kills[f"{transition}/{victim}"] += 1
                service.start()
        finally:
            self._busy.release()

    def settle(self) -> None:
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    @property
    def total(self) -> int:
        return sum(self.kills.values())


class Observer(threading.Thread):
    """Tells the killer what enters the mempool and what is mined."""

    def __init__(self, net: ProcessNetwork, killer: Killer) -> None:
        super().__init__(daemon=True)
        self.net, self.killer = net, killer
        self.l1 = L1State(net.reader.first)
        self.over = threading.Event()
        self._pending: set[str] = set()

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                pending = set(self.net.node.pending())
                for _ in pending - self._pending:
                    self.killer.happened("sent")
                self._pending = pending
                for logged in self.l1.read(self.net.reader):
                    self.killer.happened(type(logged.event).__name__)
            except (ChainError, httpx.HTTPError, AssertionError):
                continue


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

    def begin(self) -> None:
        self.claim("honest")
        self.claim("withheld")
        self._infer()
        self.claim("published")
        self.claim("silent")
        self.claim("inside")
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

    def _infer(self) -> None:
        inputs = toy_numbers(self.number)
        answer = self._post("/v1/infer", {"model": MODEL, "inputs": inputs})
        self.accepted.honest.add(claim_id_of(answer["claim_id"]))

    def claim(self, kind: str) -> PostedClaim:
        client = self.net.client(f"claimant {self.number} {self.random.random()}")
        client.deposit(self.net.terms.claim_bond)
        program = self.programs.long if kind == "inside" else self.programs.toy
        inputs = (long_reductions.inputs if kind == "inside" else toy_inputs)(self.random.randrange(10_000))
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
        attacker = self.net.client(f"attacker {self.number}")
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


def settled(net: ProcessNetwork, l1: L1State, accepted: Accepted) -> list[ClaimId]:
    """Those that are neither final nor invalid yet."""
    left = []
    for claim_id in accepted.all:
        posted = l1.claims.get(claim_id)
        over = (ClaimStatus.FINAL, ClaimStatus.INVALID)
        if posted is None or net.reader.status(posted.claim, l1.inclusion(claim_id)) not in over:
            left.append(claim_id)
    return left


def verify(net: ProcessNetwork, accepted: Accepted) -> dict[str, object]:
    """What L1 says in the end; raises AssertionError for any promise that was broken."""
    reader = net.reader
    events = [logged.event for logged in reader.events(reader.first, reader.chain.height())]
    posted = Counter(event.claim_id for event in events if isinstance(event, ClaimPosted))
    lost = accepted.all - set(posted)
    assert not lost, f"accepted and lost: {[one.hex() for one in lost]}"
    twice = [claim.hex() for claim, count in posted.items() if count > 1]
    assert not twice, f"posted twice: {twice}"
    games = Counter((event.claim_id, event.challenger) for event in events if isinstance(event, Challenged))
    assert max(games.values()) == 1, f"more than one game: {[key for key, n in games.items() if n > 1]}"
    convicted = {event.claim_id for event in events if isinstance(event, Convicted)}
    escaped = [claim.hex() for claim in accepted.false - convicted]
    assert not escaped, f"false claims were not convicted: {escaped}"
    assert not convicted & accepted.honest, "an honest claim was convicted"
    l1 = L1State(reader.first)
    l1.read(reader)
    for claim_id in accepted.honest:
        status = reader.status(l1.claims[claim_id].claim, l1.inclusion(claim_id))
        assert status is ClaimStatus.FINAL, f"an honest claim is {status.name}"
    moves, failed = moves_of(net)
    repeated = [key for key, count in moves.items() if count > 1]
    assert not repeated, f"sent twice: {repeated[:3]}"
    return {
        "claims": len(accepted.all),
        "final": len(accepted.honest),
        "invalid": len(accepted.false),
        "games": len(games),
        "moves": len(moves),
        "failed_transactions": failed,
    }


def moves_of(net: ProcessNetwork) -> tuple[Counter[tuple[str, str]], int]:
    """(sender, calldata) of every transaction that our services had mined, and how many of them failed."""
    services = {net.node.signer(name).address.lower() for name in VICTIMS}
    found: Counter[tuple[str, str]] = Counter()
    failed = 0
    for number in range(net.reader.first, net.node.height + 1):
        for transaction in net.node.rpc("eth_getBlockByNumber", hex(number), True)["transactions"]:
            if transaction["from"].lower() in services:
                if int(transaction["value"], 16) and len(transaction["input"]) <= 10:
                    continue  # a deposit: two of the same amount are no move
                found[transaction["from"], transaction["input"]] += 1
                receipt = net.node.rpc("eth_getTransactionReceipt", transaction["hash"])
                failed += receipt["status"] != "0x1"
    return found, failed


@contextmanager
def kept_if_it_fails() -> Iterator[Path]:
    """A folder whose logs are needed if a promise was broken, and else not."""
    folder = Path(tempfile.mkdtemp(prefix="touchstone-crash-"))
    try:
        yield folder
    except BaseException as error:
        error.add_note(f"the services' logs are in {folder}")
        raise
    shutil.rmtree(folder, ignore_errors=True)


def run(kills: int, seed: int, say: Say = print, terms: Parameters = TERMS) -> dict[str, object]:
    """Rounds until ``kills`` were made; what was found. Raises AssertionError for a broken promise."""
    with ExitStack() as stack:
        folder = stack.enter_context(kept_if_it_fails())
        node = stack.enter_context(Anvil(interval=1))
        net = stack.enter_context(ProcessNetwork(node, folder, terms))
        programs = Programs(toy_program(), long_reductions.program())
        net.sequencer().start().wait_ready()
        net.add_model(programs.toy, MODEL)
        net.add_model(programs.long, "long")
        for service in (net.prover(), net.watcher("watcher-1"), net.watcher("watcher-2", "defend")):
            service.start()
        for service in net.services.values():
            service.wait_ready()
        say("all services are ready")
        killer, accepted = Killer(net, random.Random(seed), kills), Accepted()
        observer = Observer(net, killer)
        observer.start()
        stack.callback(observer.over.set)
        number, begun = 0, time.monotonic()
        while killer.total < kills:
            scenario = Scenario(net, programs, killer, number, accepted)
            scenario.begin()
            until = time.monotonic() + 900
            while (left := settled(net, observer.l1, accepted)) and time.monotonic() < until:
                scenario.play()
                time.sleep(0.3)
            assert not left, f"{len(left)} claims did not settle in 15 minutes"
            scenario.end()
            number += 1
            say(
                f"round {number}: {killer.total} kills, {len(accepted.all)} claims settled, {time.monotonic() - begun:.0f} s"
            )
        observer.over.set()
        killer.settle()
        found = verify(net, accepted)
        return found | {"kills": killer.total, "rounds": number, "by": dict(sorted(killer.kills.items()))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    logs.configure("warning")
    found = run(given.kills, given.seed)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
