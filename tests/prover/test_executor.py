"""The executor gives the reference's bits, whichever kernel it derives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import product as cartesian

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover.executor import Executor, executor, schedule
from prover.executor.kernels import code, conv, dot, reduce, sliding
from rollup.audit.ranges import Range
from rollup.errors import AuditError, ExecutionError
from rollup.form.ops import INSTRUCTIONS, Instr, Monoid, Opcode
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.lockstep.programs import EDGES, draw
from tests.prover import hand

Array = np.ndarray


def inputs_of(program: Program, seed: int = 0) -> list[Array]:
    return [hand.extreme(tensor.dtype, tensor.shape, seed + v) for v, tensor in enumerate(program.header.inputs)]


def assert_lockstep(program: Program, inputs: list[Array]) -> Executor:
    """Every value, the outputs alone and the outputs of a batch equal the reference's, in dtype, shape and bits."""
    machine = Executor(program, self_test=False)
    expected = run(program, inputs)
    found = machine.values(inputs)
    assert len(found) == len(expected) == program.header.values
    for got, want in zip(found, expected, strict=True):
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        np.testing.assert_array_equal(got, want)
    alone = machine.outputs(inputs)
    batch = machine.outputs_batch([np.stack([array, array]) for array in inputs])
    for (value, tensor), one, two in zip(program.header.outputs, alone, batch, strict=True):
        want = expected[value].reshape(tensor.shape)
        np.testing.assert_array_equal(one, want)
        np.testing.assert_array_equal(two, np.stack([want, want]))
    return machine


@pytest.mark.parametrize("seed", range(10))
def test_random_programs_equal_the_reference(seed: int) -> None:
    program, inputs = draw(seed)
    assert_lockstep(program, inputs)


@pytest.mark.parametrize("seed", range(24, 30))
def test_random_programs_equal_the_reference_when_every_reduction_runs_in_blocks(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kernel in (reduce, dot, sliding):
        monkeypatch.setattr(kernel, "FOLD_LIMIT", 0)
    for kernel in (reduce, dot):
        monkeypatch.setattr(kernel, "THIN", 0)
    monkeypatch.setattr(reduce, "BLOCK_ELEMENTS", 16)
    program, inputs = draw(seed)
    assert_lockstep(program, inputs)


@pytest.mark.parametrize("seed", range(36, 40))
def test_random_programs_equal_the_reference_when_every_op_is_a_stage(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "STAGE_WORK", 1)
    monkeypatch.setattr(schedule, "STAGE_OPS", 1)
    program, inputs = draw(seed)
    machine = assert_lockstep(program, inputs)
    assert len(machine._stages(2, False)) == len(program.segments) + sum(
        segment.stop - segment.start - 1 for segment in program.segments if segment.repeat == 1
    )


@pytest.mark.parametrize("dtype", [DType.I8, DType.I16, DType.I64])
@pytest.mark.parametrize(
    ("stride", "pad", "dilation", "fill"), [(1, 1, 1, 0), (2, 0, 1, 0), (1, 2, 2, 0), (2, 1, 1, -77)]
)
def test_convolutions(dtype: DType, stride: int, pad: int, dilation: int, fill: int) -> None:
    program = hand.convolution(dtype, DType.I16, 7, 4, 5, stride, pad, dilation, fill)
    machine = assert_lockstep(program, inputs_of(program))
    (kernel,) = machine.kernels
    assert kernel.plan is not None
    narrow = dtype is not DType.I64
    assert (kernel.plan.limbs == (1, 1)) == narrow
    assert (kernel.conv is not None) == narrow


def test_convolutions_over_stacked_windows_where_the_backend_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv, "_BACKENDS", frozenset())
    program = hand.convolution(DType.I16, DType.I16, 6, 3, 4, 1, 1, 1, 5)
    machine = assert_lockstep(program, inputs_of(program))
    assert machine.kernels[0].conv is None


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(
    ("x", "y", "floats", "limbs"),
    [
        (DType.I8, DType.I8, "float32", 1),
        (DType.I16, DType.I16, "float64", 1),
        (DType.I32, DType.I16, "float64", 1),
        (DType.I32, DType.I32, "float64", 4),
        (DType.I64, DType.I64, "float64", 9),
    ],
)
def test_products_of_every_width(x: DType, y: DType, floats: str, limbs: int, constant: bool) -> None:
    program = hand.product(x, y, 3, 40, 5, constant)
    machine = assert_lockstep(program, inputs_of(program))
    plan = machine.kernels[0].plan
    assert plan is not None
    assert plan.dtype == floats
    assert plan.limbs[0] * plan.limbs[1] <= limbs
    assert (plan.limbs == (1, 1)) == (limbs == 1)


def test_product_where_a_32_bit_sum_needs_limbs_is_exact_at_the_extremes() -> None:
    program = hand.product(DType.I32, DType.I32, 2, 64, 2, False)
    low, high = DType.I32.min, DType.I32.max
    for a, b in cartesian((low, high), repeat=2):
        inputs = [np.full((2, 64), a, np.int32), np.full((64, 2), b, np.int32)]
        assert_lockstep(program, inputs)


def test_segment_with_carried_sliced_and_stacked_operands() -> None:
    program = hand.recurrent(6, 5)
    assert_lockstep(program, inputs_of(program))


def test_segment_that_reads_two_iterations_back() -> None:
    program = hand.fibonacci(90)
    found = assert_lockstep(program, [np.array([0, -3], np.int64), np.array([1, 1 << 60], np.int64)])
    assert found.outputs([np.array([0, 0], np.int64), np.array([1, 1], np.int64)])[0][0] == 4660046610375530309


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("inclusive", [True, False])
def test_cumulative_sums(forward: bool, inclusive: bool) -> None:
    program = hand.running(50, forward, inclusive)
    machine = assert_lockstep(program, inputs_of(program))
    assert machine.kernels[0].sliding is not None


@pytest.mark.parametrize(("stride", "slides"), [(1, True), (39, True), (40, False), (41, False)])
def test_windows_that_share_elements_are_sums_that_slide_and_others_are_not(stride: int, slides: bool) -> None:
    draft, shape = hand.drafted(DType.I16, (3, 4 * stride + 40)), (3, 4 * stride + 40)
    x = hand.access(hand.Value(0), DType.I16, shape, [{0: 1}, {1: stride, 2: 1}])
    draft.add(Monoid.SUM, DType.I64, 1, (3, 5), (40,), [x])
    program = draft.program()
    machine = assert_lockstep(program, inputs_of(program))
    assert (machine.kernels[0].sliding is not None) == slides


@pytest.mark.parametrize("monoid", [m for m in Monoid if m is not Monoid.NONE])
@pytest.mark.parametrize(("window", "stride", "fill"), [(2, 2, 0), (3, 2, -40000), (7, 1, 32767)])
def test_pooling(monoid: Monoid, window: int, stride: int, fill: int) -> None:
    program = hand.pooling(monoid, window, stride, fill)
    assert_lockstep(program, inputs_of(program))


def test_arg_reductions_take_the_first_of_equals() -> None:
    draft = hand.drafted(DType.I8, (3, 40))
    x = hand.access(hand.Value(0), DType.I8, (3, 40), [{0: 1}, {1: 1}])
    draft.add(Monoid.ARGMAX, DType.I32, 1, (3,), (40,), [x])
    assert_lockstep(draft.program(), [np.zeros((3, 40), np.int8)])


@pytest.mark.parametrize("dtype", [DType.I8, DType.I64])
def test_embedding_with_rows_out_of_range(dtype: DType) -> None:
    program = hand.embedding(dtype)
    assert_lockstep(program, [np.array([0, 3, -1, -2, dtype.min, dtype.max], dtype.numpy)])


def test_gather_along_an_axis() -> None:
    program = hand.along_axis()
    index = np.array([[0, 5, 6], [-1, 1, 2], [3, 3, 3], [1 << 62, -(1 << 63), (1 << 63) - 1]], np.int64)
    assert_lockstep(program, [hand.extreme(DType.I16, (4, 6)), index])


def test_look_with_and_without_proof_that_it_stays_inside() -> None:
    program = hand.lookup()
    assert_lockstep(program, inputs_of(program))


@pytest.mark.parametrize("opcode", [o for o, spec in INSTRUCTIONS.items() if spec.exact is not None])
def test_instruction_on_extremes(opcode: Opcode) -> None:
    edges = [*EDGES, 3, -3, 1000003, -(1 << 62), (1 << 53) + 1]
    arity = len(INSTRUCTIONS[opcode].operands.split())
    chosen = edges if arity < 3 else [*edges[::2], -1, 1 << 40]
    columns = list(zip(*cartesian(chosen, repeat=arity), strict=True))
    program = hand.instruction(opcode, *columns)
    machine = Executor(program, self_test=False)
    inputs = [np.array(column, np.int64) for column in columns]
    np.testing.assert_array_equal(machine.values(inputs)[-1], run(program, inputs)[-1])


@pytest.mark.parametrize("opcode", [o for o, spec in INSTRUCTIONS.items() if spec.exact is not None])
def test_instruction_on_literals(opcode: Opcode) -> None:
    """The same extremes as constants of the code, which the compiler folds with an evaluator of its own."""
    edges = [0, 1, -1, 3, 31, 64, 1 << 31, -(1 << 31), -(1 << 63), (1 << 63) - 1]
    arity = len(INSTRUCTIONS[opcode].operands.split())
    draft = hand.drafted(DType.I8, (1,))
    for operands in cartesian(edges if arity < 3 else edges[1::2], repeat=arity):
        code = [*(Instr(Opcode.CONST, (), n) for n in operands), Instr(opcode, tuple(range(1, arity + 1)))]
        draft.add(Monoid.NONE, DType.I64, 0, (1,), (), [], code)
    program = draft.program()
    inputs = [np.zeros(1, np.int8)]
    found, expected = Executor(program, self_test=False).values(inputs), run(program, inputs)
    np.testing.assert_array_equal(np.concatenate(found[1:]), np.concatenate(expected[1:]))


def test_batches_run_in_blocks_of_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "CLAIM_BLOCK_ELEMENTS", 1000)
    program = hand.convolution(DType.I16, DType.I16, 6, 2, 3, 1, 1, 1, 0)
    machine = Executor(program, self_test=False)
    batch = hand.extreme(DType.I16, (7, 6, 6, 2))
    (found,) = machine.outputs_batch([batch])
    for claim in range(7):
        np.testing.assert_array_equal(found[claim], run(program, [batch[claim]])[-1])


def test_empty_batch_gives_empty_outputs() -> None:
    program = hand.pooling(Monoid.MAX, 2, 2, 0)
    (found,) = Executor(program, self_test=False).outputs_batch([np.zeros((0, 2, 9, 9), np.int16)])
    assert found.shape == (0, 2, 5, 5)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], "takes 1 inputs"),
        ([np.zeros((2, 9, 9), np.int32)], "input 0 has dtype int32"),
        ([np.zeros((2, 9, 8), np.int16)], r"input 0 has dtype int16 and shape \(2, 9, 8\)"),
    ],
)
def test_wrong_inputs_are_named(given: list[Array], names: str) -> None:
    machine = Executor(hand.pooling(Monoid.MAX, 2, 2, 0), self_test=False)
    with pytest.raises(ExecutionError, match=names):
        machine.outputs(given)


def test_batches_of_different_sizes_are_refused() -> None:
    machine = Executor(hand.along_axis(), self_test=False)
    with pytest.raises(ExecutionError, match="same number"):
        machine.outputs_batch([np.zeros((2, 4, 6), np.int16), np.zeros((3, 4, 3), np.int64)])


def test_malformed_programs_are_refused() -> None:
    program = hand.pooling(Monoid.MAX, 2, 2, 0)
    bad = replace(program, ops=())
    with pytest.raises(AuditError, match="values"):
        Executor(bad, self_test=False)


def test_importing_and_running_changes_no_global_setting() -> None:
    script = (
        "import jax, numpy as np; before = dict(jax.config.values);"
        "import prover.executor, prover.trace, prover.executor.selftest;"
        "from tests.prover import hand; from rollup.form.ops import Monoid;"
        "m = prover.executor.Executor(hand.pooling(Monoid.MAX, 2, 2, 0)); m.outputs([np.zeros((2, 9, 9), np.int16)]);"
        "assert dict(jax.config.values) == before; assert jax.numpy.arange(3).dtype == np.int32"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize("largest", [1 << 53, 1 << 59, (1 << 62) - 1])
def test_quotients_of_long_numbers_are_exact_around_every_multiple(largest: int) -> None:
    """The quotient of floats is off there: the dividend is no float64 number."""
    rng = np.random.default_rng(largest)
    divisors = np.concatenate(
        [[1, -1, 2, 3, -3, (1 << 52) - 1, -(1 << 52)], rng.integers(1, 1 << 52, 500), rng.integers(1, 1 << 22, 500)]
    )
    quotients = [int(rng.integers(-(largest // abs(int(by))), largest // abs(int(by)) + 1)) for by in divisors]
    around = [(q * int(by) + off, int(by)) for q, by in zip(quotients, divisors, strict=True) for off in (-1, 0, 1)]
    pairs = [
        (a, by)
        for a, by in [*around, *((end, int(by)) for end in (largest, -largest) for by in divisors)]
        if abs(a) <= largest
    ]
    dividends, by = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    ranges = [Range(-largest, largest), Range(-(1 << 52), 1 << 52)]
    with jax.enable_x64(True):
        found = code.apply(Opcode.DIV, [jnp.asarray(dividends), jnp.asarray(by)], ranges, Range(-largest, largest))
    assert np.asarray(found).tolist() == [a // b for a, b in pairs]
