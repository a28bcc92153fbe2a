"""Where the games of disputes stand, from the moves in their order: pure, and the same whenever it is derived again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollup.claim import NO_ROOT, Address, ClaimId
from rollup.form.ops import Monoid
from rollup.game.question import Question, decode_results
from rollup.l1.account.signing import question_node
from rollup.l1.events import (
    Answered,
    Challenged,
    ChallengeLost,
    Committed,
    Convicted,
    Descended,
    Event,
    LeafRevealed,
    Narrowed,
    Reclaimed,
    Revealed,
    Selected,
    TraceRootSet,
)
from rollup.types import Gindex, Root, Timestamp
from sequencer.states import Game, Move

ABOUT_DISPUTES = (
    Challenged,
    Committed,
    TraceRootSet,
    Revealed,
    LeafRevealed,
    Selected,
    Descended,
    Answered,
    Narrowed,
    Convicted,
    ChallengeLost,
    Reclaimed,
)
"""Events that are moves."""

TOP = Gindex(1)


@dataclass(frozen=True)
class Said:
    """When, where and by whom an event was caused, and what the whole transaction used."""

    at: Timestamp
    block: int
    log_index: int
    transaction: bytes
    sender: Address
    gas: int


class Board:
    """Games and how they change. ``roots``: trace roots that were set on dispute before."""

    def __init__(self, games: Iterable[Game] = (), roots: Mapping[ClaimId, Root] | None = None) -> None:
        self.games = {game.game_id: game for game in games}
        self.changed: set[bytes] = set()
        self._roots = dict(roots or {})

    def note(self, event: Event, said: Said) -> list[Move]:
        """The moves that an event is, after they changed the games."""
        moves = list(self._moves(event, said))
        for move in moves:
            self.apply(move)
        return moves

    def apply(self, move: Move) -> None:
        """Change the games as a move does."""
        match move.kind:
            case "challenged":
                self._put(self._opened(move))
            case "committed":
                self._update(move, commitment=bytes.fromhex(move.extra["commitment"][2:]))
            case "selected":
                self._update(move, position=move.position, node=move.node)
            case "descended" | "narrowed":
                self._update(move, position=move.position, node=move.node, question=move.extra["question"])
            case "trace_root_set":
                assert move.node is not None
                self._roots[move.claim_id] = move.node
                for game in self._of(move.claim_id):
                    if game.node == NO_ROOT:
                        self._put(replace(game, node=move.node))
            case "convicted":
                for game in self._of(move.claim_id):
                    self._put(replace(game, ended="convicted"))
            case "challenge_lost":
                self._update(move, ended="challenge_lost")

    def _of(self, claim_id: ClaimId) -> list[Game]:
        return [game for game in self.games.values() if game.claim_id == claim_id and game.ended is None]

    def _put(self, game: Game) -> None:
        self.games[game.game_id] = game
        self.changed.add(game.game_id)

    def _update(self, move: Move, **changes: Any) -> None:
        game = self.games.get(move.game_id or b"")
        if game is not None and game.ended is None:
            self._put(replace(game, **changes))

    def _opened(self, move: Move) -> Game:
        extra = move.extra
        trace_root = Root(bytes.fromhex(extra["trace_root"][2:]))
        return Game(
            move.game_id or b"",
            move.claim_id,
            Address(extra["challenger"]),
            int(extra["counter"]),
            trace_root,
            bytes.fromhex(extra["commitment"][2:]),
            TOP,
            trace_root if trace_root != NO_ROOT else self._roots.get(move.claim_id, NO_ROOT),
            move.at,
            move.block,
        )

    def _moves(self, event: Event, said: Said) -> Iterator[Move]:
        match event:
            case Challenged(claim_id, game_id, challenger, counter, trace_root, commitment):
                extra = {
                    "challenger": challenger,
                    "counter": str(counter),
                    "trace_root": _hex(trace_root),
                    "commitment": _hex(commitment),
                }
                yield _move(said, claim_id, game_id, "challenged", TOP, trace_root, extra)
            case Committed(game_id, commitment) if game_id in self.games:
                game = self.games[game_id]
                extra = {"commitment": _hex(commitment)}
                yield _move(said, game.claim_id, game_id, "committed", game.position, game.node, extra)
            case TraceRootSet(claim_id, trace_root):
                yield _move(said, claim_id, None, "trace_root_set", TOP, trace_root, {})
            case Revealed(node, children):
                yield from self._reveal(said, "revealed", node, {"children": [_hex(child) for child in children]})
            case LeafRevealed(node, data):
                yield from self._reveal(said, "leaf_revealed", node, {"bytes": len(data)})
            case Selected(game_id, position, node) if game_id in self.games:
                yield _move(said, self.games[game_id].claim_id, game_id, "selected", position, node, {})
            case Descended(game_id, question) if game_id in self.games:
                yield self._inside(said, "descended", game_id, question)
            case Narrowed(game_id, question) if game_id in self.games:
                yield self._inside(said, "narrowed", game_id, question)
            case Answered(node, _, results):
                yield from self._answer(said, node, results)
            case Convicted(claim_id, game_id, rule, place, trace_index, element, part, claimed, computed):
                extra = {
                    "rule": rule.name.lower(),
                    "place": str(place),
                    "trace_index": str(trace_index),
                    "element": str(element),
                    "part": str(part),
                    "claimed": _hex(claimed),
                    "computed": _hex(computed),
                }
                yield _move(said, claim_id, game_id, "convicted", place, None, extra)
            case ChallengeLost(claim_id, game_id, collector, paid_to_claimant):
                extra = {"collector": collector, "paid_to_claimant": str(paid_to_claimant)}
                yield _move(said, claim_id, game_id, "challenge_lost", None, None, extra)
            case Reclaimed(claim_id, game_id):
                yield _move(said, claim_id, game_id, "reclaimed", None, None, {})

    def _reveal(self, said: Said, kind: str, node: Root, extra: Mapping[str, Any]) -> Iterator[Move]:
        """A reveal names no game: it is said in every open one that stands on the node."""
        for game in list(self.games.values()):
            if game.ended is None and game.node == node:
                yield _move(said, game.claim_id, game.game_id, kind, game.position, node, extra)

    def _inside(self, said: Said, kind: str, game_id: bytes, question: Question) -> Move:
        """A challenger's move to a question, whose hash takes the place of a node."""
        game = self.games[game_id]
        root = game.trace_root if game.trace_root != NO_ROOT else self._roots.get(game.claim_id, NO_ROOT)
        node = Root(question_node(game.claim_id, root, question))
        return _move(said, game.claim_id, game_id, kind, question.place, node, {"question": question_json(question)})

    def _answer(self, said: Said, node: Root, results: bytes) -> Iterator[Move]:
        """As a reveal, with the partial results."""
        for game in list(self.games.values()):
            if game.ended is None and game.node == node and game.question is not None:
                found = decode_results(Monoid[str(game.question["monoid"]).upper()], results)
                told = [{"value": str(one.value), "position": str(one.position)} for one in found]
                extra = {"question": game.question, "results": told}
                yield _move(said, game.claim_id, game.game_id, "answered", game.position, node, extra)


def question_json(question: Question) -> dict[str, Any]:
    """What is in question inside an element, beside its leaf. 64-bit numbers are strings, as all that JSON's readers round."""
    disputed = question.disputed
    return {
        "element": question.element,
        "monoid": question.monoid.name.lower(),
        "parts": question.parts,
        "level": question.level,
        "index": question.index,
        "value": None if disputed is None else str(disputed.value),
        "position": None if disputed is None else str(disputed.position),
    }


def question_of(place: Gindex, said: Mapping[str, Any]) -> Question:
    """Inverse of ``question_json``."""
    return Question(
        place,
        said["element"],
        Monoid[str(said["monoid"]).upper()],
        said["parts"],
        said["level"],
        said["index"],
        int(said["value"] or 0),
        int(said["position"] or 0),
    )


def _move(
    said: Said,
    claim_id: ClaimId,
    game_id: bytes | None,
    kind: str,
    position: Gindex | None,
    node: Root | None,
    extra: Mapping[str, Any],
) -> Move:
    return Move(
        claim_id,
        game_id,
        kind,
        said.at,
        said.block,
        said.log_index,
        said.transaction,
        said.sender,
        said.gas,
        position,
        node,
        extra,
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
