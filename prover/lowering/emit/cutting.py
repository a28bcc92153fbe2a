"""An op of which one element reads more than a transaction carries is computed in two steps: a register of its code is stored by an op of
its own, and loaded by what remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from prover.lowering.emit.certify import certified, held
from prover.lowering.emit.draft import SELF, Coder, Draft, Tensor, View
from prover.lowering.emit.parts import Depths, excess
from prover.lowering.emit.pending import PendingOp, Place, encoded
from rollup.form.ops import Monoid, Opcode, Term, registers
from rollup.types import DType


def cut(op: PendingOp, place: Place, sizes: Depths) -> tuple[PendingOp, PendingOp] | None:
    """The op in two steps, the dearer of which is as cheap as can be; None if that would be no cheaper than the op."""
    best, least = None, excess(encoded(op, 0, place), sizes)
    for register in cuts(op.draft):
        steps = _steps(op, register, place)
        price = max(excess(encoded(step, 0, place), sizes) for step in steps)
        if price < least:
            best, least = steps, price
    return best


def _steps(op: PendingOp, register: int, place: Place) -> tuple[PendingOp, PendingOp]:
    looped = place.segments[place.here].repeat > 1
    first = before(op.draft, register)
    dtype = DType.holding(first.low, first.high)
    first, found = certified(first, dtype, looped)
    low, high = held(first, dtype, found)
    tensor = Tensor(dtype, op.tensor.elements, low, high, segment=place.here, position=op.tensor.position)
    terms = tuple(Term(at, d, 1) for at, d in enumerate(op.order))
    view = View(tensor, tuple(first.shape[d] for d in op.order), (0,) * len(op.order), terms)
    second = after(op.draft, register, view)
    # Whatever reads the result relies on the bounds that the whole op had.
    bounds = (*second.bounds[:-1], (op.tensor.low, op.tensor.high))
    second, _ = certified(replace(second, bounds=bounds), op.dtype, True)
    return replace(op, draft=first, dtype=dtype, tensor=tensor), replace(op, draft=second)


def cuts(draft: Draft) -> list[int]:
    """Registers between the two steps, the result left out: what costs nothing to compute is not stored."""
    free = (Opcode.CONST, Opcode.INDEX)
    code = [number for number, instr in enumerate(draft.code[:-1], start=1) if instr.op not in free]
    return [*([0] if draft.reduces and draft.code else []), *code]


def before(draft: Draft, register: int) -> Draft:
    """The draft of the register's value."""
    found = Coder(draft).done(register, 0, chain=None) if register else _accumulated(draft)
    return found if 0 in _needed(draft, register, None) else _mapped(found)


def after(draft: Draft, register: int, stored: View) -> Draft:
    """The draft with the register loaded from where it is stored."""
    needed = _needed(draft, len(draft.code), register)
    base = draft if 0 in needed and register else _mapped(draft)
    coder = Coder(replace(base, code=(), bounds=base.bounds[:1], memo={}))
    views: dict[int, int] = {}
    place = {0: 0, register: coder.load(stored)}
    for number, instr in enumerate(draft.code, start=1):
        if number in needed and number != register:
            if instr.op in (Opcode.LOAD, Opcode.LOOK):
                views[instr.args[0]] = coder.view(draft.views[instr.args[0]])
            place[number] = coder.copy(instr, place, views, draft.bounds[number])
    return coder.done(place[len(draft.code)], draft.scale, chain=draft.chain)


def _accumulated(draft: Draft) -> Draft:
    """The draft's reduction alone."""
    coder = Coder(replace(draft, code=(), bounds=draft.bounds[:1], memo={}))
    return coder.done(0, 0, chain=None)


def _mapped(draft: Draft) -> Draft:
    """The draft without its reduction, which its code does not read."""
    read = sorted({instr.args[0] for instr in draft.code if instr.op in (Opcode.LOAD, Opcode.LOOK)})
    place: Mapping[int, int] = {number: at for at, number in enumerate(read)}
    code = tuple(
        replace(instr, args=(place[instr.args[0]], *instr.args[1:]))
        if instr.op in (Opcode.LOAD, Opcode.LOOK)
        else instr
        for instr in draft.code
    )
    views = tuple(draft.views[number] for number in read)
    assert all(view.indirect is None or view.indirect[1] == SELF for view in views)
    bounds = ((0, 0), *draft.bounds[1:])
    return replace(draft, monoid=Monoid.NONE, box=(), factors=0, views=views, code=code, bounds=bounds, memo={})


def _needed(draft: Draft, register: int, stored: int | None) -> set[int]:
    """Registers that a register is computed of (itself included), not going beyond the one that is stored."""
    found, pending = {register}, [register]
    while pending:
        number = pending.pop()
        if number and number != stored:
            fresh = set(registers(draft.code[number - 1])) - found
            found |= fresh
            pending += fresh
    return found
