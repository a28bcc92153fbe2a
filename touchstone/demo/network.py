"""A whole network in one process, for the demo and for campaigns: chain, sequencer, watcher, claimants true and false."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from challenger.checkers.re_execute import Machine, ReExecute
from challenger.defender import Behaviour, Defender
from challenger.play.known import KnownTrace
from challenger.play.reading import theirs
from challenger.play.trace import LazyTrace, SharedTraces
from challenger.reports.verdict import verdict
from challenger.watch.watcher import Watcher
from rollup.claim import NO_ROOT, Claim, ClaimId, input_root, join, output_root, output_types
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.l1.answers import ClaimStatus, Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import Convicted
from rollup.l1.node.embedded import EmbeddedChain
from rollup.settings import Parameters
from rollup.types import Root
from sequencer.sequencer import Sequencer

Array = np.ndarray

ROUND_SECONDS = 30


class ClaimedTrace(KnownTrace, Protocol):
    """What a claimant commits to: the trace of an execution, or of what it wants to be taken for one."""

    @property
    def root(self) -> Root: ...


class DerivedTrace(LazyTrace[ClaimedTrace]):
    """What a claimant commits to, made when somebody asks for it: an honest path hashes nothing."""

    @property
    def root(self) -> Root:
        return self._trace.root


@dataclass
class Story:
    """One claim of the demo."""

    number: int
    lie: str | None
    label: int
    answer: int
    defender: Defender
    client: L1Client
    claim: Claim
    claim_id: ClaimId
    state: ClaimStatus = ClaimStatus.POSTED


@dataclass
class Network:
    """A chain with its contracts, a sequencer, a watcher and claimants, in this process; and what they did.

    ``machine``: what the watcher runs the program with; by default it compiles the program for itself.
    """

    program: Program
    parameters: Parameters
    chain: EmbeddedChain = field(default_factory=EmbeddedChain)
    traces: SharedTraces = field(default_factory=SharedTraces)
    stories: list[Story] = field(default_factory=list)
    seconds: dict[ClaimId, float] = field(default_factory=dict)
    deposited: int = 0
    machine: Machine | None = None

    def __post_init__(self) -> None:
        self.operator = L1Client.deploy(self.chain, self.chain.signer("deployer"), self.parameters)
        self.operator.register(self.program)
        self.sequencer = Sequencer(self.client("sequencer"))
        self.watcher_client = self.client("watcher")
        self.watcher = Watcher(self.watcher_client, self.traces)
        if self.machine is None:
            self.watcher.hold(self.program)
        else:
            self.watcher.take(ReExecute(self.program, self.machine))
        self.fund(self.watcher_client, 3 * self.parameters.challenge_bond)

    def client(self, name: str) -> L1Client:
        return self.operator.using(self.chain.signer(name))

    def deposit(self, client: L1Client, wei: int) -> None:
        """For claims."""
        client.deposit(wei)
        self.deposited += wei

    def fund(self, client: L1Client, wei: int) -> None:
        """For challenges."""
        client.fund(wei)
        self.deposited += wei

    def claim(
        self,
        inputs: Sequence[Array],
        trace: ClaimedTrace,
        outputs: Sequence[Array],
        lie: str | None = None,
        behaviour: Behaviour = Behaviour.PUBLISHES,
        label: int = 0,
    ) -> Story:
        """Sign a claim about ``inputs`` with the given trace and outputs, and hand it to the sequencer.

        ``lie`` and ``label`` (the right answer) are for the report only.
        """
        header, number = self.program.header, len(self.stories) + 1
        client = self.client(f"claimant {number}")
        self.deposit(client, self.parameters.claim_bond)
        input_bytes, output_bytes = join(list(inputs), header.inputs), join(list(outputs), output_types(header))
        claim = Claim(
            self.program.id,
            client.account,
            number,
            self.chain.now() + 3600,
            bytes(32),
            input_root(header, input_bytes),
            output_root(header, output_bytes),
            trace.root if header.policy is TracePolicy.WITH_CLAIM else NO_ROOT,
        )
        claim_id = self.sequencer.submit(client.sign(claim, input_bytes, output_bytes))
        defender = Defender(client, behaviour, self.traces)
        defender.uphold(claim_id, self.program, trace)
        story = Story(number, lie, label, int(np.argmax(outputs[0])), defender, client, claim, claim_id)
        self.stories.append(story)
        return story

    def status(self, story: Story) -> ClaimStatus:
        return self.operator.status(story.claim, self.watcher.l1.inclusion(story.claim_id))

    def play(self) -> Iterator[str]:
        """Rounds until every claim is final or invalid; yields what happens, as sentences."""
        while True:
            moved = False
            for story, receipt in self._round():
                moved = True
                if receipt.call != "release":
                    yield self._sentence(story, receipt)
            for story in self.stories:
                story.state = self.status(story)
            if not moved and all(story.state in (ClaimStatus.FINAL, ClaimStatus.INVALID) for story in self.stories):
                return
            self.chain.advance(ROUND_SECONDS if moved else self.parameters.clock // 2)

    def _round(self) -> Iterator[tuple[Story | None, Receipt]]:
        """The watcher moves as long as it can, then every claimant."""
        while True:
            started = time.perf_counter()
            receipts = self.watcher.poll()
            spent = (time.perf_counter() - started) / max(len(receipts), 1)
            for receipt in receipts:
                story = self._story(receipt)
                if story is not None:
                    self.seconds[story.claim_id] = self.seconds.get(story.claim_id, 0.0) + spent
                yield story, receipt
            if not receipts:
                break
        for story in self.stories:
            for receipt in story.defender.poll():
                yield story, receipt

    def _story(self, receipt: Receipt) -> Story | None:
        """The claim that a watcher's transaction was about."""
        about = (story for story in self.stories if receipt in self.watcher.costs.of(story.claim_id))
        return next(about, None)

    def _sentence(self, story: Story | None, receipt: Receipt) -> str:
        who = "watcher" if receipt.sender == self.watcher_client.account else "claimant"
        subject = f"claim {story.number}" if story else "several claims"
        convicted = any(isinstance(event, Convicted) for event in receipt.events)
        ended = f"  [red]{subject} is INVALID[/red]" if convicted else ""
        return f"{subject}: {who:8} {receipt.call:10} {receipt.gas:>9,} gas{ended}"

    def disputes(self) -> list[dict[str, Any]]:
        """Every dispute, as the report holds it."""
        found = []
        for story in self.stories:
            challenger = self.watcher.costs.of(story.claim_id)
            if not challenger:
                continue
            defender = [receipt for receipt in story.defender.costs.of(story.claim_id) if receipt.call != "release"]
            convicted = [event for receipt in challenger for event in receipt.events if isinstance(event, Convicted)]
            gas_by_move: dict[str, int] = {}
            for receipt in [*challenger, *defender]:
                gas_by_move[receipt.call] = gas_by_move.get(receipt.call, 0) + receipt.gas
            rule = convicted[0].rule if convicted else None
            direct = {receipt.call for receipt in challenger} == {"challenge", "prove"} and not defender
            found.append(
                {
                    "claim": story.number,
                    "how": "timeout" if rule is Rule.TIMEOUT else "direct" if direct else "interactive",
                    "challenger_moves": len(challenger),
                    "defender_moves": len(defender),
                    "gas": sum(gas_by_move.values()),
                    "gas_by_move": gas_by_move,
                    "bytes": sum(receipt.data_bytes for receipt in [*challenger, *defender]),
                    "seconds": round(self.seconds.get(story.claim_id, 0.0), 3),
                    "rule": rule.name.lower() if rule is not None else None,
                }
            )
        return found

    def verdicts(self) -> Iterator[tuple[Story, str]]:
        """Every conviction by proof, in words."""
        for story in self.stories:
            for receipt in self.watcher.costs.of(story.claim_id):
                for event in receipt.events:
                    if isinstance(event, Convicted) and event.rule is not Rule.TIMEOUT:
                        own = self.watcher.checked.use(story.claim_id)
                        assert own is not None
                        known = theirs(self.watcher.l1, self.program, story.claim_id, self.traces)
                        _, outputs = self.watcher.l1.data_of(story.claim_id)
                        yield story, str(verdict(self.program, event, own, known, outputs))

    def bonds(self) -> dict[str, int]:
        """Wei that came in, went out and was burned; whoever still has a balance withdraws it first."""
        out, clients = 0, [self.watcher_client, *(story.client for story in self.stories)]
        for client in clients:
            client.announce_withdrawal(client.balance(client.account))
        self.chain.advance(self.parameters.withdrawal_delay)
        for client in clients:
            free, earned = client.balance(client.account), client.earnings(client.account)
            if free:
                client.complete_withdrawal()
            if earned:
                client.withdraw(earned)
            out += free + earned
        return {"in": self.deposited, "out": out, "burned": self.operator.burned()}
