"""A lie is never the truth by accident."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest

from prover import lower
from prover.executor import Executor
from prover.trace import ExecutionTrace
from rollup.claim import join, output_types
from touchstone.lying.lies import About, lie


@pytest.mark.parametrize("about", [About.INTERMEDIATE, About.OUTPUT])
def test_a_lie_differs_from_the_truth_also_in_values_without_dimensions(about: About) -> None:
    def chances(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.numpy.max(x), jax.nn.softmax(x)

    example = np.linspace(-1, 1, 5, dtype=np.float32)
    model = lower(chances, example)
    machine = Executor(model.program, self_test=False)
    inputs = model.quantize(example)
    types = output_types(model.program.header)
    honest = ExecutionTrace.of(machine, inputs)
    scalars = 0
    for seed in range(12):
        told = lie(model.program, machine, inputs, about, np.random.default_rng(seed))
        truth = told.trace.root == honest.root and join(told.outputs, types) == join(honest.outputs, types)
        assert not truth, told.sentence
        scalars += bool(re.search("element 0 of (reduce_|the output)", told.sentence))
    assert scalars
