"""Sums of products as one matrix product.

In float32 or float64 where sum |x| |y| stays below 2^24 or 2^53 (every partial sum is then an exact integer, in any order), on limbs of
the operands where it doesn't.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.kernels.gather import Derived
from prover.executor.kernels.reduce import FOLD_LIMIT, THIN, domain_variables, full_variables
from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import INT32, Range
from rollup.form.affine import extents
from rollup.form.ops import ITERATION, Constant, Monoid, Op


@dataclass(frozen=True)
class DotPlan:
    """A sum of products as a matrix product. Variables by role; ``limbs`` of x and y, each ``width`` bits wide; the
    float type.
    """

    contract: tuple[int, ...]
    batch: tuple[int, ...]
    free_x: tuple[int, ...]
    free_y: tuple[int, ...]
    limbs: tuple[int, int]
    widths: tuple[int, int]
    dtype: str


def plan_dot(op: Op, reach: OpIntervals) -> DotPlan | None:
    """How to compute a sum of two factors as a matrix product; None if it is none."""
    if op.monoid is not Monoid.SUM or op.factors != 2:
        return None
    domain = domain_variables(op)
    x, y = (set(full_variables(op, number)) - {ITERATION} for number in (0, 1))
    contract = tuple(var for var in domain if var in x and var in y)
    outer = [var for var in range(len(op.shape)) if extents(op)[var] > 1]
    free_x = tuple(var for var in outer if var in x and var not in y)
    free_y = tuple(var for var in outer if var in y and var not in x)
    constant = any(isinstance(op.accesses[number].source, Constant) for number in (0, 1))
    batch = tuple(var for var in outer if var in x and var in y)
    if not contract or not (free_x or free_y or constant):
        return None
    if op.domain_elements <= (FOLD_LIMIT if batch and not (free_x and free_y) else THIN):
        return None
    if reach.magnitude < 1 << 24:
        return DotPlan(contract, batch, free_x, free_y, (1, 1), (64, 64), "float32")
    if reach.magnitude < 1 << 53:
        return DotPlan(contract, batch, free_x, free_y, (1, 1), (64, 64), "float64")
    sizes = extents(op)
    room = 53 - math.prod(sizes[var] for var in contract).bit_length()
    alone = [
        math.prod(sizes[var] for var in domain if var in mine and var not in other) for mine, other in ((x, y), (y, x))
    ]
    bits = [min(64, (a.magnitude * n).bit_length() + 1) for a, n in zip(reach.accesses, alone, strict=False)]
    options = [
        (nx * ny, nx, ny) for nx in range(1, 9) for ny in range(1, 9) if -(-bits[0] // nx) + -(-bits[1] // ny) <= room
    ]
    if not options:
        return None
    _, nx, ny = min(options)
    return DotPlan(contract, batch, free_x, free_y, (nx, ny), (-(-bits[0] // nx), -(-bits[1] // ny)), "float64")


def matrix(plan: DotPlan, second: bool, array: jax.Array, used: Sequence[int], sizes: dict[int, int]) -> jax.Array:
    """[claims or 1, batch, contract, free] (x: free before contract) of a derived array over batch, contract and
    free variables.
    """
    free = plan.free_y if second else plan.free_x
    groups = (plan.batch, plan.contract, free) if second else (plan.batch, free, plan.contract)
    order = [var for group in groups for var in group]
    array = array.transpose([0, *(list(used).index(var) + 1 for var in order)])
    return array.reshape([array.shape[0], *(math.prod(sizes[var] for var in group) for group in groups)])


def limbs(array: jax.Array, count: int, width: int, dtype: str) -> list[jax.Array]:
    """Floats whose weighted sum (2^width per step) is the integer array; the last limb carries the sign."""
    if count == 1:
        return [array.astype(dtype)]
    # Limbs narrower than the array's own dtype need no wider one.
    wide = array if width < 8 * array.dtype.itemsize - 1 else array.astype(np.int64)
    parts = []
    for _ in range(count - 1):
        parts.append((wide & ((1 << width) - 1)).astype(dtype))
        wide = wide >> width
    return [*parts, wide.astype(dtype)]


def _multiply(x: jax.Array, y: jax.Array) -> jax.Array:
    """[claims, batch, m, n] of float matrices x [claims or 1, batch, m, k] and y [claims or 1, batch, k, n]."""
    cx, b, m, k = x.shape
    cy, _, _, n = y.shape
    if b == 1 and cy == 1:
        return lax.dot(x.reshape(cx * m, k), y.reshape(k, n), precision=lax.Precision.HIGHEST).reshape(cx, 1, m, n)
    if cx == 1 and cy == 1:
        return _batched(x[0], y[0])[None]
    if cy == 1:
        rows = jnp.transpose(x, (1, 0, 2, 3)).reshape(b, cx * m, k)
        return jnp.transpose(_batched(rows, y[0]).reshape(b, cx, m, n), (1, 0, 2, 3))
    if cx == 1:
        return jnp.swapaxes(_multiply(jnp.swapaxes(y, 2, 3), jnp.swapaxes(x, 2, 3)), 2, 3)
    return _batched(x.reshape(cx * b, m, k), y.reshape(cy * b, k, n)).reshape(cx, b, m, n)


def _batched(x: jax.Array, y: jax.Array) -> jax.Array:
    return lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,))), precision=lax.Precision.HIGHEST)


def to_integer(array: jax.Array, reach: Range) -> jax.Array:
    """Exact integers of floats that hold integers."""
    return array.astype(jnp.int32 if reach.inside(INT32) else jnp.int64)


def products(plan: DotPlan, reach: OpIntervals, x: list[jax.Array], y: list[jax.Array]) -> jax.Array:
    """Integers [claims, batch, free of x, free of y], from the limb matrices of both factors."""
    total: jax.Array | None = None
    for i, left in enumerate(x):
        for j, right in enumerate(y):
            shift = plan.widths[0] * i + plan.widths[1] * j
            if shift >= 64:
                continue
            part = _multiply(left, right)
            if len(x) == len(y) == 1:
                total = to_integer(part, reach.acc)
            else:
                term = lax.shift_left(part.astype(jnp.int64), jnp.int64(shift))
                total = term if total is None else total + term
    assert total is not None
    return total


def dot(plan: DotPlan, op: Op, total: jax.Array) -> jax.Array:
    """acc [claims, *op.shape or 1 each] from ``products``, times the domain positions that neither factor depends on."""
    sizes = extents(op)
    order = (*plan.batch, *plan.free_x, *plan.free_y)
    total = total.reshape([total.shape[0], *(sizes[var] for var in order)])
    wanted = sorted(order)
    return counted(op, jnp.transpose(total, [0, *(order.index(var) + 1 for var in wanted)]), wanted)


def counted(op: Op, total: jax.Array, used: Sequence[int]) -> jax.Array:
    """Sums over the variables that the factors depend on, times the domain positions that neither depends on, spread
    over the output.
    """
    known = {var for number in range(op.factors) for var in full_variables(op, number)}
    repeated = math.prod(extents(op)[var] for var in domain_variables(op) if var not in known)
    if repeated > 1:
        total = total.astype(jnp.int64) * repeated
    return Derived(tuple(used), total).spread(range(len(op.shape)))


def sum_alone(found: Derived, other: Iterable[int], op: Op) -> Derived:
    """Sum over the domain variables that only this factor depends on."""
    rank = len(op.shape)
    axes = [axis for axis, var in enumerate(found.used) if var >= rank and var not in set(other)]
    if not axes:
        return found
    array = found.array.astype(np.int64).sum(axis=tuple(axis + 1 for axis in axes))
    return Derived(tuple(var for axis, var in enumerate(found.used) if axis not in axes), array)
