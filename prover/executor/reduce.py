"""The reduction of an op, as the fastest kernel whose exactness the intervals prove.

A sum of products becomes one matrix product in float32 or float64 where sum |x| |y| stays below 2^24 or 2^53 (every
partial sum is then an exact integer, in any order), on limbs of the operands where it doesn't. Small boxes are folded
slice by slice, cumulative and sliding sums become differences of running sums, everything else is reduced over derived
arrays, in blocks if they are large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.access import Derived, Scalars, derive, pad
from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import INT32, Range
from rollup.form.affine import coefficients, extents, variables
from rollup.form.ops import ITERATION, Access, Constant, Monoid, Op, Term

FOLD_LIMIT = 32
"""Boxes up to this size are folded element by element, without an array over the box."""

_THIN = 16
"""Sums of products up to this length are folded too: a matrix product would cost more than it saves."""

BLOCK_ELEMENTS = 1 << 26
"""Reductions over more (element, box position) pairs than this are looped over their longest box variable."""


@dataclass(frozen=True)
class Reader:
    """Reads accesses of (variants of) one op. ``operand`` gives an access's source [claims or 1, *access.shape]."""

    operand: Callable[[int], jax.Array]

    def __call__(self, number: int, op: Op, scalars: Scalars) -> Derived:
        """What access ``number`` of ``op`` reads, its index accesses followed."""
        access = op.accesses[number]
        index = None if access.indirect is None else self(access.indirect[1], op, scalars)
        return derive(self.operand(number), access, extents(op), scalars, index)

    def padded(self, op: Op) -> tuple[Reader, Op]:
        """The same reads with every factor's fill already around its source, so that variants of the op need not add
        it each.
        """
        sources: dict[int, jax.Array] = {}
        accesses = list(op.accesses)
        for number in range(op.factors):
            if accesses[number].indirect is None:
                found = pad(self.operand(number), accesses[number], extents(op))
                if found is not None:
                    sources[number], accesses[number] = found
        return Reader(lambda number: sources[number] if number in sources else self.operand(number)), replace(
            op, accesses=tuple(accesses)
        )


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


def box_variables(op: Op) -> tuple[int, ...]:
    return tuple(var for var in range(len(op.shape), len(op.shape) + len(op.box)) if extents(op)[var] > 1)


def full_variables(op: Op, number: int) -> tuple[int, ...]:
    """Variables that access ``number`` depends on, through its index accesses too."""
    sizes = extents(op)
    access = op.accesses[number]
    used = set(variables(access, sizes))
    if access.indirect is not None and access.indirect[1] != number:
        used |= set(full_variables(op, access.indirect[1]))
    return tuple(sorted(used))


def plan_dot(op: Op, reach: OpIntervals) -> DotPlan | None:
    """How to compute a sum of two factors as a matrix product; None if it is none."""
    if op.monoid is not Monoid.SUM or op.factors != 2:
        return None
    box = box_variables(op)
    x, y = (set(full_variables(op, number)) - {ITERATION} for number in (0, 1))
    contract = tuple(var for var in box if var in x and var in y)
    outer = [var for var in range(len(op.shape)) if extents(op)[var] > 1]
    free_x = tuple(var for var in outer if var in x and var not in y)
    free_y = tuple(var for var in outer if var in y and var not in x)
    constant = any(isinstance(op.accesses[number].source, Constant) for number in (0, 1))
    batch = tuple(var for var in outer if var in x and var in y)
    if not contract or not (free_x or free_y or constant):
        return None
    if op.box_elements <= (FOLD_LIMIT if batch and not (free_x and free_y) else _THIN):
        return None
    if reach.magnitude < 1 << 24:
        return DotPlan(contract, batch, free_x, free_y, (1, 1), (64, 64), "float32")
    if reach.magnitude < 1 << 53:
        return DotPlan(contract, batch, free_x, free_y, (1, 1), (64, 64), "float64")
    sizes = extents(op)
    room = 53 - math.prod(sizes[var] for var in contract).bit_length()
    alone = [
        math.prod(sizes[var] for var in box if var in mine and var not in other) for mine, other in ((x, y), (y, x))
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
    """acc [claims, *op.shape or 1 each] from ``products``, times the box positions that neither factor depends on."""
    sizes = extents(op)
    order = (*plan.batch, *plan.free_x, *plan.free_y)
    total = total.reshape([total.shape[0], *(sizes[var] for var in order)])
    wanted = sorted(order)
    return counted(op, jnp.transpose(total, [0, *(order.index(var) + 1 for var in wanted)]), wanted)


def counted(op: Op, total: jax.Array, used: Sequence[int]) -> jax.Array:
    """Sums over the variables that the factors depend on, times the box positions that neither depends on, spread
    over the output.
    """
    known = {var for number in range(op.factors) for var in full_variables(op, number)}
    repeated = math.prod(extents(op)[var] for var in box_variables(op) if var not in known)
    if repeated > 1:
        total = total.astype(jnp.int64) * repeated
    return Derived(tuple(used), total).spread(range(len(op.shape)))


def sum_alone(found: Derived, other: Iterable[int], op: Op) -> Derived:
    """Sum over the box variables that only this factor depends on."""
    rank = len(op.shape)
    axes = [axis for axis, var in enumerate(found.used) if var >= rank and var not in set(other)]
    if not axes:
        return found
    array = found.array.astype(np.int64).sum(axis=tuple(axis + 1 for axis in axes))
    return Derived(tuple(var for axis, var in enumerate(found.used) if axis not in axes), array)


def _terms(op: Op, read: Callable[[int, Op, Scalars], Derived], scalars: Scalars, reach: OpIntervals) -> jax.Array:
    """x * y [claims, one axis per output and box variable], in int32 where products are proven to fit, else int64."""
    order = range(len(op.shape) + len(op.box))
    x = read(0, op, scalars).spread(order)
    if op.factors == 1:
        return x
    y = read(1, op, scalars).spread(order)
    small = reach.magnitude < 1 << 31
    dtype = jnp.int32 if small else jnp.int64
    return x.astype(dtype) * y.astype(dtype)


def _without(op: Op, fixed: dict[int, int]) -> Op:
    """The op with some box variables at a fixed position: their terms are folded into the offsets."""

    def settle(access: Access) -> Access:
        offsets = list(access.offsets)
        for term in access.terms:
            if term.var in fixed:
                offsets[term.dimension] += term.coef * fixed[term.var]
        return replace(
            access, offsets=tuple(offsets), terms=tuple(term for term in access.terms if term.var not in fixed)
        )

    rank = len(op.shape)
    box = tuple(1 if rank + d in fixed else size for d, size in enumerate(op.box))
    return replace(op, box=box, accesses=tuple(settle(access) for access in op.accesses))


def _positions(op: Op, sizes: Sequence[int]) -> np.ndarray:
    """int64 [1, 1 per output variable, *sizes]: row-major box positions of the first ``sizes`` coordinates."""
    grid = np.arange(op.box_elements, dtype=np.int64).reshape(op.box)
    return grid[tuple(slice(0, n) for n in sizes)].reshape([1] * (1 + len(op.shape)) + list(sizes))


def _fold(op: Op, read: Reader, scalars: Scalars, reach: OpIntervals) -> jax.Array:
    rank = len(op.shape)
    read, op = read.padded(op)
    best: jax.Array | None = None
    where = jnp.zeros([], jnp.int32)
    for position in range(op.box_elements):
        k = np.unravel_index(position, op.box) if op.box else ()
        single = _without(op, {rank + d: int(at) for d, at in enumerate(k)})
        term = _terms(single, read, scalars, reach)
        term = term.reshape(term.shape[: 1 + rank])
        if op.monoid is Monoid.SUM:
            term = term.astype(jnp.int32 if reach.magnitude < 1 << 31 else jnp.int64)
        if best is None:
            best, where = term, jnp.zeros(term.shape, jnp.int32)
        elif op.monoid is Monoid.SUM:
            best = best + term
        elif op.monoid in (Monoid.MAX, Monoid.MIN):
            best = jnp.maximum(best, term) if op.monoid is Monoid.MAX else jnp.minimum(best, term)
        else:
            better = term > best if op.monoid is Monoid.ARGMAX else term < best
            best, where = jnp.where(better, term, best), jnp.where(better, jnp.int32(position), where)
    assert best is not None
    return where if op.monoid in (Monoid.ARGMAX, Monoid.ARGMIN) else best


def _whole(op: Op, read: Reader, scalars: Scalars, reach: OpIntervals) -> jax.Array:
    """Reduce an array over the box variables that the factors depend on."""
    rank = len(op.shape)
    terms = _terms(op, read, scalars, reach)
    axes = tuple(range(1 + rank, 1 + rank + len(op.box)))
    match op.monoid:
        case Monoid.SUM:
            small = reach.magnitude < 1 << 31
            total = jnp.sum(
                terms.astype(jnp.int32 if small else jnp.int64), axis=axes, dtype=jnp.int32 if small else jnp.int64
            )
            unused = op.box_elements // math.prod(terms.shape[axis] for axis in axes)
            return total if unused == 1 else total.astype(jnp.int64) * unused
        case Monoid.MAX:
            return jnp.max(terms, axis=axes)
        case Monoid.MIN:
            return jnp.min(terms, axis=axes)
    # Box variables that no factor depends on stay at 0, the lowest position of a tie.
    reduced = terms.shape[1 + rank :]
    flat = terms.reshape([*terms.shape[: 1 + rank], -1])
    best = jnp.argmax(flat, axis=-1) if op.monoid is Monoid.ARGMAX else jnp.argmin(flat, axis=-1)
    if reduced == op.box:
        return best
    full = _positions(op, reduced).reshape(-1)
    return jnp.take(jnp.asarray(full), best, mode="clip")


def _looped(op: Op, read: Reader, scalars: Scalars, reach: OpIntervals) -> jax.Array:
    """Loop over the longest box variable; every round reduces the rest."""
    rank = len(op.shape)
    sizes = extents(op)
    var = max(box_variables(op), key=lambda v: sizes[v])
    stride = math.prod(op.box[var - rank + 1 :])
    inner = replace(op, box=tuple(1 if rank + d == var else size for d, size in enumerate(op.box)))
    loose = replace(reach, magnitude=max(reach.magnitude, 1 << 31))

    def whole(number: int, _: Op, fixed: Scalars) -> Derived:
        return read(number, op, fixed)

    def round_(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        terms = _terms(inner, whole, {**scalars, var: at}, loose).astype(jnp.int64)
        axes = tuple(range(1 + rank, 1 + rank + len(op.box)))
        if op.monoid is Monoid.SUM:
            unused = inner.box_elements // math.prod(terms.shape[axis] for axis in axes)
            return jnp.sum(terms, axis=axes) * unused, jnp.int64(0)
        largest = op.monoid in (Monoid.MAX, Monoid.ARGMAX)
        best = jnp.max(terms, axis=axes) if largest else jnp.min(terms, axis=axes)
        if op.monoid in (Monoid.MAX, Monoid.MIN):
            return best, jnp.int64(0)
        positions = jnp.asarray(_positions(op, terms.shape[1 + rank :])) + at * stride
        equal = terms == jnp.expand_dims(best, axes)
        return best, jnp.min(jnp.where(equal, positions, jnp.int64(op.box_elements)), axis=axes)

    def join(at: int | jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        best, where = state
        other, place = round_(jnp.asarray(at, jnp.int64))
        match op.monoid:
            case Monoid.SUM:
                return best + other, where
            case Monoid.MAX:
                return jnp.maximum(best, other), where
            case Monoid.MIN:
                return jnp.minimum(best, other), where
        better = other > best if op.monoid is Monoid.ARGMAX else other < best
        better = better | ((other == best) & (place < where))
        return jnp.where(better, other, best), jnp.where(better, place, where)

    state: tuple[jax.Array, jax.Array] = lax.fori_loop(1, sizes[var], join, round_(jnp.int64(0)))
    return state[1] if op.monoid in (Monoid.ARGMAX, Monoid.ARGMIN) else state[0]


@dataclass(frozen=True)
class Sliding:
    """``sum over k of x[.. offset + coef_i * i +- k ..]`` with zeros outside: a difference of running sums along
    ``dimension``.
    """

    dimension: int
    outer: int
    inner: int


def plan_sliding(op: Op) -> Sliding | None:
    """How to compute a long one-factor sum by running sums; None if it does not slide along one dimension."""
    box = box_variables(op)
    if op.monoid is not Monoid.SUM or op.factors != 1 or len(box) != 1 or op.box_elements <= FOLD_LIMIT:
        return None
    access, sizes = op.accesses[0], extents(op)
    if access.indirect is not None or access.fill != 0:
        return None
    table = coefficients(access, sizes)
    (inner,) = box
    places = [d for d, row in enumerate(table) if inner in row]
    if len(places) != 1:
        return None
    row = table[places[0]]
    outer = [var for var in row if var != inner]
    if abs(row[inner]) != 1 or len(outer) != 1 or outer[0] == ITERATION:
        return None
    if any(outer[0] in other for d, other in enumerate(table) if d != places[0]):
        return None
    return Sliding(places[0], outer[0], inner)


def sliding_sum(plan: Sliding, op: Op, read: Reader, scalars: Scalars) -> jax.Array:
    """acc [claims, *op.shape or 1 each], int64."""
    access, sizes = op.accesses[0], extents(op)
    row = coefficients(access, sizes)[plan.dimension]
    size, count = access.shape[plan.dimension], sizes[plan.inner]
    # The dimension is read whole by a box variable of its own size; the outer variable picks among the running sums.
    terms = tuple(term for term in access.terms if term.dimension != plan.dimension and term.var != plan.inner)
    rank = len(op.shape)
    whole = replace(
        access,
        offsets=tuple(0 if d == plan.dimension else o for d, o in enumerate(access.offsets)),
        terms=(*terms, Term(plan.dimension, plan.inner, 1)),
    )
    box = tuple(size if rank + d == plan.inner else n for d, n in enumerate(op.box))
    found = read(0, replace(op, box=box, accesses=(whole, *op.accesses[1:])), scalars)
    if plan.inner not in found.used:
        found = Derived((*found.used, plan.inner), found.array[..., None])
    axis = found.used.index(plan.inner) + 1
    running = jnp.cumsum(found.array.astype(jnp.int64), axis=axis)
    running = jnp.concatenate([jnp.zeros_like(lax.slice_in_dim(running, 0, 1, axis=axis)), running], axis=axis)
    start = access.offsets[plan.dimension] + row[plan.outer] * np.arange(sizes[plan.outer])
    low, high = (start - count + 1, start + 1) if row[plan.inner] < 0 else (start, start + count)
    total = jnp.take(running, np.clip(high, 0, size), axis=axis) - jnp.take(running, np.clip(low, 0, size), axis=axis)
    used = [plan.outer if var == plan.inner else var for var in found.used]
    wanted = sorted(used)
    return Derived(tuple(wanted), jnp.transpose(total, [0, *(used.index(var) + 1 for var in wanted)])).spread(
        range(rank)
    )


def general(op: Op, read: Reader, scalars: Scalars, reach: OpIntervals, claims: int) -> jax.Array:
    """acc [claims or 1, *op.shape or 1 each] of any op without a special kernel."""
    if op.factors == 0:
        return jnp.zeros([1] * (1 + len(op.shape)), jnp.int32)
    if op.monoid is Monoid.NONE:
        terms = _terms(op, read, scalars, reach)
        return terms.reshape(terms.shape[: 1 + len(op.shape)])
    if op.box_elements <= FOLD_LIMIT or not box_variables(op):
        return _fold(op, read, scalars, reach)
    if op.factors == 2 and op.box_elements <= _THIN:
        return _fold(op, read, scalars, reach)
    if op.elements * op.box_elements * claims > BLOCK_ELEMENTS:
        return _looped(op, read, scalars, reach)
    return _whole(op, read, scalars, reach)
