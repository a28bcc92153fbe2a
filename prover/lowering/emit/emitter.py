"""The code of lazy ops: instructions are appended to it, each with the range of what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from prover.lowering.emit.lazy import LazyOp, magnitude_bits
from prover.lowering.emit.views import SELF, StridedView
from prover.lowering.formats import integer_range
from rollup.audit.ranges import INT64, RULES, Range
from rollup.form.ops import INSTRUCTIONS, ITERATION, Instr, Opcode, live, loads, registers, renumbered, wrap


class CodeEmitter:
    """Extends a lazy op's code. Registers are numbers; ``bounds[r]`` are certified."""

    def __init__(self, lazy: LazyOp) -> None:
        assert not lazy.pending
        self.lazy = lazy
        self.views = list(lazy.views)
        self.code = list(lazy.code)
        self.bounds = [Range(*bounds) for bounds in lazy.bounds]
        self._constants: dict[int, int] = {}
        self._loads: dict[StridedView, int] = {}
        for number, instr in enumerate(self.code, start=1):
            if instr.op is Opcode.CONST:
                self._constants.setdefault(instr.imm, number)
            elif instr.op is Opcode.LOAD:
                self._loads.setdefault(self.views[instr.args[0]], number)

    @classmethod
    def afresh(cls, lazy: LazyOp) -> CodeEmitter:
        """For code of its own over a lazy op's reduction and views."""
        return cls(replace(lazy, code=(), bounds=lazy.bounds[:1], memo={}))

    def bits(self, register: int) -> int:
        return magnitude_bits(*self.bounds[register])

    def put(self, op: Opcode, *args: int, known: tuple[int, int] | None = None) -> int:
        """Append an instruction; one whose operands are certain becomes a constant.

        Its range follows from its operands'. ``known`` overrides that: what the caller can prove and ranges can't show.
        """
        instr = Instr(op, args)
        if known is not None:
            return self._append(instr, Range(*known))
        return self._append(instr, RULES[op](*(self.bounds[r] for r in registers(instr))))

    def _append(self, instr: Instr, found: Range) -> int:
        operands = registers(instr)
        exact = INSTRUCTIONS[instr.op].exact
        if operands and exact is not None and all(self.bounds[r].low == self.bounds[r].high for r in operands):
            return self.const(wrap(exact(*(self.bounds[r].low for r in operands))))
        self.code.append(instr)
        self.bounds.append(found if found.inside(INT64) else INT64)
        return len(self.code)

    def const(self, value: int) -> int:
        if value not in self._constants:
            self._constants[value] = self._append(Instr(Opcode.CONST, (), value), Range(value, value))
        return self._constants[value]

    def index(self, variable: int, size: int) -> int:
        return self.put(Opcode.INDEX, variable, known=(0, size - 1))

    def affine(self, offset: int, parts: Sequence[tuple[int, int]]) -> int:
        """offset + sum of coef * output coordinate."""
        total = None if offset == 0 and parts else self.const(offset)
        for variable, coef in parts:
            part = self.index(variable, self.lazy.shape[variable] if variable != ITERATION else 1 << 31)
            if coef != 1:
                part = self.mul(part, self.const(coef))
            total = part if total is None else self.add(total, part)
        assert total is not None
        return total

    def view(self, view: StridedView) -> int:
        """Number of the access for ``view``."""
        if view in self.views[self.lazy.factors :]:
            return self.views.index(view, self.lazy.factors)
        self.views.append(view)
        return len(self.views) - 1

    def load(self, view: StridedView) -> int:
        if view not in self._loads:
            found = view.read(Range(view.tensor.low, view.tensor.high), self.lazy.sizes)
            self._loads[view] = self.put(Opcode.LOAD, self.view(view), known=found)
        return self._loads[view]

    def gather(self, view: StridedView, register: int, inside: bool = False) -> int:
        """Element of a one-dimensional view at a register's place; ``inside``: the place certainly is one."""
        found = Range(view.tensor.low, view.tensor.high) if inside else view.range
        return self.put(Opcode.GATHER, self.view(view), register, known=found)

    def add(self, a: int, b: int) -> int:
        return self.put(Opcode.ADD, a, b)

    def sub(self, a: int, b: int) -> int:
        return self.put(Opcode.SUB, a, b)

    def neg(self, a: int) -> int:
        return self.sub(self.const(0), a)

    def mul(self, a: int, b: int) -> int:
        return self.put(Opcode.MUL, a, b)

    def div(self, a: int, b: int) -> int:
        """floor(a / b), 0 for b = 0."""
        return self.put(Opcode.DIV, a, b)

    def shr(self, a: int, b: int) -> int:
        """Rounding shift right by a register."""
        return self.put(Opcode.SHR, a, b)

    def shl(self, a: int, b: int) -> int:
        return self.put(Opcode.SHL, a, b)

    def mulshift(self, a: int, m: int, s: int, known: tuple[int, int] | None = None) -> int:
        return self.put(Opcode.MULSHIFT, a, m, s, known=known)

    def shift(self, a: int, left: int) -> int:
        """a * 2^left, rounded for negative ``left``."""
        if left == 0:
            return a
        if left < 0:
            return self.shr(a, self.const(min(-left, 65)))
        return self.shl(a, self.const(left))

    def minimum(self, a: int, b: int) -> int:
        return self.put(Opcode.MIN, a, b)

    def maximum(self, a: int, b: int) -> int:
        return self.put(Opcode.MAX, a, b)

    def clamp(self, a: int, low: int, high: int) -> int:
        """Saturate; instructions that certainly change nothing are left out."""
        if self.bounds[a][1] > high:
            a = self.minimum(a, self.const(high))
        if self.bounds[a][0] < low:
            a = self.maximum(a, self.const(low))
        return a

    def wrapped(self, a: int, dtype: np.dtype[Any]) -> int:
        """Reduced modulo 2^bits into the range of a NumPy integer dtype, as its arithmetic does; 64 bits wrap by themselves."""
        low, high = self.bounds[a]
        least, most = integer_range(dtype)
        if (least <= low and high <= most) or np.dtype(dtype).itemsize == 8 or np.dtype(dtype) == np.bool_:
            return a
        if high - least >= 1 << 63:
            # No sum may pass 64 bits: the bits above go first.
            a = self.bitwise(Opcode.AND, a, self.const(most - least))
        lifted = a if least == 0 else self.add(a, self.const(-least))
        rest = self.bitwise(Opcode.AND, lifted, self.const(most - least))
        return rest if least == 0 else self.add(rest, self.const(least))

    def abs(self, a: int) -> int:
        return self.put(Opcode.ABS, a)

    def less(self, a: int, b: int) -> int:
        return self.put(Opcode.LESS, a, b)

    def equal(self, a: int, b: int) -> int:
        return self.put(Opcode.EQUAL, a, b)

    def bitwise(self, op: Opcode, a: int, b: int) -> int:
        """And, or, xor."""
        return self.put(op, a, b)

    def select(self, condition: int, then: int, other: int) -> int:
        return self.put(Opcode.SELECT, condition, then, other)

    def bitlen(self, a: int) -> int:
        return self.put(Opcode.BITLEN, a)

    def isqrt(self, a: int) -> int:
        return self.put(Opcode.ISQRT, a)

    def copy(self, instr: Instr, place: Mapping[int, int], views: Mapping[int, int], bounds: tuple[int, int]) -> int:
        """Append another lazy op's instruction, its registers and accesses renumbered."""
        args = renumbered(instr, place, views).args
        if instr.op is Opcode.CONST:
            return self.const(instr.imm)
        if instr.op is Opcode.LOAD:
            view = self.views[args[0]]
            if view in self._loads:
                return self._loads[view]
            self._loads[view] = self._append(Instr(instr.op, args), Range(*bounds))
            return self._loads[view]
        return self._append(Instr(instr.op, args), Range(*bounds))

    def include(self, other: LazyOp) -> int:
        """Append a lazy op without a reduction; its result register."""
        assert not other.reduces and not other.pending and other.shape == self.lazy.shape
        views = {number: self.view(view) for number, view in enumerate(other.views)}
        place = {0: self.const(0)} if any(0 in registers(instr) for instr in other.code) else {0: -1}
        for number, instr in enumerate(other.code, start=1):
            place[number] = self.copy(instr, place, views, other.bounds[number])
        return place[len(other.code)]

    def done(self, register: int, scale: int, **changes: Any) -> LazyOp:
        """The extended lazy op with ``register`` as its result, without code and views that nothing needs."""
        kept = sorted(live(self.code, register) - {0})
        place = {0: 0, **{number: at for at, number in enumerate(kept, start=1)}}
        used = sorted({a for n in kept for a in loads(self.code[n - 1])} | set(range(self.lazy.factors)))
        pending = list(used)
        while pending:
            indirect = self.views[pending.pop()].indirect
            if indirect is not None and indirect[1] not in (SELF, *used):
                used.append(indirect[1])
                pending.append(indirect[1])
        used.sort()
        views = {number: at for at, number in enumerate(used)}
        return replace(
            self.lazy,
            views=tuple(_moved(self.views[number], views) for number in used),
            code=tuple(renumbered(self.code[n - 1], place, views) for n in kept),
            bounds=(self.bounds[0], *(self.bounds[n] for n in kept)),
            scale=scale,
            **{"memo": {}, "var": None, **changes},
        )


def _moved(view: StridedView, views: Mapping[int, int]) -> StridedView:
    if view.indirect is None or view.indirect[1] not in views:
        return view
    return replace(view, indirect=(view.indirect[0], views[view.indirect[1]]))


def reindexed(lazy: LazyOp, shape: Sequence[int], variables: Sequence[tuple[int, Sequence[tuple[int, int]]]]) -> LazyOp:
    """The lazy op over another output space: output dimension d of the old one is an affine map of the new dimensions."""
    mapping = dict(enumerate(variables))
    views = tuple(view.renamed(mapping) for view in lazy.views)
    chain = lazy.chain and replace(lazy.chain, view=lazy.chain.view.renamed(mapping))
    if lazy.pending:
        return replace(lazy, shape=tuple(shape), chain=chain, order=None, var=None, memo={})
    emitter = CodeEmitter.afresh(replace(lazy, shape=tuple(shape), views=views, chain=chain, order=None))
    place = {0: 0}
    for number, instr in enumerate(lazy.code, start=1):
        if instr.op is Opcode.INDEX and instr.args[0] in mapping:
            place[number] = emitter.affine(*mapping[instr.args[0]])
        else:
            place[number] = emitter.copy(instr, place, {}, lazy.bounds[number])
    return emitter.done(place[len(lazy.code)], lazy.scale)
