"""Chess clocks: every second after ``since`` is charged to exactly one side; the twin of Clock.sol.

A side that is charged more than it has left is expired. A move at the deadline is in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rollup.types import Duration, Timestamp


class Side(Enum):
    DEFENDER = "defender"
    CHALLENGER = "challenger"


@dataclass(frozen=True)
class Clocks:
    """Seconds that each side had left at ``since``, the game's last change of node."""

    defender: Duration
    challenger: Duration
    since: Timestamp

    @classmethod
    def start(cls, each: Duration, now: Timestamp) -> Clocks:
        return cls(each, each, now)

    def charged(self, opened: Timestamp | None, now: Timestamp) -> Clocks:
        """The clocks at ``now``: the defender pays until the node was ``opened`` (None: not yet), the challenger after
        it.

        A negative rest means expired.
        """
        answered = now if opened is None else max(self.since, opened)
        return Clocks(
            Duration(self.defender - (answered - self.since)),
            Duration(self.challenger - (now - answered)),
            now,
        )

    def expired(self, opened: Timestamp | None, now: Timestamp) -> Side | None:
        """The side whose clock has run out, strictly; within one node the defender's runs first, so it comes first."""
        at = self.charged(opened, now)
        if at.defender < 0:
            return Side.DEFENDER
        return Side.CHALLENGER if at.challenger < 0 else None
