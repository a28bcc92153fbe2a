"""Which values inside a program reach an end of their format on real inputs: where the integers lose what floats keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prover import progress
from prover.executor import Executor
from rollup.ops import Constant, Op, Opcode
from rollup.program import Program

Array = np.ndarray

PLATEAU = 3
"""A table with as many entries at an end of a format saturates there; fewer can be roundings of different numbers."""

LEAST_BITS = 7
"""Clamps to fewer bits are the function's own (a gate, a bound), not a format's."""


@dataclass(frozen=True)
class Saturated:
    """An op whose values lie at ``low`` or ``high``, where its format ends, in ``count`` of ``elements`` elements.

    ``op``: descriptor number; ``name``: primitive and source line; counts are over all iterations and samples.
    """

    op: int
    name: str
    low: int | None
    high: int | None
    count: int
    elements: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"op {self.op} {self.name}: {self.count:,} of {self.elements:,} at an end of its format"


def ends(program: Program, op: Op) -> tuple[int | None, int | None]:
    """Where the format of an op's values ends below and above; None where the op does not saturate.

    The ends are those of the clamp that the op's code ends with, or those of the table in which it looks its result up.
    """
    low: int | None = None
    high: int | None = None
    at = len(op.code)
    while at:
        instr = op.code[at - 1]
        if instr.op in (Opcode.MIN, Opcode.MAX):
            found = [(_constant(op, a), b) for a, b in (instr.args, instr.args[::-1])]
            limit, following = next(((c, b) for c, b in found if c is not None), (None, at - 1))
            if limit is None:
                break
            if instr.op is Opcode.MIN and _is_top(limit):
                high = limit
            if instr.op is Opcode.MAX and _is_top(-limit - 1):
                low = limit
            at = following
            continue
        if instr.op is Opcode.LOOK and isinstance(op.accesses[instr.args[0]].source, Constant):
            table = np.asarray(program.seen(op.accesses[instr.args[0]]))
            least, most = int(table.min()), int(table.max())
            if _is_top(most) and int(np.sum(table == most)) >= PLATEAU:
                high = most
            if _is_top(-least - 1) and int(np.sum(table == least)) >= PLATEAU:
                low = least
        break
    return low, high


def _meant(program: Program) -> list[Any]:
    """What the metadata say of every op's ends; they only spare a reader what is no news."""
    given = program.meta.get("meant")
    return given if isinstance(given, list) and len(given) == len(program.ops) else [""] * len(program.ops)


def _unmeant(found: tuple[int | None, int | None], meant: Any) -> tuple[int | None, int | None]:
    return None if meant in ("both", "low") else found[0], None if meant == "both" else found[1]


def _constant(op: Op, register: int) -> int | None:
    """The number that a register always holds."""
    if register == 0 or op.code[register - 1].op is not Opcode.CONST:
        return None
    return op.code[register - 1].imm


def _is_top(number: int) -> bool:
    """Whether it is the largest of a two's complement format: 2^bits - 1."""
    return number > 0 and (number & (number + 1)) == 0 and number.bit_length() >= LEAST_BITS


def unmeant_ends(program: Program) -> list[tuple[int | None, int | None]]:
    """By descriptor: where its values' format ends, an end that lowering noted as meant left out."""
    return [_unmeant(ends(program, op), meant) for op, meant in zip(program.ops, _meant(program), strict=True)]


def saturation(executor: Executor, samples: Sequence[Sequence[Array]]) -> tuple[Saturated, ...]:
    """Every op that saturates on these inputs (quantised, one sequence a sample), the most first.

    An end that lowering noted as meant is not counted: that of a bounded function, or below a masked score. Executes each sample
    once, value by value: no more than one value is held for it.
    """
    program = executor.program
    limits = unmeant_ends(program)
    counts = [0] * len(program.ops)
    inputs = len(program.header.inputs)
    descriptors = [j for _, j, _ in program.op_values()]
    for number, sample in enumerate(samples):
        progress.at("look for saturation, sample", number + 1, len(samples))
        for value, array in enumerate(executor.stream(sample)):
            if value < inputs:
                continue
            j = descriptors[value - inputs]
            for end in limits[j]:
                if end is not None:
                    counts[j] += int(np.count_nonzero(array == end))
    found = [
        Saturated(j, program.name(j), *limits[j], count, op.elements * op.repeat * len(samples))
        for j, (op, count) in enumerate(zip(program.ops, counts, strict=True))
        if count
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.op)))
