"""Magnitudes: what samples show of an operand's channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from prover.lowering.graph import Var

HUGE = 1e30
"""From here on a number is an infinity, or a mask."""

Array = np.ndarray[Any, np.dtype[Any]]


class ChannelMagnitudes:
    """Of a variable, along one of its axes: ``most`` float64 [channels], the largest magnitudes, and ``squares``, the mean squares.

    No row counts in these more than the median one of its samples: a language model can have a few rows that are far longer.
    """

    def __init__(self, axis: int, channels: int) -> None:
        self.axis = axis
        self.most = np.zeros(channels)
        self._sums = np.zeros(channels)
        self._rows = 0

    def add(self, x: Array) -> None:
        """An array of several samples, which lie along its first axis."""
        rows = np.moveaxis(x, self.axis + 1, -1).reshape(-1, len(self.most))
        rows = np.where(np.abs(rows) < HUGE, rows, np.float32(0)).astype(np.float32, copy=False)
        self.most = np.maximum(self.most, np.abs(rows).max(axis=0, initial=0.0))
        lengths = np.einsum("rk,rk->r", rows, rows, dtype=np.float64)
        if lengths.any():
            typical = np.median(lengths[lengths > 0])
            self._sums += np.square(rows).T @ (typical / np.maximum(lengths, typical)).astype(np.float32)
        self._rows += len(rows)

    @property
    def squares(self) -> Array:
        return self._sums / max(self._rows, 1)


Magnitudes = Mapping[Var, ChannelMagnitudes]
