"""A real HTTP server on a free port that answers as it is told: honestly about one claim, or with any lie and any nuisance."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Handler"], None]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        service = self.server.service
        with service.lock:
            service.asked.append(Asked(self.command, path, query, dict(self.headers), body))
            replies = service.replies.get(f"{self.command} {path}", [missing])
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        try:
            reply(self)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = handle_any

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, data: bytes) -> None:
        """One byte after another, again and again, until the service stops or the client goes away."""
        self.close_connection = True
        while True:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.server.service.stopped.wait(0.02):
                    return


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    service: Service

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def ok(data: Any, status: int = 200, **headers: str) -> Reply:
    body = json.dumps(data).encode()
    return lambda handler: handler.send(status, {"Content-Type": "application/json", **headers}, body)


def raw(body: bytes, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(status, {"Content-Type": "application/json", **named}, body)


def problem(status: int, detail: str, **headers: str) -> Reply:
    body = json.dumps({"type": "urn:touchstone:problem:x", "title": "X", "status": status, "detail": detail}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(status, {"Content-Type": "application/problem+json", **named}, body)


def stream(text: str) -> Reply:
    """Server-sent events, then the connection ends."""

    def reply(handler: Handler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(text.encode())

    return reply


def hang_up(handler: Handler) -> None:
    """The connection is closed without an answer."""
    handler.close_connection = True


missing = problem(404, "there is no such thing; look at the list")


@dataclass
class Service:
    """``replies``: by method and path; of several the first is used up, the last one stays."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Service:
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.service = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on(self, route: str, *replies: Reply) -> None:
        with self.lock:
            self.replies[route] = list(replies)

    def times(self, route: str) -> int:
        with self.lock:
            return sum(f"{one.method} {one.path}" == route for one in self.asked)
