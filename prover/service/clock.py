"""The chain's time between two looks at it."""

from __future__ import annotations

import time
from collections.abc import Callable

from rollup.types import Timestamp


class ChainClock:
    """``read`` asks the chain for the time of its newest block; in between, time goes on as it does here."""

    def __init__(self, read: Callable[[], Timestamp], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read, self._monotonic = read, monotonic
        self._known: tuple[Timestamp, float] | None = None

    def refresh(self) -> Timestamp:
        """Ask the chain; raises ChainError if it does not answer."""
        asked = self._monotonic()
        at = self._read()
        self._known = (at, asked)
        return at

    def now(self) -> Timestamp:
        """Raises ChainError if the chain never answered."""
        known = self._known
        if known is None:
            return self.refresh()
        return Timestamp(known[0] + int(self._monotonic() - known[1]))
