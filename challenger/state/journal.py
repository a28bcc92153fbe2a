"""How to take back what depends on a block, should the chain reorganise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Journal:
    """Undo entries in the order of the chain. Each takes back one fact, on the state that the fact had left behind."""

    entries: deque[tuple[int, Callable[[], object]]] = field(default_factory=deque)
    horizon: int = 0
    """Lowest block that can be undone."""

    def note(self, block: int, undo: Callable[[], object]) -> None:
        """``undo``: takes back what block ``block`` has just changed."""
        self.entries.append((block, undo))

    def set(self, block: int, facts: MutableMapping[K, V], key: K, fact: V) -> None:
        """The fact is this one from this block on."""
        before = facts.get(key)

        def undo() -> None:
            if before is None:
                facts.pop(key, None)
            else:
                facts[key] = before

        facts[key] = fact
        self.note(block, undo)

    def extend(self, block: int, lists: MutableMapping[K, list[V]], key: K, entries: Sequence[V]) -> None:
        """More entries in a list, however many they are."""
        if not entries:
            return
        before = len(lists.setdefault(key, []))
        lists[key].extend(entries)

        def undo() -> None:
            del lists[key][before:]
            if not lists[key]:
                del lists[key]

        self.note(block, undo)

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
