"""Traces: roots are those of the values, and bytes come back when they were dropped."""

from __future__ import annotations

import numpy as np
import pytest

import prover.trace
from prover.executor import Executor
from prover.trace import ExecutionTrace, operand_values
from rollup.errors import ExecutionError
from rollup.form.ops import Monoid
from rollup.machine.reference import run
from rollup.merkle import hash_node, tensor_tree, zero
from rollup.types import LEAF_BYTES, DType, Gindex
from tests.lockstep.programs import draw
from tests.prover import hand


def _recurrent() -> tuple[Executor, list[np.ndarray]]:
    program = hand.recurrent(6, 200)
    inputs = [hand.extreme(t.dtype, t.shape, v) for v, t in enumerate(program.header.inputs)]
    return Executor(program, self_test=False), inputs


@pytest.mark.parametrize("seed", range(6))
def test_entries_are_the_roots_of_the_reference_values(seed: int) -> None:
    program, inputs = draw(seed)
    trace = ExecutionTrace.of(Executor(program, self_test=False), inputs)
    header = program.header
    values = run(program, inputs)
    for value, array in enumerate(values):
        root = tensor_tree(array.tobytes(), header.tensor_depth).root
        assert trace.roots[value] == root
        assert trace.tree.node(Gindex((1 << header.trace_depth) + value)) == root
        assert trace.value_bytes(value) == array.tobytes()
    for unused in range(len(values), 1 << header.trace_depth):
        assert trace.tree.node(Gindex((1 << header.trace_depth) + unused)) == zero(header.tensor_depth)


def test_roots_only_traces_give_the_same_nodes_and_bytes() -> None:
    machine, inputs = _recurrent()
    kept, dropped = ExecutionTrace.of(machine, inputs, keep=True), ExecutionTrace.of(machine, inputs, keep=False)
    assert kept.root == dropped.root
    depth = machine.program.depth
    for leaf in range(1 << depth):
        gindex = Gindex((1 << depth) + leaf)
        if leaf % 3 == 0:
            assert kept.tree.node(gindex) == dropped.tree.node(gindex)
            assert kept.tree.leaf_bytes(leaf) == dropped.tree.leaf_bytes(leaf)
            assert len(dropped.tree.leaf_bytes(leaf)) == LEAF_BYTES
    kept.drop()
    assert kept.tree.leaf_bytes(5) == dropped.tree.leaf_bytes(5)
    assert [a.tobytes() for a in kept.values()] == [a.tobytes() for a in dropped.values()]


def test_the_operands_of_a_value_that_was_derived_need_no_further_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, inputs = _recurrent()
    kept, dropped = ExecutionTrace.of(machine, inputs, keep=True), ExecutionTrace.of(machine, inputs, keep=False)
    executions: list[int] = []
    stream = machine.stream
    monkeypatch.setattr(machine, "stream", lambda given: executions.append(1) or stream(given))
    operands = operand_values(machine.program, 8)
    assert {value for value in operands if value >= len(inputs)}
    for value in (8, *operands, 8):
        assert dropped.value_bytes(value) == kept.value_bytes(value)
    assert len(executions) == 1


def test_operands_are_held_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, inputs = _recurrent()
    monkeypatch.setattr(prover.trace, "RECENT_BYTES", 0)
    dropped = ExecutionTrace.of(machine, inputs, keep=False)
    executions: list[int] = []
    stream = machine.stream
    monkeypatch.setattr(machine, "stream", lambda given: executions.append(1) or stream(given))
    for value in (8, *operand_values(machine.program, 8)):
        dropped.value(value)
    assert len(executions) == 1 + len([v for v in operand_values(machine.program, 8) if v >= len(inputs)])


def test_input_and_output_roots_join_the_entries() -> None:
    machine, inputs = _recurrent()
    trace = ExecutionTrace.of(machine, inputs)
    assert trace.input_root == hash_node(trace.roots[0], trace.roots[1])
    assert trace.output_root == trace.roots[-1]
    np.testing.assert_array_equal(trace.outputs[0], machine.outputs(inputs)[0])
    assert trace.input_bytes == [array.tobytes() for array in inputs]
    assert trace.output_bytes == [trace.outputs[0].tobytes()]


def test_a_program_can_be_given_for_its_executor() -> None:
    program = hand.pooling(Monoid.MAX, 2, 2, 0)
    inputs = [hand.extreme(DType.I16, (2, 9, 9))]
    assert ExecutionTrace.of(program, inputs).root == ExecutionTrace.of(Executor(program, self_test=False), inputs).root


def test_wrong_inputs_and_places_are_named() -> None:
    machine, inputs = _recurrent()
    with pytest.raises(ExecutionError, match="input 1"):
        ExecutionTrace.of(machine, [inputs[0], inputs[1][:3]])
    with pytest.raises(IndexError, match="values 0 to 8"):
        ExecutionTrace.of(machine, inputs).value(9)
