"""A real HTTP server that answers as it is told, byte by byte: what a stranger on the network can do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Answer = Callable[[socket.socket, str, bytes], None]
"""Gets the connection, the request's first line and its body."""


@dataclass
class Hostile:
    """``requests``: first line, head and body of each request that came, in order."""

    answer: Answer
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self.ended.set()
        self._socket.close()

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                received = b""
                while b"\r\n\r\n" not in received:
                    part = connection.recv(65536)
                    if not part:
                        return
                    received += part
                head, _, body = received.partition(b"\r\n\r\n")
                lines = head.decode().split("\r\n")
                length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
                while len(body) < length:
                    body += connection.recv(65536)
                self.requests.append((lines[0], head.decode(), body))
                self.answer(connection, lines[0], body)
            except OSError:
                return


@contextmanager
def serving(answer: Answer) -> Iterator[Hostile]:
    server = Hostile(answer)
    try:
        yield server
    finally:
        server.stop()


def head(status: int = 200, length: int | None = None, more: str = "") -> bytes:
    said = "" if length is None else f"content-length: {length}\r\n"
    return f"HTTP/1.1 {status} Said\r\n{said}{more}connection: close\r\n\r\n".encode()


def whole(body: bytes, status: int = 200) -> bytes:
    return head(status, len(body)) + body
