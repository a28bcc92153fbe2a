"""Registers that depend on constants alone are computed once, when a program is loaded, and sharpen what is proven.

A product's multiplier and shift per channel, unpacked from one constant, are the main case: inside a compiled loop they would be
unpacked again for every element, and their intervals say less than their values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from prover.executor.kernels.code import AHEAD
from rollup.audit.intervals import OpIntervals, extremes
from rollup.audit.ranges import INT64, Range, of_instruction
from rollup.form.affine import extents, variables, view
from rollup.form.ops import ITERATION, Constant, Op, Opcode, registers
from rollup.form.program import Program

Array = np.ndarray

LIMIT = 1 << 18
"""Most elements of a register that is computed ahead: a stranger's op may have hundreds of registers."""


@dataclass(frozen=True)
class Hoisted:
    """Register ``number`` as an int32 or int64 array over the output variables ``used`` (ascending)."""

    used: tuple[int, ...]
    array: Array


def hoist(program: Program, op: Op) -> dict[int, Hoisted]:
    """The registers, by number, that are worth computing ahead: those that other registers or the result read."""
    rank = len(op.shape)
    sizes = extents(op)
    known: dict[int, Array] = {}
    loaded: set[int] = set()
    for number, instr in enumerate(op.code, start=1):
        if instr.op is Opcode.CONST:
            known[number] = np.full([1] * rank, instr.imm, np.int64)
        elif instr.op is Opcode.LOAD:
            access = op.accesses[instr.args[0]]
            used = variables(access, sizes)
            fits = ITERATION not in used and math.prod(sizes[var] for var in used) <= LIMIT
            if isinstance(access.source, Constant) and access.indirect is None and fits:
                _, seen = view(program.seen(access), access, sizes)
                known[number] = seen.astype(np.int64).reshape([sizes[v] if v in used else 1 for v in range(rank)])
                loaded.add(number)
        elif instr.op in AHEAD and all(r in known for r in instr.args):
            shape = np.broadcast_shapes(*(known[r].shape for r in instr.args))
            if math.prod(shape) <= LIMIT:
                with np.errstate(over="ignore", divide="ignore"):
                    known[number] = AHEAD[instr.op](*(known[r] for r in instr.args))
    read = {len(op.code)} | {
        r for number, instr in enumerate(op.code, start=1) if number not in known for r in registers(instr)
    }
    plain = {number for number, instr in enumerate(op.code, start=1) if instr.op is Opcode.CONST}
    return {number: _packed(known[number]) for number in sorted(read & set(known) - plain - {0})}


def _packed(array: Array) -> Hoisted:
    low, high = extremes(array)
    used = tuple(var for var, size in enumerate(array.shape) if size > 1)
    narrow = low >= -(1 << 31) and high < 1 << 31
    return Hoisted(used, array.reshape([array.shape[var] for var in used]).astype(np.int32 if narrow else np.int64))


def sharpened(op: Op, reach: OpIntervals, known: Mapping[int, Hoisted]) -> OpIntervals:
    """The op's intervals with the real extremes of the hoisted registers in them. Sound for the same reason as before."""
    if not known:
        return reach
    exact, wrapped, sizes = [reach.exact[0]], {0: reach.registers[0]}, extents(op)
    for number, instr in enumerate(op.code, start=1):
        if number in known:
            result = extremes(known[number].array)
        else:
            found = of_instruction(instr, wrapped, reach.accesses.__getitem__, lambda var: Range(0, sizes[var] - 1))
            result = found.within(reach.exact[number])
        exact.append(result)
        wrapped[number] = result if result.inside(INT64) else INT64
    return replace(reach, registers=tuple(wrapped.values()), exact=tuple(exact))
