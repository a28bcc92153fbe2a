"""A bound on what an account spends in a day."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from rollup.types import Timestamp

DAY = 24 * 3600


@dataclass
class Allowance:
    """``wei``: most in a day of L1's time, since this process was started: it is kept in memory."""

    wei: int
    _spent: dict[int, tuple[Timestamp, int]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def spent(self, now: Timestamp) -> int:
        """Wei that were spent, or reserved, in the last day."""
        self._spent = {number: (at, wei) for number, (at, wei) in self._spent.items() if at > now - DAY}
        return sum(wei for _, wei in self._spent.values())

    def reserve(self, most: int, now: Timestamp) -> int:
        """Count what a transaction may cost, before it is sent; returns the number to settle it by."""
        number = next(self._numbers)
        self._spent[number] = (now, most)
        return number

    def settle(self, number: int, wei: int) -> None:
        """The transaction cost this; one that was never settled counts as what it could cost."""
        at, _ = self._spent[number]
        self._spent[number] = (at, wei)
