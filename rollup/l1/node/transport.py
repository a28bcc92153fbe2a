"""JSON-RPC over HTTP with one deadline for the whole answer, and a bound on its size."""

from __future__ import annotations

from typing import cast

from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from rollup.errors import ChainError, Refused
from rollup.form.program import parse_json
from rollup.http import Bounds, Request, TooLong, ask

MOST_BYTES = 1 << 26
"""Bytes of an answer; the largest honest ones are pages of logs, of which a full block fills about half."""


class Transport(HTTPProvider):
    """``seconds``: for a whole answer. Nothing is tried twice: whoever asks decides that."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(url, exception_retry_configuration=None)
        self._seconds = seconds

    def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        headers = {"content-type": "application/json"}
        request = Request("POST", str(self.endpoint_uri), content=request_data, headers=headers, compressed=True)
        try:
            answer = ask(request, Bounds(MOST_BYTES, self._seconds))
        except TooLong:
            # As if the node had said so: whoever asked for much asks for less.
            raise Refused(
                f"the node's answer is longer than {MOST_BYTES} bytes; ask for less, or another endpoint"
            ) from None
        # Nodes give some of their errors another status; whatever is JSON is an answer.
        if answer.status >= 300 and "json" not in answer.headers.get("content-type", ""):
            raise ChainError(f"the chain answered the request with status {answer.status}; check the endpoint")
        return answer.body

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Raises ValueError for what is no JSON object of bounded depth."""
        answer = parse_json(raw_response.decode())
        if not isinstance(answer, dict):
            raise ValueError("an answer that is no object")
        return cast(RPCResponse, answer)
