"""The checker: right claims pass, every lie is found and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from challenger.checkers.re_execute import Machine, ReExecute, Reference
from challenger.play.trace import ValueTrace
from prover.executor import Executor
from rollup.claim import NO_ROOT, Address, Claim, input_root, join, output_root, output_types
from rollup.errors import ClaimError
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.types import Root
from tests.e2e.toy_program import outputs_of, toy_inputs, toy_program, values_of, with_lie

PROGRAM = toy_program()
LAZY = toy_program(TracePolicy.ON_DISPUTE)
INPUTS = toy_inputs(11)
VALUES = values_of(PROGRAM, INPUTS)


def claimed(program: Program, values: Sequence[np.ndarray], root: Root) -> tuple[Claim, bytes, bytes]:
    inputs = join(INPUTS, program.header.inputs)
    outputs = join(outputs_of(program, values), output_types(program.header))
    roots = input_root(program.header, inputs), output_root(program.header, outputs)
    return Claim(program.id, Address("0x" + "a1" * 20), 1, 9, bytes(32), *roots, root), inputs, outputs


@pytest.mark.parametrize("machine", [Reference, Executor], ids=["reference", "executor"])
def test_the_executor_and_the_reference_find_the_same(machine: Callable[[Program], Machine]) -> None:
    checker = ReExecute(PROGRAM, machine(PROGRAM))
    right = ValueTrace(PROGRAM, VALUES)
    finding = checker.check(*claimed(PROGRAM, VALUES, right.root))
    assert finding.honest
    assert finding.trace is not None
    assert finding.trace.root == right.root
    lied = with_lie(PROGRAM, VALUES, 4, 2)
    finding = checker.check(*claimed(PROGRAM, lied, ValueTrace(PROGRAM, lied).root))
    assert not finding.honest
    assert finding.reason.startswith("the program gives another output: element 2 of output 0 is claimed as")


def test_a_trace_alone_can_be_wrong() -> None:
    lied = with_lie(PROGRAM, VALUES, 3, 7, consistent=False)
    finding = ReExecute(PROGRAM, Reference(PROGRAM)).check(*claimed(PROGRAM, lied, ValueTrace(PROGRAM, lied).root))
    assert not finding.honest
    assert "the trace is not the program's" in finding.reason


def test_without_a_trace_root_outputs_alone_are_compared() -> None:
    checker = ReExecute(LAZY, Reference(LAZY))
    finding = checker.check(*claimed(LAZY, VALUES, NO_ROOT))
    assert finding.honest
    assert finding.trace is None
    claim, inputs, outputs = claimed(LAZY, with_lie(LAZY, VALUES, 8, 5), NO_ROOT)
    assert not checker.check(claim, inputs, outputs).honest


def test_bytes_that_do_not_fit_the_header_are_an_error() -> None:
    claim, inputs, outputs = claimed(PROGRAM, VALUES, ValueTrace(PROGRAM, VALUES).root)
    with pytest.raises(ClaimError, match="has 1207 bytes"):
        ReExecute(PROGRAM, Reference(PROGRAM)).check(claim, inputs[:-1], outputs)


def test_state_roots_are_the_trace_with_later_entries_zeroed() -> None:
    trace = ValueTrace(PROGRAM, VALUES)
    assert trace.state_root(PROGRAM.header.values) == trace.root
    shorter = replace(trace, values=VALUES[:4])
    assert trace.state_root(4) == shorter.root


def test_big_endian_arrays_have_the_same_trace() -> None:
    swapped = [np.asarray(value).astype(value.dtype.newbyteorder(">")) for value in VALUES]
    assert ValueTrace(PROGRAM, swapped).root == ValueTrace(PROGRAM, VALUES).root
