"""HTTP to servers that nobody trusts: an answer is bounded in bytes, and in time from the first look at the address to the last byte.

Redirects are not followed, proxies and credentials of the environment not used, cookies not kept: a token goes where it was sent.
An error is one sentence that names the server's host, and no more of its address, which may hold a key.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any, TypeVar

import httpx

from rollup.errors import BadAnswer, ClientError
from rollup.redact import place_of, without_endpoints

T = TypeVar("T")

CONNECT_SECONDS = 10.0

BUSY = (429, 503)
FIRST_PAUSE = 0.2

_LOST = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class Lost(ClientError):
    """A connection was not made, or was lost: asking again may help. ``refused``: nobody listens there."""

    def __init__(self, message: str, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


class TooSlow(ClientError):
    """An answer was not complete in its time."""


class TooLong(BadAnswer):
    """An answer has more bytes than were allowed."""


@dataclass(frozen=True)
class Bounds:
    """``bytes``: of an answer. ``seconds``: for one request, from its first to its last byte. ``attempts``: at most,
    counting the first, while connections are lost; ``busy_attempts``: while the service says that it is busy, or not ready
    yet. ``patience``: the longest pause between two of them, in seconds, whatever the server asks for.
    """

    bytes: int = 16 * 1024 * 1024
    seconds: float = 30.0
    attempts: int = 5
    busy_attempts: int = 12
    patience: float = 10.0


@dataclass(frozen=True)
class Request:
    """``path`` is below the base URL of whoever asks. Of ``json`` and ``content`` there is one at most; content that comes in pieces
    has the time of a whole answer for each. ``compressed``: whether the answer may be.
    """

    method: str
    path: str
    params: Mapping[str, str | int | bool] = field(default_factory=dict)
    json: Any = None
    content: bytes | Iterable[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    compressed: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class HttpAnswer:
    """A complete answer. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Incoming:
    """An answer whose body is still to come. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    _response: httpx.Response
    _place: str
    _compressed: bool
    _most: int

    async def pieces(self, endless: bool = False) -> AsyncIterator[bytes]:
        """The body as it comes; raises TooLong unless it may be ``endless``, BadAnswer for an encoding that was not asked for."""
        encoding = self.headers.get("content-encoding", "identity")
        if encoding != "identity" and not self._compressed:
            raise BadAnswer(f"{self._place} answered in the encoding {encoding[:40]!r}, which nobody asked for")
        size = 0
        async for piece in self._response.aiter_bytes() if self._compressed else self._response.aiter_raw():
            size += len(piece)
            if size > self._most and not endless:
                raise TooLong(f"{self._place} sent more than {self._most} bytes; check the address, or allow more")
            yield piece

    async def whole(self) -> HttpAnswer:
        """With all of the body; raises as ``pieces``."""
        return HttpAnswer(self.status, self.headers, b"".join([piece async for piece in self.pieces()]))


class Http:
    """Connections of one event loop. ``base``: what the paths of its requests lie below; ``headers``: of all of them."""

    def __init__(self, base: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._base, self._headers = base, dict(headers or {})
        self._made: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Give the connections back."""
        if self._made is not None:
            await self._made.aclose()
            self._made = None

    async def send(self, request: Request, bounds: Bounds) -> HttpAnswer:
        """The last word of the server, whatever its status, sent again as ``pause`` says; raises ClientError if there is none."""
        attempt = 0
        while True:
            attempt += 1
            answer, lost = None, None
            try:
                answer = await self.once(request, bounds)
            except Lost as error:
                lost = error
            wait = pause(answer, attempt, random.random(), datetime.now(UTC), bounds)
            if wait is not None:
                await asyncio.sleep(wait)
            elif answer is not None:
                return answer
            elif lost is not None:
                raise lost

    async def once(self, request: Request, bounds: Bounds) -> HttpAnswer:
        """One attempt; raises Lost, TooSlow, TooLong or another ClientError."""
        async with self.opened(request, bounds) as incoming:
            return await incoming.whole()

    @asynccontextmanager
    async def opened(self, request: Request, bounds: Bounds, quiet: float | None = None) -> AsyncIterator[Incoming]:
        """One attempt, its body still to be read, inside; raises as ``once``. With ``quiet`` a stream without an end: then nothing is
        bounded but the seconds in which no byte comes.
        """
        url = self._base + request.path
        place = place_of(url)
        if bounds.seconds <= 0:
            raise TooSlow(f"no time is left to ask {place}")
        timeout = httpx.Timeout(
            bounds.seconds, connect=min(CONNECT_SECONDS, bounds.seconds), read=quiet or bounds.seconds
        )
        encoding = "gzip, deflate" if request.compressed else "identity"
        client = self._client()
        try:
            async with (
                asyncio.timeout(None if quiet else bounds.seconds) as deadline,
                client.stream(
                    request.method,
                    url,
                    params=dict(request.params) or None,
                    json=request.json,
                    content=_sent(request.content, deadline, bounds.seconds),
                    headers={"accept-encoding": encoding, **self._headers, **request.headers},
                    timeout=timeout,
                ) as response,
            ):
                headers = {name.lower(): value for name, value in response.headers.items()}
                yield Incoming(response.status_code, headers, response, place, request.compressed, bounds.bytes)
        except _LOST as error:
            words = without_endpoints(f"{type(error).__name__}: {error}")
            raise Lost(
                f"{place} can't be asked ({words}); check the address, and that the service runs", _refused(error)
            ) from None
        except (TimeoutError, httpx.TimeoutException):
            raise TooSlow(
                f"{place} did not answer completely within {quiet or bounds.seconds:g} s; ask again, or allow more time"
            ) from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ValueError) as error:
            raise ClientError(f"{place} can't be asked ({type(error).__name__}); check the address") from None

    def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            # A client belongs to the loop in which it is first used.
            self._made = httpx.AsyncClient(
                verify=_authorities(),
                trust_env=False,
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            )
        return self._made


def bearer(token: str | None) -> dict[str, str]:
    """The header that shows a token."""
    return {} if token is None else {"authorization": f"Bearer {token}"}


@cache
def _authorities() -> SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _sent(
    content: bytes | Iterable[bytes] | None, deadline: asyncio.Timeout, seconds: float
) -> bytes | AsyncIterator[bytes] | None:
    """A body; while one comes in pieces, each that is taken moves the deadline on."""

    async def pieces(given: Iterable[bytes]) -> AsyncIterator[bytes]:
        for piece in given:
            deadline.reschedule(asyncio.get_running_loop().time() + seconds)
            yield piece
        deadline.reschedule(asyncio.get_running_loop().time() + seconds)

    return content if content is None or isinstance(content, bytes) else pieces(content)


def _refused(error: BaseException | None) -> bool:
    """Whether the connection was refused, which is what lies below."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def backoff(attempt: int, luck: float, bounds: Bounds) -> float:
    """Seconds before attempt ``attempt + 1`` (attempts count from 1); ``luck`` in [0, 1) spreads callers out."""
    return min(bounds.patience, FIRST_PAUSE * 2.0 ** min(attempt - 1, 16) * (0.5 + luck))


def pause(answer: HttpAnswer | None, attempt: int, luck: float, now: datetime, bounds: Bounds) -> float | None:
    """Seconds to wait before the request is sent again; None: this answer is the last word.

    ``answer`` None stands for a lost connection. Retry-After is honoured up to ``bounds.patience``; a server that asks
    for more is answered with its own refusal.
    """
    most = bounds.attempts if answer is None else bounds.busy_attempts
    if attempt >= most or (answer is not None and answer.status not in BUSY):
        return None
    asked = retry_after(answer.headers.get("retry-after", ""), now) if answer is not None else None
    if asked is None:
        return backoff(attempt, luck, bounds)
    return None if asked > bounds.patience else max(asked, backoff(1, luck, bounds))


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header (a number, or a date); None if there is none that can be read."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


class LoopThread:
    """An event loop in a daemon thread, for callers that block, from any thread; it starts when it is first used.

    A request in an event loop can be given up wherever it hangs; a blocking one bounds only the wait for its next byte.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns or raises; raises ClientError once this is closed."""
        with self._lock:
            if self._loop.is_closed():
                work.close()
                raise ClientError("this client is closed; make another")
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise ClientError("this client was closed before the answer came") from None
        except BaseException:
            # An interrupt of the caller ends the request as well.
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """End what is still under way, do the last work, and end the thread."""

        async def finish() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await last()

        with self._lock:
            if self._loop.is_closed():
                return
            if self._thread is None:
                self._loop.close()
                return
        self.run(finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@cache
def _process() -> tuple[LoopThread, Http]:
    return LoopThread("http"), Http()


def wait(work: Callable[[Http], Coroutine[Any, Any, T]]) -> T:
    """For callers that block: let the work ask whole URLs over the connections that the process shares."""
    thread, http = _process()
    return thread.run(work(http))


def ask(request: Request, bounds: Bounds) -> HttpAnswer:
    """For callers that block: one attempt to ask a whole URL; raises as ``Http.once``."""
    return wait(lambda http: http.once(request, bounds))
