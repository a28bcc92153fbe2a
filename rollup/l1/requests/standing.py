"""How far requests and subscriptions are: a fold of the events about them, one step each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from rollup.claim import Address, ClaimId
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request, Subscription
from rollup.l1.requests.events import (
    AnswerNoted,
    AnswerRevealed,
    AnswersDiffer,
    AnswerSettled,
    AnswersSealed,
    AnswerStruck,
    CallbackDelivered,
    CallbackFailed,
    CommitteeDrawn,
    Renewed,
    RequestAgreed,
    RequestAnswered,
    RequestCancelled,
    RequestRefunded,
    Unsubscribed,
)
from rollup.l1.requests.quorum import LAST_DRAW, REVEAL_BLOCKS
from rollup.types import Timestamp, hex_of

NEVER = Timestamp(0)


class Progress(StrEnum):
    """The contract's ``Progress``; a request that nobody made has none, and one that names no callback is never undelivered."""

    OPEN = "open"
    ANSWERED = "answered"
    UNDELIVERED = "undelivered"
    REFUNDED = "refunded"
    AGREED = "agreed"


@dataclass(frozen=True)
class RequestStanding:
    """What changes about a request.

    ``until``: last second in which a claim that answers may be posted, now. ``noted``: claims that hold the fee. ``answer``: the final
    claim that was paid, of a quorum the first; ``claimant`` and ``royalty``: what was paid for one that stood alone. ``failures``: how
    often the callback failed, the last time in block ``failed_in``. ``told``: whether the consumer took the call. ``silent``: it names
    no callback, so that what the contract calls a failed one is none. ``fee``: wei; ``given_back``: what of it the requester has back
    from a quorum that agreed on what was false.

    ``quorum_until``: last block in which the next step of the request's quorum can be made, so that it agrees no more behind it; 0:
    there is none, or it has failed. ``commit_blocks``: as the request says. ``said``: the claim that its first prover revealed.
    """

    until: Timestamp
    progress: Progress = Progress.OPEN
    noted: frozenset[ClaimId] = frozenset()
    answer: ClaimId | None = None
    claimant: Address | None = None
    royalty: int = 0
    failures: int = 0
    failed_in: int = 0
    told: bool = False
    silent: bool = False
    fee: int = 0
    given_back: int = 0
    quorum_until: int = 0
    commit_blocks: int = 0
    said: ClaimId | None = None

    @classmethod
    def of(cls, request: Request, block: int) -> RequestStanding:
        """As it begins, in that block."""
        commits = request.commit_blocks
        last = block + (LAST_DRAW if request.committee == NO_COMMITTEE else commits)
        return cls(
            request.until,
            silent=request.callback == ANYBODY,
            fee=request.fee,
            quorum_until=last if request.quorum else 0,
            commit_blocks=commits,
        )

    @property
    def is_open(self) -> bool:
        return self.progress is Progress.OPEN

    @property
    def level(self) -> str:
        """What the answer may be relied on for, as the contract's ``Level`` says: ``none``, ``agreed`` or ``final``."""
        if self.progress is Progress.AGREED:
            return "agreed"
        return "final" if self.progress in (Progress.ANSWERED, Progress.UNDELIVERED) else "none"

    @property
    def telling(self) -> ClaimId | None:
        """A claim that has the output of the answer; None while there is none."""
        return None if self.level == "none" else self.answer or self.said

    def state_of(self, request: Request) -> str:
        """How far the request is, in one word: its progress; of an open one also ``noted`` and ``cancelled``."""
        if not self.is_open:
            return self.progress.value
        if self.noted:
            return "noted"
        return "cancelled" if self.until < request.until else "open"

    def after(self, event: object, block: int) -> RequestStanding:
        """After an event about this request in that block; one about something else changes nothing."""
        match event:
            case RequestCancelled(_, until):
                return replace(self, until=until)
            case AnswerNoted(_, claim_id):
                return replace(self, noted=self.noted | {claim_id})
            case AnswerStruck(_, claim_id):
                return replace(self, noted=self.noted - {claim_id})
            case RequestAnswered(_, claim_id, claimant, royalty):
                return replace(self, progress=Progress.ANSWERED, answer=claim_id, claimant=claimant, royalty=royalty)
            case CommitteeDrawn():
                return replace(self, quorum_until=block + self.commit_blocks)
            case AnswersSealed():
                return replace(self, quorum_until=block + REVEAL_BLOCKS)
            case AnswerRevealed(_, claim_id):
                return replace(self, said=self.said or claim_id)
            case AnswersDiffer():
                return replace(self, quorum_until=0)
            case RequestAgreed():
                return replace(self, progress=Progress.AGREED)
            case AnswerSettled():
                return self._settled(event)
            case CallbackDelivered():
                return replace(self, progress=self._unless_ended(Progress.ANSWERED), told=True)
            case RequestRefunded():
                return replace(self, progress=Progress.REFUNDED, told=True)
            case CallbackFailed() if self.silent:
                return replace(self, progress=self._unless_ended(Progress.ANSWERED))
            case CallbackFailed():
                progress = self._unless_ended(Progress.UNDELIVERED)
                return replace(self, progress=progress, told=False, failures=self.failures + 1, failed_in=block)
        return self

    def _unless_ended(self, progress: Progress) -> Progress:
        """What a callback makes of the request, unless it waits for the game or nobody answers it any more."""
        return self.progress if self.progress in (Progress.AGREED, Progress.REFUNDED) else progress

    def _settled(self, event: AnswerSettled) -> RequestStanding:
        """The first final claim of a quorum that agreed makes its answer final; without one, all of the fee goes back."""
        if self.progress is not Progress.AGREED:
            return self
        if event.paid or event.royalty:
            progress = Progress.ANSWERED if self.told or self.silent else Progress.UNDELIVERED
            return replace(self, progress=progress, answer=event.claim_id)
        given_back = self.given_back + event.refunded
        progress = Progress.REFUNDED if given_back == self.fee else Progress.AGREED
        return replace(self, progress=progress, given_back=given_back)

    def as_json(self) -> dict[str, Any]:
        return {
            "until": self.until,
            "progress": self.progress.value,
            "noted": sorted(hex_of(claim_id) for claim_id in self.noted),
            "answer": None if self.answer is None else hex_of(self.answer),
            "claimant": self.claimant,
            "royalty": str(self.royalty),
            "failures": self.failures,
            "failed_in": self.failed_in,
            "told": self.told,
            "silent": self.silent,
            "fee": str(self.fee),
            "given_back": str(self.given_back),
            "quorum_until": self.quorum_until,
            "commit_blocks": self.commit_blocks,
            "said": None if self.said is None else hex_of(self.said),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RequestStanding:
        """Inverse of ``as_json``, of what it wrote."""
        return cls(
            Timestamp(data["until"]),
            Progress(data["progress"]),
            frozenset(_claim_id(one) for one in data["noted"]),
            None if data["answer"] is None else _claim_id(data["answer"]),
            None if data["claimant"] is None else Address(data["claimant"]),
            int(data["royalty"]),
            data["failures"],
            data["failed_in"],
            data["told"],
            data["silent"],
            int(data["fee"]),
            int(data["given_back"]),
            data["quorum_until"],
            data["commit_blocks"],
            None if data["said"] is None else _claim_id(data["said"]),
        )


@dataclass(frozen=True)
class SubscriptionStanding:
    """``due``: from when on its next request can be made. ``renewals``: requests that it made. ``ended``: its requester ended it; that its
    budget is used up no event says.
    """

    due: Timestamp = NEVER
    renewals: int = 0
    ended: bool = False

    def after(self, event: object, subscription: Subscription, made: Request | None) -> SubscriptionStanding:
        """After an event about this subscription. ``made``: the request that a ``Renewed`` names."""
        match event:
            case Renewed() if made is not None:
                # A request's `until` lies its patience after the moment in which it was made.
                due = Timestamp(made.until - subscription.patience + subscription.interval)
                return replace(self, due=due, renewals=self.renewals + 1)
            case Unsubscribed():
                return replace(self, ended=True)
        return self

    def as_json(self) -> dict[str, Any]:
        return {"due": self.due, "renewals": self.renewals, "ended": self.ended}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SubscriptionStanding:
        """Inverse of ``as_json``, of what it wrote."""
        return cls(Timestamp(data["due"]), data["renewals"], data["ended"])


def _claim_id(text: str) -> ClaimId:
    return ClaimId(bytes.fromhex(text[2:]))
