"""What a trace's own operands reduce to, part by part: what is said inside an element, whoever says it.

The reference (``rollup.machine.reference``) over whole arrays: a reduction of a million positions takes a fraction of a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rollup.errors import CommitmentError
from rollup.form.ops import ARGUMENTS, FAN_OUT, ITERATION, Access, Constant, Monoid, Op
from rollup.form.parts import Partition, children, partition
from rollup.form.program import Program
from rollup.game.position import offset_of
from rollup.game.question import Partial, Question
from rollup.machine.reference import unravel, value_index
from rollup.types import LEAF_BYTES, Gindex

POSITIONS = 1 << 18
"""Domain positions that are computed at once, unless one part has more."""

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Reduction:
    """One element of one op, given the trace values before it.

    ``values``: of the whole trace, in order. ``t``: iteration; ``i``: coordinates of the element.
    """

    program: Program
    values: Sequence[np.ndarray]
    op: Op
    t: int
    i: tuple[int, ...]

    @cached_property
    def cut(self) -> Partition:
        return partition(self.op)

    @property
    def _by_position(self) -> bool:
        return self.op.monoid in ARGUMENTS

    @cached_property
    def parts(self) -> tuple[Integers, Integers]:
        """(values, positions) of all parts, in order."""
        starts = self._starts()
        values, positions = np.zeros(len(starts) - 1, np.int64), np.zeros(len(starts) - 1, np.int64)
        first = 0
        while first < len(values):
            last = int(np.searchsorted(starts, starts[first] + POSITIONS, side="right")) - 1
            last = min(max(last, first + 1), len(values))
            terms = self._terms(int(starts[first]), int(starts[last]))
            cuts = starts[first:last] - starts[first]
            values[first:last], positions[first:last] = self._reduce(terms, cuts, int(starts[first]))
            first = last
        return values, positions

    def partials(self, level: int, index: int) -> list[Partial]:
        """The partial results in the answer to a node of the tree over the parts; empty for a node that does not exist."""
        values, positions = self.parts
        count = children(self.cut.count, level, index)
        each = FAN_OUT ** (self.cut.levels - level - 1)
        first = index * FAN_OUT * each
        found = []
        for child in range(count):
            span = slice(first + child * each, min(first + (child + 1) * each, self.cut.count))
            value, at = self._reduce(values[span], np.zeros(1, np.int64), 0)
            position = int(positions[span][int(at[0])]) if self._by_position else 0
            found.append(Partial(int(value[0]), position))
        return found

    def _starts(self) -> Integers:
        """Where every part begins among the domain's positions, and where the last one ends."""
        domain, axis = self.op.domain, self.cut.axis
        inner = math.prod(domain[axis + 1 :])
        row = np.arange(0, domain[axis] if domain else 1, self.cut.step, dtype=np.int64) * inner
        rows = np.arange(math.prod(domain[:axis]), dtype=np.int64) * (inner * domain[axis] if domain else 1)
        return np.append((rows[:, None] + row[None, :]).reshape(-1), math.prod(domain))

    def _reduce(self, terms: Integers, starts: Integers, first: int) -> tuple[Integers, Integers]:
        """The monoid over consecutive runs of terms; positions count from ``first``."""
        none = np.zeros(len(starts), np.int64)
        with np.errstate(over="ignore"):
            match self.op.monoid:
                case Monoid.SUM | Monoid.NONE:
                    return np.add.reduceat(terms, starts), none
                case Monoid.MAX | Monoid.ARGMAX:
                    best = np.maximum.reduceat(terms, starts)
                case Monoid.MIN | Monoid.ARGMIN:
                    best = np.minimum.reduceat(terms, starts)
        if not self._by_position:
            return best, none
        lengths = np.diff(np.append(starts, len(terms)))
        where = np.arange(len(terms), dtype=np.int64)
        where[terms != np.repeat(best, lengths)] = len(terms)
        return best, np.minimum.reduceat(where, starts) + first

    def _terms(self, start: int, stop: int) -> Integers:
        """The products at domain positions ``start`` to ``stop`` - 1."""
        k = np.unravel_index(np.arange(start, stop), self.op.domain) if self.op.domain else ()
        domain = [np.asarray(axis, np.int64) for axis in k]
        product: Integers | None = None
        with np.errstate(over="ignore"):
            for number in range(self.op.factors):
                factor = self._load(number, domain, stop - start)
                product = factor if product is None else product * factor
        return np.zeros(stop - start, np.int64) if product is None else product

    def _load(self, number: int, domain: Sequence[Integers], count: int) -> Integers:
        """What access ``number`` reads at ``count`` domain positions."""
        access = self.op.accesses[number]
        coordinates = [np.full(count, offset, np.int64) for offset in access.offsets]
        for term in access.terms:
            coordinates[term.dimension] += term.coef * self._variable(term.var, domain)
        if access.indirect is not None:
            dimension, index = access.indirect
            coordinates[dimension] += self._load(index, domain, count)
        inside = np.ones(count, bool)
        for coordinate, size in zip(coordinates, access.shape, strict=True):
            inside &= (coordinate >= 0) & (coordinate < size)
        found = np.full(count, access.fill, np.int64)
        at = np.zeros(int(inside.sum()), np.int64)
        for coordinate, size in zip(coordinates[1:] if access.stack else coordinates, access.tensor_shape, strict=True):
            at = at * size + coordinate[inside]
        found[inside] = self._gather(access, coordinates[0][inside] if access.stack else None, at)
        return found

    def _gather(self, access: Access, stacked: Integers | None, at: Integers) -> Integers:
        if isinstance(access.source, Constant):
            return self.program.seen(access)[at].astype(np.int64)
        if stacked is None:
            return self.values[value_index(access, self.t, 0)].reshape(-1)[at].astype(np.int64)
        found = np.zeros(len(at), np.int64)
        for coordinate in np.unique(stacked):
            here = stacked == coordinate
            value = self.values[value_index(access, self.t, int(coordinate))]
            found[here] = value.reshape(-1)[at[here]]
        return found

    def _variable(self, var: int, domain: Sequence[Integers]) -> Integers | int:
        if var == ITERATION:
            return self.t
        return self.i[var] if var < len(self.i) else domain[var - len(self.i)]


@dataclass
class Reductions:
    """The elements of one trace; ``values`` right or wrong, one array per trace value. The last element is remembered."""

    program: Program
    values: Sequence[np.ndarray]
    _last: tuple[tuple[int, int], Reduction] | None = field(default=None, repr=False)

    def partials(self, question: Question) -> list[Partial]:
        """The answer to a question about this trace."""
        return self.of(question.place, question.element).partials(question.level, question.index)

    def of(self, place: Gindex, element: int) -> Reduction:
        """Element ``element`` of the leaf at ``place``; raises CommitmentError if no op gives it."""
        if self._last is None or self._last[0] != (place, element):
            self._last = (place, element), self._element(place, element)
        return self._last[1]

    def _element(self, place: Gindex, element: int) -> Reduction:
        depth = self.program.header.tensor_depth
        leaf = offset_of(place)
        value = leaf >> depth
        if not len(self.program.header.inputs) <= value < self.program.header.values:
            raise CommitmentError(f"value {value} is no op's output; ask about an element of one")
        number, t = self.program.locate(value)
        op = self.program.ops[number]
        position = (leaf & ((1 << depth) - 1)) * (LEAF_BYTES // op.dtype.size) + element
        if position >= op.elements:
            raise CommitmentError(f"value {value} has {op.elements} elements; element {position} is none of them")
        return Reduction(self.program, self.values, op, t, unravel(position, op.shape))
