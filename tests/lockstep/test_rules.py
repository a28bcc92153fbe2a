"""Every lowering rule: canonical ops that can be proven, the float function within its grid, executor = reference = EVM."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from prover import Model, lower
from rollup.audit import examine
from rollup.audit.canonical import canonical as findings
from rollup.machine.reference import Memory
from tests.lockstep.evm import Execution, Prover, seed_of
from tests.prover.cases import CASES, Case

REFERENCE_ELEMENTS = 4
EVM_ELEMENTS = 1
MOST_OPS = 40


@pytest.fixture(scope="module")
def contract() -> Prover:
    return Prover()


def _inputs(model: Model, case: Case) -> dict[str, list[np.ndarray]]:  # type: ignore[type-arg]
    """The case's own inputs, and inputs that are all smallest and all largest."""
    types = model.program.header.inputs
    return {
        "sample": model.quantize(*case.inputs),
        "smallest": [np.full(tensor.shape, tensor.dtype.min, tensor.dtype.numpy) for tensor in types],
        "largest": [np.full(tensor.shape, tensor.dtype.max, tensor.dtype.numpy) for tensor in types],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rule_keeps_the_function_and_the_lockstep(case: Case, contract: Prover) -> None:
    model = lower(case.fn, *case.inputs, calibration=[case.inputs], formats=case.formats)
    assert [finding for op in model.program.ops for finding in findings(op)] == []
    assert all(op.bound.fits for op in examine(model.program).ops)
    fidelity = model.fidelity([case.inputs])
    assert all(output.relative <= case.relative for output in fidelity.outputs), fidelity
    real, integer = jax.eval_shape(case.fn, *case.inputs), model.predict(*case.inputs)
    assert jax.tree.structure(real) == jax.tree.structure(integer)
    for a, b in zip(jax.tree.leaves(real), jax.tree.leaves(integer), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    rng = np.random.default_rng(seed_of("rules", case.name))
    places = list(model.program.op_values())
    chosen = (
        places
        if len(places) <= MOST_OPS
        else [places[j] for j in sorted(rng.choice(len(places), MOST_OPS, replace=False))]
    )
    compared = on_chain = 0
    for kind, inputs in _inputs(model, case).items():
        values = model.executor.values(inputs)
        memory = Memory(model.program, list(values))
        execution = Execution(model.program, list(values))
        for value, descriptor, _ in chosen:
            elements = values[value].size
            for position in {0, elements - 1, *(int(p) for p in rng.integers(0, elements, REFERENCE_ELEMENTS))}:
                assert int(values[value].reshape(-1)[position]) == memory.element(value, position), (
                    kind,
                    model.program.name(descriptor),
                )
                compared += 1
            if kind == "sample":
                for position in rng.integers(0, elements, EVM_ELEMENTS):
                    expected = int(values[value].reshape(-1)[position])
                    assert contract.step(*execution.witness(value, int(position))) == (expected, expected), (
                        model.program.name(descriptor)
                    )
                    on_chain += 1
    assert compared >= 3 * len(chosen) and on_chain == len(chosen) * EVM_ELEMENTS
