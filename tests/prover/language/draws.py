"""The rule of sampling in 64-bit floats, and logits to draw from."""

from __future__ import annotations

import numpy as np

from prover.language.sampling import Sampling

Array = np.ndarray

SEED = bytes(range(8))
SETTINGS = (
    Sampling(1.0, seed=SEED),
    Sampling(0.01, seed=SEED),
    Sampling(2.0, seed=SEED),
    Sampling(1.0, top_k=40, seed=SEED),
    Sampling(1.5, top_k=1, seed=SEED),
    Sampling(1.0, top_p=0.9, seed=SEED),
    Sampling(2.0, top_p=0.000001, seed=SEED),
    Sampling(2.0, top_p=0.999999, seed=SEED),
    Sampling(0.7, top_p=0.95, top_k=50, seed=SEED),
    Sampling(1.3, top_p=0.5, top_k=1000, seed=SEED),
)
"""Temperature, top-k and top-p alone and together, and the ends of their ranges."""


def float_draw(logits: Array, sampling: Sampling, number: int) -> int:
    """The token that floats draw. ``logits``: float64 [V]; ``number``: of 32 bits."""
    weights = np.exp((logits - logits.max()) / sampling.temperature)
    ranked = np.argsort(-logits, kind="stable")[: sampling.top_k or None]
    if sampling.top_p < 1:
        shares = np.cumsum(weights[ranked])
        ranked = ranked[: int(np.searchsorted(shares, sampling.top_p * shares[-1])) + 1]
    kept = np.sort(ranked)
    ends = np.cumsum(weights[kept])
    return int(kept[min(np.searchsorted(ends, number / 2**32 * ends[-1], side="right"), len(kept) - 1)])


def families(vocabulary: int, count: int) -> dict[str, Array]:
    """Rows of logits on a grid of 2^-12, [count, vocabulary] each."""
    rng = np.random.default_rng(7)
    normal = rng.normal(size=(count, vocabulary))
    tall = normal * 2
    tall[np.arange(count), rng.integers(0, vocabulary, count)] += 15
    found = {
        "flat": normal / 1000,
        "usual": normal * 3,
        "peaked": tall,
        "tied": np.round(normal),
        "equal": np.zeros((count, vocabulary)),
        "far": normal * 100,
    }
    return {name: np.round(rows * 4096) / 4096 for name, rows in found.items()}
