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
from rollup.claim import NO_ROOT, Claim, ClaimId, PostedClaim, input_root, join, output_root, output_types
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.l1.node.embedded import EmbeddedChain
from rollup.settings import Parameters
from rollup.types import Duration, Root
from sequencer.sequencer import Sequencer
from tests.e2e.toy_program import Published, outputs_of

TERMS = Parameters(window=Duration(600), clock=Duration(200), arity=2)
ETHER = 10**18


@dataclass
class Claimed:
    """A posted claim and who made it."""

    posted: PostedClaim
    claim_id: ClaimId
    inclusion: Inclusion
    defender: Defender
    client: L1Client


@dataclass
class Network:
    program: Program
    parameters: Parameters = TERMS
    admit: Callable[[Program], object] = audit
    reference: Callable[[Program], Machine] = Reference
    chain: EmbeddedChain = field(default_factory=EmbeddedChain)
    traces: SharedTraces = field(default_factory=SharedTraces)
    watchers: list[Watcher] = field(default_factory=list)
    claims: list[Claimed] = field(default_factory=list)
    nonce: int = 0

    def __post_init__(self) -> None:
        self.deployer = L1Client.deploy(self.chain, self.chain.signer("deployer"), self.parameters)
        self.deployer.register(self.program)
        self.sequencer = Sequencer(self.client("sequencer"))

    def client(self, name: str) -> L1Client:
        return self.deployer.using(self.chain.signer(name))

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
        client, header = self.client(name), self.program.header
        if client.balance(client.account) < self.parameters.claim_bond:
            client.deposit(ETHER)
        right = list(self.reference(self.program).values(inputs))
        trace = Published(self.program, right) if trace is None else trace
        input_bytes = join(list(inputs), header.inputs)
        output_bytes = join(outputs_of(self.program, right) if outputs is None else list(outputs), output_types(header))
        self.nonce += 1
        root = trace.node(1) if header.policy is TracePolicy.WITH_CLAIM else NO_ROOT
        claim = Claim(
            self.program.id,
            client.account,
            self.nonce,
            self.chain.now() + 1000,
            bytes(32),
            input_root(header, input_bytes),
            output_root(header, output_bytes),
            Root(root),
        )
        posted = client.sign(claim, b"" if uploaded else input_bytes, output_bytes)
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


def terms(**changes: int) -> Parameters:
    return replace(TERMS, **changes)
