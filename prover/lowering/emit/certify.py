"""What the audit will find about an op, while it is built: the rules know more than intervals can show, so saturation is added.

A lazy op's bounds may rest on what no interval says (which multiplier goes with which shift, that a boolean input is 0 or 1). Where
the op would not fit its dtype, or a register 64 bits, by intervals alone, instructions are added that saturate to the lazy op's own
bounds: they change nothing on inputs that keep to their formats, and make the program safe on all others.
"""

from __future__ import annotations

import math

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import LazyOp
from prover.lowering.emit.views import StridedView
from rollup.audit.ranges import INT64, RULES, Range, of_dtype, of_instruction, product_of, reduced
from rollup.form.ops import Instr, Opcode, registers
from rollup.types import DType


def certified(lazy: LazyOp, dtype: DType, tight: bool) -> tuple[LazyOp, Range]:
    """The lazy op, saturated where intervals do not show that it fits ``dtype``, and the interval of its result.

    ``tight``: its own bounds have to show, too (in a loop: what one iteration proves, the next relies on).
    """
    fits = dtype.min <= lazy.low and lazy.high <= dtype.max
    limits = Range(lazy.low, lazy.high) if tight and fits else of_dtype(dtype)
    again = _Again(lazy)
    for number in range(1, len(lazy.code) + 1):
        again.add(number)
    last = again.place[len(lazy.code)]
    if not again.found[last].inside(limits):
        low, high = max(lazy.low, dtype.min), min(lazy.high, dtype.max)
        if low <= high:
            last = again.saturated(last, low, high)
    return (again.emitter.done(last, lazy.scale) if again.changed else lazy), again.found[last]


class _Again:
    """A lazy op's code, emitted again with the ranges that intervals show (``found``); ``place``: its registers in the new code."""

    def __init__(self, lazy: LazyOp) -> None:
        self.lazy = lazy
        self.emitter = CodeEmitter.afresh(lazy)
        self.found = {0: _accumulator(lazy)}
        self.place = {0: 0}
        self.changed = False

    def add(self, number: int) -> None:
        """The next instruction; what it reads is saturated first where intervals let it wrap and its own bounds don't."""
        instr, own = self.lazy.code[number - 1], Range(*self.lazy.bounds[number])
        result = self._range(instr, own)
        if not result.inside(INT64) and own.inside(INT64) and own != INT64:
            for r in set(registers(instr)):
                self.place[r] = self.saturated(self.place[r], *self.lazy.bounds[r])
            self.changed, result = True, self._range(instr, own)
        self.place[number] = self.emitter.copy(instr, self.place, {}, own)
        self.found[self.place[number]] = result if result.inside(INT64) else INT64

    def saturated(self, register: int, low: int, high: int) -> int:
        """The register between low and high, where intervals don't show that it is."""
        self.changed = True
        for opcode, end, outside in (
            (Opcode.MIN, high, self.found[register].high > high),
            (Opcode.MAX, low, self.found[register].low < low),
        ):
            if outside:
                limit = self.emitter.const(end)
                self.found[limit] = Range(end, end)
                before, register = register, self.emitter.put(opcode, register, limit)
                self.found[register] = RULES[opcode](self.found[before], self.found[limit])
        return register

    def _range(self, instr: Instr, own: Range) -> Range:
        known = {r: self.found[self.place[r]] for r in registers(instr)}
        return of_instruction(instr, known, lambda at: _read(self.lazy, self.lazy.views[at]), lambda _: own)


def held(lazy: LazyOp, dtype: DType, found: Range) -> tuple[int, int]:
    """Bounds of what a certified lazy op stores."""
    own = (lazy.low, lazy.high) if dtype.min <= lazy.low and lazy.high <= dtype.max else (dtype.min, dtype.max)
    return max(min(own[0], found.low), dtype.min), min(max(own[1], found.high), dtype.max)


def _read(lazy: LazyOp, view: StridedView) -> Range:
    """What an access can read: any value of an input's dtype, else what the tensor's own op or constant shows."""
    tensor = view.tensor
    # What comes from the iteration before counts as any 64-bit integer, until its own op shows what it is.
    unknown = tensor.input is not None or (tensor.init is not None and tensor.dtype is DType.I64)
    stored = of_dtype(tensor.dtype) if unknown else Range(tensor.low, tensor.high)
    if tensor.init is not None:
        stored = stored.hull(Range(tensor.init.low, tensor.init.high))
    return view.read(stored, lazy.sizes)


def _accumulator(lazy: LazyOp) -> Range:
    if not lazy.reduces:
        return Range(*lazy.bounds[0])
    term = product_of([_read(lazy, view) for view in lazy.views[: lazy.factors]])
    acc = reduced(lazy.monoid, term, math.prod(lazy.domain))
    return acc if acc.inside(INT64) else INT64
