"""Games as the events of L1 tell them: which moves an event is, and what a move changes. Everybody who follows disputes uses
this: the challenger's state, the sequencer's store, and who reads a dispute from L1 alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rollup.claim import NO_ROOT, Address, ClaimId
from rollup.game.moves import MoveKind
from rollup.game.position import ROOT
from rollup.game.question import Question, question_json
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
from rollup.l1.records import GameRecord, MoveRecord, Outcome, Said, about_claim, kept_bytes, opening, told
from rollup.types import Root


def _nothing(undo: Callable[[], object]) -> None:
    """Forget how to take a change back."""


class Board:
    """Games, and how moves change them. ``roots``: the trace roots of claims, as far as they are known. ``journal`` is given how to
    take each change back; whoever takes changes back does so in the opposite order. ``changed``: games that moves changed.
    """

    def __init__(
        self,
        games: Iterable[GameRecord] = (),
        roots: Mapping[ClaimId, Root] | None = None,
        journal: Callable[[Callable[[], object]], object] = _nothing,
    ) -> None:
        self.games: dict[bytes, GameRecord] = {}
        self.roots = dict(roots or {})
        self.changed: set[bytes] = set()
        self._journal = journal
        self._about: dict[ClaimId, dict[bytes, None]] = {}
        self._on: dict[Root, set[bytes]] = {}
        for game in games:
            self._place(game.game_id, game)

    @property
    def disputed(self) -> Iterable[ClaimId]:
        """The claims with games, in the order of their first ones."""
        return self._about.keys()

    def about(self, claim_id: ClaimId) -> list[GameRecord]:
        """The claim's games in the order in which they were opened."""
        return [self.games[game_id] for game_id in self._about.get(claim_id, ())]

    def forget(self, claim_id: ClaimId) -> None:
        """Drop all that is known of a claim."""
        for game in self.about(claim_id):
            self._place(game.game_id, None)
            self.changed.discard(game.game_id)
        self.roots.pop(claim_id, None)

    def note(self, event: Event, said: Said) -> list[MoveRecord]:
        """The moves that an event is, after they changed the games."""
        moves = list(self._moves(event, said))
        for move in moves:
            self.apply(move)
        return moves

    def apply(self, move: MoveRecord) -> None:
        """Change the games as a move does."""
        match move.kind:
            case MoveKind.CHALLENGE:
                self._open(move)
            case MoveKind.COMMIT:
                self._commit(move)
            case MoveKind.SELECT:
                self._update(move, position=move.position, node=move.node)
            case MoveKind.DESCEND | MoveKind.NARROW:
                self._update(move, position=move.position, node=move.node, question=move.extra["question"])
            case MoveKind.SET_TRACE_ROOT:
                assert move.node is not None
                self.set_root(move.claim_id, move.node)
            case MoveKind.PROVE | MoveKind.SETTLE | MoveKind.TIMEOUT if "rule" in move.extra:
                self._convict(move)
            case MoveKind.TIMEOUT:
                self._update(move, ended=Outcome.LOST, bond_free=True)
            case MoveKind.RECLAIM:
                game = self.games.get(move.game_id or b"")
                if game is not None:
                    self._put(replace(game, bond_free=True))

    def set_root(self, claim_id: ClaimId, root: Root) -> None:
        """The claim's trace root: games that had none stand on it now."""
        before = self.roots.get(claim_id)
        self.roots[claim_id] = root
        self._journal(lambda: _put_back(self.roots, claim_id, before))
        for game in self._live(claim_id):
            if game.node == NO_ROOT:
                self._put(replace(game, node=root))

    def _open(self, move: MoveRecord) -> None:
        extra = move.extra
        root = Root(kept_bytes(extra["trace_root"]))
        opened = Challenged(
            move.claim_id,
            move.game_id or b"",
            Address(extra["challenger"]),
            int(extra["counter"]),
            root,
            kept_bytes(extra["commitment"]),
        )
        node = root if root != NO_ROOT else self.roots.get(move.claim_id, NO_ROOT)
        self._put(GameRecord(opened, move.said.block, move.said.at, ROOT, node))

    def _commit(self, move: MoveRecord) -> None:
        game = self.games.get(move.game_id or b"")
        if game is not None:
            self._update(move, opened=replace(game.opened, commitment=kept_bytes(move.extra["commitment"])))

    def _convict(self, move: MoveRecord) -> None:
        for game in self._live(move.claim_id):
            if game.game_id == move.game_id:
                self._put(replace(game, ended=Outcome.CONVICTED, bond_free=True))
            else:
                self._put(replace(game, ended=Outcome.ENDED))

    def _live(self, claim_id: ClaimId) -> list[GameRecord]:
        return [game for game in self.about(claim_id) if game.ended is None]

    def _update(self, move: MoveRecord, **changes: Any) -> None:
        game = self.games.get(move.game_id or b"")
        if game is not None and game.ended is None:
            self._put(replace(game, **changes))

    def _put(self, game: GameRecord) -> None:
        before = self.games.get(game.game_id)
        self._place(game.game_id, game)
        self.changed.add(game.game_id)
        self._journal(lambda: self._place(game.game_id, before))

    def _place(self, game_id: bytes, game: GameRecord | None) -> None:
        """The game is this one now; None: it was never there."""
        before = self.games.get(game_id)
        if before is not None:
            self._on.get(before.node, set()).discard(game_id)
            if not self._on.get(before.node, True):
                del self._on[before.node]
        if game is not None:
            self.games[game_id] = game
            self._about.setdefault(game.claim_id, {})[game_id] = None
            if game.ended is None:
                self._on.setdefault(game.node, set()).add(game_id)
        elif before is not None:
            del self.games[game_id], self._about[before.claim_id][game_id]
            if not self._about[before.claim_id]:
                del self._about[before.claim_id]

    def _moves(self, event: Event, said: Said) -> Iterator[MoveRecord]:
        match event:
            case Challenged() | TraceRootSet() | Convicted() | ChallengeLost() | Reclaimed():
                yield about_claim(event, said)
            case Committed() | Selected() | Descended() | Narrowed() if event.game_id in self.games:
                yield self._of_game(self.games[event.game_id], event, said)
            case Revealed() | LeafRevealed() | Answered():
                # It names no game: it is said in every open one that stands on the node.
                on = [self.games[game_id] for game_id in self._on.get(event.node, ())]
                for game in sorted(on, key=lambda game: (game.claim_id, game.opened.counter)):
                    if (move := opening(game, event, said)) is not None:
                        yield move

    def _of_game(self, game: GameRecord, event: Committed | Selected | Descended | Narrowed, said: Said) -> MoveRecord:
        claim_id, game_id = game.claim_id, game.game_id
        match event:
            case Committed():
                return MoveRecord(claim_id, game_id, MoveKind.COMMIT, said, game.position, game.node, told(event))
            case Selected(_, position, node):
                return MoveRecord(claim_id, game_id, MoveKind.SELECT, said, position, node)
            case Descended(_, question):
                return self._inside(game, MoveKind.DESCEND, question, said)
            case Narrowed(_, question):
                return self._inside(game, MoveKind.NARROW, question, said)

    def _inside(self, game: GameRecord, kind: MoveKind, question: Question, said: Said) -> MoveRecord:
        """A challenger's move to a question, whose hash takes the place of a node."""
        root = game.opened.trace_root
        root = root if root != NO_ROOT else self.roots.get(game.claim_id, NO_ROOT)
        node = Root(question_node(game.claim_id, root, question))
        extra = {"question": question_json(question)}
        return MoveRecord(game.claim_id, game.game_id, kind, said, question.place, node, extra)


def _put_back(roots: dict[ClaimId, Root], claim_id: ClaimId, before: Root | None) -> None:
    if before is None:
        roots.pop(claim_id, None)
    else:
        roots[claim_id] = before
