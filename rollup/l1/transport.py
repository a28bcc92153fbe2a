"""JSON-RPC over HTTP with one deadline for the whole answer, and a bound on its size."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import cast

import requests
from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from rollup.program import parse_json

MOST_BYTES = 1 << 28
"""Bytes of an answer; the largest honest ones are pages of logs."""

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
        deadline = time.monotonic() + self._seconds
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
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
            return b"".join(_body(response, deadline))

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Raises ValueError for what is no JSON object of bounded depth."""
        answer = parse_json(raw_response.decode())
        if not isinstance(answer, dict):
            raise ValueError("an answer that is no object")
        return cast(RPCResponse, answer)


def _body(response: requests.Response, deadline: float) -> Iterator[bytes]:
    """Whatever has come, as it comes."""
    size = 0
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        size += len(chunk)
        if size > MOST_BYTES:
            raise OSError(f"an answer of more than {MOST_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("an answer that does not end")
        yield chunk
