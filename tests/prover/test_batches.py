"""Claims that are executed together come out as alone, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, lower
from prover.executor import Executor, batches
from prover.saturation import elements, run_counted, run_counted_each
from prover.trace import ExecutionTrace
from rollup.errors import ExecutionError, InexactMachine
from rollup.form.ops import Monoid
from rollup.form.program import Program
from rollup.machine.reference import run
from tests.lockstep.programs import draw
from tests.prover import hand

Array = np.ndarray
MOST = 17


def rows_of(program: Program, count: int) -> list[list[Array]]:
    """The inputs of some claims, all different."""
    types = program.header.inputs
    return [[hand.extreme(t.dtype, t.shape, 100 * claim + v) for v, t in enumerate(types)] for claim in range(count)]


def assert_same(together: Sequence[ExecutionTrace], alone: Sequence[ExecutionTrace]) -> None:
    """Every root, byte, output and count."""
    assert len(together) == len(alone)
    for one, other in zip(together, alone, strict=True):
        assert one.root == other.root and one.roots == other.roots
        assert one.output_bytes == other.output_bytes and one.input_bytes == other.input_bytes
        assert one.inside == other.inside
        assert [a.tobytes() for a in one.values()] == [a.tobytes() for a in other.values()]


@pytest.mark.parametrize("seed", range(6))
def test_batches_of_random_programs_are_their_claims_alone(seed: int) -> None:
    program, _ = draw(seed)
    machine = Executor(program, self_test=False)
    rows = rows_of(program, MOST)
    alone = [ExecutionTrace.of(machine, inputs) for inputs in rows]
    assert alone[0].value_bytes(program.header.values - 1) == run(program, rows[0])[-1].tobytes()
    for count in range(1, MOST + 1):
        assert_same(ExecutionTrace.many(machine, rows[:count]), alone[:count])
    assert_same(ExecutionTrace.many(machine, rows, keep=False), alone)
    assert ExecutionTrace.many(machine, []) == []


@pytest.mark.parametrize("count", [33, 64, 67])
def test_the_largest_batches_are_their_claims_alone(count: int) -> None:
    program = hand.recurrent(6, 3)
    machine = Executor(program, self_test=False)
    rows = rows_of(program, count)
    assert_same(ExecutionTrace.many(machine, rows), [ExecutionTrace.of(machine, inputs) for inputs in rows])


def test_a_recurrent_program_s_batches_are_its_claims_alone() -> None:
    program = hand.recurrent(6, 40)
    machine = Executor(program, self_test=False)
    rows = rows_of(program, 6)
    assert_same(ExecutionTrace.many(machine, rows), [ExecutionTrace.of(machine, inputs) for inputs in rows])


@pytest.fixture(scope="module")
def narrow() -> Model:
    """A model whose values inside reach the ends of their formats where inputs are larger than its samples."""
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(12, 12)).astype(np.float32) for _ in range(2))
    samples = [(rng.normal(size=12).astype(np.float32) * 0.1 + np.eye(12, dtype=np.float32)[0],)]
    return lower(lambda x: jnp.tanh(jax.nn.relu(x @ first) @ second), *samples[0], calibration=samples)


def test_what_saturates_is_counted_for_each_claim(narrow: Model) -> None:
    scale = 2.0 ** -narrow.program.header.inputs[0].scale
    end = 0.99 * np.iinfo(narrow.program.header.inputs[0].dtype.numpy).max * scale
    rng = np.random.default_rng(1)
    rows = [narrow.quantize((rng.uniform(-1, 1, 12) * end * (claim % 4) / 3).astype(np.float32)) for claim in range(9)]
    alone = [run_counted(narrow.executor, inputs) for inputs in rows]
    together = run_counted_each(narrow.executor, rows)
    counts = [elements(inside) for _, inside in together]
    assert len(set(counts)) > 2 and max(counts) > 0
    for (outputs, inside), (others, expected) in zip(together, alone, strict=True):
        assert inside == expected
        assert [a.tobytes() for a in outputs] == [a.tobytes() for a in others]


def test_claims_are_cut_into_few_sizes_and_less_than_half_is_padding() -> None:
    for most in batches.SIZES:
        for count in range(70):
            found = list(batches.batches(count, most))
            assert [claim for start, stop, _ in found for claim in range(start, stop)] == list(range(count))
            for start, stop, size in found:
                assert size in batches.SIZES and size <= most and 2 * (size - (stop - start)) < size


def test_a_batch_is_as_large_as_its_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    program = hand.pooling(Monoid.MAX, 2, 2, 0)
    machine = Executor(program, self_test=False)
    each = batches.claim_bytes(program, machine.kernels)
    assert each >= 8 * (2 * 9 * 9 + 2 * 5 * 5)
    for memory, most in (
        (each, 1),
        (4 * each - 1, 1),
        (4 * each, 4),
        (16 * each - 1, 4),
        (16 * each, 16),
        (64 * each, 64),
    ):
        monkeypatch.setattr(batches, "BATCH_BYTES", memory)
        assert batches.most_claims(program, machine.kernels) == most


def test_a_batch_that_differs_from_its_claims_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = hand.pooling(Monoid.MAX, 2, 2, 0)
    machine = Executor(program, self_test=False)
    right = Executor.stream_batch

    def wrong(self: Executor, inputs: Sequence[Array]) -> Iterator[Array]:
        for value, array in enumerate(right(self, inputs)):
            yield array + np.eye(len(array), dtype=array.dtype)[2].reshape([-1, 1, 1, 1]) if value == 1 else array

    with monkeypatch.context() as patched:
        patched.setattr(Executor, "stream_batch", wrong)
        with pytest.raises(InexactMachine, match=r"value 1 .* batch of 4 claims"):
            machine.test_batches()
    assert machine.test_batches() == machine.most_claims == 64


def test_inputs_that_do_not_fit_are_named_before_anything_runs() -> None:
    program = hand.pooling(Monoid.MAX, 2, 2, 0)
    machine = Executor(program, self_test=False)
    rows = rows_of(program, 3)
    with pytest.raises(ExecutionError, match="input 0"):
        ExecutionTrace.many(machine, [*rows, [np.zeros((2, 9, 9), np.int64)]])
