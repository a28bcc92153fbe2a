"""Whatever an endpoint does, its caller sees the error tree, soon, and no secret of the endpoint's address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rollup.claim import Address
from rollup.errors import ChainError, Refused, Reverted
from rollup.l1.node.chain import Chain
from rollup.l1.node.node import Clock, Retry
from tests.faulty_node import Answer, FaultyNode, result
from tests.rollup.l1.script import Script

CHAIN_ID = b'{"jsonrpc": "2.0", "id": 0, "result": "0x7a69"}'
SOMEWHERE = Address("0x" + "11" * 20)
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Upstream(BaseHTTPRequestHandler):
    """A chain of nothing but an id."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CHAIN_ID)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read no log."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def faulty(upstream: str) -> Iterator[FaultyNode]:
    with FaultyNode(upstream) as node:
        yield node


def always(answer: Answer) -> Callable[..., Answer]:
    return lambda request, passed_on: answer


BAD: dict[str, Answer] = {
    "an error of the server": 500,
    "too many requests": 429,
    "somewhere else": 302,
    "a closed connection": None,
    "garbage": b"<html>Bad Gateway</html>",
    "no utf-8": b"\xff\xfe{}",
    "half an answer": b'{"jsonrpc": "2.0", "result": "0x',
    "a list": b"[]",
    "a number": b"7",
    "nothing in it": b"{}",
    "another type": b'{"jsonrpc": "2.0", "id": 0, "result": [1, {}]}',
    "no hexadecimal": b'{"jsonrpc": "2.0", "id": 0, "result": "0xzz"}',
    "a nest": b"[" * 200_000,
    "a nested result": b'{"jsonrpc": "2.0", "id": 0, "result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_bad_answer_is_asked_for_again_and_then_an_error(faulty: FaultyNode, answer: Answer) -> None:
    faulty.first(2, always(answer))
    script = Script()
    assert Chain.connect(faulty.url, clock=script.clock).chain_id == 31337
    assert script.time == pytest.approx(0.2 + 0.4)
    faulty.trouble = always(answer)
    faulty.asked.clear()
    with pytest.raises(ChainError, match="check the endpoint") as failed:
        Chain.connect(faulty.url, clock=script.clock)
    assert len(faulty.asked) == 3
    assert type(failed.value) is ChainError
    assert "access-key" not in str(failed.value)
    assert failed.value.__suppress_context__


def test_an_endpoint_that_never_answers_is_left_after_the_timeout(faulty: FaultyNode) -> None:
    faulty.trouble = faulty.hang
    with pytest.raises(ChainError, match="check the endpoint"):
        Chain.connect(faulty.url, retry=Retry(1), timeout=0.1)


def dripping(begin: bytes, then: bytes) -> Iterator[str]:
    """A server that says ``begin``, and goes on with ``then`` for as long as anybody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                listener, _ = server.accept()
                with listener:
                    listener.recv(4096)
                    listener.sendall(begin)
                    while not closing.wait(0.01):
                        listener.sendall(then)

        closing = threading.Event()
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/secret"
        closing.set()


@pytest.mark.parametrize(
    ("begin", "then"),
    [
        (b"", b"H"),
        (HEADERS, b"X-More: of it\r\n"),
        (HEADERS + b"X-More: ", b"x"),
        (HEADERS + b"Content-Length: 1000000\r\n\r\n", b" "),
        (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["status", "headers", "one header", "body", "chunks"],
)
def test_an_answer_that_drips_is_left_after_the_timeout(begin: bytes, then: bytes) -> None:
    """Each byte comes in time, the whole never does."""
    for url in dripping(begin, then):
        with pytest.raises(ChainError, match="check the endpoint"):
            Chain.connect(url, retry=Retry(1), timeout=0.3)


def test_an_answer_without_end_is_left_when_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollup.l1.node.transport.MOST_BYTES", 1 << 20)
    for url in dripping(HEADERS + b"\r\n", b" " * (1 << 18)):
        with pytest.raises(Refused, match="longer than 1048576 bytes"):
            Chain.connect(url)


def test_a_refusal_is_not_asked_for_again_and_its_words_are_bounded(faulty: FaultyNode) -> None:
    chain = Chain.connect(faulty.url)
    words = "no\\u001b[31m" + "x" * 10_000
    faulty.trouble = always(b'{"jsonrpc": "2.0", "id": 0, "error": {"code": -1, "message": "%s"}}' % words.encode())
    faulty.asked.clear()
    with pytest.raises(Refused, match="the node refused the request") as refused:
        chain.height()
    assert len(faulty.asked) == 1
    assert len(str(refused.value)) < 300
    assert "\x1b" not in str(refused.value)


def refusing(error: bytes) -> Callable[..., Answer]:
    return always(b'{"jsonrpc": "2.0", "id": 0, "error": ' + error + b"}")


GARBLED = [
    b"7",
    b'"x"',
    b"[]",
    b'{"message": 7}',
    b'{"code": {}}',
    b'{"code": 3, "message": "x", "data": "0xz"}',
    b"{}",
]


@pytest.mark.parametrize("error", GARBLED)
def test_a_garbled_refusal_is_an_error_of_ours(faulty: FaultyNode, error: bytes) -> None:
    chain = Chain.connect(faulty.url, clock=Script().clock)
    faulty.trouble = refusing(error)
    for ask in (chain.height, lambda: chain.call(SOMEWHERE, b"")):
        with pytest.raises(ChainError):
            ask()


def test_a_reverted_call_is_no_failure_of_the_node(faulty: FaultyNode) -> None:
    chain = Chain.connect(faulty.url)
    faulty.asked.clear()
    faulty.trouble = refusing(b'{"code": 3, "message": "execution reverted", "data": "0x12345678"}')
    with pytest.raises(Reverted, match="0x12345678"):
        chain.call(SOMEWHERE, b"")
    assert faulty.asked == ["eth_call"]


def test_the_age_of_the_latest_block_is_known(faulty: FaultyNode) -> None:
    chain = Chain.connect(faulty.url)
    faulty.trouble = lambda request, _: result(request, {"timestamp": hex(1000)})
    assert (chain.lag(1012.9), chain.lag(900)) == (12, 0)


def test_the_clock_of_a_process_is_its_own() -> None:
    clock = Clock()
    before = clock.now()
    clock.sleep(0)
    assert clock.now() >= before
