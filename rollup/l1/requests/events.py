"""What the Requests contract said: every event as a dataclass, named apart from those of the other contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollup.claim import Address, ClaimId
from rollup.l1.requests.asked import Request, Subscription
from rollup.types import ModelId, Root, Timestamp


@dataclass(frozen=True)
class Requested:
    """``inputs`` is empty if they were uploaded before, or came with a subscription. ``data``: handed along to the callback."""

    request_id: bytes
    model_id: ModelId
    request: Request
    inputs: bytes
    data: bytes


@dataclass(frozen=True)
class Subscribed:
    subscription_id: bytes
    subscription: Subscription
    inputs: bytes
    data: bytes


@dataclass(frozen=True)
class Renewed:
    """Comes behind the ``Requested`` of the request that was made."""

    subscription_id: bytes
    request_id: bytes


@dataclass(frozen=True)
class Unsubscribed:
    subscription_id: bytes
    refund: int


@dataclass(frozen=True)
class RequestCancelled:
    request_id: bytes
    until: Timestamp


@dataclass(frozen=True)
class AnswerNoted:
    request_id: bytes
    claim_id: ClaimId


@dataclass(frozen=True)
class AnswerStruck:
    request_id: bytes
    claim_id: ClaimId


@dataclass(frozen=True)
class RequestAnswered:
    """``royalty``: wei that the model's author got of the fee."""

    request_id: bytes
    claim_id: ClaimId
    claimant: Address
    royalty: int


@dataclass(frozen=True)
class CallbackFailed:
    request_id: bytes


@dataclass(frozen=True)
class CallbackDelivered:
    request_id: bytes


@dataclass(frozen=True)
class RequestRefunded:
    request_id: bytes


@dataclass(frozen=True)
class ModelPublished:
    model_id: ModelId
    author: Address
    royalty: int


@dataclass(frozen=True)
class FeesWithdrawn:
    account: Address
    amount: int


@dataclass(frozen=True)
class CommitteeDrawn:
    """``committee``: who answers for the request's quorum."""

    request_id: bytes
    committee: bytes


@dataclass(frozen=True)
class AnswerCommitted:
    request_id: bytes
    prover: Address
    commitment: bytes


@dataclass(frozen=True)
class AnswersSealed:
    """All have committed; answers can be revealed from the next block on."""

    request_id: bytes


@dataclass(frozen=True)
class AnswerRevealed:
    """The claim is the first of this batch, or wherever somebody else posted it."""

    request_id: bytes
    claim_id: ClaimId
    prover: Address
    batch: int


@dataclass(frozen=True)
class AnswersDiffer:
    """``claim_id`` has another output than the first: the request waits for finality."""

    request_id: bytes
    claim_id: ClaimId


@dataclass(frozen=True)
class RequestAgreed:
    request_id: bytes
    output_root: Root


@dataclass(frozen=True)
class AnswerSettled:
    """A claim of a quorum has ended. In wei: ``paid`` to its prover, ``royalty`` to the author, ``refunded`` to the requester."""

    request_id: bytes
    claim_id: ClaimId
    paid: int
    royalty: int
    refunded: int


RequestEvent = (
    Requested
    | Subscribed
    | Renewed
    | Unsubscribed
    | RequestCancelled
    | AnswerNoted
    | AnswerStruck
    | RequestAnswered
    | CallbackFailed
    | CallbackDelivered
    | RequestRefunded
    | ModelPublished
    | FeesWithdrawn
    | CommitteeDrawn
    | AnswerCommitted
    | AnswersSealed
    | AnswerRevealed
    | AnswersDiffer
    | RequestAgreed
    | AnswerSettled
)

NAMES: Mapping[str, type[Any]] = {
    "Requested": Requested,
    "Subscribed": Subscribed,
    "Renewed": Renewed,
    "Unsubscribed": Unsubscribed,
    "Cancelled": RequestCancelled,
    "Noted": AnswerNoted,
    "Struck": AnswerStruck,
    "Answered": RequestAnswered,
    "CallbackFailed": CallbackFailed,
    "Delivered": CallbackDelivered,
    "Refunded": RequestRefunded,
    "Published": ModelPublished,
    "Withdrawn": FeesWithdrawn,
    "Drawn": CommitteeDrawn,
    "AnswerCommitted": AnswerCommitted,
    "Sealed": AnswersSealed,
    "AnswerRevealed": AnswerRevealed,
    "Disagreed": AnswersDiffer,
    "Agreed": RequestAgreed,
    "Settled": AnswerSettled,
}
"""The contract's events by its own names for them."""

FIELDS: Mapping[type[Any], tuple[str, ...]] = {
    Requested: ("requestId", "modelId", "request", "input", "data"),
    Subscribed: ("subscriptionId", "subscription", "input", "data"),
    Renewed: ("subscriptionId", "requestId"),
    Unsubscribed: ("subscriptionId", "refund"),
    RequestCancelled: ("requestId", "until"),
    AnswerNoted: ("requestId", "claimId"),
    AnswerStruck: ("requestId", "claimId"),
    RequestAnswered: ("requestId", "claimId", "claimant", "royalty"),
    CallbackFailed: ("requestId",),
    CallbackDelivered: ("requestId",),
    RequestRefunded: ("requestId",),
    ModelPublished: ("modelId", "author", "royalty"),
    FeesWithdrawn: ("account", "amount"),
    CommitteeDrawn: ("requestId", "committee"),
    AnswerCommitted: ("requestId", "prover", "commitment"),
    AnswersSealed: ("requestId",),
    AnswerRevealed: ("requestId", "claimId", "prover", "batchId"),
    AnswersDiffer: ("requestId", "claimId"),
    RequestAgreed: ("requestId", "outputRoot"),
    AnswerSettled: ("requestId", "claimId", "paid", "royalty", "refunded"),
}
"""The ABI's name of every field, in the dataclass's order."""
