"""A sequencer's parts on a chain of the test's choice, and a claimant before it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rollup.claim import ClaimId, PostedClaim
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted
from rollup.types import Duration
from sequencer.batcher import Batcher
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.intake.limits import Limits
from sequencer.lease import Lease
from sequencer.mirror import Mirror
from sequencer.states import State
from sequencer.store import Store
from tests.world import INPUTS, PROGRAM, RIGHT, sign_claim

LIMITS = Limits(count=4, age=Duration(0))


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

    def claim(self, **changes: Any) -> PostedClaim:
        self.nonce += 1
        return sign_claim(self.claimant, PROGRAM, INPUTS, RIGHT, **({"nonce": self.nonce} | changes))

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
