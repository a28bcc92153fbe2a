"""Interval analysis in exact Python integers: what every access, accumulator, register and output of a program can be.

Starts from dtype ranges and the constants' real extremes and trusts nothing else in the file. Kernels rely on these
bounds and the audit finds with them what can wrap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rollup.audit.ranges import INT64, Range, hull, of_dtype, of_instruction, product_of, reduced
from rollup.form.affine import coefficients, extents, producers, reads, span, stays_inside, variables, view
from rollup.form.ops import ITERATION, Access, Constant, Monoid, Op, live
from rollup.form.program import Program

SHARP_LIMIT = 1 << 27
"""Constants with more elements than this are bounded by their extremes alone, not channel by channel."""

_CHANNELS = 1 << 20

_EXPANDED = 1 << 22
"""Most elements that a smaller constant is spread out to (by strides that overlap, or by fill) to be looked at."""


@dataclass(frozen=True)
class OpIntervals:
    """What one descriptor can compute, over all of its iterations and elements.

    ``accesses``: what each access reads (``fill`` included where it can leave). ``acc``, ``registers`` (the first is
    acc) and ``output`` are wrapped as the machine wraps; ``exact[n]`` is register n before wrapping. ``magnitude``
    bounds sum |x| |y| of a sum. ``overflows`` says what can wrap: sums, products, live registers, the cast.
    """

    accesses: tuple[Range, ...]
    acc: Range
    registers: tuple[Range, ...]
    exact: tuple[Range, ...]
    output: Range
    magnitude: int
    overflows: tuple[str, ...]


def extremes(array: np.ndarray) -> Range:
    return Range(int(array.min()), int(array.max()))


class _Weights(NamedTuple):
    """Per output channel of a constant factor, int64: the sum of its positive weights and the sum of its negative ones."""

    up: np.ndarray
    down: np.ndarray

    def sum(self, x: Range) -> tuple[Range, int]:
        """(range of sum x * w, bound of sum |x| |w|) over the channels."""
        pairs = [(int(p), int(n)) for p, n in zip(self.up, self.down, strict=True)]
        high = max(p * x.high + n * x.low for p, n in pairs)
        low = min(p * x.low + n * x.high for p, n in pairs)
        return Range(low, high), max(p - n for p, n in pairs) * x.magnitude


def _weights(op: Op, w: Access, array: np.ndarray) -> _Weights | None:
    """The channels of a constant factor of a sum; None if it is too large to look at."""
    sizes = extents(op)
    if array.size > SHARP_LIMIT or w.indirect is not None:
        return None
    if math.prod(sizes[var] for var in variables(w, sizes)) > max(array.size, _EXPANDED):
        return None
    used, weights = view(array, w, sizes)
    biggest = max(abs(int(weights.min())), abs(int(weights.max())))
    rank = len(op.shape)
    in_domain = [axis for axis, var in enumerate(used) if rank <= var != ITERATION]
    count = op.domain_elements // math.prod(weights.shape[axis] for axis in in_domain)
    if weights.size > SHARP_LIMIT or biggest * weights.size * count >= 1 << 62:
        return None
    up = np.sum(np.maximum(weights, 0), axis=tuple(in_domain), dtype=np.int64).reshape(-1) * count
    down = np.sum(np.minimum(weights, 0), axis=tuple(in_domain), dtype=np.int64).reshape(-1) * count
    return _Weights(up, down) if up.size <= _CHANNELS else None


def _weighed(program: Program, op: Op) -> list[tuple[int, _Weights]]:
    """The constant factors of a sum of products whose channels are looked at: the number of the *other* factor, and the channels."""
    if op.monoid is not Monoid.SUM or op.factors != 2:
        return []
    found = []
    for mine, other in ((0, 1), (1, 0)):
        access = op.accesses[mine]
        if isinstance(access.source, Constant):
            weights = _weights(op, access, program.seen(access))
            if weights is not None:
                found.append((other, weights))
    return found


def _reduce(op: Op, read: Sequence[Range], weighed: Sequence[tuple[int, _Weights]]) -> tuple[Range, int, list[str]]:
    """(unwrapped acc, bound of sum |x| |y|, what can wrap on the way)."""
    product = product_of(read[: op.factors])
    found = [] if product.inside(INT64) else [f"the product x * y can be {_far(product)}"]
    acc = reduced(op.monoid, product, op.domain_elements)
    if op.monoid is not Monoid.SUM:
        return acc, product.magnitude, found
    magnitude = product.magnitude * op.domain_elements
    for other, weights in weighed:
        sharp, bound = weights.sum(read[other])
        acc = Range(max(acc.low, sharp.low), min(acc.high, sharp.high))
        magnitude = min(magnitude, bound)
    if not acc.inside(INT64):
        found.append(f"the sum can be {_far(acc)}")
    return acc, magnitude, found


def _far(reach: Range) -> str:
    end = reach.low if abs(reach.low) > abs(reach.high) else reach.high
    return f"{'-' if end < 0 else ''}2^{math.log2(abs(end)):.1f}"


def _op_intervals(op: Op, read: Sequence[Range], weighed: Sequence[tuple[int, _Weights]]) -> OpIntervals:
    """Intervals of one op whose accesses read within ``read``."""
    exact_acc, magnitude, overflows = _reduce(op, read, weighed)
    exact, wrapped = [exact_acc], {0: exact_acc if exact_acc.inside(INT64) else INT64}
    sizes = extents(op)
    if overflows and op.monoid in (Monoid.MAX, Monoid.MIN, Monoid.NONE):
        wrapped[0] = INT64
    needed = live(op.code)
    if 0 not in needed:
        overflows = []
    for number, instr in enumerate(op.code, start=1):
        result = of_instruction(instr, wrapped, read.__getitem__, lambda var: Range(0, sizes[var] - 1))
        exact.append(result)
        wrapped[number] = result if result.inside(INT64) else INT64
        if number in needed and not result.inside(INT64):
            overflows.append(f"instruction {number - 1} ({instr.op.name.lower()}) can give {_far(result)}")
    output = wrapped[len(op.code)]
    if not output.inside(of_dtype(op.dtype)):
        overflows.append(f"the result in [{output.low}, {output.high}] does not fit {op.dtype.name.lower()}; clamp it")
        output = of_dtype(op.dtype)
    return OpIntervals(
        tuple(read), wrapped[0], tuple(wrapped.values()), tuple(exact), output, magnitude, tuple(overflows)
    )


class _Analysis:
    """Ranges of constants and values as they become known. ``of_op``: of descriptors, as far as they are known."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.of_op: dict[int, Range] = {}
        self._constants: dict[str, Range] = {}
        self._producers: dict[tuple[int, int], set[int]] = {}
        self._weighed: dict[int, list[tuple[int, _Weights]]] = {}
        self._found: dict[int, OpIntervals] = {}

    def found(self, j: int) -> OpIntervals:
        """What op j can compute from what is known now. Of what comes from an op that is not known, there is nothing yet."""
        op = self.program.ops[j]
        read = tuple(self._read(j, op))
        if j not in self._found or self._found[j].accesses != read:
            if j not in self._weighed:
                self._weighed[j] = _weighed(self.program, op)
            self._found[j] = _op_intervals(op, read, self._weighed[j])
        return self._found[j]

    def forget(self, ops: range) -> None:
        """What was kept for another look at a segment."""
        for j in ops:
            self._weighed.pop(j, None)
            self._found.pop(j, None)
            for number in range(len(self.program.ops[j].accesses)):
                self._producers.pop((j, number), None)

    def _stored(self, j: int, number: int, access: Access) -> Range:
        if isinstance(access.source, Constant):
            key = self.program.seen_key(access)
            if key not in self._constants:
                self._constants[key] = extremes(self.program.seen(access))
            return self._constants[key]
        if (j, number) not in self._producers:
            self._producers[j, number] = producers(self.program, reads(self.program.ops[j], access))
        parts = []
        for producer in self._producers[j, number]:
            if producer < 0:
                parts.append(of_dtype(self.program.header.inputs[-1 - producer].dtype))
            elif producer in self.of_op:
                parts.append(self.of_op[producer])
        return hull(parts) if parts else of_dtype(access.dtype)

    def _read(self, j: int, op: Op) -> list[Range]:
        """What every access of the op can read."""
        stored = [self._stored(j, number, access) for number, access in enumerate(op.accesses)]
        fills = [Range(access.fill, access.fill) for access in op.accesses]
        return [
            inner if self._stays(op, number, stored) else inner.hull(fill)
            for number, (inner, fill) in enumerate(zip(stored, fills, strict=True))
        ]

    @staticmethod
    def _stays(op: Op, number: int, stored: Sequence[Range]) -> bool:
        access, sizes = op.accesses[number], extents(op)
        if access.indirect is None:
            return stays_inside(access, sizes)
        dimension, index = access.indirect
        if index == number or op.accesses[index].indirect is not None or not stays_inside(access, sizes, dimension):
            return False
        added = stored[index]
        if not stays_inside(op.accesses[index], sizes):
            added = added.hull(Range(op.accesses[index].fill, op.accesses[index].fill))
        low, high = span(access.offsets[dimension], coefficients(access, sizes)[dimension], sizes)
        return low + added.low >= 0 and high + added.high < access.shape[dimension]

    def repeated(self, ops: range) -> None:
        """Learn what a repeated segment can compute in any of its iterations: the least that repeats itself.

        Looked for from below: the first round knows only what is there before the first iteration, every further one adds what
        the iteration before can have left. When a round adds nothing, what is known holds for every iteration, by induction. An
        end that still moves after some rounds (a counter's) is put where it must be anyway, by ``_anyway``.
        """
        anyway: dict[int, Range] = {}
        for number in range(_ROUNDS + _WIDENED):
            if number == _ROUNDS:
                anyway = self._anyway(ops)
            grown = False
            for j in ops:
                output = self.found(j).output
                if anyway:
                    output = output.within(anyway[j])
                known = self.of_op.get(j)
                if known is not None and output.inside(known):
                    continue
                grown = True
                self.of_op[j] = output if known is None else _grown(known, output, anyway.get(j))
            if not grown:
                break
        else:
            self.of_op.update(anyway)

    def _anyway(self, ops: range) -> dict[int, Range]:
        """What the segment's ops can compute in any iteration, from nothing but the dtypes of what comes from the one before,
        looked at twice.
        """
        other = _Analysis(self.program)
        other._constants, other._producers, other._weighed = self._constants, self._producers, self._weighed
        other.of_op = {**self.of_op, **{j: of_dtype(self.program.ops[j].dtype) for j in ops}}
        for _ in range(2):
            for j in ops:
                other.of_op[j] = other.found(j).output
        return {j: other.of_op[j] for j in ops}


_ROUNDS = 4
"""Rounds in which a repeated segment's ranges may grow as they do by themselves."""

_WIDENED = 6
"""Further rounds, in which an end that moves jumps; then the segment is known by its dtypes alone."""


def _grown(known: Range, output: Range, anyway: Range | None) -> Range:
    if anyway is None:
        return known.hull(output)
    return Range(
        known.low if known.low <= output.low else anyway.low, known.high if output.high <= known.high else anyway.high
    )


def intervals(program: Program) -> list[OpIntervals]:
    """Intervals per descriptor, for a well-formed program. They hold in every iteration of a repeated segment."""
    analysis = _Analysis(program)
    found: list[OpIntervals] = []
    for segment in program.segments:
        ops = range(segment.start, segment.stop)
        if segment.repeat > 1:
            analysis.repeated(ops)
        for j in ops:
            found.append(analysis.found(j))
            analysis.of_op[j] = found[-1].output
        analysis.forget(ops)
    return found
