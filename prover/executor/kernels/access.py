"""What an access reads, as one array over the variables that it depends on.

The kernel follows from the affine map alone: separable coordinates become pads, strided slices, reverses and
transposes; several variables in one coordinate (windows) become slices that are stacked; everything else becomes a
gather with computed indices.

Arrays of values have a leading axis of claims (extent 1 where nothing depends on the claim). A *derived* array has,
after that axis, one axis per used variable, ascending. A *spread* array has one axis per variable of the op, extent 1
where it is not used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from itertools import product as cartesian

import jax
import jax.numpy as jnp
from jax import lax

from prover.executor.kernels.gather import Derived, Scalars, coordinate, gather, holding, take
from rollup.form.affine import coefficients, span
from rollup.form.ops import Access, Term

WINDOW_LIMIT = 64
"""Most slices that are stacked for the windows of one access; larger windows are gathered."""

_PAD_LIMIT = 4


def _split(row: Mapping[int, int], scalars: Scalars) -> tuple[dict[int, int], dict[int, int]]:
    moving = {var: coef for var, coef in row.items() if var not in scalars}
    return moving, {var: coef for var, coef in row.items() if var in scalars}


def _radix(row: Mapping[int, int], sizes: Mapping[int, int]) -> list[int] | None:
    """Variables, slowest first, if the coordinate walks evenly through them like digits; None otherwise."""
    order = sorted(row, key=lambda var: -abs(row[var]))
    for slow, fast in pairwise(order):
        if row[slow] != row[fast] * sizes[fast]:
            return None
    return order


def derive(
    source: jax.Array, access: Access, sizes: Mapping[int, int], scalars: Scalars, index: Derived | None = None
) -> Derived:
    """What ``access`` reads from ``source`` [claims or 1, *access.shape].

    ``sizes``: extents of all variables (those in ``scalars`` included, whose ranges they bound); ``index`` is what an
    indirect coordinate adds. The dtype is the source's, or int64 if the fill does not fit the source's.
    """
    table = coefficients(access, sizes)
    moving = [_split(row, scalars)[0] for row in table]
    if index is not None:
        assert access.indirect is not None
        return _indirect(source, access, sizes, scalars, index, table, moving)
    used = sorted({var for row in moving for var in row})
    ranges = [span(o, row, sizes) for o, row in zip(access.offsets, table, strict=True)]
    if any(high < 0 or low >= size for (low, high), size in zip(ranges, access.shape, strict=True)):
        dtype = holding(source.dtype, access.fill)
        return Derived(tuple(used), jnp.full([1, *(sizes[var] for var in used)], access.fill, dtype))
    if len(used) != sum(map(len, moving)) or not _paddable(ranges, access.shape):
        return gather(source, access, sizes, scalars, None, table, tuple(used))
    inner, offsets = _padded(source, access, ranges)
    inner, offsets = _narrowed(inner, offsets, table, moving, sizes, scalars)
    return _slices(inner, offsets, moving, sizes, tuple(used), access, scalars)


def pad(source: jax.Array, access: Access, sizes: Mapping[int, int]) -> tuple[jax.Array, Access] | None:
    """The source with ``fill`` around it and the access that sees it so, if its reads leave it a little; None
    otherwise.
    """
    ranges = [span(o, row, sizes) for o, row in zip(access.offsets, coefficients(access, sizes), strict=True)]
    if all(low >= 0 and high < size for (low, high), size in zip(ranges, access.shape, strict=True)) or not _paddable(
        ranges, access.shape
    ):
        return None
    inner, offsets = _padded(source, access, ranges)
    return inner, replace(access, shape=inner.shape[1:], offsets=tuple(offsets))


def inside_or_paddable(access: Access, sizes: Mapping[int, int]) -> bool:
    """Whether a direct access stays inside of its source, or of what ``pad`` makes of it."""
    return _paddable(
        [span(o, row, sizes) for o, row in zip(access.offsets, coefficients(access, sizes), strict=True)], access.shape
    )


def _paddable(ranges: Sequence[tuple[int, int]], shape: Sequence[int]) -> bool:
    return all(
        max(0, -low) + max(0, high - size + 1) <= _PAD_LIMIT * size + 64
        for (low, high), size in zip(ranges, shape, strict=True)
    )


def _padded(source: jax.Array, access: Access, ranges: Sequence[tuple[int, int]]) -> tuple[jax.Array, list[int]]:
    """The source with ``fill`` around it and cut so that every coordinate lies inside, with the offsets moved
    accordingly.
    """
    lows = [max(0, -low) for low, _ in ranges]
    highs = [max(0, high - size + 1) for (_, high), size in zip(ranges, access.shape, strict=True)]
    if any(lows) or any(highs):
        dtype = holding(source.dtype, access.fill)
        config = [(0, 0, 0), *((low, high, 0) for low, high in zip(lows, highs, strict=True))]
        source = lax.pad(source.astype(dtype), jnp.asarray(access.fill, dtype), config)
    return source, [offset + low for offset, low in zip(access.offsets, lows, strict=True)]


def _narrowed(
    source: jax.Array,
    offsets: list[int],
    table: Sequence[Mapping[int, int]],
    moving: Sequence[Mapping[int, int]],
    sizes: Mapping[int, int],
    scalars: Scalars,
) -> tuple[jax.Array, list[int]]:
    """Take the part of every dimension that the scalar variables select, so that only moving variables are left."""
    starts: list[jax.Array | int] = [0]
    lengths = [source.shape[0]]
    for d, row in enumerate(table):
        low, high = span(0, moving[d], sizes)
        if len(row) == len(moving[d]):
            starts.append(0)
            lengths.append(source.shape[d + 1])
            continue
        start: jax.Array | int = offsets[d] + low
        for var, coef in row.items():
            if var in scalars:
                start = start + jnp.asarray(scalars[var], jnp.int64) * coef
        starts.append(start)
        lengths.append(high - low + 1)
        offsets = [*offsets[:d], -low, *offsets[d + 1 :]]
    if lengths != list(source.shape):
        source = lax.dynamic_slice(source, [jnp.asarray(s, jnp.int64) for s in starts], lengths)
    return source, offsets


def _slices(
    source: jax.Array,
    offsets: Sequence[int],
    moving: Sequence[Mapping[int, int]],
    sizes: Mapping[int, int],
    used: tuple[int, ...],
    access: Access,
    scalars: Scalars,
) -> Derived:
    """Strided slices of a source inside which all coordinates lie; windows are stacked slice by slice."""
    digits: list[list[int]] = []
    unrolled: list[int] = []
    for row in moving:
        order = _radix(row, sizes)
        if order is None:
            main = max(row, key=lambda var: (sizes[var], -var))
            unrolled += [var for var in row if var != main]
            order = [main]
        digits.append(order)
    unrolled.sort()
    if math.prod(sizes[var] for var in unrolled) > WINDOW_LIMIT:
        inside = replace(access, shape=source.shape[1:], offsets=tuple(offsets))
        return gather(source, inside, sizes, {}, None, moving, used)
    taken = []
    for assignment in cartesian(*(range(sizes[var]) for var in unrolled)):
        fixed = dict(zip(unrolled, assignment, strict=True))
        moved = [
            o + sum(row[var] * at for var, at in fixed.items() if var in row)
            for o, row in zip(offsets, moving, strict=True)
        ]
        taken.append(_slice(source, moved, moving, digits, sizes))
    flat = [var for order in digits for var in order]
    if not unrolled:
        array = taken[0]
    else:
        rest = sorted(flat)
        taken = [jnp.transpose(part, [0, *(flat.index(var) + 1 for var in rest)]) for part in taken]
        at = sum(var < unrolled[0] for var in rest)
        array = jnp.stack(taken, axis=at + 1)
        array = array.reshape([*array.shape[: at + 1], *(sizes[var] for var in unrolled), *array.shape[at + 2 :]])
        flat = [*rest[:at], *unrolled, *rest[at:]]
    return Derived(used, jnp.transpose(array, [0, *(flat.index(var) + 1 for var in used)]))


def _slice(
    source: jax.Array,
    offsets: Sequence[int],
    moving: Sequence[Mapping[int, int]],
    digits: Sequence[Sequence[int]],
    sizes: Mapping[int, int],
) -> jax.Array:
    starts, stops, steps, back, shape = [0], [source.shape[0]], [1], [], [source.shape[0]]
    for d, (offset, order) in enumerate(zip(offsets, digits, strict=True)):
        count = math.prod(sizes[var] for var in order)
        step = moving[d][order[-1]] if order else 1
        first, last = sorted((offset, offset + step * (count - 1)))
        starts.append(first)
        stops.append(last + 1)
        steps.append(abs(step))
        if step < 0:
            back.append(d + 1)
        shape += [sizes[var] for var in order]
    part = lax.slice(source, starts, stops, steps)
    if back:
        part = lax.rev(part, back)
    return part.reshape(shape)


def _indirect(
    source: jax.Array,
    access: Access,
    sizes: Mapping[int, int],
    scalars: Scalars,
    index: Derived,
    table: Sequence[Mapping[int, int]],
    moving: Sequence[Mapping[int, int]],
) -> Derived:
    """One coordinate has data added. Whole rows are taken where the other coordinates don't depend on the same
    variables.
    """
    assert access.indirect is not None
    dimension = access.indirect[0]
    own = sorted({*moving[dimension], *index.used})
    others = [var for d, row in enumerate(moving) if d != dimension for var in row]
    used = tuple(sorted({*own, *others}))
    rows = len(others) > 0 and not set(own) & set(others) and len(set(others)) == len(others)
    if not rows or (source.shape[0] > 1 and index.array.shape[0] > 1):
        return gather(source, access, sizes, scalars, index, table, used)
    pseudo = -1
    size = access.shape[dimension]
    terms = tuple(term for term in access.terms if term.dimension != dimension)
    offsets = tuple(0 if d == dimension else offset for d, offset in enumerate(access.offsets))
    whole = replace(access, terms=terms, offsets=offsets, indirect=None)
    inner = _with_pseudo(source, whole, dimension, pseudo, size, sizes, scalars)
    where = coordinate(access.offsets[dimension], table[dimension], own, sizes, scalars)
    where = where + index.spread(own)
    valid = (where >= 0) & (where < size)
    where = jnp.clip(where, 0, size - 1).astype(jnp.int32 if size < 1 << 31 else jnp.int64)
    rest = [var for var in inner.used if var != pseudo]
    claims = max(source.shape[0], where.shape[0])
    if where.shape[0] == 1:
        array = jnp.take(inner.array, where[0], axis=1, mode="clip")
    else:
        array = jnp.take(inner.array[0], where, axis=0, mode="clip")
    dtype = holding(source.dtype, access.fill)
    mask = valid.reshape([*valid.shape, *([1] * len(rest))])
    array = jnp.where(mask, array.astype(dtype), jnp.asarray(access.fill, dtype))
    array = jnp.broadcast_to(array, [claims, *(sizes[var] for var in (*own, *rest))])
    order = [*own, *rest]
    return Derived(used, jnp.transpose(array, [0, *(order.index(var) + 1 for var in used)]))


def _with_pseudo(
    source: jax.Array,
    access: Access,
    dimension: int,
    pseudo: int,
    size: int,
    sizes: Mapping[int, int],
    scalars: Scalars,
) -> Derived:
    """``derive`` with one dimension kept whole, as the variable ``pseudo`` (the first axis, being negative)."""
    kept = replace(access, terms=(*access.terms, Term(dimension, pseudo, 1)))
    if size > 1:
        return derive(source, kept, {**sizes, pseudo: size}, scalars)
    found = derive(source, access, sizes, scalars)
    return Derived((pseudo, *found.used), found.array[:, None])


def look(
    source: jax.Array,
    access: Access,
    sizes: Mapping[int, int],
    scalars: Scalars,
    order: Sequence[int],
    register: jax.Array,
    inside: bool,
) -> jax.Array:
    """What a ``gather`` reads, spread over ``order``: ``register`` (spread likewise) is added to the indirect coordinate.

    ``inside``: the register is proven to keep the coordinate inside its dimension.
    """
    assert access.indirect is not None
    table = coefficients(access, sizes)
    if inside and math.prod(access.shape) == access.shape[access.indirect[0]] and not any(table):
        return take(source.reshape(source.shape[0], -1), register + access.offsets[access.indirect[0]])
    index = Derived(tuple(order), register.astype(jnp.int64))
    return _look_gather(source, access, sizes, scalars, index, table, tuple(order))


def _look_gather(
    source: jax.Array,
    access: Access,
    sizes: Mapping[int, int],
    scalars: Scalars,
    index: Derived,
    table: Sequence[Mapping[int, int]],
    order: tuple[int, ...],
) -> jax.Array:
    shape = dict(zip(order, index.array.shape[1:], strict=True))
    needed = {var for row in table for var in row if var not in scalars}
    wide = {var: sizes[var] if var in needed or shape[var] > 1 else 1 for var in order}
    merged = {**sizes, **wide}
    found: jax.Array = gather(source, access, merged, scalars, index, table, order).array
    return found
