"""What the audit will find about an op, while it is built: the rules know more than intervals can show, so saturation is added.

A lazy op's bounds may rest on what no interval says (which multiplier goes with which shift, that a boolean input is 0 or 1). Where
the op would not fit its dtype, or a register 64 bits, by intervals alone, instructions are added that saturate to the lazy op's own
bounds: they change nothing on inputs that keep to their formats, and make the program safe on all others.
"""

from __future__ import annotations

import math

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import LazyOp
from prover.lowering.emit.views import TensorView
from rollup.audit.ranges import INT64, RULES, Range, of_dtype, product_of, reduced
from rollup.form.ops import ITERATION, Instr, Opcode, registers
from rollup.types import DType


def certified(lazy: LazyOp, dtype: DType, tight: bool) -> tuple[LazyOp, Range]:
    """The lazy op, saturated where intervals do not show that it fits ``dtype``, and the interval of its result.

    ``tight``: its own bounds have to show, too (in a loop: what one iteration proves, the next relies on).
    """
    limits = (
        Range(lazy.low, lazy.high) if tight and dtype.min <= lazy.low and lazy.high <= dtype.max else of_dtype(dtype)
    )
    acc = _accumulator(lazy)
    emitter = CodeEmitter.afresh(lazy)
    found, place, changed = {0: acc}, {0: 0}, False

    def saturated(register: int, low: int, high: int) -> int:
        for opcode, end, outside in (
            (Opcode.MIN, high, found[register].high > high),
            (Opcode.MAX, low, found[register].low < low),
        ):
            if outside:
                limit = emitter.const(end)
                found[limit] = Range(end, end)
                before, register = register, emitter.put(Instr(opcode, (register, limit)))
                found[register] = RULES[opcode](found[before], found[limit])
        return register

    def ranged(instr: Instr, number: int) -> Range:
        match instr.op:
            case Opcode.CONST:
                return Range(instr.imm, instr.imm)
            case Opcode.INDEX:
                return Range(*lazy.bounds[number])
            case Opcode.LOAD | Opcode.LOOK:
                return _read(lazy, lazy.views[instr.args[0]])
            case _:
                return RULES[instr.op](*(found[place[r]] for r in registers(instr)))

    for number, instr in enumerate(lazy.code, start=1):
        result = ranged(instr, number)
        own = Range(*lazy.bounds[number])
        if not result.inside(INT64) and own.inside(INT64) and own != INT64:
            for r in set(registers(instr)):
                place[r] = saturated(place[r], *lazy.bounds[r])
            changed, result = True, ranged(instr, number)
        place[number] = emitter.copy(instr, place, {}, lazy.bounds[number])
        found[place[number]] = result if result.inside(INT64) else INT64
    last = place[len(lazy.code)]
    if not found[last].inside(limits):
        low, high = max(lazy.low, dtype.min), min(lazy.high, dtype.max)
        if low <= high:
            last, changed = saturated(last, low, high), True
    if not changed:
        return lazy, found[last]
    return emitter.done(last, lazy.scale), found[last]


def held(lazy: LazyOp, dtype: DType, found: Range) -> tuple[int, int]:
    """Bounds of what a certified lazy op stores."""
    own = (lazy.low, lazy.high) if dtype.min <= lazy.low and lazy.high <= dtype.max else (dtype.min, dtype.max)
    return max(min(own[0], found.low), dtype.min), min(max(own[1], found.high), dtype.max)


def _read(lazy: LazyOp, view: TensorView) -> Range:
    """What an access can read: any value of an input's dtype, else what the tensor's own op or constant shows."""
    tensor = view.tensor
    # What comes from the iteration before counts as any 64-bit integer, until its own op shows what it is.
    unknown = tensor.input is not None or (tensor.init is not None and tensor.dtype is DType.I64)
    stored = of_dtype(tensor.dtype) if unknown else Range(tensor.low, tensor.high)
    if tensor.init is not None:
        stored = stored.hull(Range(tensor.init.low, tensor.init.high))
    if view.indirect is None and view.inside({**lazy.sizes, ITERATION: 1}):
        return stored
    return stored.hull(Range(view.fill, view.fill))


def _accumulator(lazy: LazyOp) -> Range:
    if not lazy.reduces:
        return Range(*lazy.bounds[0])
    term = product_of([_read(lazy, view) for view in lazy.views[: lazy.factors]])
    acc = reduced(lazy.monoid, term, math.prod(lazy.box))
    return acc if acc.inside(INT64) else INT64
