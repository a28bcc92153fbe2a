"""What provers answer that publish a trace, and what else may answer in their place."""

from __future__ import annotations

import re
import socket
import threading

from challenger.play.known import KnownTrace
from rollup.form.encoding import TracePolicy
from rollup.game.position import descendant
from rollup.types import Gindex
from tests.challenger.hostile import head, whole
from tests.e2e.lies import PROGRAMS, RIGHT
from tests.e2e.toy_program import Published

PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
TRACE = Published(PROGRAM, RIGHT)


def body_of(trace: KnownTrace, depth: int, line: str) -> bytes:
    """What an honest prover answers to a request."""
    if (children := re.search(r"/children/(\d+)\?levels=(\d+) ", line)) is not None:
        above, levels = int(children[1]), int(children[2])
        assert above.bit_length() - 1 + levels <= depth
        return b"".join(trace.node(descendant(Gindex(above), levels, j)) for j in range(1 << levels))
    found = re.search(r"/leaves/(\d+) ", line)
    assert found is not None
    return trace.leaf_bytes(int(found[1]))


def honest(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(whole(body_of(TRACE, PROGRAM.depth, line)))


HELD = threading.Event()


def hang(connection: socket.socket, line: str, _: bytes) -> None:
    HELD.wait(5)


def drip_head(connection: socket.socket, line: str, _: bytes) -> None:
    while not HELD.wait(0.05):
        connection.sendall(b"H")


def drip_body(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(head(200, 1024))
    while not HELD.wait(0.05):
        connection.sendall(b"\x00")


def send_gigabytes(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(head(200))
    while True:
        connection.sendall(bytes(1 << 20))


def send_a_gigabyte_of_head(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 Said\r\nx: ")
    while True:
        connection.sendall(b"a" * (1 << 20))


def too_short(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(whole(body_of(TRACE, PROGRAM.depth, line)[:-32]))


def too_long(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(whole(body_of(TRACE, PROGRAM.depth, line) + bytes(32)))


def wrong_nodes(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(whole(bytes(len(body_of(TRACE, PROGRAM.depth, line)))))


def redirect(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(head(302, 0, f"location: {REDIRECTED[0]}\r\n"))


def close(connection: socket.socket, line: str, _: bytes) -> None:
    return


def close_in_the_middle(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(head(200, 1024) + bytes(100))


def no_http(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(b"\xff\x00 hello\r\n\r\n")


def claim_compression(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(head(200, 100, "content-encoding: gzip\r\n") + bytes(100))


def endless_chunk(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(head(200, None, "transfer-encoding: chunked\r\n") + b"f" * 16 + b"\r\n")


def trouble(connection: socket.socket, line: str, _: bytes) -> None:
    connection.sendall(whole(body_of(TRACE, PROGRAM.depth, line), 500))


REDIRECTED: list[str] = [""]
ATTACKS = [
    hang, drip_head, drip_body, send_gigabytes, send_a_gigabyte_of_head, too_short, too_long, wrong_nodes, redirect, close,
    close_in_the_middle, no_http, claim_compression, endless_chunk, trouble,
]  # fmt: skip
