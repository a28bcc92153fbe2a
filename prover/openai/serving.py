"""Answers over HTTP: a whole one, or a stream of events; and what ends one early."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from threading import Event, Lock
from typing import Any

from fastapi import Response
from starlette.responses import StreamingResponse
from starlette.types import Send

from prover.openai import logprobs
from prover.openai.answers import Answering, Piece, Still, TextAnswers
from prover.openai.embeddings import EmbeddingAnswers
from prover.openai.errors import error_event
from prover.openai.promises import ReceiptSigner
from prover.openai.shapes import chunk_of, receipt_chunk, usage_chunk, whole
from prover.openai.speakers import Seats
from rollup.errors import TouchstoneError
from rollup.receipt import CHAT, DONE, body_of, canonical, event_of
from rollup.service.limits import busy
from rollup.service.logs import logger
from rollup.service.problem import problem_of

HEADER = "touchstone-receipt"
"""The header of a whole answer that names its receipt."""

_log = logger("touchstone.openai")


class ClosableSteps:
    """An iterator that one thread steps and any may close, also while it is stepped."""

    def __init__(self, items: Iterator[Piece]) -> None:
        self._items, self._lock, self._closed = items, Lock(), Event()

    def step(self) -> Piece | None:
        with self._lock:
            return None if self._closed.is_set() else next(self._items, None)

    def close(self) -> None:
        """Waits for the step under way."""
        self._closed.set()
        with self._lock:
            self._items.close()  # type: ignore[attr-defined]


class EventResponse(StreamingResponse):
    """Server-sent events; whatever gives them is closed when the caller goes away."""

    body_iterator: Any

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):
            await super().stream_response(send)


class Serving:
    """``stopping``: set when the server is about to stop; answers end then."""

    def __init__(self, seats: Seats, signer: ReceiptSigner, threads: int, stopping: Callable[[], bool]) -> None:
        self._seats, self._signer, self._stopping = seats, signer, stopping
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="answers")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], Any]) -> Any:
        """Work that takes a while, in a thread of the endpoint's own."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _still(self, good: Still) -> Still:
        def still() -> None:
            if self._stopping():
                raise busy("it is about to stop")
            good()

        return still

    async def whole(self, answering: TextAnswers, good: Still) -> Response:
        """The answer in one piece, also for a caller that has gone. Raises Problem if it ends early."""

        def generated() -> tuple[bytes, str, str]:
            for _ in answering.pieces(self._seats, self._still(good)):
                pass
            told = [
                None if answering.what.logprobs is None else logprobs.told(answering, one, index)
                for index, one in enumerate(answering.spoken)
            ]
            name = _name(answering)
            return self._signed(answering, name, whole(answering, name, told))

        return _response(*await self.run(generated))

    async def embeddings(self, answering: EmbeddingAnswers, good: Still) -> Response:
        """The embeddings of all inputs, as ``whole``."""

        def embedded() -> tuple[bytes, str, str]:
            answering.embed(self._seats, self._still(good))
            return self._signed(answering, f"embd-{secrets.token_hex(12)}", answering.document())

        return _response(*await self.run(embedded))

    def _signed(self, answering: Answering, name: str, document: Mapping[str, Any]) -> tuple[bytes, str, str]:
        """(the answer's bytes with its receipt, its name, its receipt's id)."""
        receipt = self._receipt(answering, canonical(document))
        return body_of(document, receipt), name, receipt["id"]

    def _receipt(self, answering: Answering, response: bytes) -> dict[str, Any]:
        return self._signer.sign(answering, response)

    async def stream(self, answering: TextAnswers, good: Still) -> Response:
        """The answer piece by piece. Raises Problem for what goes wrong before the first one."""
        steps = ClosableSteps(answering.pieces(self._seats, self._still(good)))
        try:
            first = await self.run(steps.step)
        except BaseException:
            self._pool.submit(steps.close)
            raise
        assert first is not None
        name = _name(answering)
        return EventResponse(
            self._events(answering, name, steps, first), media_type="text/event-stream", headers=_headers(name)
        )

    async def _events(
        self, answering: TextAnswers, name: str, steps: ClosableSteps, first: Piece
    ) -> AsyncIterator[bytes]:
        sent = b""
        begun: set[int] = set()
        piece: Piece | None = first
        try:
            while piece is not None:
                event = event_of(chunk_of(answering, name, piece, piece.index not in begun))
                begun.add(piece.index)
                sent += event
                yield event
                piece = await self.run(steps.step)
            if answering.what.usage:
                event = event_of(usage_chunk(answering, name))
                sent += event
                yield event
            receipt = await self.run(lambda: self._receipt(answering, sent))
            yield event_of(receipt_chunk(answering, name, receipt))
            yield DONE
        except TouchstoneError as error:
            # Without a receipt nothing was promised.
            _log.warning("a stream ended early", error=str(error))
            yield event_of(error_event(problem_of(error)))
        finally:
            self._pool.submit(steps.close)


def _name(answering: TextAnswers) -> str:
    return ("chatcmpl-" if answering.what.endpoint == CHAT else "cmpl-") + secrets.token_hex(12)


def _response(body: bytes, name: str, receipt: str) -> Response:
    return Response(body, media_type="application/json", headers=_headers(name) | {HEADER: receipt})


def _headers(name: str) -> dict[str, str]:
    return {"cache-control": "no-store", "x-request-id": name}
