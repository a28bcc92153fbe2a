"""HTTP to servers that are not trusted: every request ends within its seconds and takes no more bytes than asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

import httpx

from rollup.errors import TouchstoneError

T = TypeVar("T")

GRACE = 1.0
"""Seconds that a request is given to be torn down after its deadline, before it is left to itself."""


class DeliveryError(TouchstoneError):
    """A server did not answer as it should."""


class NotThere(DeliveryError):
    """A server answered that it has nothing under this name, or there is no server: known at once, and at no cost."""


class Courier:
    """One event loop in a daemon thread, which all requests share; every method may be called from any thread.

    An event loop, because a request in it can be cancelled wherever it hangs: time-outs of single reads bound nothing
    against a server that sends a byte a second. Redirects are not followed, compression is not asked for.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``transport``: what carries the requests, if not the network."""
        self._transport = transport
        self._loop = asyncio.new_event_loop()
        self._client: httpx.AsyncClient | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="courier", daemon=True)
        self._thread.start()

    def get(self, url: str, length: int, seconds: float, headers: Mapping[str, str] | None = None) -> bytes:
        """A body of exactly ``length`` bytes; raises DeliveryError for anything else."""

        async def fetch() -> bytes:
            async with self._session().stream("GET", url, headers=headers) as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    raise NotThere(f"{_place(url)} does not have what was asked for")
                if response.status_code != httpx.codes.OK:
                    raise DeliveryError(f"{_place(url)} answered {response.status_code}; expected 200")
                body = bytearray()
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > length:
                        raise DeliveryError(f"{_place(url)} sent more than the {length} bytes that were asked for")
                if len(body) != length:
                    raise DeliveryError(f"{_place(url)} sent {len(body)} of {length} bytes")
                return bytes(body)

        return self._within(fetch(), url, seconds)

    def post(self, url: str, body: bytes, seconds: float, headers: Mapping[str, str] | None = None) -> None:
        """Deliver a body; raises DeliveryError unless the answer's status is 2xx. The answer's body is not read."""

        async def send() -> None:
            async with self._session().stream("POST", url, content=body, headers=headers) as response:
                if not response.is_success:
                    raise DeliveryError(f"{_place(url)} answered {response.status_code}; expected 2xx")

        self._within(send(), url, seconds)

    def close(self) -> None:
        """End the thread; requests under way fail."""

        async def end() -> None:
            if self._client is not None:
                await self._client.aclose()

        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(end(), self._loop).result(GRACE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GRACE)

    def _session(self) -> httpx.AsyncClient:
        if self._client is None:
            # A client belongs to the loop in which it is first used. The proxy variables of the environment are not for
            # us: they would send a bearer token elsewhere.
            self._client = httpx.AsyncClient(
                follow_redirects=False,
                trust_env=False,
                timeout=None,
                transport=self._transport,
                headers={"accept-encoding": "identity"},
            )
        return self._client

    def _within(self, request: Coroutine[Any, Any, T], url: str, seconds: float) -> T:
        if seconds <= 0:
            request.close()
            raise DeliveryError(f"no time is left to ask {_place(url)}")
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(request, seconds), self._loop)
        try:
            return future.result(seconds + GRACE)
        except (TimeoutError, FutureTimeout):
            future.cancel()
            raise DeliveryError(f"{_place(url)} did not answer within {seconds:.3g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            if _refused(error):
                raise NotThere(f"nobody listens at {_place(url)}") from None
            raise DeliveryError(f"{_place(url)} cannot be asked ({type(error).__name__})") from None


def _refused(error: BaseException | None) -> bool:
    """Whether the connection was refused, which is what lies below."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _place(url: str) -> str:
    """Scheme, host and port: paths and queries may hold secrets."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "a URL that cannot be read"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}"
