"""Where a product's arrays lie: strides along batches, rows, columns and terms, as the library reads them (``product.h``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rollup.form.affine import coefficients, stays_inside
from rollup.form.ops import ITERATION, Access

CLAIM = -1
"""The axis of claims among an op's variables."""

MOST_DIMS = 10
"""Most dimensions of a role, as in product.h."""

ROLES = ("batch", "row", "column", "term")


@dataclass(frozen=True)
class Strides:
    """Element at ``base + sum of stride * variable`` of an array in row-major order; ``CLAIM`` and ``ITERATION`` are variables."""

    base: int
    by: Mapping[int, int]
    # A gathered dimension: its coordinate is first + a register.
    first: int = 0
    step: int = 0
    size: int = 0
    fill: int = 0


def row_major(shape: Sequence[int]) -> list[int]:
    """Strides of a dense array, in elements."""
    return [math.prod(shape[d + 1 :]) for d in range(len(shape))]


def strides_of(access: Access, sizes: Mapping[int, int], claims: int) -> Strides | None:
    """Of a source [claims, *access.shape] that the access reads; None where it can leave the source, or its register walks a
    dimension that variables walk too.
    """
    dimension = None if access.indirect is None else access.indirect[0]
    if not stays_inside(access, sizes, dimension):
        return None
    table, step = coefficients(access, sizes), row_major(access.shape)
    if dimension is not None and table[dimension]:
        return None
    by: dict[int, int] = {CLAIM: math.prod(access.shape)} if claims > 1 else {}
    base = 0
    for d, (offset, row) in enumerate(zip(access.offsets, table, strict=True)):
        if d == dimension:
            continue
        base += offset * step[d]
        for var, coef in row.items():
            by[var] = by.get(var, 0) + coef * step[d]
    if dimension is None:
        return Strides(base, by)
    return Strides(base, by, access.offsets[dimension], step[dimension], access.shape[dimension], access.fill)


@dataclass(frozen=True)
class Roles:
    """The variables of a product by role, slowest first, with how many values each takes."""

    batch: tuple[int, ...]
    row: tuple[int, ...]
    column: tuple[int, ...]
    term: tuple[int, ...]
    sizes: Mapping[int, int] = field(hash=False)

    def of(self, role: str) -> tuple[int, ...]:
        found: tuple[int, ...] = getattr(self, role)
        return found

    def merged(self, arrays: Sequence[Strides]) -> list[list[tuple[int, ...]]]:
        """By role, runs of variables that every array walks as one."""
        return [self._merged(self.of(role), arrays) for role in ROLES]

    def _merged(self, variables: Sequence[int], arrays: Sequence[Strides]) -> list[tuple[int, ...]]:
        runs: list[tuple[int, ...]] = []
        for var in variables:
            if runs and all(a.by.get(runs[-1][-1], 0) == a.by.get(var, 0) * self.sizes[var] for a in arrays):
                runs[-1] = (*runs[-1], var)
            else:
                runs.append((var,))
        return runs

    def numbers(self, runs: Sequence[Sequence[tuple[int, ...]]]) -> list[int]:
        """The sizes, as the library reads them."""
        found = []
        for role in runs:
            found += [len(role), *(math.prod(self.sizes[var] for var in run) for run in role)]
        return found


def array_numbers(of: Strides, runs: Sequence[Sequence[tuple[int, ...]]], itemsize: int) -> list[int]:
    """An array, as the library reads it; ``itemsize`` 0 for one whose elements are their own offsets."""
    steps = [of.by.get(run[-1], 0) for role in runs for run in role]
    return [itemsize, of.base, of.by.get(ITERATION, 0), *steps, of.first, of.step, of.size, of.fill]
