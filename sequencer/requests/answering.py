"""Has requests answered: finds those that are worth it, and hands in the claims that a prover signs about them.

Exactly once: a claim's nonce follows from the request and the attempt, so whatever was signed before a crash and what is signed after
it exclude each other, here and on L1.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rollup.claim import Address, ClaimId, PostedClaim
from rollup.errors import EncodingError, TouchstoneError
from rollup.form.encoding import Header, decode_header
from rollup.http import LoopThread
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.types import ModelId, Timestamp
from sequencer.requests.deciding import Attempt, Circumstances, Refusal, decide
from sequencer.requests.policy import Policy
from sequencer.requests.states import Answering, Asked
from sequencer.states import Accepted, Head, State
from sequencer.store import Store

FRESH = 500
"""New requests that are looked at in one round."""

OLD = 100
"""Older ones of which the rest of a round takes as many, in turn."""

AT_ONCE = 4
"""Requests that the prover works on at the same time: a slow model must not hold up the others."""

REMEMBERED = 10_000
"""Claims of which it is known that their posting was hastened."""

ACCOUNT_SECONDS = 60.0
"""How long it is believed which account the prover signs with."""

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds until a request is tried again whose inference failed; the pause doubles."""

ANSWERED = counter("sequencer", "requests_answered", "Claims that were made for requests", ["outcome"])
UNANSWERED = gauge("sequencer", "requests_unanswered", "Requests among those looked at last that are not answered")

_log = logger("touchstone.requests")


class RequestProver(Protocol):
    """Who answers; raises a TouchstoneError if it can't be asked, or refuses."""

    async def account(self) -> Address: ...

    async def answer(
        self, model_id: ModelId, inputs: bytes, request_id: bytes, nonce: int, valid_until: Timestamp
    ) -> PostedClaim: ...


class Taking(Protocol):
    """Whoever admits claims and writes them down."""

    def submit(self, posted: PostedClaim) -> Accepted: ...


def nonce_of(request_id: bytes, attempt: int) -> int:
    """Of the claim that is made in this attempt to answer a request; 256 bits."""
    return int.from_bytes(
        hashlib.sha256(b"touchstone request" + request_id + attempt.to_bytes(4, "big")).digest(), "big"
    )


@dataclass
class _Pause:
    """When a request is tried again, and how long the pause is after that."""

    until: float
    seconds: float


@dataclass
class Answerer:
    """For one thread. ``price``: wei a gas now. ``hurry``: called when a claim waits to be posted. ``clock``: seconds that pass."""

    store: Store
    prover: RequestProver
    intake: Taking
    policy: Policy
    price: Callable[[], int]
    hurry: Callable[[], object]
    clock: Callable[[], float] = time.monotonic
    _thread: LoopThread = field(default_factory=lambda: LoopThread("touchstone-requests"))
    _account: Address | None = None
    _asked_at: float = 0.0
    _newest: int = -1
    _turn: int = -1
    _pauses: dict[bytes, _Pause] = field(default_factory=dict)
    _hastened: set[ClaimId] = field(default_factory=set)

    def step(self) -> int:
        """One round; returns how many claims were handed in. Raises a TouchstoneError if nothing can be said now."""
        head = self.store.l1.head()
        if head is None:
            return 0
        found = self._candidates(head)
        if not found:
            UNANSWERED.set(0)
            return 0
        account = self._own_account()
        chosen = self._chosen(found, account, head)
        if not chosen:
            return 0
        return sum(self._thread.run(self._answered(chosen)))

    def close(self) -> None:
        async def nothing() -> None:
            return None

        self._thread.close(nothing)

    def _candidates(self, head: Head) -> list[Asked]:
        """New requests, and some of the older ones in turn: many that are not worth it hold up none that is."""
        fresh = self.store.requests.unanswered(self._newest, head.time, FRESH)
        old = self.store.requests.unanswered(self._turn, head.time, OLD)
        if fresh:
            self._newest = fresh[-1].request.number
        self._turn = old[-1].request.number if len(old) == OLD else -1
        return list({one.request_id: one for one in (*fresh, *old)}.values())

    def _own_account(self) -> Address:
        if self._account is None or self.clock() >= self._asked_at + ACCOUNT_SECONDS:
            account = self._thread.run(self.prover.account())
            self.store.requests.add_account(account)
            self._account, self._asked_at = account, self.clock()
        return self._account

    def _chosen(self, found: Sequence[Asked], account: Address, head: Head) -> list[tuple[Asked, bytes, int]]:
        """Those to be answered now, with their input bytes and the claim's nonce."""
        answering = self.store.requests.answering(one.request_id for one in found)
        accounts, price, headers = self.store.requests.accounts(), self.price(), dict[ModelId, Header | None]()
        chosen: list[tuple[Asked, bytes, int]] = []
        refused: dict[bytes, str] = {}
        for asked in found:
            model_id = asked.request.model_id
            if model_id not in headers:
                headers[model_id] = self._header(model_id)
            header = headers[model_id]
            inputs = asked.inputs or self.store.requests.inputs_of(model_id, asked.request.input_root)
            empty = header is not None and not any(tensor.bytes for tensor in header.inputs)
            known = inputs is not None or empty
            here = Circumstances(head.time, head.number, price, account, accounts, header, known)
            claims: Sequence[Answering] = answering.get(asked.request_id, ())
            self._hasten(claims, accounts)
            match decide(asked, claims, here, self.policy):
                case Refusal(reason):
                    refused[asked.request_id] = reason
                case Attempt(number) if len(chosen) < AT_ONCE and not self._paused(asked.request_id):
                    chosen.append((asked, inputs or b"", nonce_of(asked.request_id, number)))
        UNANSWERED.set(len(refused))
        self._tell([(asked, refused[asked.request_id]) for asked in found if asked.request_id in refused], head)
        return chosen

    def _hasten(self, claims: Sequence[Answering], accounts: Collection[Address]) -> None:
        """Have claims posted soon that an earlier life left waiting; each once, since one that can't be posted now waits for long."""
        waiting = {one.claim_id for one in claims if one.state is State.PENDING and one.claimant in accounts}
        if waiting - self._hastened:
            self._hastened = (self._hastened if len(self._hastened) < REMEMBERED else set()) | waiting
            self.hurry()

    def _header(self, model_id: ModelId) -> Header | None:
        model = self.store.models.get(model_id)
        if model is None or model.retired:
            return None
        try:
            return decode_header(model.header)
        except EncodingError:
            return None

    def _paused(self, request_id: bytes) -> bool:
        pause = self._pauses.get(request_id)
        return pause is not None and self.clock() < pause.until

    def _tell(self, reasons: Sequence[tuple[Asked, str | None]], head: Head) -> None:
        """Keep the reasons for whoever asks; the log says each when a request has its first."""
        changed = {asked.request_id: reason for asked, reason in reasons if asked.reason != reason}
        self.store.requests.decide(changed, head.time)
        for asked, reason in reasons:
            if asked.reason is None and reason is not None:
                _log.info("request not answered", request=f"0x{asked.request_id.hex()}", reason=reason)

    async def _answered(self, chosen: Sequence[tuple[Asked, bytes, int]]) -> list[int]:
        return await asyncio.gather(*(self._answer(*one) for one in chosen))

    async def _answer(self, asked: Asked, inputs: bytes, nonce: int) -> int:
        """1 if a claim was handed in."""
        request_id, head = asked.request_id, self.store.l1.head()
        assert head is not None
        try:
            posted = await self.prover.answer(asked.request.model_id, inputs, request_id, nonce, asked.standing.until)
            # First: a claim that is taken and whose account is forgotten would never be shown.
            self.store.requests.add_account(posted.claim.claimant)
            accepted = await asyncio.to_thread(self.intake.submit, posted)
        except TouchstoneError as error:
            before = self._pauses.get(request_id)
            seconds = FIRST_PAUSE if before is None else min(2 * before.seconds, LONGEST_PAUSE)
            self._pauses[request_id] = _Pause(self.clock() + seconds, seconds)
            ANSWERED.labels("failed").inc()
            self._tell([(asked, f"no claim could be made: {error}")], head)
            return 0
        self._pauses.pop(request_id, None)
        self._hastened.add(accepted.claim_id)
        ANSWERED.labels("claimed").inc()
        self._tell([(asked, None)], head)
        _log.info(
            "request answered",
            request=f"0x{request_id.hex()}",
            claim=f"0x{accepted.claim_id.hex()}",
            model=f"0x{asked.request.model_id.hex()}",
        )
        self.hurry()
        return 1
