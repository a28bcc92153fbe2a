"""JSON-RPC over HTTP with one deadline for the whole answer, and a bound on its size."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from rollup.errors import Refused
from rollup.form.program import parse_json

MOST_BYTES = 1 << 26
"""Bytes of an answer; the largest honest ones are pages of logs, of which a full block fills about half."""

CHUNK = 1 << 16


class Transport(HTTPProvider):
    """``seconds``: to connect, and for a whole answer. Every thread has a connection of its own. Nothing is tried twice:
    whoever asks decides that.
    """

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(url, exception_retry_configuration=None)
        self._seconds = seconds
        self._threads = threading.local()

    def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter())
        headers = {"Content-Type": "application/json"}
        with session.post(
            str(self.endpoint_uri),
            data=request_data,
            headers=headers,
            timeout=self._seconds,
            stream=True,
            allow_redirects=False,
        ) as response:
            # Nodes give some of their errors another status; whatever is JSON is an answer.
            if response.status_code >= 300 and "json" not in response.headers.get("Content-Type", ""):
                raise requests.HTTPError(f"status {response.status_code}")
            return b"".join(_body(response))

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Raises ValueError for what is no JSON object of bounded depth."""
        answer = parse_json(raw_response.decode())
        if not isinstance(answer, dict):
            raise ValueError("an answer that is no object")
        return cast(RPCResponse, answer)


def _body(response: requests.Response) -> Iterator[bytes]:
    """Whatever has come, as it comes."""
    size = 0
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        size += len(chunk)
        if size > MOST_BYTES:
            # As if the node had said so: whoever asked for much asks for less.
            raise Refused(f"the node's answer is longer than {MOST_BYTES} bytes; ask for less, or another endpoint")
        yield chunk


class _Timed(io.RawIOBase):
    """What comes from a socket before a deadline: a time-out of single reads bounds nothing if each brings a byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket, self._file = sock, sock.makefile("rb", buffering=0)
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("an answer that does not end")
        self._socket.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """Status, headers and body by one deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        untimed, self.fp = self.fp, io.BufferedReader(_Timed(sock))
        untimed.close()


class _Plain(HTTPConnection):
    response_class = _Answer


class _Secure(HTTPSConnection):
    response_class = _Answer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
