"""Times of contestants that take turns in one process: what else the machine does slows all of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Contestants = Mapping[str, Callable[[], Any]]

LEAST_SECONDS = 0.03
"""A turn lasts about this long at least: the clock and the scheduler disturb shorter ones."""

MOST_RUNS = 200


def take_turns(contestants: Contestants, rounds: int, least: float = LEAST_SECONDS) -> dict[str, list[float]]:
    """Seconds of one run of each contestant, a figure a round.

    Every contestant runs twice before, so that it is compiled. A round begins with another contestant each time.
    """
    names = list(contestants)
    runs = {}
    for name, contestant in contestants.items():
        contestant()
        runs[name] = max(1, min(MOST_RUNS, math.ceil(least / max(1e-9, _seconds(contestant, 1)))))
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(_seconds(contestants[name], runs[name]))
    return times


def _seconds(run: Callable[[], Any], runs: int) -> float:
    started = time.perf_counter()
    for _ in range(runs):
        run()
    return (time.perf_counter() - started) / runs


@dataclass(frozen=True)
class Spread:
    """The median of some figures, and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """At least one figure."""
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)} to {_short(self.high)})"


def ratios(times: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Of figures of the same rounds."""
    return Spread.of([mine / other for mine, other in zip(times, baseline, strict=True)])


def _short(figure: float) -> str:
    return f"{figure:.2f}" if figure < 10 else f"{figure:,.0f}"
