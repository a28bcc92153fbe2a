"""An op of which one element reads more than a transaction carries is computed in steps that do fit, and stays what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import lower
from rollup.audit import examine
from rollup.audit.canonical import canonical as findings
from rollup.machine.reference import Memory

COUNT = 16
ARRAYS = [np.random.default_rng(n).standard_normal((32, 48)).astype(np.float32) for n in range(COUNT)]


def _in_a_loop(*xs: Any) -> Any:
    stacked = jnp.stack(xs[1:])

    def body(carry: Any, _: Any) -> tuple[Any, Any]:
        mixed = carry * 0.5 + sum(stacked[n] * (n + 1) / 30 for n in range(COUNT - 1))
        return mixed, mixed[0]

    return jax.lax.scan(body, xs[0], None, length=3)


WIDE: dict[str, Callable[..., Any]] = {
    "a sum of many": lambda *xs: sum(xs[1:], xs[0]),
    "a sum of many after a product": lambda *xs: xs[0] @ xs[1].T + sum([x[:, :32] for x in xs[2:]], jnp.zeros(())),
    "functions and products": lambda *xs: (
        jnp.tanh(xs[0]) * xs[1] + jnp.exp(xs[2]) * xs[3] + jnp.maximum(xs[4], xs[5]) * xs[6] - xs[7] / (1 + xs[8] ** 2)
    ),
    "the largest of many": lambda *xs: jnp.stack(xs).max(0),
    "more columns than a descriptor holds": lambda *xs: jnp.concatenate(
        [xs[0][:, i : i + 1] * xs[0][:, j : j + 1] for i in range(13) for j in range(i, 13)], axis=1
    ),
    "in a loop": _in_a_loop,
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_code_is_computed_in_steps_that_can_be_proven(name: str) -> None:
    model = lower(WIDE[name], *ARRAYS, calibration=[tuple(ARRAYS)])
    program, report = model.program, examine(model.program)
    assert report.findings == () and all(op.bound.fits for op in report.ops)
    assert [finding for op in program.ops for finding in findings(op)] == []
    assert len(program.ops) > 1 and model.fidelity([tuple(ARRAYS)]).relative < 1e-3
    extremes = [np.full(t.shape, t.dtype.max, t.dtype.numpy) for t in program.header.inputs]
    for inputs in (model.quantize(*ARRAYS), extremes):
        values = model.executor.values(inputs)
        memory = Memory(program, list(values))
        for value, _, _ in program.op_values():
            for position in {0, values[value].size - 1, values[value].size // 3}:
                assert int(values[value].reshape(-1)[position]) == memory.element(value, position)
