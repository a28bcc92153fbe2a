"""Traces from provers that nobody trusts: what hashes is used, everything else costs a bounded time and changes nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from challenger.play.known import KnownTrace
from challenger.publications.remote import Patience, RemoteTraces
from rollup.claim import NO_ROOT, ClaimId
from rollup.errors import CommitmentError
from rollup.types import Gindex, Root
from tests.challenger.hostile import serving, whole
from tests.challenger.publications import ATTACKS, HELD, PROGRAM, REDIRECTED, TRACE, close, honest, trouble

CLAIM = ClaimId(bytes(32))
SHORT = Patience(request=0.2, trace=2.0, rest=60.0)
FAIR = Patience(request=1.5, trace=30.0, rest=60.0)


@pytest.fixture(scope="module", autouse=True)
def _let_go() -> Iterator[None]:
    yield
    HELD.set()


@dataclass
class Time:
    """A clock that a test moves."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


def published(store: RemoteTraces, root: Root = TRACE.root) -> KnownTrace:
    found = store.published(CLAIM, root, PROGRAM.depth)
    assert found is not None
    return found


def test_a_published_trace_is_read_in_a_few_requests() -> None:
    with serving(honest) as server:
        trace = published(RemoteTraces([server.url]))
        leaf = 2 << PROGRAM.header.tensor_depth
        for shift in range(PROGRAM.depth + 1):
            at = Gindex(((1 << PROGRAM.depth) | leaf) >> shift)
            assert trace.node(at) == TRACE.node(at)
            assert trace.node(Gindex(at ^ 1)) == TRACE.node(Gindex(at ^ 1)) if at > 1 else True
        assert trace.leaf_bytes(leaf) == TRACE.leaf_bytes(leaf)
        assert len(server.requests) == -(-PROGRAM.depth // 5) + 1
        assert all(f"/v1/trace/0x{TRACE.root.hex()}/" in line for line, _, _ in server.requests)


def test_nothing_is_asked_while_a_claim_has_no_trace_root() -> None:
    assert RemoteTraces(["http://127.0.0.1:9"]).published(CLAIM, NO_ROOT, PROGRAM.depth) is None
    assert RemoteTraces([]).published(CLAIM, TRACE.root, PROGRAM.depth) is None


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.replace("_", "-"))
def test_a_source_that_does_this_is_left_for_the_next_one(attack: Callable[[socket.socket, str, bytes], None]) -> None:
    with serving(attack) as hostile, serving(honest) as server:
        REDIRECTED[0] = server.url
        trace = published(RemoteTraces([hostile.url, server.url], FAIR))
        assert trace.node(Gindex(2)) == TRACE.node(Gindex(2))
        assert trace.leaf_bytes(0) == TRACE.leaf_bytes(0)
        # It failed once, and was asked nothing more; nor did anybody follow it to where it pointed.
        assert len(hostile.requests) == 1
        assert not any("location" in line for line, _, _ in server.requests)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.replace("_", "-"))
def test_a_source_that_does_this_alone_gives_nothing(attack: Callable[[socket.socket, str, bytes], None]) -> None:
    with serving(attack) as hostile:
        REDIRECTED[0] = hostile.url
        trace = published(RemoteTraces([hostile.url], SHORT))
        for _ in range(2):
            with pytest.raises(CommitmentError, match="no prover publishes children/1"):
                trace.node(Gindex(2))
        assert len(hostile.requests) == 1


def test_a_source_that_failed_is_asked_again_after_its_rest() -> None:
    def recovers(connection: socket.socket, line: str, body: bytes) -> None:
        (trouble if len(server.requests) == 1 else honest)(connection, line, body)

    now = Time()
    with serving(recovers) as server:
        trace = published(RemoteTraces([server.url], FAIR, now))
        with pytest.raises(CommitmentError):
            trace.node(Gindex(2))
        now.at += FAIR.rest - 1
        with pytest.raises(CommitmentError):
            trace.node(Gindex(2))
        assert len(server.requests) == 1
        now.at += 2
        assert trace.node(Gindex(2)) == TRACE.node(Gindex(2))


def test_a_trace_that_a_source_does_not_have_keeps_it_from_no_other_trace() -> None:
    def only_one(connection: socket.socket, line: str, body: bytes) -> None:
        if TRACE.root.hex() in line:
            honest(connection, line, body)
        else:
            connection.sendall(whole(b"no such trace", 404))

    with serving(only_one) as server:
        store = RemoteTraces([server.url], FAIR)
        for _ in range(3):
            with pytest.raises(CommitmentError):
                published(store, Root(b"\x07" * 32)).node(Gindex(2))
        assert published(store).node(Gindex(2)) == TRACE.node(Gindex(2))
        assert len(server.requests) == 2


def test_where_nobody_listens_yet_is_asked_about_the_next_trace() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    with serving(honest) as server:
        store = RemoteTraces([nobody], FAIR)
        with pytest.raises(CommitmentError):
            published(store, Root(b"\x07" * 32)).node(Gindex(2))
        # Somebody begins to listen there.
        store.sources[0].url = server.url
        assert published(store).node(Gindex(2)) == TRACE.node(Gindex(2))


def test_no_trace_costs_more_than_its_seconds_however_many_sources_and_rests() -> None:
    now = Time()

    def slow(connection: socket.socket, line: str, body: bytes) -> None:
        now.at += 3
        close(connection, line, body)

    with serving(slow) as one, serving(slow) as two:
        trace = published(RemoteTraces([one.url, two.url], Patience(request=5, trace=8, rest=60), now))
        for _ in range(5):
            with pytest.raises(CommitmentError):
                trace.node(Gindex(2))
            now.at += 61
        assert len(one.requests) + len(two.requests) == 3


def test_the_traces_that_are_remembered_are_bounded() -> None:
    store = RemoteTraces(["http://127.0.0.1:9"], Patience(traces=3))
    traces = [published(store, Root(bytes([number]) * 32)) for number in range(1, 6)]
    assert published(store, Root(b"\x05" * 32)) is traces[4]
    assert published(store, Root(b"\x01" * 32)) is not traces[0]


def test_below_the_leaves_there_is_nothing() -> None:
    with serving(honest) as server:
        trace = published(RemoteTraces([server.url]))
        with pytest.raises(CommitmentError, match="below the leaves"):
            trace.node(Gindex(1 << (PROGRAM.depth + 1)))


def test_a_source_that_answers_rightly_but_slowly_wastes_no_more_than_its_share_whatever_it_is_asked_for() -> None:
    """A liar with a thousand false claims would publish a thousand traces, each as slowly as is borne."""
    now = Time()

    def slow(connection: socket.socket, line: str, body: bytes) -> None:
        now.at += 4
        honest(connection, line, body)

    with serving(slow) as server:
        patience = Patience(request=5, trace=100, source=10, rest=60, traces=1)
        store = RemoteTraces([server.url], patience, now)
        began, asked = now.at, 0
        for number in range(40):
            with suppress(CommitmentError):
                published(store).node(Gindex(2))
            asked += 1
            # Another trace, so that nothing of the last one is remembered.
            store.published(CLAIM, Root(bytes([number]) * 32), PROGRAM.depth)
        assert (asked, now.at - began) == (40, 12)
        now.at += 60
        assert published(store).node(Gindex(2)) == TRACE.node(Gindex(2))
