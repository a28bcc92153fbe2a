"""Moves by hand, in real disputes on a real chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Response

from rollup.claim import ClaimId
from rollup.game.position import descendant
from rollup.l1.answers import ClaimStatus
from rollup.merkle import depth_of
from rollup.service.health import Health
from rollup.service.web import Server, create_app, serve
from rollup.types import LEAF_BYTES, Gindex
from sequencer.admin.published import Provers
from sequencer.states import State
from tests.e2e.toy_program import Published, with_lie
from tests.sequencer.admin.world import WRONG, AdminWorld, header
from tests.world import PROGRAM, RIGHT, TERMS

TRACE = Published(PROGRAM, WRONG)
LIES = iter([with_lie(PROGRAM, RIGHT, value) for value in (3, 4, 5, 6, 7, 8)])
"""A lie for every test: what one of them opened is known to the games about the same trace in all others."""


def prover(trace: Published) -> Server:
    """What a prover publishes, as docs/http.md has it; whichever trace it is asked for, it gives this one."""
    app = create_app("prover", "", Health())

    @app.get("/v1/trace/{root}/children/{gindex}")
    def children(root: str, gindex: int, levels: int) -> Response:
        nodes = [trace.node(descendant(Gindex(gindex), levels, j)) for j in range(1 << levels)]
        return Response(b"".join(nodes), media_type="application/octet-stream")

    @app.get("/v1/trace/{root}/leaves/{leaf}")
    def leaves(root: str, leaf: int) -> Response:
        data = trace.leaf_bytes(leaf).ljust(LEAF_BYTES, b"\0")
        return Response(data, media_type="application/octet-stream")

    return serve(app, "127.0.0.1", 0).start()


@pytest.fixture(scope="module")
def publishing(world: AdminWorld) -> Iterator[str]:
    """The world asks this prover; what the liar claims is published there."""
    server = prover(TRACE)
    object.__setattr__(world.operator, "published", Provers(("http://127.0.0.1:9", server.url)))
    yield server.url
    server.stop()


def force(http: httpx.Client, claim_id: ClaimId, move: str, **given: Any) -> httpx.Response:
    path = f"/admin/disputes/0x{claim_id.hex()}/moves"
    return http.post(path, json={"move": move, **given}, headers=header("operate"))


def shown(http: httpx.Client, claim_id: ClaimId) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/admin/disputes/0x{claim_id.hex()}", headers=header("read")).json()
    return found


def done(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text


def refused(answer: httpx.Response, *words: str, status: int = 409) -> None:
    assert answer.status_code == status, answer.text
    for word in words:
        assert word in answer.json()["detail"], answer.text


def select(world: AdminWorld, claim_id: ClaimId, path: Sequence[int]) -> None:
    """The challenger, who is the sequencer's account here, goes down from where its game stands."""
    (opened,) = world.operator.moves.claims.games(claim_id)
    game = world.l1.game(opened)
    position, siblings = game.position, []
    for bit in path:
        siblings.insert(0, TRACE.node(Gindex((position << 1) | (1 - bit))))
        position = Gindex((position << 1) | bit)
    world.l1.select(game.at, position, TRACE.node(position), siblings)


def test_a_dispute_is_played_by_hand_down_to_a_leaf_and_won_by_its_silence(
    world: AdminWorld, http: httpx.Client, publishing: str
) -> None:
    claim_id = world.post("liar", WRONG)
    refused(force(http, claim_id, "reveal"), "no game")
    refused(force(http, claim_id, "timeout"), "no game")
    refused(force(http, claim_id, "reclaim"), "not invalid")
    refused(force(http, claim_id, "release"), "challenge period ends")
    done(force(http, claim_id, "challenge"))
    refused(force(http, claim_id, "challenge"), "plays game 0")
    refused(force(http, claim_id, "timeout"), "no clock", "defender")
    (game,) = shown(http, claim_id)["games"]
    assert (game["challenger"], game["turn"], game["position"]) == (world.l1.account, "defender", "1")
    reveals = 0
    while depth_of(Gindex(int(shown(http, claim_id)["games"][0]["position"]))) < PROGRAM.depth:
        done(force(http, claim_id, "reveal"))
        reveals += 1
        refused(force(http, claim_id, "reveal"), "waits for its challenger")
        left = PROGRAM.depth - depth_of(Gindex(int(shown(http, claim_id)["games"][0]["position"])))
        select(world, claim_id, [0] * min(TERMS.arity, left))
    assert reveals == -(-PROGRAM.depth // TERMS.arity)
    done(force(http, claim_id, "reveal"))
    assert "reveal_leaf" in [move["kind"] for move in shown(http, claim_id)["moves"]]
    world.chain.advance(TERMS.clock + 1)
    (game,) = shown(http, claim_id)["games"]
    assert game["expired"] == "challenger" and game["clocks"]["challenger"] == 0
    done(force(http, claim_id, "timeout"))
    assert [game["ended"] for game in shown(http, claim_id)["games"]] == ["lost"]


def test_a_silent_claimant_is_convicted_and_the_bonds_of_other_games_are_reclaimed(
    world: AdminWorld, http: httpx.Client
) -> None:
    claim_id = world.post("silent", next(LIES))
    other = world.client("another challenger")
    standing = world.operator.moves.claims.standing(claim_id)
    other.challenge(standing.claim, standing.inclusion, value=TERMS.challenge_bond)
    world.chain.advance(TERMS.clock // 2)
    done(force(http, claim_id, "challenge"))
    world.chain.advance(TERMS.clock // 2 + 1)
    done(force(http, claim_id, "timeout"))
    assert shown(http, claim_id)["state"] == "invalid"
    locked = world.l1.locked(world.l1.account)
    done(force(http, claim_id, "reclaim"))
    assert world.l1.locked(world.l1.account) == locked - TERMS.challenge_bond
    refused(force(http, claim_id, "reclaim"), "free already")
    refused(force(http, claim_id, "challenge"), "invalid already")
    refused(force(http, claim_id, "release"), "forfeited")


def test_the_bond_of_a_final_claim_is_released_once(world: AdminWorld, http: httpx.Client) -> None:
    claim_id = world.post("honest", RIGHT)
    world.chain.advance(TERMS.window + 1)
    refused(force(http, claim_id, "challenge"), "final already")
    claimant = world.client("honest")
    locked = claimant.locked(claimant.account)
    done(force(http, claim_id, "release"))
    assert claimant.locked(claimant.account) == locked - TERMS.claim_bond
    refused(force(http, claim_id, "release"), "released before")
    standing = world.operator.moves.claims.standing(claim_id)
    assert world.l1.status(standing.claim, standing.inclusion) is ClaimStatus.FINAL


def test_children_given_by_hand_are_checked_before_anything_is_sent(world: AdminWorld, http: httpx.Client) -> None:
    values = next(LIES)
    trace = Published(PROGRAM, values)
    claim_id = world.post("liar", values)
    done(force(http, claim_id, "challenge"))
    right = [f"0x{trace.node(Gindex((1 << TERMS.arity) + j)).hex()}" for j in range(1 << TERMS.arity)]
    height = world.chain.height()
    for children in (right[:3], right[:1], [*right, *right], list(reversed(right))):
        refused(force(http, claim_id, "reveal", children=children), "give", status=422)
    two = [f"0x{trace.node(Gindex(2 + j)).hex()}" for j in range(2)]
    refused(force(http, claim_id, "reveal", children=two), f"{TERMS.arity} levels deep")
    refused(force(http, claim_id, "reveal", leaf="0x" + "00" * 1024), "hashes to", status=422)
    refused(force(http, claim_id, "reveal", leaf="0x00", children=right), "one of them", status=422)
    refused(force(http, claim_id, "timeout", children=right), "only a reveal")
    assert world.chain.height() == height
    done(force(http, claim_id, "reveal", children=right))


def test_attack_a_prover_that_publishes_another_trace_is_not_believed(tmp_path: Path) -> None:
    server = prover(Published(PROGRAM, RIGHT))
    world = AdminWorld(tmp_path, extra={"published": Provers((server.url,))})
    admin = serve(world.app(), "127.0.0.1", 0).start()
    try:
        with httpx.Client(base_url=admin.url, timeout=60) as http:
            claim_id = world.post("liar", WRONG)
            done(force(http, claim_id, "challenge"))
            height = world.chain.height()
            refused(force(http, claim_id, "reveal"), "another trace", status=422)
            server.stop()
            refused(force(http, claim_id, "reveal"), "give it yourself", status=422)
            assert world.chain.height() == height
    finally:
        admin.stop()
        server.stop()
        world.store.close()


@pytest.mark.parametrize("move", ["challenge", "release"])
def test_a_claim_that_is_not_on_l1_has_no_moves(move: str, world: AdminWorld, http: httpx.Client) -> None:
    refused(force(http, ClaimId(bytes(32)), move), "not known", status=422)
    waiting = world.take("waiting")
    refused(force(http, waiting, move), "does not stand on L1", status=422)
    world.operator.batcher.flush()
    assert world.store.claims.state(waiting) is State.POSTED


@pytest.mark.parametrize(
    "body",
    [{}, {"move": "prove"}, {"move": 1}, {"move": "reveal", "children": ["0x00"]}, {"move": "timeout", "x": 1}, []],
)
def test_an_order_that_is_none_is_refused(body: Any, http: httpx.Client) -> None:
    path = f"/admin/disputes/0x{bytes(32).hex()}/moves"
    assert http.post(path, json=body, headers=header("own")).status_code == 422


def test_disputes_are_listed_open_or_ended(world: AdminWorld, http: httpx.Client) -> None:
    claim_id = world.post("liar", next(LIES))
    done(force(http, claim_id, "challenge"))
    found = {
        kind: [
            one["claim_id"]
            for one in http.get("/admin/disputes", params=query, headers=header("read")).json()["disputes"]
        ]
        for kind, query in (("all", {}), ("open", {"open": True}), ("ended", {"open": False}))
    }
    assert f"0x{claim_id.hex()}" in found["open"] and f"0x{claim_id.hex()}" not in found["ended"]
    assert sorted(found["all"]) == sorted(found["open"] + found["ended"])
    assert http.get(f"/admin/disputes/0x{bytes(32).hex()}", headers=header("read")).status_code == 404
