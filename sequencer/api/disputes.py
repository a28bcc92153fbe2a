"""Disputes: the games about a claim, every move, both clocks, the gas so far, and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from rollup import wire
from rollup.claim import NO_ROOT
from rollup.documents.disputes import (
    DisputePage,
    DisputeView,
    GameView,
    GasSpent,
    MoveView,
    PartialView,
    QuestionView,
    Seconds,
    VerdictView,
)
from rollup.errors import EncodingError, ProgramError
from rollup.form.encoding import Header, decode_header
from rollup.form.program import Program
from rollup.game.clock import Side
from rollup.game.moves import MoveKind, Rule
from rollup.game.question import question_of_json
from rollup.l1.records import GameRecord, MoveRecord
from rollup.service.problem import Problem
from rollup.types import Gindex, Root
from rollup.verdict import explain
from sequencer.api import parts as shared
from sequencer.api.claims import Cursor, Limit
from sequencer.api.parts import Parts
from sequencer.api.standing import GameStanding
from sequencer.states import DisputeRecord, Entry

CHALLENGERS = frozenset(
    {
        MoveKind.CHALLENGE,
        MoveKind.COMMIT,
        MoveKind.SELECT,
        MoveKind.DESCEND,
        MoveKind.NARROW,
        MoveKind.SETTLE,
        MoveKind.PROVE,
        MoveKind.RECLAIM,
    }
)
DEFENDERS = frozenset({MoveKind.SET_TRACE_ROOT, MoveKind.REVEAL, MoveKind.REVEAL_LEAF, MoveKind.PARTIALS})
LISTED = 50
"""Disputes of one page at most: each is read with its moves, for its gas and its verdict."""
LIVE_GAMES = 32
"""Open games of one dispute for which L1 is asked: whoever opens more pays for it, but so would we."""


def disputes_routes(parts: Parts) -> APIRouter:
    routes = shared.router("disputes")

    @routes.get(
        "/disputes",
        operation_id="listDisputes",
        summary="Disputes, newest first, without moves and clocks",
    )
    def list_disputes(
        open: bool | None = None,
        model: Annotated[str | None, Query(description="Only about claims about this model (id or name).")] = None,
        claimant: Annotated[str | None, Query(description="Only about claims of this account.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> DisputePage:
        page = parts.store.disputes.page(
            open,
            cursor,
            min(limit, LISTED),
            None if model is None else parts.model_id(model),
            None if claimant is None else wire.address_of(claimant, "claimant"),
        )
        found = [parts.store.disputes.get(dispute.claim_id) or dispute for dispute in page.entries]
        return DisputePage(disputes=[_short(_view(parts, dispute, live=False)) for dispute in found], next=page.next)

    @routes.get(
        "/disputes/{claim_id}",
        operation_id="getDispute",
        summary="One dispute, with its moves, its clocks as L1 has them now, and its verdict",
    )
    def get_dispute(claim_id: shared.ClaimIdPath) -> DisputeView:
        dispute = parts.store.disputes.get(shared.claim_id(claim_id))
        if dispute is None:
            parts.claim(claim_id)
            raise Problem(
                404, "no-dispute", "No dispute", f"nobody has challenged claim {claim_id}; it may become final"
            )
        return _view(parts, dispute, live=True)

    return routes


def _short(view: DisputeView) -> DisputeView:
    """Without moves."""
    games = [game.model_copy(update={"moves": []}) for game in view.games]
    return view.model_copy(update={"games": games})


def _view(parts: Parts, dispute: DisputeRecord, live: bool) -> DisputeView:
    entry = parts.store.claims.get(dispute.claim_id)
    header = _header(parts, entry)
    open_games = [game for game in dispute.games if game.ended is None][:LIVE_GAMES] if live else []
    standings = {game.game_id: parts.standings.of(game) for game in open_games}
    terms = parts.client.parameters
    root = _trace_root(dispute, entry)
    said = _by_game(dispute)
    return DisputeView(
        claim_id=dispute.claim_id,
        state=dispute.state.value,
        trace_root=root,
        trace_depth=None if header is None else header.trace_depth,
        tensor_depth=None if header is None else header.tensor_depth,
        arity=terms.arity,
        clock=terms.clock,
        model_id=None if entry is None else entry.posted.claim.model_id,
        claimant=None if entry is None else entry.posted.claim.claimant,
        opened_at=min((game.opened_at for game in dispute.games), default=None),
        bonds=str(terms.claim_bond + len(dispute.games) * terms.challenge_bond),
        games=[_game(game, said.get(game.game_id, []), standings.get(game.game_id)) for game in dispute.games],
        verdict=_verdict(parts, dispute.moves, entry),
    )


def _header(parts: Parts, entry: Entry | None) -> Header | None:
    raw = None if entry is None else parts.store.l1.header(entry.posted.claim.model_id)
    try:
        return None if raw is None else decode_header(raw)
    except EncodingError:
        return None


def _trace_root(dispute: DisputeRecord, entry: Entry | None) -> Root | None:
    if entry is not None and entry.posted.claim.trace_root != NO_ROOT:
        return entry.posted.claim.trace_root
    return next((move.node for move in dispute.moves if move.kind is MoveKind.SET_TRACE_ROOT), None)


def _by_game(dispute: DisputeRecord) -> dict[bytes, list[MoveRecord]]:
    """The moves of each game, in their order; a trace root is set for all of them."""
    found: dict[bytes, list[MoveRecord]] = {game.game_id: [] for game in dispute.games}
    for move in dispute.moves:
        for game_id in found if move.game_id is None else (move.game_id,):
            if game_id in found:
                found[game_id].append(move)
    return found


def _game(game: GameRecord, own: Sequence[MoveRecord], standing: GameStanding | None) -> GameView:
    views = [_move(move, game) for move in own]
    gas = {side: sum(_once(own, views, side)) for side in ("challenger", "defender")}
    return GameView(
        game_id=Root(game.game_id),
        challenger=game.opened.challenger,
        counter=game.opened.counter,
        state="open" if game.ended is None else game.ended.value,
        turn=None if standing is None or standing.turn is None else _SIDES[standing.turn],
        position=str(game.position if standing is None else standing.position),
        question=question_view(game.position, game.question),
        opened_at=game.opened_at,
        clocks=None if standing is None else Seconds(challenger=standing.challenger, defender=standing.defender),
        gas=GasSpent(**gas),
        moves=views,
    )


_SIDES = {Side.CHALLENGER: "challenger", Side.DEFENDER: "defender"}


def _once(moves: Sequence[MoveRecord], views: Sequence[MoveView], side: str) -> list[int]:
    """Gas of each transaction of a side: one may hold several moves."""
    told = zip(moves, views, strict=True)
    spent = {move.said.transaction: move.said.gas for move, view in told if view.side == side}
    return list(spent.values())


def _side(move: MoveRecord, game: GameRecord) -> str | None:
    """Whose move it is; a reveal is open to anyone, and the challenger's if it sent it."""
    if move.kind in CHALLENGERS:
        return "challenger"
    if move.kind not in DEFENDERS:
        return None
    opens = move.kind is not MoveKind.SET_TRACE_ROOT
    return "challenger" if opens and move.said.sender == game.opened.challenger else "defender"


def _move(move: MoveRecord, game: GameRecord) -> MoveView:
    return MoveView(
        kind=move.kind.value,
        side=_side(move, game),
        at=move.said.at,
        block=move.said.block,
        transaction=Root(move.said.transaction),
        gas=move.said.gas,
        sender=move.said.sender,
        position=None if move.position is None else str(move.position),
        question=question_view(move.position, move.extra.get("question")),
        results=[PartialView(**one) for one in move.extra["results"]] if "results" in move.extra else None,
    )


def question_view(place: Gindex | None, said: Mapping[str, Any] | None) -> QuestionView | None:
    if place is None or said is None:
        return None
    covers = question_of_json(place, said).covers()
    return QuestionView(**said, first=covers.start, last=covers.stop - 1)


def _verdict(parts: Parts, moves: Sequence[MoveRecord], entry: Entry | None) -> VerdictView | None:
    found = next(filter(None, (move.convicted for move in moves)), None)
    if found is None:
        return None
    finding = explain(_program(parts, entry), found)
    somewhere = found.rule is not Rule.TIMEOUT

    def shown(value: Any) -> str | None:
        return None if value is None else str(value)

    return VerdictView(
        rule=found.rule.name.lower(),
        sentence=finding.sentence,
        op=finding.spot.op or None,
        source=finding.spot.source,
        trace_index=found.trace_index if somewhere else None,
        place=str(found.place) if somewhere else None,
        element=found.element if somewhere else None,
        part=found.part if found.rule is Rule.PART else None,
        coordinates=list(finding.spot.coordinates) if finding.spot.coordinates else None,
        claimed=shown(finding.claimed),
        right=shown(finding.right),
    )


def _program(parts: Parts, entry: Entry | None) -> Program | None:
    try:
        return None if entry is None else parts.programs.get(entry.posted.claim.model_id)
    except ProgramError:
        return None
