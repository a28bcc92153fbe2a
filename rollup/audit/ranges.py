"""Ranges of integers, and the one place that says what range every instruction and monoid gives from its operands'.

The audit, the executor's kernels and lowering all compute with these rules. They are exact Python integers: nothing wraps here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rollup.form.ops import ARGUMENTS, Instr, Monoid, Opcode, rounding_shift
from rollup.types import DType


class Range(NamedTuple):
    """All integers from ``low`` to ``high``, both included."""

    low: int
    high: int

    @property
    def magnitude(self) -> int:
        return max(abs(self.low), abs(self.high))

    def inside(self, other: Range) -> bool:
        return other.low <= self.low and self.high <= other.high

    def within(self, other: Range) -> Range:
        """What both hold; ``other`` if there is nothing."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Range(low, high) if low <= high else other

    def hull(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))


INT64 = Range(-(1 << 63), (1 << 63) - 1)
INT8 = Range(-(1 << 7), (1 << 7) - 1)
INT16 = Range(-(1 << 15), (1 << 15) - 1)
INT32 = Range(-(1 << 31), (1 << 31) - 1)
ZERO = Range(0, 0)


def of_dtype(dtype: DType) -> Range:
    return Range(dtype.min, dtype.max)


def corners(function: Callable[[int, int], int], a: Range, b: Range) -> Range:
    """Range of a function that is monotone in each argument."""
    found = [function(x, y) for x in a for y in b]
    return Range(min(found), max(found))


def _mul(a: Range, b: Range) -> Range:
    return corners(lambda x, y: x * y, a, b)


def _div(a: Range, b: Range) -> Range:
    parts = [corners(lambda x, y: x // y, a, part) for part in _nonzero(b)]
    if b.low <= 0 <= b.high:
        parts.append(ZERO)
    return hull(parts)


def _nonzero(b: Range) -> list[Range]:
    parts = [Range(b.low, min(b.high, -1)), Range(max(b.low, 1), b.high)]
    return [part for part in parts if part.low <= part.high]


def hull(parts: Sequence[Range]) -> Range:
    return Range(min(p.low for p in parts), max(p.high for p in parts))


def _shl(a: Range, b: Range) -> Range:
    low, high = max(b.low, 0), min(b.high, 63)
    parts = [corners(lambda x, s: x << s, a, Range(low, high))] if low <= high else []
    if b.low < 0 or b.high > 63:
        parts.append(ZERO)
    return hull(parts)


def _shift(product: Range, s: Range, limit: int) -> Range:
    return corners(lambda x, by: rounding_shift(x, by, limit), product, s)


def _and(a: Range, b: Range) -> Range:
    if a.low >= 0 or b.low >= 0:
        return Range(0, min(r.high for r in (a, b) if r.low >= 0))
    return _bits(a, b)


def _bits(a: Range, b: Range) -> Range:
    top = 1 << max(n.bit_length() for n in (*a, *b))
    return Range(0 if min(a.low, b.low) >= 0 else -top, top - 1)


def _or(a: Range, b: Range) -> Range:
    either = _bits(a, b)
    return either if either.low < 0 else Range(max(a.low, b.low), min(a.high + b.high, either.high))


def _abs(a: Range) -> Range:
    low = 0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
    return Range(low, a.magnitude)


def _select(a: Range, b: Range, c: Range) -> Range:
    if a == ZERO:
        return c
    return b.hull(c) if a.low <= 0 <= a.high else b


def _bitlen(a: Range) -> Range:
    size = _abs(a)
    return Range(size.low.bit_length(), size.high.bit_length())


def _supplied(given: Range) -> Range:
    return given


RULES: Mapping[Opcode, Callable[..., Range]] = {
    Opcode.CONST: _supplied,
    Opcode.INDEX: _supplied,
    Opcode.LOAD: _supplied,
    Opcode.GATHER: _supplied,
    Opcode.ADD: lambda a, b: Range(a.low + b.low, a.high + b.high),
    Opcode.SUB: lambda a, b: Range(a.low - b.high, a.high - b.low),
    Opcode.MUL: _mul,
    Opcode.DIV: _div,
    Opcode.SHL: _shl,
    Opcode.SHR: lambda a, b: _shift(a, b, 65),
    Opcode.MULSHIFT: lambda a, m, s: _shift(_mul(a, m), s, 128),
    Opcode.AND: _and,
    Opcode.OR: _or,
    Opcode.XOR: _bits,
    Opcode.MIN: lambda a, b: Range(min(a.low, b.low), min(a.high, b.high)),
    Opcode.MAX: lambda a, b: Range(max(a.low, b.low), max(a.high, b.high)),
    Opcode.ABS: _abs,
    Opcode.LESS: lambda a, b: Range(int(a.high < b.low), int(a.low < b.high)),
    Opcode.EQUAL: lambda a, b: Range(int(a.low == a.high == b.low == b.high), int(a.low <= b.high and b.low <= a.high)),
    Opcode.SELECT: _select,
    Opcode.BITLEN: _bitlen,
    Opcode.ISQRT: lambda a: Range(math.isqrt(max(a.low, 0)), math.isqrt(max(a.high, 0))),
}
"""Range of the *unwrapped* result from the operands' ranges; for the first four, the range that the machine
supplies.
"""


def of_instruction(
    instr: Instr, registers: Mapping[int, Range], read: Callable[[int], Range], index: Callable[[int], Range]
) -> Range:
    """Range of an instruction's result, before wrapping.

    ``registers``: what those before it hold; ``read``: what an access can read; ``index``: what a variable runs over.
    """
    match instr.op:
        case Opcode.CONST:
            return Range(instr.imm, instr.imm)
        case Opcode.INDEX:
            return index(instr.args[0])
        case Opcode.LOAD | Opcode.GATHER:
            return read(instr.args[0])
    return RULES[instr.op](*(registers[r] for r in instr.args))


def product_of(factors: Sequence[Range]) -> Range:
    """Range of the terms that a reduction takes together, before wrapping; without factors they are 0."""
    if not factors:
        return ZERO
    return factors[0] if len(factors) == 1 else _mul(*factors)


def reduced(monoid: Monoid, term: Range, count: int) -> Range:
    """Range of the accumulator, before wrapping, of a domain with ``count`` positions whose terms lie in ``term``."""
    if monoid in ARGUMENTS:
        return Range(0, count - 1)
    return Range(term.low * count, term.high * count) if monoid is Monoid.SUM else term
