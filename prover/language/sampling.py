"""How an answer is sampled: the parameters and the seed, which ``rollup.receipt.seed_commitment`` fixes before anything is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollup.errors import ExecutionError
from rollup.receipt import MILLION, SEED_BYTES, millionths

COOLEST, HOTTEST = MILLION // 100, 2 * MILLION
"""The least and the greatest temperature, beside 0."""


@dataclass(frozen=True)
class Sampling:
    """How an answer is sampled: temperature first, then top-k, then top-p on what is left.

    ``temperature``: 0 (always the most likely token, the lowest of equals) or 0.01 to 2; ``top_p``: above 0 to 1, which keeps all;
    ``top_k``: a number of tokens, 0 keeps all; ``seed``: 8 bytes. Raises ExecutionError for what is out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: bytes = bytes(SEED_BYTES)

    def __post_init__(self) -> None:
        if not (self.heat == 0 or COOLEST <= self.heat <= HOTTEST):
            raise ExecutionError(
                f"a temperature of {self.temperature} is out of range; give 0 for the most likely tokens, or 0.01 to 2"
            )
        if not 1 <= self.share <= MILLION:
            raise ExecutionError(f"a top-p of {self.top_p} is out of range; give 0.000001 to 1")
        if self.top_k < 0:
            raise ExecutionError(f"a top-k of {self.top_k} is out of range; give a number of tokens, or 0 for all")
        if len(self.seed) != SEED_BYTES:
            raise ExecutionError(f"a seed of {len(self.seed)} bytes; give {SEED_BYTES}")

    @property
    def heat(self) -> int:
        """The temperature in millionths."""
        return _millionths(self.temperature)

    @property
    def share(self) -> int:
        """Top-p in millionths."""
        return _millionths(self.top_p)

    @property
    def words(self) -> np.ndarray[Any, np.dtype[np.uint32]]:
        """The seed as the data of a threefry key: uint32 [2]."""
        return np.frombuffer(self.seed, ">u4").astype(np.uint32)

    def check(self, vocabulary: int) -> None:
        """Raises ExecutionError for a top-k beyond the vocabulary."""
        if self.top_k > vocabulary:
            raise ExecutionError(f"a top-k of {self.top_k} exceeds the vocabulary of {vocabulary} tokens; give less")


def _millionths(x: float) -> int:
    """The nearest integer of millionths; -1 for what is no finite number."""
    return millionths(x) if math.isfinite(x) else -1


GREEDY = Sampling(temperature=0)
"""Always the most likely token."""
