"""A compact executor holds weights as integers, and gives the reference's bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prover.executor import Executor
from prover.executor.kernels import kernel
from prover.executor.kernels.prepare import TURNED, WHOLE
from rollup.form.constants import ALIGNMENT, aligned
from rollup.form.ops import Monoid, Value
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.prover import hand


def product(weights: DType, first: bool, stored: bool) -> Program:
    """[6, 40] inputs times weights, which are the first or second factor, stored with the sum last or first."""
    draft = hand.drafted(DType.I16, (6, 40))
    shape = (21, 40) if stored else (40, 21)
    rows = [{1: 1}, {2: 1}] if stored else [{2: 1}, {1: 1}]
    constant = draft.constant(hand.extreme(weights, shape, 2))
    factors = [
        hand.access(Value(0), DType.I16, (6, 40), [{0: 1}, {2: 1}]),
        hand.access(constant, weights, shape, rows),
    ]
    draft.add(Monoid.SUM, DType.I64, 2, (6, 21), (40,), factors[::-1] if first else factors)
    return draft.program()


@pytest.mark.parametrize("block", [160, 1 << 22])
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("weights", [DType.I16, DType.I64])
@pytest.mark.usefixtures("xla_products")
def test_compact_products_equal_the_reference_with_extreme_operands(
    weights: DType, first: bool, stored: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "COMPACT_BLOCK", block)
    program = product(weights, first, stored)
    machine = Executor(program, self_test=False, compact=True)
    names = set(machine.kernels[0].prepared)
    assert names in ({f"{number}:{name}"} for number in (0, 1) for name in (WHOLE, TURNED))
    inputs = [hand.extreme(DType.I16, (6, 40))]
    np.testing.assert_array_equal(machine.outputs(inputs)[0], run(program, inputs)[-1])
    batch = machine.outputs_batch([np.stack([inputs[0], inputs[0][::-1]])])[0]
    np.testing.assert_array_equal(batch[1], run(program, [inputs[0][::-1]])[-1])
    assert machine.self_test() >= 30


def test_compact_convolutions_equal_the_reference() -> None:
    program = hand.convolution(DType.I16, DType.I16, 6, 4, 3, 1, 1, 1, 0)
    inputs = [hand.extreme(DType.I16, (6, 6, 4))]
    np.testing.assert_array_equal(Executor(program, compact=True).outputs(inputs)[0], run(program, inputs)[-1])


def test_aligned_memory_is_not_copied_again() -> None:
    array = aligned(np.arange(1000, dtype=np.int16).reshape(10, 100))
    assert array.ctypes.data % ALIGNMENT == 0
    assert aligned(array) is array
    np.testing.assert_array_equal(aligned(array.T), array.T)


def mapped_memory(path: Path) -> int:
    """Bytes of this process's memory that are pages of the file."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    return sum(
        int(next(line for line in lines[at:] if line.startswith("Rss:")).split()[1]) * 1024
        for at, line in enumerate(lines)
        if line.endswith(str(path))
    )


def test_an_executor_holds_weights_once_and_the_program_still_has_them(tmp_path: Path) -> None:
    draft = hand.drafted(DType.I16, (4, 512))
    matrix = hand.extreme(DType.I16, (512, 1024))
    constant = draft.constant(matrix)
    rows = hand.access(Value(0), DType.I16, (4, 512), [{0: 1}, {2: 1}])
    draft.add(
        Monoid.SUM,
        DType.I64,
        2,
        (4, 1024),
        (512,),
        [rows, hand.access(constant, DType.I16, (512, 1024), [{2: 1}, {1: 1}])],
    )
    draft.program().save(tmp_path / "program")
    program = Program.load(tmp_path / "program")
    ((root, held),) = program.constants.items()
    path = tmp_path / "program" / "constants" / f"{root.hex()}.bin"
    assert mapped_memory(path) == held.nbytes
    machine = Executor(program)
    assert mapped_memory(path) == 0
    inputs = [hand.extreme(DType.I16, (4, 512))]
    np.testing.assert_array_equal(machine.outputs(inputs)[0], run(program, inputs)[-1])
    np.testing.assert_array_equal(program.constants[root], matrix)
