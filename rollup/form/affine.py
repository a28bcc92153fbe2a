"""Affine accesses over the extents of an op's variables: the questions that executor, audit and gas bound all ask about
an access.

A variable is an output dimension, a domain dimension (counted on) or ``ITERATION``. A variable of extent 1 is always 0, so
it is left out everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from rollup.form.ops import ITERATION, Access, Carried, Constant, Op, Term
from rollup.form.program import Program

Extents = Mapping[int, int]
Array = np.ndarray


class AffineMap(Protocol):
    """Whatever has affine coordinates: an access, or what lowering will make one of."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def offsets(self) -> tuple[int, ...]: ...
    @property
    def terms(self) -> tuple[Term, ...]: ...


def extents(op: Op) -> dict[int, int]:
    """How many values every variable of the op takes."""
    return {**dict(enumerate(op.shape + op.domain)), ITERATION: op.repeat}


def coefficients(access: AffineMap, sizes: Extents) -> tuple[dict[int, int], ...]:
    """For every dimension, variable -> coefficient; repeated terms are added up, zeros and extent-1 variables left
    out.
    """
    table: tuple[dict[int, int], ...] = tuple({} for _ in access.shape)
    for term in access.terms:
        if sizes[term.var] > 1:
            row = table[term.dimension]
            row[term.var] = row.get(term.var, 0) + term.coef
    return tuple({var: coef for var, coef in row.items() if coef} for row in table)


def variables(access: Access, sizes: Extents) -> tuple[int, ...]:
    """Variables that the coordinates depend on directly, ascending (``ITERATION`` last)."""
    return tuple(sorted({var for row in coefficients(access, sizes) for var in row}))


def span(offset: int, row: Mapping[int, int], sizes: Extents) -> tuple[int, int]:
    """Least and greatest value of ``offset + sum coef * var``."""
    moves = [coef * (sizes[var] - 1) for var, coef in row.items()]
    return offset + sum(min(m, 0) for m in moves), offset + sum(max(m, 0) for m in moves)


def spans(access: AffineMap, sizes: Extents) -> list[tuple[int, int]]:
    """``span`` of every dimension, without what an indirect coordinate adds."""
    return [span(o, row, sizes) for o, row in zip(access.offsets, coefficients(access, sizes), strict=True)]


def stays_inside(access: AffineMap, sizes: Extents, skip: int | None = None) -> bool:
    """Whether no affine coordinate can leave its dimension; dimension ``skip`` is not looked at."""
    return all(
        d == skip or (low >= 0 and high < size)
        for d, ((low, high), size) in enumerate(zip(spans(access, sizes), access.shape, strict=True))
    )


def view(array: Array, access: Access, sizes: Extents) -> tuple[tuple[int, ...], Array]:
    """(variables, array over exactly those variables) that a direct access reads from ``array``, ``fill`` included.

    The result has the array's dtype where the fill fits it, int64 otherwise.
    """
    used = variables(access, sizes)
    table = coefficients(access, sizes)
    source = np.asarray(array).reshape(access.shape)
    inside = stays_inside(access, sizes)
    if inside and all(len(row) <= 1 for row in table) and len(used) == sum(map(len, table)):
        cut, order = [], []
        for offset, row in zip(access.offsets, table, strict=True):
            if not row:
                cut.append(slice(offset, offset + 1))
                continue
            ((var, coef),) = row.items()
            last = offset + coef * (sizes[var] - 1)
            stop = last + (1 if coef > 0 else -1)
            cut.append(slice(offset, None if stop < 0 else stop, coef))
            order.append(var)
        sliced = source[tuple(cut)].reshape([sizes[var] for var in order])
        return used, np.transpose(sliced, [order.index(var) for var in used])
    grid = dict(zip(used, np.ix_(*(np.arange(sizes[var]) for var in used)), strict=True))
    blank = np.zeros([1] * len(used), dtype=np.int64)
    coordinates = [
        sum((coef * grid[var] for var, coef in row.items()), blank + offset)
        for offset, row in zip(access.offsets, table, strict=True)
    ]
    valid = np.ones([1] * len(used), dtype=bool)
    for coordinate, size in zip(coordinates, access.shape, strict=True):
        valid = valid & (coordinate >= 0) & (coordinate < size)
    index = tuple(np.clip(c, 0, size - 1) for c, size in zip(coordinates, access.shape, strict=True))
    read = np.broadcast_to(source[index] if index else source, [sizes[var] for var in used])
    if not inside:
        limits = np.iinfo(read.dtype)
        wide = read if limits.min <= access.fill <= limits.max else read.astype(np.int64)
        read = np.where(valid, wide, np.array(access.fill, dtype=wide.dtype))
    return used, read


def reads(op: Op, access: Access) -> Array:
    """Trace values that the access reads: int64 [repeat, stacked coordinates that lie inside (1 without a stack)].

    Without coordinate restrictions: every value that dimension 0 of a stack access can select counts as read. Not for
    constants.
    """
    source = access.source
    assert not isinstance(source, Constant)
    t = np.arange(op.repeat, dtype=np.int64)
    base = source.base + source.step * t
    if isinstance(source, Carried):
        base[0] = source.init
    stacked = np.arange(access.shape[0] if access.stack else 1, dtype=np.int64)
    return (base[:, None] + access.stack * stacked[None, :]) % (1 << 32)


def producers(program: Program, values: Iterable[int] | Array) -> set[int]:
    """Who gives these trace values: descriptor number j, or -1 - v for input v. Values must be below
    ``header.values``.
    """
    array = np.unique(np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.int64))
    inputs = len(program.header.inputs)
    found = {-1 - int(v) for v in array[array < inputs]}
    array = array[array >= inputs]
    # A program may have as many segments as descriptors: only those that something is read from are looked at.
    segments = program.segments
    holders = np.searchsorted(program.segment_starts, array, "right") - 1
    for holder in np.unique(holders):
        segment = segments[holder]
        body = segment.stop - segment.start
        mine = array[holders == holder] - segment.first
        found.update(segment.start + int(j) for j in np.unique(mine[mine < body * segment.repeat] % body))
    return found
