"""What follows from the first values of an execution is what the whole program gives, wherever it is cut."""

from __future__ import annotations

import numpy as np
import pytest

from prover.executor import Executor
from rollup.form.ops import Instr, Monoid, Opcode, Value
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.lockstep.programs import draw
from tests.prover import hand
from touchstone.lying.tail import Tail, resumed

LONG = 300
"""Ops in a row: more values than a program has inputs."""


def cuts(program: Program) -> list[int]:
    """Where no loop is cut in two."""
    firsts = [segment.first for segment in program.segments]
    once = [op.first for op in program.ops if op.repeat == 1]
    return sorted({*firsts, *once} - {len(program.header.inputs)})


@pytest.mark.parametrize("seed", range(24))
def test_a_tail_gives_what_the_whole_program_gives(seed: int) -> None:
    program, inputs = draw(seed)
    right = run(program, inputs)
    for cut in np.random.default_rng(seed).permutation(cuts(program))[:2].tolist():
        found = resumed(program, right[:cut])
        assert len(found) == len(right)
        for mine, value in zip(found, right, strict=True):
            np.testing.assert_array_equal(mine.reshape(-1), value.reshape(-1))


def test_a_change_late_in_a_long_program_goes_on_to_its_end() -> None:
    draft = hand.drafted(DType.I32, (3,))
    last = Value(0)
    for _ in range(LONG):
        step = [Instr(Opcode.CONST, (), 1), Instr(Opcode.ADD, (0, 1))]
        last = Value(
            draft.add(Monoid.NONE, DType.I32, 1, (3,), (), [hand.access(last, DType.I32, (3,), [{0: 1}])], step)
        )
    program = draft.program()
    values = Executor(program, self_test=False).values([np.zeros(3, np.int32)])
    cut = LONG - 2
    wrong = values[cut - 1] + 5
    assert Tail.of(program, values[:cut]).needed == (cut - 1,)
    found = resumed(program, [*values[: cut - 1], wrong])
    assert len(found) == len(values) and found[-1].tolist() == (values[-1] + 5).tolist()
