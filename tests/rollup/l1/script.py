"""A clock that nobody waits for: sleeping moves it on, and plays on the way what was planned for that time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from rollup.l1.node.node import Clock


class Script:
    """``at`` plans what happens to the chain while a client waits; seconds count from the beginning."""

    def __init__(self) -> None:
        self.time = 0.0
        self._order = count()
        self._planned: list[tuple[float, int, Callable[[], object]]] = []

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self._sleep)

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._planned, (self.time + seconds, next(self._order), act))

    @property
    def finished(self) -> bool:
        return not self._planned

    def _sleep(self, seconds: float) -> None:
        self.time += seconds
        while self._planned and self._planned[0][0] <= self.time:
            heapq.heappop(self._planned)[2]()
