"""Programs from a sequencer: a hostile server can make nobody hang, fill a disk or hold another model."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rollup.archive import ArchiveLimits, pack
from rollup.errors import ClientError, EncodingError
from rollup.form.program import Program
from rollup.service.fetch import FetchLimits, Listed, fetch_program, models_of
from tests.e2e.toy_program import toy_program

SHORT = FetchLimits(seconds=0.5)


@contextmanager
def server(answer: Callable[[socket.socket, str], None]) -> Iterator[str]:
    """A server that answers every request by ``answer(connection, path)``, then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection:
            request = b""
            try:
                while b"\r\n\r\n" not in request and (data := connection.recv(4096)):
                    request += data
                answer(connection, request.split(b" ")[1].decode())
            except (OSError, IndexError):
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def ok(body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Program, bytes]:
    program = toy_program()
    program.save(tmp_path / "saved")
    return program, b"".join(pack(tmp_path / "saved"))


def refused(answer: Callable[[socket.socket, str], None], program: Program, folder: Path, match: str) -> None:
    with server(answer) as url, pytest.raises((ClientError, EncodingError), match=match):
        fetch_program(url, program.id, folder, SHORT)
    assert not folder.exists()


def test_a_program_is_fetched_by_its_id(saved: tuple[Program, bytes], tmp_path: Path) -> None:
    program, data = saved
    asked = []

    def answer(connection: socket.socket, path: str) -> None:
        asked.append(path)
        connection.sendall(ok(data))

    with server(answer) as url:
        assert fetch_program(url + "/", program.id, tmp_path / "taken").id == program.id
    assert asked == [f"/v1/models/0x{program.id.hex()}/program"]
    assert Program.load(tmp_path / "taken").id == program.id


def test_attack_a_server_that_says_nothing(saved: tuple[Program, bytes], tmp_path: Path) -> None:
    release = threading.Event()
    refused(lambda connection, _: release.wait(60) and None, saved[0], tmp_path / "taken", "within 0.5 s")
    release.set()


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nx: ", ok(b"")[:-2] + b"content-length: 999999\r\n\r\n"])
def test_attack_a_server_that_drips(first: bytes, saved: tuple[Program, bytes], tmp_path: Path) -> None:
    gone = threading.Event()

    def drip(connection: socket.socket, _: str) -> None:
        connection.sendall(first.replace(b"content-length: 0\r\n", b""))
        while not gone.wait(0.02):
            connection.sendall(b"H")

    refused(drip, saved[0], tmp_path / "taken", "within 0.5 s|can't be asked")
    gone.set()


def test_attack_an_endless_body(saved: tuple[Program, bytes], tmp_path: Path) -> None:
    def endless(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(1 << 16))

    with server(endless) as url, pytest.raises(ClientError, match="sent more than 2000 bytes"):
        fetch_program(
            url, saved[0].id, tmp_path / "taken", FetchLimits(60, ArchiveLimits(total_bytes=1000, manifest_bytes=1000))
        )


def test_attack_another_program_under_the_asked_id(tmp_path: Path, saved: tuple[Program, bytes]) -> None:
    other = Program.build(
        saved[0].header.inputs,
        saved[0].header.outputs,
        saved[0].ops,
        saved[0].constants,
        policy=1 - saved[0].header.policy,
    )
    refused(lambda connection, _: connection.sendall(ok(saved[1])), other, tmp_path / "taken", "was expected")


def test_attack_redirects_errors_and_compressed_bombs(saved: tuple[Program, bytes], tmp_path: Path) -> None:
    for reply, match in (
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "answered 302"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "answered 500"),
        (ok(b"x", "content-encoding: gzip\r\n"), "the encoding 'gzip'"),
        (b"SSH-2.0-OpenSSH\r\n", "can't be asked"),
        (b"", "can't be asked"),
        (ok(saved[1])[:-700], "can't be asked"),
        (ok(b"not a tar"), "archive"),
    ):
        refused(lambda connection, _, reply=reply: connection.sendall(reply), saved[0], tmp_path / "taken", match)
    with pytest.raises(ClientError, match="can't be asked"):
        fetch_program("file:///etc", saved[0].id, tmp_path / "taken")


def test_models_are_listed_over_all_pages(saved: tuple[Program, bytes]) -> None:
    first, second = "11" * 32, "22" * 32

    def answer(connection: socket.socket, path: str) -> None:
        more = {"models": [{"id": f"0x{first}", "name": "one"}], "next": "a&b"}
        last = {"models": [{"id": f"0x{second}", "name": "two", "retired": True}], "next": None}
        connection.sendall(ok(json.dumps(last if path.endswith("?cursor=a%26b") else more).encode()))

    with server(answer) as url:
        assert models_of(url) == [
            Listed(bytes.fromhex(first), "one", False),
            Listed(bytes.fromhex(second), "two", True),
        ]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'{"models": 7}',
        b'{"models": [{"id": "0x11", "name": "short"}]}',
        b'{"models": [{"id": 7, "name": "no text"}]}',
        b'{"models": [{"name": "no id"}]}',
        b"[" * 100_000,
        b'{"models": ' + b"9" * 10_000 + b"}",
        b"\xff",
        b'{"models": [], "next": "again"}',
    ],
)
def test_attack_lists_that_are_none(body: bytes) -> None:
    with server(lambda connection, _: connection.sendall(ok(body))) as url, pytest.raises(ClientError):
        models_of(url)
