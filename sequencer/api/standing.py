"""Open games as L1 has them at this moment: whose turn it is, and what the clocks say. Kept for a moment, so that a page that
many look at costs L1 one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from cachetools import TTLCache

from rollup.errors import ChainError
from rollup.game.clock import Side
from rollup.l1.client import L1Client
from rollup.l1.records import GameRecord
from rollup.types import Gindex

KEPT_SECONDS = 1.0
MOST = 512


@dataclass(frozen=True)
class GameStanding:
    """``challenger``, ``defender``: seconds left on the clocks; ``at``: L1's time."""

    turn: Side | None
    position: Gindex
    challenger: int
    defender: int
    at: int


class Standings:
    """``kept``: seconds for which an answer is good; ``clock``: the machine's."""

    def __init__(
        self, client: L1Client, kept: float = KEPT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._kept: TTLCache[bytes, GameStanding | None] = TTLCache(MOST, kept, clock)
        self._lock = Lock()

    def of(self, game: GameRecord) -> GameStanding | None:
        """None if the game is over, or L1 can't be asked."""
        if game.ended is not None:
            return None
        # One asks, the others wait for its answer.
        with self._lock:
            try:
                return self._kept[game.game_id]
            except KeyError:
                standing = self._kept[game.game_id] = self._ask(game)
                return standing

    def _ask(self, game: GameRecord) -> GameStanding | None:
        try:
            found, now = self._client.game(game.opened), self._client.chain.now()
        except ChainError:
            return None
        if not found.live or found.clocks is None:
            return None
        spent = max(0, now - found.clocks.since)
        mine = found.turn is Side.CHALLENGER
        return GameStanding(
            found.turn,
            found.position,
            max(0, found.clocks.challenger - (spent if mine else 0)),
            max(0, found.clocks.defender - (0 if mine else spent)),
            now,
        )
