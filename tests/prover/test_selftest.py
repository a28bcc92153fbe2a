"""The self-test finds inexact kernels, and its own path equals the reference."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from prover.executor import Executor
from prover.executor.kernels import code, conv, dot, native
from prover.executor.selftest import Independent
from rollup.errors import InexactMachine
from rollup.form.ops import INSTRUCTIONS, Constant, Monoid, Opcode
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.lockstep.programs import draw
from tests.prover import hand


@pytest.mark.parametrize("seed", range(12))
def test_exact_kernels_pass(seed: int) -> None:
    program, _ = draw(seed)
    compared = Executor(program, self_test=False).self_test()
    assert compared >= 5


@pytest.mark.parametrize("seed", range(12))
def test_independent_path_equals_the_reference(seed: int) -> None:
    program, inputs = draw(seed)
    values = run(program, inputs)
    compared = 0
    for value, j, t in program.op_values():
        op = program.ops[j]
        if t or any(access.stack for access in op.accesses):
            continue
        sources = []
        for access in op.accesses:
            source = access.source
            if isinstance(source, Constant):
                sources.append(program.constant(source.root))
            else:
                sources.append(values[getattr(source, "init", source.base)])
        independent = Independent(op, t, sources)
        for position in range(0, op.elements, max(1, op.elements // 5)):
            assert independent.element(position) == int(values[value].reshape(-1)[position])
            compared += 1
    assert compared >= 1


def _programs() -> list[Program]:
    return [
        hand.product(DType.I16, DType.I16, 4, 40, 5, True),
        hand.convolution(DType.I16, DType.I16, 6, 4, 3, 1, 1, 1, 0),
    ]


@pytest.mark.usefixtures("xla_products")
def test_a_machine_that_multiplies_in_float32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    exact_product, exact_conv = dot._multiply, conv.lax.conv_general_dilated

    def rounded(x, y):  # type: ignore[no-untyped-def]
        return exact_product(x.astype(jnp.float32), y.astype(jnp.float32)).astype(x.dtype)

    def rounded_conv(x, y, *rest, **more):  # type: ignore[no-untyped-def]
        return exact_conv(x.astype(jnp.float32), y.astype(jnp.float32), *rest, **more).astype(x.dtype)

    monkeypatch.setattr(dot, "_multiply", rounded)
    monkeypatch.setattr(conv.lax, "conv_general_dilated", rounded_conv)
    for program in _programs():
        with pytest.raises(InexactMachine, match=r"op 0 .* is not exact on this machine"):
            Executor(program)


def test_native_products_that_are_off_by_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = native.invoke
    monkeypatch.setattr(native, "invoke", lambda call: exact(call) + 1)
    for program in _programs():
        with pytest.raises(InexactMachine, match=r"op 0 .* is not exact on this machine"):
            Executor(program)


def test_a_wrong_instruction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {**code.RULES, Opcode.DIV: lambda args, ranges: args[0] // jnp.where(args[1] == 0, 1, args[1])}
    monkeypatch.setattr(code, "RULES", wrong)
    with pytest.raises(InexactMachine, match=r"operands 'small' element .* must be 0 "):
        Executor(hand.instruction(Opcode.DIV, [1] * 60, [1] * 60))


def test_equal_kernels_are_tested_once() -> None:
    draft = hand.drafted(DType.I16, (2, 9, 9))
    for _ in range(3):
        x = hand.access(hand.Value(0), DType.I16, (2, 9, 9), [{0: 1}, {1: 1}, {2: 1}])
        draft.add(Monoid.NONE, DType.I16, 1, (2, 9, 9), (), [x])
    once = hand.drafted(DType.I16, (2, 9, 9))
    once.ops.append(draft.ops[0])
    assert Executor(draft.program(), False).self_test() == Executor(once.program(), False).self_test()


def test_the_path_is_numpy_alone() -> None:
    program = hand.pooling(Monoid.MAX, 2, 2, -5)
    array = hand.extreme(DType.I16, (2, 9, 9))
    expected = run(program, [array])[-1].reshape(-1)
    independent = Independent(program.ops[0], 0, [array])
    np.testing.assert_array_equal([independent.element(p) for p in range(expected.size)], expected)


def test_every_instruction_has_its_meaning_on_arrays() -> None:
    assert set(code.RULES) == set(INSTRUCTIONS) == set(Opcode)
