"""Disputes as L1 alone tells them: games, moves, and the verdict in numbers, recomputed with one's own program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from challenger.checkers.re_execute import Machine, ReExecute
from challenger.play.proof import shown
from challenger.play.strategy import FirstOf, Revealed
from challenger.reports.verdict import Verdict, verdict
from challenger.state.book import Book
from rollup.claim import ClaimId
from rollup.errors import ClaimError
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.l1.account.signing import question_node
from rollup.l1.client import L1Client
from rollup.l1.events import (
    Answered,
    Challenged,
    ChallengeLost,
    Committed,
    Convicted,
    Descended,
    LeafRevealed,
    Logged,
    Narrowed,
    Reclaimed,
    Selected,
    TraceRootSet,
)
from rollup.l1.events import Revealed as NodeRevealed
from rollup.types import Gindex, Root
from rollup.verdict import Conviction, Finding, explain
from rollup.wire import Json, hex_of
from sequencer.games import TOP, question_json

KINDS = {
    Challenged: "challenge",
    Committed: "commit",
    TraceRootSet: "trace_root",
    NodeRevealed: "reveal",
    LeafRevealed: "reveal_leaf",
    Selected: "select",
    Descended: "descend",
    Answered: "partials",
    Narrowed: "narrow",
    Convicted: "prove",
    ChallengeLost: "lost",
    Reclaimed: "reclaimed",
}
"""The public API's names of moves."""


@dataclass
class Chronicle:
    """What L1 said, up to a block. ``machine`` makes what runs a program again."""

    client: L1Client
    machine: Callable[[Program], Machine]
    book: Book
    logged: list[Logged] = field(default_factory=list)

    @classmethod
    def read(cls, client: L1Client, machine: Callable[[Program], Machine], first: int) -> Chronicle:
        """``first``: the deployment's block, or one before it. Raises ChainError."""
        book = Book(first)
        return cls(client, machine, book, book.read(client))

    def disputed(self) -> list[ClaimId]:
        """Every claim that was ever challenged, newest first."""
        return list(reversed(self.book.games))

    def summary(self, claim_id: ClaimId) -> Json:
        """A dispute without its moves, its verdict as L1's numbers alone say it; raises ClaimError for a claim that nobody challenged."""
        posted = self.book.claims.get(claim_id)
        if posted is None or claim_id not in self.book.games:
            raise ClaimError(f"nobody has challenged claim 0x{claim_id.hex()} on this chain; check the id")
        state = self.client.status(posted.claim, self.book.inclusion(claim_id))
        return {
            "claim_id": hex_of(claim_id),
            "model_id": hex_of(posted.claim.model_id),
            "claimant": posted.claim.claimant,
            "state": state.name.lower(),
            "games": [self._game(opened) for opened in self.book.games[claim_id]],
            "verdict": self._verdict(claim_id, None),
        }

    def dispute(self, claim_id: ClaimId, program: Program | None = None) -> Json:
        """All of a dispute. ``program``: the model's; with it the verdict says what is right, and both state roots.

        Raises ClaimError, also for a program of another model.
        """
        found = self.summary(claim_id)
        for game, opened in zip(found["games"], self.book.games[claim_id], strict=True):
            game["moves"] = self._moves(opened)
        if program is not None:
            found["verdict"] = self._verdict(claim_id, program)
        return found

    def _game(self, opened: Challenged) -> Json:
        now = self.client.game(opened)
        ends = [logged.event for logged in self._of(opened) if isinstance(logged.event, Convicted | ChallengeLost)]
        ended = "ended"
        if ends:
            ended = "convicted" if isinstance(ends[0], Convicted) else "lost"
        return {
            "game_id": hex_of(opened.game_id),
            "challenger": opened.challenger,
            "counter": opened.counter,
            "state": "open" if now.live else ended,
            "turn": now.turn.value if now.turn else None,
            "position": str(now.position) if now.live else None,
            "question": self._asked(opened) if now.live else None,
            "clocks": now.clocks and {"defender": now.clocks.defender, "challenger": now.clocks.challenger},
        }

    def _of(self, opened: Challenged) -> list[Logged]:
        """The moves of a game: a reveal names none, and counts if the game stood on its node."""
        root = self.book.trace_root(opened.claim_id)
        nodes = {root}
        found = []
        for logged in self.logged:
            event = logged.event
            if isinstance(event, Selected) and event.game_id == opened.game_id:
                nodes.add(event.node)
            if isinstance(event, Descended | Narrowed) and event.game_id == opened.game_id:
                nodes.add(Root(question_node(opened.claim_id, root, event.question)))
            named = getattr(event, "game_id", None) == opened.game_id
            given = isinstance(event, TraceRootSet) and event.claim_id == opened.claim_id
            if named or given or (isinstance(event, NodeRevealed | LeafRevealed | Answered) and event.node in nodes):
                found.append(logged)
        return found

    def _asked(self, opened: Challenged) -> Json | None:
        """What is in question in a game that went inside an element."""
        asked = [
            logged.event.question
            for logged in self.logged
            if isinstance(logged.event, Descended | Narrowed) and logged.event.game_id == opened.game_id
        ]
        return question_json(asked[-1]) if asked else None

    def _moves(self, opened: Challenged) -> list[Json]:
        """The moves of a game, each with the node that the game stood on: an event that names none is about the one before it."""
        position, found = TOP, []
        for logged in self._of(opened):
            event: Any = logged.event
            asked = getattr(event, "question", None)
            position = getattr(event, "position", position) if asked is None else asked.place
            found.append(self._move(logged, None if isinstance(event, Reclaimed | ChallengeLost) else position))
        return found

    def _move(self, logged: Logged, position: Gindex | None) -> Json:
        event: Any = logged.event
        place = getattr(event, "place", position)
        kind = KINDS[type(event)]
        if isinstance(event, Convicted) and event.rule is Rule.TIMEOUT:
            kind, place = "lost", None
        if isinstance(event, Convicted) and event.rule in (Rule.PART, Rule.EPILOGUE):
            kind = "settle"
        asked = getattr(event, "question", None)
        return {
            "kind": kind,
            "block": logged.block,
            "transaction": hex_of(logged.transaction),
            "gas": self._gas(logged),
            "position": None if place is None else str(place),
            "question": None if asked is None else question_json(asked),
        }

    def _gas(self, logged: Logged) -> int | None:
        """Of the whole transaction, which may hold several moves; None if the node does not know it any more."""
        receipt = self.client.chain.receipt(logged.transaction)
        return None if receipt is None else int(receipt["gasUsed"])

    def _verdict(self, claim_id: ClaimId, program: Program | None) -> Json | None:
        event = self.book.convicted.get(claim_id)
        if event is None:
            return None
        model = self.book.claims[claim_id].claim.model_id
        if program is not None and program.id != model:
            raise ClaimError(f"the claim is about model 0x{model.hex()}, the program given is 0x{program.id.hex()}")
        conviction = Conviction(
            event.rule, event.place, event.trace_index, event.element, event.claimed, event.computed, event.part
        )
        words = explain(program, conviction)
        found = _words(words)
        if program is None or event.rule is Rule.TIMEOUT:
            return found
        return found | _numbers(self._recomputed(claim_id, event, program))

    def _recomputed(self, claim_id: ClaimId, event: Convicted, program: Program) -> Verdict:
        inputs, outputs = self.book.data_of(claim_id)
        own = ReExecute(program, self.machine(program)).trace(inputs)
        root = self.book.trace_root(claim_id)
        transaction = next(logged.transaction for logged in self.logged if logged.event == event)
        revealed = Revealed(self.book.preimages, root, program.depth)
        proof = shown(self.client, transaction, event, program.header, root)
        return verdict(program, event, own, FirstOf([revealed, proof]), outputs)


def _words(found: Finding) -> Json:
    return {
        "rule": found.conviction.rule.name.lower(),
        "sentence": found.sentence,
        "trace_index": found.conviction.trace_index,
        "op": found.spot.op or None,
        "source": found.spot.source,
        "part": found.conviction.part if found.conviction.rule is Rule.PART else None,
        "coordinates": list(found.spot.coordinates),
        "claimed": _number(found.claimed),
        "right": _number(found.right),
    }


def _numbers(found: Verdict) -> Json:
    """What re-execution adds: the states around the disputed value, and of numbers the reals that they stand for."""
    states = {
        "agreed_state": hex_of(found.agreed),
        "claimed_state": None if found.claimed_state is None else hex_of(found.claimed_state),
        "right_state": hex_of(found.right_state),
    }
    if found.rule not in (Rule.STEP, Rule.OUTPUT) or isinstance(found.claimed, str) or isinstance(found.right, str):
        return states
    return states | {
        "coordinates": list(found.coordinates),
        "claimed": _number(found.claimed),
        "right": _number(found.right),
        "claimed_real": found.claimed * 2.0**-found.scale,
        "right_real": found.right * 2.0**-found.scale,
        "scale": found.scale,
    }


def _number(value: int | str | None) -> str | None:
    """Integers in decimal, roots in hex: both may be beyond what JSON's readers keep."""
    if isinstance(value, str):
        return "0x" + value.removeprefix("0x")
    return None if value is None else str(value)
