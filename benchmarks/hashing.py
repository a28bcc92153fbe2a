"""How much faster compiled code hashes a tensor's tree than Python: ``python -m benchmarks.hashing`` prints JSON.

The contestants take turns in one process, so that whatever else the machine does slows all of them.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rollup.errors import ServiceError
from rollup.hashing import NativeHasher, PythonHasher, compiled, leaf_count, ways
from rollup.merkle import depth_for, zeros
from rollup.types import Root

BYTES = 163_000_000
"""About the trace of a language model of 135 million weights over 128 positions."""

BASELINE = "hashlib, 1 thread"


def contestants(size: int = BYTES) -> dict[str, Callable[[], Root]]:
    """By name: what hashes the tree of the same ``size`` random bytes. Raises ServiceError where no compiled code can be loaded."""
    library = compiled().library
    if library is None:
        raise ServiceError(f"there is nothing to compare: {compiled().reason}")
    data = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    depth = depth_for(leaf_count(size))
    given = data, depth, zeros(depth)
    found: dict[str, Callable[[], Root]] = {BASELINE: lambda: PythonHasher().root(*given)}
    for way, usable in ways(library):
        for threads in (1, 2) if usable else ():
            hasher = NativeHasher(library, way, threads)
            found[f"{way}, {threads} thread{'s' * (threads > 1)}"] = partial(hasher.root, *given)
    return found


def hashing(rounds: int = 9, size: int = BYTES) -> dict[str, Any]:
    """Seconds of each contestant, and how many times faster than hashlib it is: medians over the rounds, and quartiles.

    ``rounds``: at least 2. A ratio is of times of the same round.
    """
    runs = contestants(size)
    roots = {name: run() for name, run in runs.items()}
    assert len(set(roots.values())) == 1, roots
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            started = time.perf_counter()
            runs[name]()
            times[name].append(time.perf_counter() - started)
    return {
        "bytes": size,
        "rounds": rounds,
        "seconds": {name: _spread(found) for name, found in times.items()},
        "times_faster": {
            name: _spread([other / mine for other, mine in zip(times[BASELINE], found, strict=True)])
            for name, found in times.items()
        },
    }


def _spread(figures: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
    return {"median": round(median, 4), "low": round(low, 4), "high": round(high, 4)}


if __name__ == "__main__":
    json.dump(hashing(), sys.stdout, indent=1)
    print()
