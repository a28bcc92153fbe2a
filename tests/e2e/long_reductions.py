"""A program of long reductions, and liars who say inside an element what makes their lie come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from challenger.play.reductions import Reductions
from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.ops import Access, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.program import Program
from rollup.game.question import Partial, Question, child_of
from rollup.types import DType

WIDTH, DOT = 30_000, 16_384
WEIGHTS = ((np.arange(DOT) * 7919) % 60_001 - 30_000).astype(np.int16)

SUMMED, ARGUED, LARGEST = 1, 2, 3
"""Values of the three reductions: 32 parts of a dot product, 30 of an arg-max, 300 (two levels) of a maximum."""


def program(policy: TracePolicy = TracePolicy.WITH_CLAIM) -> Program:
    """Input x: i16[30000]. The dot product has code behind it, the others have none."""
    root = constant_root(WEIGHTS)
    along = Term(0, 1, 1)
    whole = Access(Value(0), DType.I16, (WIDTH,), (0,), (along,))
    weights = Access(Constant(root), DType.I16, (DOT,), (0,), (along,))
    code = (Instr(Opcode.CONST, (), 3), Instr(Opcode.SHR, (0, 1)))
    dot = Op(SUMMED, 1, 1, Monoid.SUM, DType.I64, 2, (1,), (DOT,), (whole, weights), code, 512)
    argued = Op(ARGUED, 1, 1, Monoid.ARGMAX, DType.I32, 1, (1,), (WIDTH,), (whole,), (), 1000)
    largest = Op(LARGEST, 1, 1, Monoid.MAX, DType.I32, 1, (1,), (WIDTH,), (whole,), (), 100)
    types = {SUMMED: DType.I64, ARGUED: DType.I32, LARGEST: DType.I32}
    outputs = [(value, TensorType(dtype, 0, (1,))) for value, dtype in types.items()]
    return Program.build(
        [TensorType(DType.I16, 0, (WIDTH,))],
        outputs,
        [dot, argued, largest],
        {root: WEIGHTS},
        policy,
        ["dot", "arg", "max"],
    )


def inputs(seed: int = 0) -> list[np.ndarray]:
    return [np.random.default_rng(seed).integers(-30_000, 30_000, WIDTH).astype(np.int16)]


@dataclass(frozen=True)
class Fast:
    """The program's machine, in numpy."""

    program: Program

    def values(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        x = np.asarray(arrays[0])
        total = int(x[:DOT].astype(np.int64) @ WEIGHTS.astype(np.int64))
        return [
            x,
            np.array([(total + 4) >> 3], np.int64),
            np.array([int(x.argmax())], np.int32),
            np.array([int(x.max())], np.int32),
        ]

    def outputs(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self.values(arrays)[1:]


@dataclass(frozen=True)
class Forged:
    """What a liar says inside its elements: right but for the partial result that holds part ``part``."""

    right: Reductions
    part: int
    forge: Callable[[Partial], Partial]

    def partials(self, question: Question) -> list[Partial]:
        found = self.right.partials(question)
        for child, partial in enumerate(found):
            if self.part in child_of(question, found, child).covers():
                found[child] = self.forge(partial)
        return found


LIES: dict[int, tuple[int, int, Callable[[Partial], Partial]]] = {
    SUMMED: (5, 11, lambda partial: Partial(partial.value + 8 * 5)),
    ARGUED: (0, 12, lambda partial: Partial(32_000, 12_345)),
    LARGEST: (0, 257, lambda partial: Partial(31_000)),
}
"""By value: what is added to the element (an arg-max and a maximum: see ``false_values``), a part, and what is said of it."""


def false_values(right: Sequence[np.ndarray], value: int, forged: bool) -> list[np.ndarray]:
    """A false element: what the forged partial results give, or anything."""
    lied = [np.array(array) for array in right]
    if not forged or value == SUMMED:
        lied[value][0] += 5
    else:
        lied[value][0] = 12_345 if value == ARGUED else 31_000
    return lied
