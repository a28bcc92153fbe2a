"""Games as L1 keeps them, read again only where something happened: a flood of them must not become a flood of requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from challenger.state.l1_state import L1State
from rollup.errors import Behind
from rollup.game.clock import Clocks, Side
from rollup.l1.answers import GameInfo
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged
from rollup.types import Duration, Timestamp


@dataclass
class Games:
    """``most``: of one look, games that are read from L1; others keep what was known of them, and those are left out of which something
    newer is known to have happened. None: all of them, or none.

    A game is read as it is after the newest block that was read, whichever of an endpoint's machines answers: what is kept of it is then
    what the events say happened, neither more nor less.
    """

    client: L1Client
    most: int | None = None
    _known: dict[bytes, tuple[object, GameInfo]] = field(default_factory=dict)
    _read: dict[bytes, int] = field(default_factory=dict)
    _looks: int = 0

    def look(self, l1: L1State, opened: Sequence[Challenged]) -> list[tuple[Challenged, GameInfo]]:
        """These games as they are now, as far as they are known; those that were not read for the longest time come first.

        Raises Behind, where all of them are wanted, if a machine does not know that block.
        """
        assert l1.head is not None
        now = l1.head.timestamp
        stale = [game for game in opened if self._is_stale(l1, game, now)]
        for game in self._turn(stale):
            try:
                info = self.client.game(game, l1.head)
            except Behind:
                if self.most is None:
                    raise
                break
            self._known[game.game_id] = self._stamp(l1, game, info), info
        kept = {game.game_id for game in opened}
        if len(self._known) > 2 * len(kept) + 64:
            self._known = {game_id: known for game_id, known in self._known.items() if game_id in kept}
            self._read = {game_id: look for game_id, look in self._read.items() if game_id in kept}
        return [(game, aged(self._known[game.game_id][1], now)) for game in opened if not self._is_stale(l1, game, now)]

    def _is_stale(self, l1: L1State, game: Challenged, now: Timestamp) -> bool:
        """Whether something happened since it was read; that somebody's time is over is not believed before it was read."""
        stamp, info = self._known.get(game.game_id, (None, None))
        if info is None or stamp != self._stamp(l1, game):
            return True
        return info.expired is None and aged(info, now).expired is not None

    def _turn(self, stale: Sequence[Challenged]) -> list[Challenged]:
        """Those that were not read for the longest time."""
        first = sorted(stale, key=lambda game: self._read.get(game.game_id, 0))[: self.most]
        self._looks += 1
        self._read |= {game.game_id: self._looks for game in first}
        return first

    def _stamp(self, l1: L1State, game: Challenged, info: GameInfo | None = None) -> object:
        """Another one whenever something happened that the game as it is known does not show."""
        known = info or self._known.get(game.game_id, (None, None))[1]
        opened = None if known is None else l1.preimages.noted[known.node]
        return l1.changes.get(game.claim_id), opened, l1.rewinds


def aged(info: GameInfo, now: Timestamp) -> GameInfo:
    """The same game at a later time, if nothing happened in it."""
    clocks = info.clocks
    passed = 0 if clocks is None else now - clocks.since
    if clocks is None or passed <= 0 or info.turn is None:
        return info
    mine, theirs = clocks.challenger, clocks.defender
    if info.turn is Side.CHALLENGER:
        mine = Duration(mine - passed)
    else:
        theirs = Duration(theirs - passed)
    expired = info.expired or (Side.DEFENDER if theirs < 0 else Side.CHALLENGER if mine < 0 else None)
    return replace(info, clocks=Clocks(theirs, mine, now), expired=expired)
