"""Whoever asks over HTTP waits no longer than it said, holds no more than it said, and tells nobody what its address holds."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollup.errors import BadAnswer, ClientError
from rollup.http import Bounds, Http, Lost, Request, TooLong, TooSlow, ask, bearer, wait
from rollup.redact import place_of
from tests.challenger.hostile import head, serving, whole

BOUNDS = Bounds(bytes=1000, seconds=20.0)
BRIEF = Bounds(bytes=1000, seconds=0.3)


def said(connection: socket.socket, line: str, body: bytes) -> None:
    connection.sendall(whole(b"ok"))


def test_no_proxy_and_no_password_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token would go to whoever sets them."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(said) as proxy, serving(said) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        async def alone(_: Http) -> bytes:
            http = Http(server.url, bearer("token"))
            try:
                return (await http.once(Request("GET", "/"), BOUNDS)).body
            finally:
                await http.close()

        assert wait(alone) == b"ok"
        assert proxy.requests == []
        asked = server.requests[0][1].lower()
        assert "authorization: bearer token" in asked and "basic" not in asked


def test_no_redirect_is_followed_and_no_cookie_comes_back() -> None:
    def elsewhere(connection: socket.socket, line: str, body: bytes) -> None:
        connection.sendall(head(302, 0, f"location: {other.url}/\r\nset-cookie: a=b\r\n"))

    with serving(said) as other, serving(elsewhere) as server:
        for _ in range(2):
            assert ask(Request("GET", server.url), BOUNDS).status == 302
        assert other.requests == []
        assert not any("cookie" in asked.lower() for _, asked, _ in server.requests)


def test_errors_name_the_host_and_nothing_else_of_an_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Lost, match=rf"^http://127.0.0.1:{port} can't be asked \(ConnectError") as lost:
        ask(Request("GET", f"http://user:hunter2@127.0.0.1:{port}/v3/hunter2?key=hunter2"), BOUNDS)
    assert lost.value.refused and "hunter2" not in str(lost.value)
    with serving(lambda connection, *_: connection.sendall(head(200) + bytes(2000))) as server:
        with pytest.raises(TooLong) as long:
            ask(Request("GET", f"{server.url}/hunter2"), BOUNDS)
        assert str(long.value) == f"{server.url} sent more than 1000 bytes; check the address, or allow more"
    for url in ("http://[hunter2", "hunter2://hunter2:hunter2@x/hunter2", "/hunter2"):
        with pytest.raises(ClientError, match="can't be asked") as failed:
            ask(Request("GET", url), BOUNDS)
        assert "/hunter2" not in str(failed.value) and ":hunter2@" not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://user:secret@node.example/v3/secret?secret#secret", "https://node.example"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://[::1]:80/a", "http://[::1]:80"),
        ("http://[::1", "an address that can't be read"),
        ("http://a:99999999/", "an address that can't be read"),
        ("/secret", "an address without a host"),
    ],
)
def test_a_place_is_scheme_host_and_port(url: str, place: str) -> None:
    assert place_of(url) == place


def test_an_answer_that_may_be_compressed_is_bounded_by_what_comes_out() -> None:
    bomb = gzip.compress(bytes(10_000_000))

    def compressed(connection: socket.socket, line: str, body: bytes) -> None:
        connection.sendall(head(200, len(bomb), "content-encoding: gzip\r\n") + bomb)

    with serving(compressed) as server:
        with pytest.raises(TooLong, match="more than 1000 bytes"):
            ask(Request("GET", server.url, compressed=True), BOUNDS)
        assert ask(Request("GET", server.url, compressed=True), Bounds(bytes=1 << 24, seconds=20)).body == bytes(10**7)
        with pytest.raises(BadAnswer, match="the encoding 'gzip', which nobody asked for"):
            ask(Request("GET", server.url), Bounds(bytes=1 << 24, seconds=20))


def test_a_body_in_pieces_has_the_time_for_each_and_the_answer_has_it_once_more() -> None:
    """The sum of the pauses is longer than the time of an answer."""
    started, pause = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        for _ in range(6):
            pause.wait(0.1)
            yield b"x" * 10

    def taken(connection: socket.socket, line: str, body: bytes) -> None:
        started.set()
        while b"0\r\n\r\n" not in body:
            body += connection.recv(65536)
        said(connection, line, body)

    with serving(taken) as server:
        assert ask(Request("POST", server.url, content=slowly()), BRIEF).body == b"ok"
    held = threading.Event()
    with serving(lambda *_: held.wait(20) and None) as server:
        with pytest.raises(TooSlow, match=r"did not answer completely within 0\.3 s"):
            ask(Request("POST", server.url, content=iter([b"x", b"y"])), BRIEF)
        held.set()
