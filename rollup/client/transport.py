"""Requests over httpx: bounded in size and time, never redirected, sent again where that is safe."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from rollup.client.http import Answer, Bounds, Request, base_url, without_secrets
from rollup.client.retry import pause
from rollup.errors import BadAnswer, ClientError

CONNECT_SECONDS = 10.0
LOST = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""A connection that was not made, or was lost: sending again may help."""


class Transport:
    """Connections to one service."""

    def __init__(self, url: str, bounds: Bounds, token: str | None = None) -> None:
        self.url, self.bounds = base_url(url), bounds
        self.shown = without_secrets(self.url)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        timeout = httpx.Timeout(bounds.seconds, connect=min(CONNECT_SECONDS, bounds.seconds))
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, follow_redirects=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, request: Request) -> Answer:
        """The last word of the server, whatever its status; raises ClientError if there is none."""
        attempt = 0
        while True:
            attempt += 1
            answer: Answer | None = None
            lost: Exception | None = None
            try:
                answer = await self.once(request)
            except LOST as error:
                lost = error
            wait = pause(answer, attempt, random.random(), datetime.now(UTC), self.bounds)
            if wait is not None:
                await asyncio.sleep(wait)
            elif answer is not None:
                return answer
            else:
                raise ClientError(
                    f"{self.shown} can't be reached for {request} ({type(lost).__name__}: {lost}); "
                    "check the URL and that the service runs"
                )

    async def once(self, request: Request) -> Answer:
        """One attempt, within the bounds from the first to the last byte."""
        try:
            async with asyncio.timeout(self.bounds.seconds), self.opened(request, request.headers) as response:
                return Answer(response.status_code, _headers(response), await self.body(request, response))
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            raise ClientError(
                f"{self.shown} did not complete its answer to {request} within {self.bounds.seconds:g} s; "
                "ask again, or allow more time"
            ) from None
        except LOST:
            raise
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ValueError) as error:
            raise ClientError(f"{request} failed ({type(error).__name__}); check {self.shown}") from None

    @asynccontextmanager
    async def opened(
        self, request: Request, headers: Mapping[str, str], **options: Any
    ) -> AsyncIterator[httpx.Response]:
        """The head of an answer, its body still to be read."""
        async with self._http.stream(
            request.method,
            self.url + request.path,
            params=dict(request.params),
            headers=dict(headers),
            json=request.body,
            **options,
        ) as response:
            yield response

    async def body(self, request: Request, response: httpx.Response) -> bytes:
        """All of an answer's body, if it is not too long; the time is the caller's to bound."""
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise BadAnswer(f"{request} was answered in the encoding {encoding[:40]!r}, which nobody asked for")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self.bounds.bytes:
                raise BadAnswer(
                    f"the answer to {request} has more than {self.bounds.bytes} bytes; check the URL, or allow more"
                )
        return bytes(body)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
