"""A sequencer's parts on a chain of the test's choice, and a claimant before it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

from rollup.claim import Claim, ClaimId, PostedClaim, input_root, join, output_root, output_types
from rollup.form.program import Program
from rollup.l1.account.signing import Signer
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted
from rollup.l1.node.chain import Chain
from rollup.types import Duration
from sequencer.batcher import Batcher
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.intake.limits import Limits
from sequencer.lease import Lease
from sequencer.mirror import Mirror
from sequencer.states import State
from sequencer.store import Store
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, toy_program, values_of
from tests.world import TERMS

ETHER = 10**18
LIMITS = Limits(count=4, age=Duration(0))


@cache
def toy() -> tuple[Program, bytes, bytes, Published]:
    """(program, inputs, outputs, trace) of one execution."""
    program, inputs = toy_program(), toy_inputs()
    values = values_of(program, inputs)
    outputs = join(outputs_of(program, values), output_types(program.header))
    return program, join(inputs, program.header.inputs), outputs, Published(program, values)


def deploy(chain: Chain, signer: Signer) -> L1Client:
    """The contracts with the toy model, as their deployer sees them."""
    deployer = L1Client.deploy(chain, signer, TERMS)
    deployer.register(toy()[0])
    return deployer


@dataclass
class Desk:
    """One process of a sequencer: ``client`` is its account. ``claimant`` has deposited."""

    client: L1Client
    claimant: L1Client
    store: Store
    limits: Limits = LIMITS
    lease: Lease | None = None
    nonce: int = 0
    taken: list[ClaimId] = field(default_factory=list)
    mirror_now: bool = True

    def __post_init__(self) -> None:
        self.mirror = Mirror(self.client, self.store)
        if self.mirror_now:
            self.mirror.sync()
        self.admission = Admission(self.client, self.store, self.limits)
        self.intake = Intake(self.client, self.store, self.admission)
        self.batcher = Batcher(self.client, self.store, self.mirror, self.limits, self.lease, clock=lambda: 0.0)

    def again(self, **changes: object) -> Desk:
        """A new life of the process, or one beside it, which knows nothing but the store."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def claim(self, **changes: object) -> PostedClaim:
        program, inputs, outputs, trace = toy()
        self.nonce += 1
        fields = {
            "nonce": self.nonce,
            "valid_until": self.client.chain.now() + 100_000,
            "model_id": program.id,
            "trace_root": trace.root,
            **changes,
        }
        claim = Claim(
            claimant=self.claimant.account,
            request_id=bytes(32),
            input_root=input_root(program.header, inputs),
            output_root=output_root(program.header, outputs),
            **fields,  # type: ignore[arg-type]
        )
        return self.claimant.sign(claim, inputs, outputs)

    def take(self, count: int = 1) -> list[ClaimId]:
        """Accept so many new claims."""
        ids = [self.intake.submit(self.claim()).claim_id for _ in range(count)]
        self.taken += ids
        return ids

    def states(self) -> list[State | None]:
        """Of everything that was taken."""
        return [self.store.claims.state(claim_id) for claim_id in self.taken]

    def on_l1(self) -> list[ClaimId]:
        """What stands on L1 now, by L1's own word."""
        events = self.client.events(self.client.first, self.client.chain.height())
        return [one.event.claim_id for one in events if isinstance(one.event, ClaimPosted)]
