"""What the audit will find about an op, while it is built: the rules know more than intervals can show, so saturation is added.

A draft's bounds may rest on what no interval says (which multiplier goes with which shift, that a boolean input is 0 or 1). Where
the op would not fit its dtype, or a register 64 bits, by intervals alone, instructions are added that saturate to the draft's own
bounds: they change nothing on inputs that keep to their formats, and make the program safe on all others.
"""

from __future__ import annotations

import math
from dataclasses import replace

from prover.lowering.emit.draft import Coder, Draft, View
from rollup.audit.ranges import INT64, RULES, Range, of_dtype, product_of, reduced
from rollup.form.ops import ITERATION, Instr, Opcode, registers
from rollup.types import DType


def certified(draft: Draft, dtype: DType, tight: bool) -> tuple[Draft, Range]:
    """The draft, saturated where intervals do not show that it fits ``dtype``, and the interval of its result.

    ``tight``: its own bounds have to show, too (in a loop: what one iteration proves, the next relies on).
    """
    limits = (
        Range(draft.low, draft.high)
        if tight and dtype.min <= draft.low and draft.high <= dtype.max
        else of_dtype(dtype)
    )
    acc = _accumulator(draft)
    coder = Coder(replace(draft, code=(), bounds=draft.bounds[:1], memo={}))
    found, place, changed = {0: acc}, {0: 0}, False

    def saturated(register: int, low: int, high: int) -> int:
        for opcode, end, outside in (
            (Opcode.MIN, high, found[register].high > high),
            (Opcode.MAX, low, found[register].low < low),
        ):
            if outside:
                limit = coder.const(end)
                found[limit] = Range(end, end)
                before, register = register, coder.put(Instr(opcode, (register, limit)))
                found[register] = RULES[opcode](found[before], found[limit])
        return register

    def ranged(instr: Instr, number: int) -> Range:
        match instr.op:
            case Opcode.CONST:
                return Range(instr.imm, instr.imm)
            case Opcode.INDEX:
                return Range(*draft.bounds[number])
            case Opcode.LOAD | Opcode.LOOK:
                return _read(draft, draft.views[instr.args[0]])
            case _:
                return RULES[instr.op](*(found[place[r]] for r in registers(instr)))

    for number, instr in enumerate(draft.code, start=1):
        result = ranged(instr, number)
        own = Range(*draft.bounds[number])
        if not result.inside(INT64) and own.inside(INT64) and own != INT64:
            for r in set(registers(instr)):
                place[r] = saturated(place[r], *draft.bounds[r])
            changed, result = True, ranged(instr, number)
        place[number] = coder.copy(instr, place, {}, draft.bounds[number])
        found[place[number]] = result if result.inside(INT64) else INT64
    last = place[len(draft.code)]
    if not found[last].inside(limits):
        low, high = max(draft.low, dtype.min), min(draft.high, dtype.max)
        if low <= high:
            last, changed = saturated(last, low, high), True
    if not changed:
        return draft, found[last]
    return coder.done(last, draft.scale), found[last]


def held(draft: Draft, dtype: DType, found: Range) -> tuple[int, int]:
    """Bounds of what a certified draft stores."""
    own = (draft.low, draft.high) if dtype.min <= draft.low and draft.high <= dtype.max else (dtype.min, dtype.max)
    return max(min(own[0], found.low), dtype.min), min(max(own[1], found.high), dtype.max)


def _read(draft: Draft, view: View) -> Range:
    """What an access can read: any value of an input's dtype, else what the tensor's own op or constant shows."""
    tensor = view.tensor
    # What comes from the iteration before counts as any 64-bit integer, until its own op shows what it is.
    unknown = tensor.input is not None or (tensor.init is not None and tensor.dtype is DType.I64)
    stored = of_dtype(tensor.dtype) if unknown else Range(tensor.low, tensor.high)
    if tensor.init is not None:
        stored = stored.hull(Range(tensor.init.low, tensor.init.high))
    if view.indirect is None and view.inside({**draft.sizes, ITERATION: 1}):
        return stored
    return stored.hull(Range(view.fill, view.fill))


def _accumulator(draft: Draft) -> Range:
    if not draft.reduces:
        return Range(*draft.bounds[0])
    term = product_of([_read(draft, view) for view in draft.views[: draft.factors]])
    acc = reduced(draft.monoid, term, math.prod(draft.box))
    return acc if acc.inside(INT64) else INT64
