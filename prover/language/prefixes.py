"""What texts that were read once left behind, so that a text that begins the same is read from there on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.executor.incremental import Prefix

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class _Entry:
    key: bytes
    tokens: Array
    prefix: Prefix

    @property
    def nbytes(self) -> int:
        return len(self.key) + self.tokens.nbytes + self.prefix.nbytes


class Prefixes:
    """Prefixes of texts of one program by their tokens, the last used ones, in at most ``most_bytes`` of memory.

    ``key``: the program's inputs, beside the tokens, that rows depend on, as bytes. Not safe for several threads.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.nbytes = 0
        self._entries: list[_Entry] = []
        """The last used one at the end."""

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: bytes, tokens: Sequence[int]) -> tuple[Prefix, int] | None:
        """The prefix that shares the most first tokens with a text, and how many; None if all differ in the first."""
        text = np.array(tokens, np.int32)
        shared = [_common(entry.tokens, text) if entry.key == key else 0 for entry in self._entries]
        if not any(shared):
            return None
        # Of equals the last used.
        at = max(range(len(shared)), key=lambda number: (shared[number], number))
        entry = self._entries.pop(at)
        self._entries.append(entry)
        return entry.prefix, shared[at]

    def keep(self, key: bytes, tokens: Sequence[int], prefix: Prefix) -> None:
        """Hold the prefix after ``tokens``; those of shorter beginnings of the same text go, and those used least recently."""
        new = _Entry(key, np.array(tokens, np.int32), prefix)
        for entry in list(self._entries):
            if entry.key != key:
                continue
            common = _common(entry.tokens, new.tokens)
            if common == len(entry.tokens):
                self._drop(entry)
            elif common == len(new.tokens):
                # A longer text holds it.
                return
        if new.nbytes > self.most_bytes:
            return
        while self.nbytes + new.nbytes > self.most_bytes:
            self._drop(self._entries[0])
        self._entries.append(new)
        self.nbytes += new.nbytes

    def _drop(self, entry: _Entry) -> None:
        self._entries = [other for other in self._entries if other is not entry]
        self.nbytes -= entry.nbytes


def _common(one: Array, other: Array) -> int:
    """How many first tokens are the same."""
    count = min(len(one), len(other))
    differs = np.flatnonzero(one[:count] != other[:count])
    return int(differs[0]) if differs.size else count
