"""Ops that lowering has emitted and not numbered yet: segments of lazy ops, and how one becomes a descriptor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from prover.lowering.emit.canonical import canonical
from prover.lowering.emit.lazy import BOX, LazyOp
from prover.lowering.emit.views import SELF, ProgramTensor, StridedView
from rollup.form.ops import ITERATION, Access, Carried, Constant, Instr, Op, Opcode, Source, Value
from rollup.types import DType


@dataclass
class PendingOp:
    lazy: LazyOp
    dtype: DType
    order: tuple[int, ...]
    tensor: ProgramTensor
    name: str


@dataclass
class PendingSegment:
    repeat: int
    ops: list[PendingOp] = field(default_factory=list)


@dataclass
class TracePlaces:
    """Where tensors lie in the trace, seen from segment ``here``."""

    segments: Sequence[PendingSegment]
    firsts: list[int]
    here: int

    def body(self, segment: int) -> int:
        return len(self.segments[segment].ops)

    def index(self, tensor: ProgramTensor) -> int:
        """Trace index of an input or of an op's output in its last iteration."""
        if tensor.input is not None:
            return tensor.input
        assert tensor.segment is not None and tensor.position is not None
        last = self.segments[tensor.segment].repeat - 1
        return self.firsts[tensor.segment] + tensor.position + last * self.body(tensor.segment)

    def source(self, view: StridedView) -> tuple[Source, int]:
        """(source, stack) of an access."""
        tensor = view.tensor
        if tensor.root is not None:
            return Constant(tensor.root), 0
        if tensor.init is not None:
            update = tensor.update
            assert update is not None and update.segment is not None and update.position is not None
            body = self.body(update.segment)
            return Carried(self.firsts[update.segment] + update.position - body, body, self.index(tensor.init)), 0
        if tensor.segment is None or tensor.position is None:
            return Value(self.index(tensor)), 0
        first = self.firsts[tensor.segment] + tensor.position
        if view.stacked:
            return Value(first), self.body(tensor.segment)
        if tensor.segment == self.here and self.segments[self.here].repeat > 1:
            return Value(first, self.body(self.here)), 0
        return Value(self.index(tensor)), 0


def encoded(op: PendingOp, first: int, place: TracePlaces) -> Op:
    """The canonical op of the program; dimensions of size one are left out, output dimensions are put in memory order."""
    lazy = op.lazy
    segment = place.segments[place.here]
    outputs = [d for d in op.order if lazy.shape[d] > 1]
    variables = (
        {d: at for at, d in enumerate(outputs)}
        | {BOX + j: len(outputs) + j for j in range(len(lazy.domain))}
        | {ITERATION: ITERATION}
    )
    accesses = []
    for number, view in enumerate(lazy.views):
        source, stack = place.source(view)
        access = Access(
            source,
            view.tensor.dtype,
            view.shape,
            view.offsets,
            tuple(replace(term, var=variables[term.var]) for term in view.terms if term.var in variables),
            view.fill,
            view.indirect and (view.indirect[0], number if view.indirect[1] == SELF else view.indirect[1]),
            stack,
        )
        accesses.append(access)
    code = []
    for instr in lazy.code:
        if instr.op is Opcode.INDEX:
            variable = variables.get(instr.args[0])
            instr = Instr(Opcode.CONST, (), 0) if variable is None else replace(instr, args=(variable,))
        code.append(instr)
    body = len(segment.ops) if segment.repeat > 1 else 1
    return canonical(
        Op(
            first,
            body,
            segment.repeat,
            lazy.monoid,
            op.dtype,
            lazy.factors,
            tuple(lazy.shape[d] for d in outputs),
            lazy.domain,
            tuple(accesses),
            tuple(code),
        )
    )
