"""More than can be looked at between two looks at everything else is looked at in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Rota:
    """``most``: things of one turn."""

    most: int
    _next: int = 0

    def turn(self, things: Sequence[T]) -> list[T]:
        """Those whose turn it is, beginning where the last turn ended."""
        if len(things) <= self.most:
            return list(things)
        start = self._next % len(things)
        self._next = start + self.most
        return [*things[start : start + self.most], *things[: max(0, start + self.most - len(things))]]
