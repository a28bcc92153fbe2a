"""How many games can be played beside each other: every one of them may become this player's turn at the same moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MARGIN = 0.8
"""Share of a clock that is planned with: blocks come late, transactions are not always in the next one."""


@dataclass(frozen=True)
class Work:
    """What is left to be done in one game. ``seconds``: left on this player's clock."""

    moves: int
    gas: int
    seconds: float


@dataclass(frozen=True)
class Capacity:
    """``block_seconds``: from one block to the next; ``gas``: that this player's transaction may have in each."""

    block_seconds: float
    gas: int

    def slack(self, work: Work) -> float:
        """Seconds that can pass before the game's moves, made one a block, do not fit into its clock any more."""
        return work.seconds - work.moves * self.block_seconds

    def fits(self, games: Iterable[Work]) -> bool:
        """Whether all games can be played to their end, though all opponents answer at the same moment every time.

        A game's moves come one after the other, each a block after the answer to the one before; and up to the end of its
        clock there is room for the gas of all games whose clocks end no later.
        """
        gas = 0
        for work in sorted(games, key=lambda one: one.seconds):
            gas += work.gas
            blocks = MARGIN * work.seconds / max(self.block_seconds, 1e-9)
            if work.moves + gas / self.gas > blocks:
                return False
        return True

    def at_once(self, work: Work) -> int:
        """How many games that begin with this work can be played at once."""
        room = MARGIN * work.seconds / max(self.block_seconds, 1e-9) - work.moves
        return max(0, int(room * self.gas // max(work.gas, 1)))
