"""Disputes, and the moves that an operator can force in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from rollup.claim import ClaimId
from rollup.documents.disputes import Seconds
from rollup.errors import ChainError
from rollup.l1.client import L1Client
from rollup.l1.records import GameRecord, MoveRecord
from rollup.service.problem import Problem, documented
from rollup.types import Root
from rollup.wire import hex_of
from sequencer.admin import moves
from sequencer.admin.documents import AdminDispute, AdminDisputes, AdminGame, AdminMove, MoveOrder, Sent
from sequencer.admin.guard import needs, note, router
from sequencer.admin.money import sent
from sequencer.admin.observe import Cursor, Limit
from sequencer.admin.operator import Operator
from sequencer.admin.tokens import Role
from sequencer.api.disputes import question_view
from sequencer.states import DisputeRecord

CLAIM = r"^0x[0-9a-f]{64}$"
ClaimPath = Annotated[str, Path(pattern=CLAIM, description="The claim's id.", examples=["0x" + "5a" * 32])]


def _game(game: GameRecord, client: L1Client | None) -> AdminGame:
    """``client`` None: without what only L1 can say."""
    turn = expired = clocks = None
    position, node = game.position, game.node
    if client is not None and game.ended is None:
        now = client.game(game.opened)
        turn, expired = now.turn and now.turn.value, now.expired and now.expired.value
        if now.live:
            position, node = now.position, now.node
        if now.clocks is not None:
            clocks = Seconds(defender=now.clocks.defender, challenger=now.clocks.challenger)
    return AdminGame(
        game_id=Root(game.game_id),
        challenger=game.opened.challenger,
        counter=game.opened.counter,
        position=str(position),
        node=node,
        question=question_view(game.position, game.question),
        opened_at=game.opened_at,
        ended=game.ended,
        turn=turn,
        expired=expired,
        clocks=clocks,
    )


def _move(move: MoveRecord) -> AdminMove:
    return AdminMove(
        kind=move.kind.value,
        at=move.said.at,
        block=move.said.block,
        transaction=Root(move.said.transaction),
        sender=move.said.sender,
        gas=move.said.gas,
        position=None if move.position is None else str(move.position),
        game_id=None if move.game_id is None else Root(move.game_id),
        question=question_view(move.position, move.extra.get("question")),
    )


def _view(dispute: DisputeRecord, client: L1Client | None = None) -> AdminDispute:
    return AdminDispute(
        claim_id=dispute.claim_id,
        state=dispute.state.value,
        games=[_game(game, client) for game in dispute.games],
        moves=[_move(move) for move in dispute.moves],
    )


def disputing(operator: Operator) -> APIRouter:
    """The routes."""
    routes, store = router("disputes"), operator.store

    @routes.get("/disputes", summary="All disputes, newest first, without moves", openapi_extra=needs(Role.READ))
    def disputes(
        open: Annotated[bool | None, Query(description="Only those that go on, or only those that ended.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> AdminDisputes:
        page = store.disputes.page(open, cursor, limit)
        return AdminDisputes(disputes=[_view(dispute) for dispute in page.entries], next=page.next)

    @routes.get(
        "/disputes/{claim_id}",
        summary="One dispute, with its moves and the clocks as they stand",
        responses=documented(404),
        openapi_extra=needs(Role.READ),
    )
    def dispute(claim_id: ClaimPath) -> AdminDispute:
        known = store.disputes.get(_id(claim_id))
        if known is None:
            raise Problem(
                404, "unknown-dispute", "No such dispute", f"nobody has challenged claim {claim_id}; check the id"
            )
        try:
            return _view(known, operator.client)
        except ChainError:
            return _view(known)

    @routes.post(
        "/disputes/{claim_id}/moves",
        summary="Force a move with the sequencer's account",
        description=(
            "`challenge` opens a game (going on in it takes a watcher with the same account), `reveal` opens the node "
            "that a game stands on (inside an element only the claimant can answer), `timeout` collects clocks that ran out, "
            "`reclaim` frees the bonds of games on an invalid claim, `release` the bond of a final one. A move that is not "
            "possible is refused with the reason."
        ),
        responses=documented(409),
        openapi_extra=needs(Role.OPERATE),
    )
    def move(claim_id: ClaimPath, order: MoveOrder, request: Request) -> Sent:
        opening: list[bytes] = list(order.children or ())
        if order.leaf is not None:
            if opening:
                raise Problem(
                    422, "opening", "Two openings", "children and a leaf are given; a game asks for one of them"
                )
            opening = [order.leaf]
        receipt = operator.moves.make(_id(claim_id), moves.parse(order.move), opening)
        done = sent(receipt)
        note(request, transaction=hex_of(done.transaction), move=order.move)
        return done

    return routes


def _id(text: str) -> ClaimId:
    return ClaimId(bytes.fromhex(text[2:]))
