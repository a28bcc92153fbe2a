"""The rules of a dispute: ``play(dispute, move, now)`` gives the next state, or raises Refusal and changes nothing.

One ``Dispute`` is one posted claim with all its games. Source: docs/contracts.md, *Game*. The twin of
DisputeGame.sol; both run the vectors in ``tests/vectors/game``. What must hold before a move stands in ``TRANSITIONS``; what
it then does is its function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rollup.game import effects, elements, endings
from rollup.game.clock import Side
from rollup.game.dispute import Dispute, Game, Instant
from rollup.game.moves import (
    Challenge,
    Commit,
    Descend,
    GameAt,
    Move,
    Narrow,
    OfOneGame,
    Partials,
    Prove,
    Reclaim,
    Reveal,
    RevealLeaf,
    Select,
    Settle,
    SetTraceRoot,
    Timeout,
)
from rollup.game.refusal import Reason, Refusal


class Who(Enum):
    ANYONE = "anyone"
    CHALLENGER = "the challenger of the game that the move names"
    CLAIMANT = "the claimant, once somebody has challenged its claim"


class Live(Enum):
    """What a move makes of a game that has ended, or of a claim that is invalid."""

    GAME = "refused if the game that it names has ended, or stands elsewhere than the move says"
    CLAIM = "refused if the claim is invalid; it names no game"
    PASSED_OVER = "nothing, so that nobody can spoil a batch of moves by being faster"
    UNASKED = "the same as of any other: an opening is a preimage, true wherever its node stands"


@dataclass(frozen=True)
class Transition:
    """What must hold before a move's own function runs.

    ``in_time``: both clocks must have time left. ``turn``: whose turn it must be, None for either. ``first``: what else must
    hold, before it matters who moves; ``only``: the sentence for whoever is not the claimant.
    """

    who: Who
    live: Live
    in_time: bool
    turn: Side | None
    effect: Callable[[Dispute, Any, Instant], Dispute]
    first: Callable[[Dispute, Any], None] | None = None
    only: str = "only the claimant {}"


ROOT_GIVEN = "only the claimant {} sets the trace root"
WORD_GIVEN = "partial results are the word of the claimant {} about its challenged claim; only it gives them"

TRANSITIONS: Mapping[type[Move], Transition] = {
    #                        who             live              in time  turn             effect
    Challenge:    Transition(Who.ANYONE,     Live.CLAIM,       False,   None,            effects.challenge),
    Commit:       Transition(Who.CHALLENGER, Live.GAME,        True,    None,            effects.commit),
    SetTraceRoot: Transition(Who.CLAIMANT,   Live.CLAIM,       False,   None,            effects.set_trace_root,
                             effects.require_no_root, ROOT_GIVEN),
    Reveal:       Transition(Who.ANYONE,     Live.UNASKED,     False,   None,            effects.reveal),
    RevealLeaf:   Transition(Who.ANYONE,     Live.UNASKED,     False,   None,            effects.reveal_leaf),
    Select:       Transition(Who.CHALLENGER, Live.GAME,        True,    Side.CHALLENGER, effects.select),
    Prove:        Transition(Who.CHALLENGER, Live.GAME,        True,    None,            effects.prove),
    Descend:      Transition(Who.CHALLENGER, Live.GAME,        True,    None,            elements.descend),
    Partials:     Transition(Who.CLAIMANT,   Live.UNASKED,     False,   None,            elements.partials, only=WORD_GIVEN),
    Narrow:       Transition(Who.CHALLENGER, Live.GAME,        True,    Side.CHALLENGER, elements.narrow),
    Settle:       Transition(Who.CHALLENGER, Live.GAME,        True,    Side.CHALLENGER, elements.settle),
    Timeout:      Transition(Who.ANYONE,     Live.PASSED_OVER, False,   None,            endings.timeout),
    Reclaim:      Transition(Who.ANYONE,     Live.PASSED_OVER, False,   None,            endings.reclaim),
}  # fmt: skip
"""The rules of the game at a glance."""


def _guard(dispute: Dispute, row: Transition, move: Move, now: Instant) -> None:
    """Raises Refusal if the move's effect may not run."""
    if row.live is Live.CLAIM and dispute.conviction is not None:
        raise Refusal(Reason.ALREADY_CONVICTED, "the claim is invalid already; there is nothing left to win")
    if row.first is not None:
        row.first(dispute, move)
    if row.who is Who.CLAIMANT and (not dispute.games or move.by != dispute.claimant):
        raise Refusal(Reason.NOT_CLAIMANT, row.only.format(dispute.claimant))
    if row.live is Live.GAME:
        assert isinstance(move, OfOneGame)
        game = _live_game(dispute, move.at)
        _require_mover(dispute, row, game, move, now)


def _live_game(dispute: Dispute, at: GameAt) -> Game:
    """The game that a move names; raises Refusal unless it is live and stands where the move says."""
    if not 0 <= at.game < len(dispute.games):
        raise Refusal(Reason.GAME_OVER, f"the claim has no game {at.game}, it has {len(dispute.games)}; open one")
    if at.trace_root != dispute.trace_root and dispute.root_came_with_claim:
        raise Refusal(Reason.GAME_OVER, f"no game {at.game} is about that trace root; read the claim again")
    game = dispute.games[at.game]
    if not dispute.is_live(at.game):
        raise Refusal(Reason.GAME_OVER, f"game {at.game} has ended; open another one, or reclaim its bond")
    if at.trace_root != dispute.trace_root:
        raise Refusal(
            Reason.WRONG_TRACE_ROOT, "the move names another trace root than the claim's; read the claim again"
        )
    if at.node != dispute.node_of(game):
        raise Refusal(
            Reason.WRONG_NODE, f"game {at.game} does not stand on the node that the move names; read it again"
        )
    return game


def _require_mover(dispute: Dispute, row: Transition, game: Game, move: OfOneGame, now: Instant) -> None:
    """Whoever moves may do so in this game, now."""
    number = move.at.game
    if row.who is Who.CHALLENGER and move.by != game.challenger:
        raise Refusal(
            Reason.NOT_CHALLENGER, f"{move.by} is not the challenger of game {number}; open a game of your own"
        )
    if row.in_time and (side := dispute.expired(game, now.time)) is not None:
        raise Refusal(
            Reason.CLOCK_EXPIRED, f"the {side.value}'s clock of game {number} has run out; collect the timeout"
        )
    if row.turn is not None and dispute.turn(game) is not row.turn:
        raise Refusal(
            Reason.NOT_OPENED, f"node {game.position} of game {number} was not opened yet; wait for the defender"
        )


def play(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    """The state after a move; raises Refusal, naming the reason and the remedy, if the move is not allowed now."""
    transition = TRANSITIONS[type(move)]
    _guard(dispute, transition, move, now)
    return transition.effect(dispute, move, now)


def multicall(dispute: Dispute, moves: Sequence[Move], now: Instant) -> tuple[Dispute, list[Refusal | None]]:
    """Many moves of one account in one transaction: each stands or is refused on its own."""
    refusals: list[Refusal | None] = []
    for move in moves:
        try:
            dispute = play(dispute, move, now)
            refusals.append(None)
        except Refusal as refusal:
            refusals.append(refusal)
    return dispute, refusals
