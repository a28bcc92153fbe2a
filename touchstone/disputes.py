"""Disputes as L1 alone tells them: games, moves, and the verdict in numbers, recomputed with one's own program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from challenger.checkers.re_execute import Machine, ReExecute
from challenger.play.known import FirstOf, RevealedTrace
from challenger.play.proof import shown
from challenger.reports.verdict import Verdict, verdict
from challenger.state.l1_state import L1State
from rollup.claim import ClaimId
from rollup.errors import ClaimError
from rollup.form.program import Program
from rollup.game.moves import MoveKind, Rule
from rollup.l1.client import L1Client
from rollup.l1.events import Convicted
from rollup.l1.games import Board
from rollup.l1.records import GameRecord, MoveRecord, Said
from rollup.verdict import Explanation, explain
from rollup.wire import Json, hex_of


@dataclass
class Chronicle:
    """What L1 said, up to a block. ``machine`` makes what runs a program again."""

    client: L1Client
    machine: Callable[[Program], Machine]
    l1: L1State
    board: Board = field(default_factory=Board)
    moves: list[MoveRecord] = field(default_factory=list)
    _gas_of: dict[bytes, int | None] = field(default_factory=dict)

    @classmethod
    def read(cls, client: L1Client, machine: Callable[[Program], Machine], first: int) -> Chronicle:
        """``first``: the deployment's block, or one before it. Raises ChainError."""
        found = cls(client, machine, L1State(first))
        for logged in found.l1.read(client):
            found.moves += found.board.note(logged.event, Said.of(logged))
        return found

    def disputed(self) -> list[ClaimId]:
        """Every claim that was ever challenged, newest first."""
        return list(reversed(list(self.board.disputed)))

    def summary(self, claim_id: ClaimId) -> Json:
        """A dispute without its moves, its verdict as L1's numbers alone say it; raises ClaimError for a claim that nobody challenged."""
        posted, games = self.l1.claims.get(claim_id), self.board.about(claim_id)
        if posted is None or not games:
            raise ClaimError(f"nobody has challenged claim 0x{claim_id.hex()} on this chain; check the id")
        state = self.client.status(posted.claim, self.l1.inclusion(claim_id))
        return {
            "claim_id": hex_of(claim_id),
            "model_id": hex_of(posted.claim.model_id),
            "claimant": posted.claim.claimant,
            "state": state.name.lower(),
            "games": [self._game(game) for game in games],
            "verdict": self._verdict(claim_id, None),
        }

    def dispute(self, claim_id: ClaimId, program: Program | None = None) -> Json:
        """All of a dispute. ``program``: the model's; with it the verdict says what is right, and both state roots.

        Raises ClaimError, also for a program of another model.
        """
        found = self.summary(claim_id)
        for view, game in zip(found["games"], self.board.about(claim_id), strict=True):
            view["moves"] = [self._move(move) for move in self._of(game)]
        if program is not None:
            found["verdict"] = self._verdict(claim_id, program)
        return found

    def _game(self, game: GameRecord) -> Json:
        now = self.client.game(game.opened)
        return {
            "game_id": hex_of(game.game_id),
            "challenger": game.opened.challenger,
            "counter": game.opened.counter,
            "state": "open" if game.ended is None else game.ended.value,
            "turn": now.turn.value if now.turn else None,
            "position": str(now.position) if now.live else None,
            "question": game.question if now.live else None,
            "clocks": now.clocks and {"defender": now.clocks.defender, "challenger": now.clocks.challenger},
        }

    def _of(self, game: GameRecord) -> list[MoveRecord]:
        """The moves of a game; a trace root is set for all games of its claim."""
        return [move for move in self.moves if move.claim_id == game.claim_id and move.game_id in (None, game.game_id)]

    def _move(self, move: MoveRecord) -> Json:
        place = None if move.kind is MoveKind.TIMEOUT else move.position
        return {
            "kind": move.kind.value,
            "block": move.said.block,
            "transaction": hex_of(move.said.transaction),
            "gas": self._gas(move),
            "position": None if place is None else str(place),
            "question": None if move.kind is MoveKind.PARTIALS else move.extra.get("question"),
        }

    def _gas(self, move: MoveRecord) -> int | None:
        """Of the whole transaction, which may hold several moves; None if the node does not know it any more."""
        transaction = move.said.transaction
        if transaction not in self._gas_of:
            receipt = self.client.chain.receipt(transaction)
            self._gas_of[transaction] = None if receipt is None else int(receipt["gasUsed"])
        return self._gas_of[transaction]

    def _verdict(self, claim_id: ClaimId, program: Program | None) -> Json | None:
        event = self.l1.convicted.get(claim_id)
        if event is None:
            return None
        model = self.l1.claims[claim_id].claim.model_id
        if program is not None and program.id != model:
            raise ClaimError(f"the claim is about model 0x{model.hex()}, the program given is 0x{program.id.hex()}")
        found = _words(explain(program, event))
        if program is None or event.rule is Rule.TIMEOUT:
            return found
        return found | _numbers(self._recomputed(claim_id, event, program))

    def _recomputed(self, claim_id: ClaimId, event: Convicted, program: Program) -> Verdict:
        inputs, outputs = self.l1.data_of(claim_id)
        own = ReExecute(program, self.machine(program)).trace(inputs)
        root = self.l1.trace_root(claim_id)
        transaction = next(move.said.transaction for move in self.moves if move.convicted == event)
        revealed = RevealedTrace(self.l1.preimages, root, program.depth)
        proof = shown(self.client, transaction, event, program.header, root)
        return verdict(program, event, own, FirstOf([revealed, proof]), outputs)


def _words(found: Explanation) -> Json:
    return {
        "rule": found.convicted.rule.name.lower(),
        "sentence": found.sentence,
        "trace_index": found.convicted.trace_index,
        "op": found.spot.op or None,
        "source": found.spot.source,
        "part": found.convicted.part if found.convicted.rule is Rule.PART else None,
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
