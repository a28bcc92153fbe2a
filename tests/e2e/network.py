"""A whole network in one process: an embedded chain, a sequencer, claimants with all manners, watchers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from challenger.checkers.re_execute import Machine, Reference
from challenger.defender import Behaviour, Defender
from challenger.play.known import KnownTrace
from challenger.play.trace import SharedTraces
from challenger.watch.watcher import Watcher
from rollup.audit import audit
from rollup.batch import Inclusion
from rollup.claim import NO_ROOT, ClaimId, PostedClaim
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.settings import Parameters
from rollup.types import Gindex
from sequencer.sequencer import Sequencer
from tests.e2e.toy_program import Published
from tests.world import ETHER, TERMS, ToyWorld


@dataclass
class Claimed:
    """A posted claim and who made it."""

    posted: PostedClaim
    claim_id: ClaimId
    inclusion: Inclusion
    defender: Defender
    client: L1Client


@dataclass
class NetworkWorld(ToyWorld):
    """``claims`` were made by ``claim``, and ``watchers`` by ``watch``; all of them act in each ``round``."""

    program: Program
    parameters: Parameters = TERMS
    admit: Callable[[Program], object] = audit
    reference: Callable[[Program], Machine] = Reference
    traces: SharedTraces = field(default_factory=SharedTraces)
    watchers: list[Watcher] = field(default_factory=list)
    claims: list[Claimed] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sequencer = Sequencer(self.client("sequencer"))

    def watch(self, name: str = "watcher") -> tuple[Watcher, L1Client]:
        client = self.client(name)
        watcher = Watcher(client, self.traces, self.reference, self.admit)
        watcher.hold(self.program)
        self.watchers.append(watcher)
        return watcher, client

    def claim(
        self,
        name: str,
        inputs: Sequence[np.ndarray],
        trace: KnownTrace | None = None,
        outputs: Sequence[np.ndarray] | None = None,
        behaviour: Behaviour = Behaviour.PUBLISHES,
        uploaded: bool = False,
    ) -> Claimed:
        """Claim something about ``inputs``: the truth, or what ``trace`` and ``outputs`` say instead; post it.

        ``uploaded``: the input was uploaded before and is left out of the posting.
        """
        client = self.client(name, deposit=ETHER)
        right = self.reference(self.program).values(inputs)
        trace = Published(self.program, right) if trace is None else trace
        root = trace.node(Gindex(1)) if self.program.header.policy is TracePolicy.WITH_CLAIM else NO_ROOT
        until = self.chain.now() + 1000
        posted = self.sign(client, inputs, right, outputs=outputs, trace_root=root, valid_until=until)
        posted = replace(posted, inputs=b"") if uploaded else posted
        claim_id = self.sequencer.submit(posted)
        self.sequencer.flush()
        defender = Defender(client, behaviour, self.traces)
        defender.uphold(claim_id, self.program, trace)
        defender.l1.read(client)
        claimed = Claimed(posted, claim_id, defender.l1.inclusion(claim_id), defender, client)
        self.claims.append(claimed)
        return claimed

    def status(self, claimed: Claimed) -> ClaimStatus:
        return self.deployer.status(claimed.posted.claim, claimed.inclusion)

    def round(self, seconds: int = 5) -> int:
        """Everybody polls once; returns how many transactions that made."""
        moves = sum(len(watcher.poll()) for watcher in self.watchers)
        moves += sum(len(claimed.defender.poll()) for claimed in self.claims)
        self.chain.advance(seconds)
        return moves

    def settle(self, most: int = 60) -> None:
        """Rounds until all claims are final or invalid and nobody has anything left to do."""
        for _ in range(most):
            settled = all(self.status(one) in (ClaimStatus.FINAL, ClaimStatus.INVALID) for one in self.claims)
            if self.round() == 0:
                if settled:
                    return
                self.chain.advance(self.parameters.clock // 2)
        raise AssertionError(f"claims did not settle: {[self.status(one) for one in self.claims]}")

    def check_money(self, *names: str) -> None:
        """In = out + burned: what the contract holds is every balance, every bond, and what was burned."""
        known = {client.account for client in (self.client(name) for name in names)}
        known |= {claimed.client.account for claimed in self.claims}
        held = sum(
            self.deployer.balance(account) + self.deployer.earnings(account) + self.deployer.locked(account)
            for account in known
        )
        assert self.chain.wei_of(self.deployer.address) == held + self.deployer.burned()
