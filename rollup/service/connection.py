"""A connection with bounds that the web server itself does not have: how long headers may take, how long an answer may go
unread, how many connections one caller and all callers hold."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from typing import Any, TypeAlias

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from rollup.service.limits import WebLimits, caller_of

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class BoundedConnection(H11Protocol):
    """Made by ``bounded``, which gives the limits."""

    limits: WebLimits
    holders: Counter[str]
    proxies: tuple[Network, ...]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._caller: str | None = None
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        caller = caller_of({"client": self.client})
        if self.holders.total() >= self.limits.connections or (
            self.holders[caller] >= self.limits.connections_per_caller and not self._is_proxy()
        ):
            transport.abort()
            return
        self._caller = caller
        self.holders[caller] += 1
        self._expect_headers()

    def _is_proxy(self) -> bool:
        """Whether behind the peer there are many callers."""
        try:
            address = ipaddress.ip_address(self.client[0] if self.client else "")
        except ValueError:
            return False
        return any(address in network for network in self.proxies)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        if self._caller is not None:
            self.holders[self._caller] -= 1
            if not self.holders[self._caller]:
                del self.holders[self._caller]
            self._caller = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._expect_headers()
        elif self._header_timer is not None and self.conn.their_state is not h11.IDLE:
            self._header_timer.cancel()
            self._header_timer = None

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.limits.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _expect_headers(self) -> None:
        """Once the first byte of a request's headers is there, the last one must follow in time."""
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.limits.header_seconds, self.transport.abort)


def bounded(limits: WebLimits) -> type[BoundedConnection]:
    """The protocol class of one server."""
    proxies = tuple(ipaddress.ip_network(one, strict=False) for one in limits.proxies)
    return type("BoundedConnection", (BoundedConnection,), {"limits": limits, "holders": Counter(), "proxies": proxies})
