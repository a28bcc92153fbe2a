"""A node in front of a node, which does to requests what networks, load balancers and bad nodes do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import httpx

Request = Mapping[str, Any]
Answer = bytes | int | None
"""What goes back instead of the node's answer: a body, a status with an empty one, or nothing at all."""

Trouble = Callable[[Request, Callable[[], Any]], Answer]
"""Gets a request and how to pass it on, which returns the node's answer as JSON gives it."""


def as_bytes(answer: Any) -> bytes:
    return json.dumps(answer).encode()


def result(request: Request, value: Any) -> bytes:
    """An answer that says ``value``."""
    return as_bytes({"jsonrpc": "2.0", "id": request["id"], "result": value})


class FaultyNode:
    """Passes every request on to ``upstream``, through ``trouble`` if there is one. A context manager.

    ``asked``: the methods of all requests so far.
    """

    def __init__(self, upstream: str) -> None:
        self.trouble: Trouble | None = None
        self.asked: list[str] = []
        self._closing = threading.Event()
        client = self._client = httpx.Client(timeout=30.0, trust_env=False)
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.asked.append(request["method"])

                def passed_on() -> Any:
                    return client.post(upstream, json=request).json()

                answer = as_bytes(passed_on()) if node.trouble is None else node.trouble(request, passed_on)
                if answer is None:
                    self.close_connection = True
                    return
                body = answer if isinstance(answer, bytes) else b""
                self.send_response(answer if isinstance(answer, int) else 200)
                self.send_header("Content-Type", "application/json" if body else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: tests read no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v3/an-access-key"

    def __enter__(self) -> FaultyNode:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    # Troubles

    def hang(self, request: Request, passed_on: Callable[[], Any]) -> Answer:
        """Never answer."""
        self._closing.wait()
        return None

    def first(self, times: int, answer: Trouble, method: str | None = None) -> None:
        """Trouble for the first so many requests (of one method), then none."""
        left = [times]

        def trouble(request: Request, passed_on: Callable[[], Any]) -> Answer:
            if left[0] and method in (None, request["method"]):
                left[0] -= 1
                return answer(request, passed_on)
            return as_bytes(passed_on())

        self.trouble = trouble

    def lag(self, head: int) -> None:
        """Know no block above ``head``."""
        self.trouble = lambda request, passed_on: _lagging(request, passed_on, head)


PLACE = {"eth_getBlockByNumber": 0, "eth_getTransactionCount": 1, "eth_call": 1}
"""Which parameter names a block."""


def _lagging(request: Request, passed_on: Callable[[], Any], head: int) -> Answer:
    method, params = request["method"], request["params"]
    if method == "eth_blockNumber":
        return result(request, hex(head))
    if method in PLACE:
        named = params[PLACE[method]]
        if named == "latest":
            params[PLACE[method]] = hex(head)
        elif int(named, 16) > head:
            return result(request, None)
    answer = passed_on()
    found = answer.get("result")
    number = found.get("blockNumber", found.get("number")) if isinstance(found, dict) else None
    if number is not None and int(number, 16) > head:
        return result(request, None)
    return as_bytes(answer)
