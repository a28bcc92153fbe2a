"""Blocks of a sequence that repeat each other: the layers of a network that was unrolled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LONGEST = 512
"""Most ops of a block."""

LEAST = 8
"""Ops that a repetition must save to be worth a frame."""

ROUNDS = 6
"""Repetitions that are looked for, the largest first."""


@dataclass(frozen=True)
class Repeat:
    """``count`` blocks of ``period`` from ``start`` on, each equal to the first."""

    start: int
    period: int
    count: int

    @property
    def saved(self) -> int:
        return self.period * (self.count - 1)


def repeats(keys: Sequence[str]) -> list[Repeat]:
    """Disjoint repetitions in a sequence, in its order."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    array = np.array([numbers[key] for key in keys], dtype=np.int64)
    found: list[Repeat] = []
    stretches = [(0, len(array))]
    while stretches and len(found) < ROUNDS:
        candidates = [(best, stretch) for stretch in stretches if (best := _best(array, *stretch)) is not None]
        if not candidates:
            break
        best, stretch = max(candidates, key=lambda one: one[0].saved)
        found.append(best)
        stretches.remove(stretch)
        end = best.start + best.period * best.count
        stretches += [(a, b) for a, b in ((stretch[0], best.start), (end, stretch[1])) if b - a >= 2]
    return sorted(found, key=lambda one: one.start)


def _best(array: np.ndarray, start: int, stop: int) -> Repeat | None:
    """The repetition that saves most; of equal ones the shortest period."""
    best: Repeat | None = None
    part = array[start:stop]
    for period in range(1, min(LONGEST, len(part) // 2) + 1):
        if best is not None and len(part) - period <= best.saved:
            break
        at, length = _longest(part[:-period] == part[period:])
        found = Repeat(start + at, period, length // period + 1)
        if found.saved >= LEAST and (best is None or found.saved > best.saved):
            best = found
    return best


def _longest(same: np.ndarray) -> tuple[int, int]:
    """(start, length) of the longest stretch of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    at = int(np.argmax(lengths))
    return int(edges[::2][at]), int(lengths[at])
