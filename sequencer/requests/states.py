"""What is known of requests, as values."""

from __future__ import annotations

from dataclasses import dataclass

from rollup.claim import Address, ClaimId
from rollup.l1.requests.asked import Request, Subscription
from rollup.l1.requests.standing import RequestStanding, SubscriptionStanding
from sequencer.states import State


@dataclass(frozen=True)
class Asked:
    """One request. ``inputs`` is empty if its bytes came otherwise. ``reason``: why this sequencer does not answer it, if it does not."""

    request_id: bytes
    request: Request
    standing: RequestStanding
    block: int
    transaction: bytes
    inputs: bytes
    data: bytes
    subscription_id: bytes | None = None
    reason: str | None = None

    @property
    def state(self) -> str:
        """How far it is, in one word: its progress; of an open one also ``noted`` and ``cancelled``."""
        return self.standing.state_of(self.request)


@dataclass(frozen=True)
class Subscribing:
    """One subscription."""

    subscription_id: bytes
    subscription: Subscription
    standing: SubscriptionStanding
    inputs: bytes
    data: bytes


@dataclass(frozen=True)
class Answering:
    """A claim that names a request. ``ours``: it came in here. ``posted``: it stands on L1, or stood when it was found invalid."""

    claim_id: ClaimId
    claimant: Address
    state: State
    ours: bool
    posted: bool
    reason: str | None
