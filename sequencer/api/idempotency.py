"""Idempotency keys: the same key and body gives the same answer, whatever happened in between.

A key is reserved before the work and answered after it, in the store: another process, or this one after a restart, gives the
same answer. Only what succeeded is kept; a request that was refused changed nothing, and its key may be used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Header, Request, Response
from starlette.concurrency import run_in_threadpool

from rollup.errors import ClaimError
from rollup.service.limits import caller_of
from rollup.service.problem import Problem
from rollup.types import Timestamp
from sequencer.states import Answer
from sequencer.store.answers import Answers

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Any text of up to 200 printable ASCII characters: the same key and body gives the same answer, "
        "another body 409. Kept for a day, for each caller.",
        examples=["7c9e6679-7425-40de-944b-e07fc1f90ae7"],
    ),
]

REPLAYED = "idempotent-replayed"
HALFWAY = 102
"""Status of an answer that is not complete: ``response`` says how to go on."""

WAIT_SECONDS = 20.0
"""How long the same request waits for the first one."""

LOOK_SECONDS = 0.05

Halfway = Callable[[bytes], Awaitable[None]]
Work = Callable[[bytes | None, Halfway], Awaitable[tuple[int, bytes]]]
"""(what an earlier try noted, how to note something) -> (status, body). What is noted survives this process."""


@dataclass(frozen=True)
class Idempotency:
    """``abandoned``: seconds after which an unanswered key counts as that of a process that died."""

    answers: Answers
    now: Callable[[], float]
    abandoned: float = 120.0

    async def answer(self, request: Request, key: str | None, body: bytes, work: Work) -> Response:
        """Do the work, or give the answer that it had. Raises Problem 409 for another body, or if the first request takes too
        long."""
        if key is None:

            async def forget_it(_: bytes) -> None:
                return None

            status, answer = await work(None, forget_it)
            return _response(status, answer)
        if not (1 <= len(key) <= 200 and key.isascii() and key.isprintable()):
            raise ClaimError("Idempotency-Key must have 1 to 200 printable ASCII characters; a UUID is a good one")
        caller, scoped = caller_of(request.scope), f"{request.url.path} {key}"
        digest = sha256(body).digest()
        earlier = await self._reserve(caller, scoped, digest)
        if earlier is not None and earlier.status != HALFWAY:
            assert earlier.status is not None
            return _response(earlier.status, earlier.response, replayed=True)

        noted = None if earlier is None else earlier.response
        kept = [noted is not None]

        async def note(text: bytes) -> None:
            kept[0] = True
            await run_in_threadpool(self.answers.finish, caller, scoped, HALFWAY, text)

        try:
            status, answer = await work(noted, note)
        except BaseException as error:
            if not kept[0] or isinstance(error, ClaimError):
                # Shielded: a request that is cancelled must not leave its key behind.
                await asyncio.shield(run_in_threadpool(self.answers.forget, caller, scoped))
            raise
        await run_in_threadpool(self.answers.finish, caller, scoped, status, answer)
        return _response(status, answer)

    async def _reserve(self, caller: str, key: str, digest: bytes) -> Answer | None:
        """None, or a halfway answer: ours to work on. Else the answer."""
        waited = 0.0
        while True:
            now = Timestamp(int(self.now()))
            found = await run_in_threadpool(self.answers.begin, caller, key, digest, now)
            if found is None:
                return None
            if found.digest != digest:
                raise Problem(
                    409,
                    "idempotency-key",
                    "The key stands for another request",
                    "the Idempotency-Key was used with another body; use a new key for a new request",
                )
            if found.status is not None:
                return found
            if now - found.created > self.abandoned:
                await run_in_threadpool(self.answers.forget, caller, key)
                continue
            if waited >= WAIT_SECONDS:
                raise Problem(
                    409,
                    "in-progress",
                    "The first request is still being worked on",
                    "a request with this Idempotency-Key is still being worked on; ask again in some seconds",
                    {"retry-after": "5"},
                )
            await asyncio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS


def _response(status: int, body: bytes, replayed: bool = False) -> Response:
    headers = {"cache-control": "no-store"} | ({REPLAYED: "true"} if replayed else {})
    return Response(body, status, headers, media_type="application/json")
