"""An op of which one element reads more than a transaction carries is computed in two steps: a register of its code is stored by an op of
its own, and loaded by what remains.
"""

from __future__ import annotations

from dataclasses import replace

from prover.lowering.emit.certify import certified, held
from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import LazyOp
from prover.lowering.emit.parts import Depths, excess
from prover.lowering.emit.pending import PendingOp, TracePlaces, encoded
from prover.lowering.emit.views import SELF, ProgramTensor, StridedView
from rollup.form.ops import Monoid, Opcode, Term, live, loads, renumbered
from rollup.types import DType


def cut(op: PendingOp, place: TracePlaces, sizes: Depths) -> tuple[PendingOp, PendingOp] | None:
    """The op in two steps, the dearer of which is as cheap as can be; None if that would be no cheaper than the op."""
    best, least = None, excess(encoded(op, 0, place), sizes)
    for register in cuts(op.lazy):
        steps = _steps(op, register, place)
        price = max(excess(encoded(step, 0, place), sizes) for step in steps)
        if price < least:
            best, least = steps, price
    return best


def _steps(op: PendingOp, register: int, place: TracePlaces) -> tuple[PendingOp, PendingOp]:
    looped = place.segments[place.here].repeat > 1
    first = before(op.lazy, register)
    dtype = DType.holding(first.low, first.high)
    first, found = certified(first, dtype, looped)
    low, high = held(first, dtype, found)
    tensor = ProgramTensor(dtype, op.tensor.elements, low, high, segment=place.here, position=op.tensor.position)
    terms = tuple(Term(at, d, 1) for at, d in enumerate(op.order))
    view = StridedView(tensor, tuple(first.shape[d] for d in op.order), (0,) * len(op.order), terms)
    second = after(op.lazy, register, view)
    # Whatever reads the result relies on the bounds that the whole op had.
    bounds = (*second.bounds[:-1], (op.tensor.low, op.tensor.high))
    second, _ = certified(replace(second, bounds=bounds), op.dtype, True)
    return replace(op, lazy=first, dtype=dtype, tensor=tensor), replace(op, lazy=second)


def cuts(lazy: LazyOp) -> list[int]:
    """Registers between the two steps, the result left out: what costs nothing to compute is not stored."""
    free = (Opcode.CONST, Opcode.INDEX)
    code = [number for number, instr in enumerate(lazy.code[:-1], start=1) if instr.op not in free]
    return [*([0] if lazy.reduces and lazy.code else []), *code]


def before(lazy: LazyOp, register: int) -> LazyOp:
    """The lazy op of the register's value."""
    found = CodeEmitter(lazy).done(register, 0, chain=None) if register else _accumulated(lazy)
    return found if 0 in live(lazy.code, register) else _mapped(found)


def after(lazy: LazyOp, register: int, stored: StridedView) -> LazyOp:
    """The lazy op with the register loaded from where it is stored."""
    needed = live(lazy.code, known={register})
    base = lazy if 0 in needed and register else _mapped(lazy)
    emitter = CodeEmitter.afresh(base)
    views: dict[int, int] = {}
    place = {0: 0, register: emitter.load(stored)}
    for number, instr in enumerate(lazy.code, start=1):
        if number in needed and number != register:
            views.update((number, emitter.view(lazy.views[number])) for number in loads(instr))
            place[number] = emitter.copy(instr, place, views, lazy.bounds[number])
    return emitter.done(place[len(lazy.code)], lazy.scale, chain=lazy.chain)


def _accumulated(lazy: LazyOp) -> LazyOp:
    """The lazy op's reduction alone."""
    emitter = CodeEmitter.afresh(lazy)
    return emitter.done(0, 0, chain=None)


def _mapped(lazy: LazyOp) -> LazyOp:
    """The lazy op without its reduction, which its code does not read."""
    read = sorted({access for instr in lazy.code for access in loads(instr)})
    place = {number: at for at, number in enumerate(read)}
    code = tuple(renumbered(instr, {}, place) for instr in lazy.code)
    views = tuple(lazy.views[number] for number in read)
    assert all(view.indirect is None or view.indirect[1] == SELF for view in views)
    bounds = ((0, 0), *lazy.bounds[1:])
    return replace(lazy, monoid=Monoid.NONE, domain=(), factors=0, views=views, code=code, bounds=bounds, memo={})
