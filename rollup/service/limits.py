"""What a caller may cost: how often it asks, how large, how deep and how slow its body is, how many ask at once."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from cachetools import LRUCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollup.service.problem import Problem

MIB = 1 << 20

BYTES_PER_TOKEN = 128 * 1024
"""Of a body that cost as much as a request does."""

UNLIMITED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by machines that watch over the service; they are cheap, and must be answered when nothing else is."""


@dataclass(frozen=True)
class WebLimits:
    """Bounds of one web app. Times in seconds."""

    body_bytes: int = MIB
    nesting: int = 32
    body_seconds: float = 10.0
    """A body must be complete this long after its headers."""
    buffered_bytes: int = 64 * MIB
    """Of all bodies that are being received, together."""
    concurrent: int = 64
    """Requests that are worked on at once; streams of events count until they begin."""
    concurrent_per_caller: int = 32
    """Of them, one caller's: who reads its answers slowly keeps nobody else out."""
    per_second: float = 50.0
    burst: int = 100
    """Of one caller: requests a second in the long run, and at once."""
    callers: int = 10_000
    """Callers that are remembered; who was not seen for longest is forgotten first."""
    header_bytes: int = 16 * 1024
    header_seconds: float = 10.0
    stalled_seconds: float = 20.0
    """How long a caller may leave an answer unread."""
    connections: int = 1024
    connections_per_caller: int = 256
    proxies: tuple[str, ...] = ()
    """Addresses and networks of reverse proxies: what they say in X-Forwarded-For is who asks, and their own connections
    are bounded together with all others alone."""
    files: Mapping[str, int] = field(default_factory=dict)
    """Paths whose body is a file, no JSON: most bytes of each. It goes to the route as it comes in."""
    file_seconds: float = 120.0


def caller_of(scope: Scope) -> str:
    """Who asks: the peer's address; of IPv6 the network of 64 bits, since that is what one party has."""
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
    return str(address)


class Buckets:
    """A token bucket per caller; of bounded memory."""

    def __init__(
        self, per_second: float, burst: int, callers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(callers)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: str) -> float:
        """Take a token; returns 0, or the seconds until there is one."""
        now = self._clock()
        tokens, since = self._buckets.pop(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
        return wait

    def charge(self, caller: str, tokens: float) -> None:
        """Take tokens that may not be there: what was not to be foreseen is paid for before the next request."""
        if caller in self._buckets:
            left, since = self._buckets[caller]
            self._buckets[caller] = (left - tokens, since)


_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1


def check_json(body: bytes, nesting: int) -> None:
    """Refuse what the JSON decoder must not see; raises Problem.

    The decoder recurses in C, and libraries of a chain raise Python's recursion limit beyond what the stack holds: ten
    thousand brackets would end the process. UTF-8 alone, because in other encodings the bytes of brackets and quotes lie.
    """
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _garbled(f"the body is no UTF-8 (at byte {error.start}); encode JSON as UTF-8") from None
    if b"\x00" in body:
        raise _garbled("the body has a zero byte, which JSON in UTF-8 never has; encode JSON as UTF-8")
    bare = _STRING.sub(b"", body)
    if b"N" in bare or b"I" in bare:
        raise _garbled("the body has a NaN or Infinity, which JSON does not know; send finite numbers")
    # As one array: a body may be nothing but brackets, and a loop over them would take a second.
    if int(_STEPS[np.frombuffer(bare, np.uint8)].cumsum(dtype=np.int64).max(initial=0)) > nesting:
        raise Problem(
            422,
            "nesting",
            "The body nests too deep",
            f"the body nests more than {nesting} levels deep; nothing here needs that many",
        )


def _garbled(detail: str) -> Problem:
    return Problem(400, "body", "The body can't be read", detail)


class RateLimit:
    """Middleware: a token bucket per caller. A request takes one, and one more for every so many bytes of its body beyond
    the first so many, since these have to be read and understood."""

    def __init__(self, app: ASGIApp, limits: WebLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._files = app, limits.files
        self._buckets = Buckets(limits.per_second, limits.burst, limits.callers, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in UNLIMITED:
            caller = caller_of(scope)
            wait = self._buckets.take(caller)
            if wait:
                seconds = max(1, round(wait + 0.5))
                problem = Problem(
                    429,
                    "rate",
                    "Too many requests",
                    f"this caller asks more often than is served; try again in {seconds} s",
                    {"retry-after": str(seconds)},
                )
                await problem.response()(scope, receive, send)
                return
            if scope["path"] not in self._files:
                receive = self._charged(caller, receive)
        await self._app(scope, receive, send)

    def _charged(self, caller: str, receive: Receive) -> Receive:
        free = BYTES_PER_TOKEN

        async def charged() -> Message:
            nonlocal free
            message = await receive()
            size = len(message.get("body", b""))
            self._buckets.charge(caller, max(0, size - free) / BYTES_PER_TOKEN)
            free = max(0, free - size)
            return message

        return charged


class BodyLimit:
    """Middleware: a body is complete, small, shallow and in time before the app sees any of it."""

    def __init__(self, app: ASGIApp, limits: WebLimits) -> None:
        self._app, self._limits = app, limits
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limits.files.get(scope["path"])
        if most is not None:
            await self._app(scope, self._counted(receive, most), send)
            return
        held = [0]
        try:
            body = await self._read(scope, receive, held)
            if body is None:
                return
            if body:
                check_json(body, self._limits.nesting)
            await self._app(scope, _replay(body, receive), send)
        except Problem as problem:
            problem.headers.setdefault("connection", "close")
            await problem.response()(scope, receive, send)
        finally:
            self._buffered -= held[0]

    async def _read(self, scope: Scope, receive: Receive, held: list[int]) -> bytes | None:
        """The whole body; None if the caller went away. What is too large is read on a little, so that the caller, who
        writes first, reads why."""
        limits = self._limits
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part = message.get("body", b"")
                    size += len(part)
                    more = message.get("more_body", False)
                    if size <= limits.body_bytes:
                        held[0] += len(part)
                        self._buffered += len(part)
                        parts.append(part)
                        if self._buffered > limits.buffered_bytes:
                            raise busy("it receives as much as it can hold")
                    else:
                        parts.clear()
                    if not more or size > 4 * limits.body_bytes:
                        break
        except TimeoutError:
            raise Problem(
                408,
                "slow-body",
                "The body took too long",
                f"the body was not complete within {limits.body_seconds:g} s; send it in one go",
            ) from None
        if size > limits.body_bytes:
            raise too_large(limits.body_bytes)
        return b"".join(parts)

    def _counted(self, receive: Receive, most: int) -> Receive:
        """A file goes to the route as it comes in, up to a size and a time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.file_seconds
        size = 0

        async def counted() -> Message:
            nonlocal size
            # Behind the end of the body only the caller's going away is waited for, as long as it takes.
            if size < 0:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise Problem(
                    408,
                    "slow-body",
                    "The body took too long",
                    f"the file was not complete within {self._limits.file_seconds:g} s; send it in one go",
                    {"connection": "close"},
                ) from None
            size += len(message.get("body", b""))
            if size > most:
                raise too_large(most)
            if not message.get("more_body", False):
                size = -1
            return message

        return counted


def busy(why: str) -> Problem:
    """The service has too much to do just now."""
    return Problem(
        503, "busy", "Too busy", f"the service is too busy: {why}; try again in a second", {"retry-after": "1"}
    )


def too_large(most: int) -> Problem:
    return Problem(
        413,
        "body-size",
        "The body is too large",
        f"the body has more than {most} bytes, which is the most that is taken here; send less",
        {"connection": "close"},
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body in one message, then whatever comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


class Concurrency:
    """Middleware: so many requests are worked on at once, of all callers and of each; others are told to come back."""

    def __init__(self, app: ASGIApp, limits: WebLimits) -> None:
        self._app, self._free, self._each = app, limits.concurrent, limits.concurrent_per_caller
        self._holders: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        caller = caller_of(scope)
        if self._free <= 0 or self._holders[caller] >= self._each:
            whose = "as many requests as it takes" if self._free <= 0 else "as many requests of this caller as it takes"
            await busy(f"{whose} are being worked on").response()(scope, receive, send)
            return
        self._free -= 1
        self._holders[caller] += 1
        taken = True

        def release() -> None:
            nonlocal taken
            if taken:
                taken = False
                self._free += 1
                self._holders[caller] -= 1
                if not self._holders[caller]:
                    del self._holders[caller]

        async def watched(message: Message) -> None:
            # A stream of events may last for days; who bounds their number is who gives them.
            if message["type"] == "http.response.start" and any(
                name == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in message.get("headers", [])
            ):
                release()
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            release()
