"""How to take back what depends on a block, should the chain reorganise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Journal:
    """Undo entries in the order of the chain. Each takes back one fact, on the state that the fact had left behind."""

    entries: deque[tuple[int, Callable[[], object]]] = field(default_factory=deque)
    horizon: int = 0
    """Lowest block that can be undone."""

    def note(self, block: int, undo: Callable[[], object]) -> None:
        """``undo``: takes back what block ``block`` has just changed."""
        self.entries.append((block, undo))

    def rewind(self, to: int) -> None:
        """Undo all that lay above block ``to``, the latest first."""
        while self.entries and self.entries[-1][0] > to:
            self.entries.pop()[1]()

    def forget(self, below: int) -> None:
        """Blocks below this one will not be undone any more."""
        self.horizon = max(self.horizon, below)
        while self.entries and self.entries[0][0] < below:
            self.entries.popleft()

    def clear(self) -> None:
        """Begin again."""
        self.entries.clear()
        self.horizon = 0
