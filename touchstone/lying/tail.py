"""What follows from the first values of an execution, right or wrong: a program of the ops behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from prover.executor import Executor
from rollup.form.affine import reads
from rollup.form.encoding import TensorType
from rollup.form.ops import Access, Carried, Constant, Op
from rollup.form.program import Program
from rollup.types import DType

Array = np.ndarray


@dataclass(frozen=True)
class Tail:
    """``needed``: the first values that are read by what follows; ``machine`` takes these."""

    machine: Executor
    needed: tuple[int, ...]

    @classmethod
    def of(cls, program: Program, values: Sequence[Array]) -> Tail:
        """What follows from so many values, whatever they are; none of them is given by a loop that goes on."""
        cut = len(values)
        rest = [op for op in program.ops if op.first >= cut]
        needed = _read_before(rest, cut)
        # A program has an input at least.
        needed = needed or (0,)
        types = [TensorType(_dtype(program, v), 0, values[v].shape) for v in needed]
        moved = _Moved({v: number for number, v in enumerate(needed)}, cut)
        outputs = [(moved.value(v), tensor) for v, tensor in program.header.outputs if v >= cut]
        ops = [moved.op(op) for op in rest]
        return cls(Executor(Program.build(types, outputs, ops, program.constants), self_test=False), needed)

    def values(self, first: Sequence[Array]) -> list[Array]:
        """All values of the execution that begins so."""
        found = self.machine.values([first[v] for v in self.needed])
        return [*first, *found[len(self.needed) :]]


def resumed(program: Program, values: Sequence[Array]) -> list[Array]:
    """All values of an execution whose first ones are given, right or wrong: the rest follows from them."""
    if len(values) == program.header.values:
        return list(values)
    return Tail.of(program, values).values(values)


def _read_before(ops: Sequence[Op], cut: int) -> tuple[int, ...]:
    """Values before ``cut`` that ops read; what lies between two that one access reads is among them, so that steps stay."""
    found: set[int] = set()
    for op in ops:
        for access in op.accesses:
            if not isinstance(access.source, Constant):
                read = reads(op, access)
                first, last = int(read.min()), int(read.max())
                if not isinstance(access.source, Carried):
                    found.update(range(first, min(last + 1, cut)))
                elif access.source.init < cut:
                    found.add(access.source.init)
    return tuple(sorted(found))


@dataclass(frozen=True)
class _Moved:
    """Where values are in the program of the tail: those before ``cut`` by ``inputs``, the others behind these."""

    inputs: dict[int, int]
    cut: int

    def value(self, v: int) -> int:
        return self.inputs[v] if v < self.cut else v - self.cut + len(self.inputs)

    def op(self, op: Op) -> Op:
        accesses = tuple(self._access(op, access) for access in op.accesses)
        return replace(op, first=self.value(op.first), accesses=accesses)

    def _access(self, op: Op, access: Access) -> Access:
        source = access.source
        if isinstance(source, Constant):
            return access
        if isinstance(source, Carried):
            # What the iteration before gave lies in the op's own loop, behind the cut.
            base = (source.base - self.cut + len(self.inputs)) % (1 << 32)
            return replace(access, source=replace(source, base=base, init=self.value(source.init)))
        return replace(access, source=replace(source, base=self.value(source.base)))


def _dtype(program: Program, value: int) -> DType:
    if value < len(program.header.inputs):
        return program.header.inputs[value].dtype
    return program.ops[program.locate(value)[0]].dtype
