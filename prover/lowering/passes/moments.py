"""Moments: what an operand shows on the samples of how much an error of each weight costs, and weights rounded by it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rollup.types import DType

MOST_ROWS = 1 << 14
"""Rows of an operand that are looked at, spread over all samples and positions."""

LEAST_DAMPING = 0.01
"""Share of the mean square of the columns that is added to each column's at least."""

PART_ROWS = 1 << 12
"""Rows that are multiplied with each other at a time."""

BLOCK = 64
"""Columns whose errors are passed on one by one; to all others they go together."""

LEAST_EXPONENT = -100
"""Of the largest magnitude of an operand; what is smaller counts as zero."""

GOLDEN = (math.sqrt(5) - 1) / 2

Array = np.ndarray[Any, np.dtype[Any]]


def spread(count: int) -> Array:
    """At most ``MOST_ROWS`` of ``count`` row numbers, spread evenly whatever periods the rows have; in order."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.unique((np.arange(MOST_ROWS) * GOLDEN % 1.0 * count).astype(np.int64))


def levelled(rows: Array) -> Array:
    """The rows (changed in place), those that are longer than the median of their group brought to its length.

    A language model can have a few rows that are far longer than all others. They would outweigh these, though a norm behind the product
    makes little of their length.
    """
    lengths = np.sqrt(np.einsum("grk,grk->gr", rows, rows, dtype=np.float64))
    for group, length in zip(rows, lengths, strict=True):
        if length.any():
            typical = np.median(length[length > 0])
            group *= (typical / np.maximum(length, typical)).astype(np.float32)[:, None]
    return rows


@dataclass(frozen=True, eq=False)
class Moments:
    """``gram`` float64 [groups, columns, columns]: X^T X of ``rows`` rows."""

    gram: Array
    rows: int

    @classmethod
    def of(cls, x: Array) -> Moments:
        """Of float32 [groups, rows, columns], in units of a power of two at which no square leaves float32."""
        exponent = math.frexp(float(np.abs(x).max(initial=0)))[1]
        unit = np.float32(2.0 ** -max(exponent, LEAST_EXPONENT))
        gram = np.zeros((len(x), x.shape[2], x.shape[2]))
        for at in range(0, x.shape[1], PART_ROWS):
            part = x[:, at : at + PART_ROWS] * unit
            gram += np.matmul(np.swapaxes(part, 1, 2), part)
        gram /= float(unit) ** 2
        return cls(gram, x.shape[1])

    def joined(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram, self.rows + other.rows)

    @cached_property
    def _factored(self) -> tuple[Array, Array]:
        """(order of the columns, weakest first; unit lower triangular float32 L with L D L^T = the damped Gram matrix in that order).

        Samples show a part of what will come: of ``columns`` unknown rows each column is taken to hold the mean square.
        """
        columns = self.gram.shape[1]
        squares = np.diagonal(self.gram, axis1=1, axis2=2)
        order = np.argsort(squares, axis=1, kind="stable")
        mean = squares.mean(axis=1)
        damping = np.where(mean > 0, mean, 1.0) * max(LEAST_DAMPING, columns / self.rows)
        factor = np.empty(self.gram.shape, np.float32)
        for group, line in enumerate(order):
            damped = self.gram[group][np.ix_(line, line)]
            damped[np.diag_indices(columns)] += damping[group]
            lower = np.linalg.cholesky(damped)
            factor[group] = lower / np.diagonal(lower)
        return order, factor

    def rounded(self, weights: Array, dtype: DType) -> Array:
        """Integers for ``weights`` [groups, channels, columns], which are given in steps.

        Columns are rounded from the strongest to the weakest: what is rounded is the weight and what of all errors so far it can take
        back, by the factor's columns.
        """
        order, factor = self._factored
        line = order[:, None, :]
        given = np.ascontiguousarray(np.swapaxes(np.take_along_axis(weights, line, axis=2), 1, 2), dtype=np.float32)
        wanted, errors = given.copy(), np.zeros_like(given)
        for end in range(given.shape[1], 0, -BLOCK):
            start = max(0, end - BLOCK)
            for j in range(end - 1, start - 1, -1):
                behind = factor[:, j + 1 : end, j][:, None, :]
                value = wanted[:, j] + np.matmul(behind, errors[:, j + 1 : end])[:, 0]
                errors[:, j] = given[:, j] - np.clip(np.rint(value), -dtype.max, dtype.max)
            passed = np.swapaxes(factor[:, start:end, :start], 1, 2)
            wanted[:, :start] += np.matmul(passed, errors[:, start:end])
        integers = np.empty(weights.shape, dtype.numpy)
        np.put_along_axis(integers, line, np.swapaxes(np.rint(given - errors), 1, 2).astype(dtype.numpy), axis=2)
        return integers
