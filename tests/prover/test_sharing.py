"""Equal layers share compiled code, and what depends on constants alone is computed at load: neither changes a bit."""

from __future__ import annotations

import numpy as np
import pytest

from prover.executor import Executor
from prover.executor.kernels.code import AHEAD
from prover.executor.kernels.hoist import hoist
from prover.executor.sharing import signature
from prover.executor.stages import Stage
from rollup.form.ops import INSTRUCTIONS, Instr, Monoid, Opcode, Value, wrap
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.lockstep.programs import EDGES
from tests.prover import hand

Array = np.ndarray
ROWS, WIDTH = 5, 40


def layers(shifts: list[int], limits: list[int]) -> Program:
    """Products whose accumulators are scaled per channel by a packed multiplier and shift, then rounded and saturated per layer."""
    draft = hand.drafted(DType.I16, (ROWS, WIDTH))
    rng = np.random.default_rng(1)
    at = 0
    for number, (shift, limit) in enumerate(zip(shifts, limits, strict=True)):
        weights = draft.constant(hand.extreme(DType.I16, (WIDTH, WIDTH), number))
        packed = draft.constant(
            (rng.integers(1 << 14, 1 << 15, WIDTH) * 64 + rng.integers(1, 20, WIDTH)).astype(np.int32)
        )
        code = [
            Instr(Opcode.LOAD, (2,)),
            Instr(Opcode.CONST, (), 64),
            Instr(Opcode.DIV, (1, 2)),
            Instr(Opcode.CONST, (), 63),
            Instr(Opcode.AND, (1, 4)),
            Instr(Opcode.MULSHIFT, (0, 3, 5)),
            Instr(Opcode.CONST, (), shift),
            Instr(Opcode.SHR, (6, 7)),
            Instr(Opcode.CONST, (), limit),
            Instr(Opcode.MIN, (8, 9)),
            Instr(Opcode.CONST, (), -limit - 1),
            Instr(Opcode.MAX, (10, 11)),
        ]
        accesses = [
            hand.access(Value(at), DType.I16, (ROWS, WIDTH), [{0: 1}, {2: 1}]),
            hand.access(weights, DType.I16, (WIDTH, WIDTH), [{1: 1}, {2: 1}]),
            hand.access(packed, DType.I32, (WIDTH,), [{1: 1}]),
        ]
        at = draft.add(Monoid.SUM, DType.I16, 2, (ROWS, WIDTH), (WIDTH,), accesses, code)
    return draft.program()


def staged(machine: Executor, monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    """Every op its own stage."""
    monkeypatch.setattr("prover.executor.schedule.STAGE_WORK", 1)
    return machine._stages(1, False)


@pytest.mark.parametrize("limit", [32767, 5])
def test_layers_that_differ_in_weights_and_immediates_are_compiled_once(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = layers([14, 13, 12], [32767, 32767, limit])
    machine = Executor(program)
    stages = staged(machine, monkeypatch)
    assert len(stages) == 3
    assert len({id(stage.body) for stage in stages}) == 1
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH))]
    expected = run(program, inputs)
    np.testing.assert_array_equal(machine.outputs(inputs)[0], expected[-1])
    for got, want in zip(machine.values(inputs), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_layers_whose_products_need_other_kernels_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = hand.drafted(DType.I16, (ROWS, WIDTH))
    at = 0
    for scale in (1, 30_000):
        weights = draft.constant(np.full((WIDTH, WIDTH), scale, np.int16))
        accesses = [
            hand.access(Value(at), DType.I16, (ROWS, WIDTH), [{0: 1}, {2: 1}]),
            hand.access(weights, DType.I16, (WIDTH, WIDTH), [{1: 1}, {2: 1}]),
        ]
        code = [Instr(Opcode.CONST, (), 6), Instr(Opcode.SHR, (0, 1))]
        at = draft.add(Monoid.SUM, DType.I16, 2, (ROWS, WIDTH), (WIDTH,), accesses, code)
    machine = Executor(draft.program())
    assert signature(machine.kernels[0]) != signature(machine.kernels[1])
    assert len({id(stage.body) for stage in staged(machine, monkeypatch)}) == 2


def test_the_self_test_compares_shared_kernels_once() -> None:
    one, three = (Executor(layers([14] * n, [32767] * n), self_test=False).self_test() for n in (1, 3))
    assert one == three >= 30


def test_multiplier_and_shift_are_unpacked_at_load_and_their_real_range_is_used() -> None:
    program = layers([14], [32767])
    known = hoist(program, program.ops[0])
    packed = program.seen(program.ops[0].accesses[2])
    assert sorted(known) == [3, 5]
    np.testing.assert_array_equal(known[3].array, packed // 64)
    np.testing.assert_array_equal(known[5].array, packed % 64)
    kernel = Executor(program, self_test=False).kernels[0]
    assert kernel.reach.registers[5].low >= 1
    assert kernel.reach.registers[5].high <= 19


@pytest.mark.parametrize("opcode", sorted(AHEAD))
def test_instructions_ahead_are_the_instructions(opcode: Opcode) -> None:
    exact = INSTRUCTIONS[opcode].exact
    assert exact is not None
    count = len(INSTRUCTIONS[opcode].arguments)
    grid = np.stack(np.meshgrid(*[np.array(EDGES, np.int64)] * count), axis=-1).reshape(-1, count)
    with np.errstate(all="ignore"):
        found = AHEAD[opcode](*grid.T)
    for row, got in zip(grid.tolist(), found.tolist(), strict=True):
        assert got == wrap(exact(*row)), (opcode, row)


def test_layers_that_differ_in_one_op_share_what_is_compiled_of_the_others() -> None:
    draft = hand.drafted(DType.I16, (ROWS, WIDTH))
    at = 0
    for number in range(6):
        for step in range(5):
            # The first op of the later layers is another one.
            code = [Instr(Opcode.CONST, (), 3 + step), *[Instr(op, (0, 1)) for op in KINDS[: 1 + step]]]
            if step == 0 and number > 2:
                code.append(Instr(Opcode.XOR, (1, 2)))
            read = hand.access(Value(at), DType.I16, (ROWS, WIDTH), [{0: 1}, {1: 1}])
            at = draft.add(Monoid.NONE, DType.I16, 1, (ROWS, WIDTH), (), [read], code)
    program = draft.program()
    machine = Executor(program)
    stages = machine._stages(1, True)
    kinds = len({signature(kernel) for kernel in machine.kernels})
    assert kinds == 6
    bodies = {id(stage.body): stage for stage in stages}
    assert sum(len(stage.descriptors) for stage in bodies.values()) == kinds
    assert max(len(stage.descriptors) for stage in bodies.values()) == 4
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH))]
    for got, want in zip(machine.values(inputs), run(program, inputs), strict=True):
        np.testing.assert_array_equal(got, want)


KINDS = (Opcode.AND, Opcode.OR, Opcode.MIN, Opcode.MAX, Opcode.XOR)
