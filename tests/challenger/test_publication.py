"""Whatever a prover's server does, a false claim is convicted: in two moves if it publishes, else by the game."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour
from challenger.publications.remote import Patience, RemoteTraces
from challenger.watch.watcher import Watcher
from rollup.form.encoding import TracePolicy
from rollup.l1.answers import ClaimStatus
from tests.challenger import publications as server
from tests.challenger.hostile import serving, whole
from tests.e2e.lies import PROGRAMS, lie_in_op
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published

PATIENCE = Patience(request=0.2, trace=1.0, rest=600.0)
"""Of attacks; an honest server gets the time that it needs."""


def disputed(urls: list[str], patience: Patience) -> tuple[Watcher, NetworkWorld, Claimed]:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    client = network.client("watcher")
    watcher = Watcher(client, RemoteTraces(urls, patience), Reference, network.admit)
    watcher.hold(network.program)
    network.watchers.append(watcher)
    claimed = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    return watcher, network, claimed


def liars_trace(claimed: Claimed) -> Published:
    trace = claimed.defender._claims[claimed.claim_id].trace
    assert isinstance(trace, Published)
    return trace


def test_a_trace_that_is_published_over_http_convicts_in_two_moves() -> None:
    published: list[Published] = []

    def publish(connection: socket.socket, line: str, _: bytes) -> None:
        connection.sendall(whole(server.body_of(published[0], PROGRAMS[TracePolicy.WITH_CLAIM].depth, line)))

    with serving(publish) as prover:
        watcher, network, claimed = disputed([prover.url], Patience(request=20, trace=60))
        published.append(liars_trace(claimed))
        network.settle()
        assert network.status(claimed) is ClaimStatus.INVALID
        assert [receipt.call for receipt in watcher.costs.of(claimed.claim_id)] == ["challenge", "prove"]
        assert 2 <= len(prover.requests) <= 4


HANGING = (server.hang, server.drip_head, server.drip_body, server.send_gigabytes, server.endless_chunk)
LYING = (server.too_short, server.wrong_nodes, server.close, server.no_http)


@pytest.mark.parametrize("attack", [*HANGING, *LYING], ids=lambda attack: attack.__name__.replace("_", "-"))
def test_a_publication_that_does_this_costs_a_moment_and_the_game_convicts(
    attack: Callable[[socket.socket, str, bytes], None],
) -> None:
    server.HELD.clear()
    with serving(attack) as prover:
        watcher, network, claimed = disputed([prover.url], PATIENCE)
        network.settle()
        server.HELD.set()
        assert network.status(claimed) is ClaimStatus.INVALID
        calls = [receipt.call for receipt in watcher.costs.of(claimed.claim_id)]
        assert calls[0] == "challenge" and calls[-1] == "prove" and "select" in calls
        assert len(prover.requests) == 1
        assert watcher.troubles == {}


def test_a_publication_that_stops_in_the_middle_costs_a_moment_and_the_game_convicts() -> None:
    """The nodes are true, and the leaf's bytes never come."""
    published: list[Published] = []

    def publish(connection: socket.socket, line: str, _: bytes) -> None:
        if "/leaves/" not in line:
            connection.sendall(whole(server.body_of(published[0], PROGRAMS[TracePolicy.WITH_CLAIM].depth, line)))

    with serving(publish) as prover:
        watcher, network, claimed = disputed([prover.url], Patience(request=20, trace=60, rest=600))
        published.append(liars_trace(claimed))
        network.settle()
        assert network.status(claimed) is ClaimStatus.INVALID
        calls = [receipt.call for receipt in watcher.costs.of(claimed.claim_id)]
        # One selection goes all the way down to the leaf, whose bytes the game demands.
        assert calls == ["challenge", "select", "prove"]
        assert claimed.defender.costs.gas_by_move(claimed.claim_id).keys() >= {"revealLeaf"}
