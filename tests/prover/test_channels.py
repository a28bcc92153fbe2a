"""Operands of products with weights fit int16: outlier channels get powers of two of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, lower
from prover.lowering import lower as lowering
from prover.lowering.capture import capture
from prover.lowering.channels.dividing import narrowed
from prover.lowering.channels.exponents import narrow_operands
from prover.lowering.channels.operands import unseen, weight_operands
from prover.lowering.formats import Formats
from prover.lowering.graph import Var, evaluate
from prover.lowering.passes.calibrate import calibrate
from prover.lowering.passes.plan import plan
from prover.lowering.passes.simplify import simplified
from rollup.types import DType
from touchstone.models.anatomy import anatomy

WIDTH = 64
Array = np.ndarray


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


GAIN = np.where(np.arange(WIDTH) == 7, np.float32(12), np.float32(1))
"""One channel is twelve times as large as the others."""

LEFT, RIGHT = normal(WIDTH, 48, seed=1) / 8, normal(48, 40, seed=2) / 7
SAMPLES = [(normal(24, WIDTH, seed=seed),) for seed in range(10, 18)]


def normed(x: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5) * GAIN + np.float32(0.5)


def network(x: Any) -> Any:
    return jnp.tanh(normed(x) @ LEFT) @ RIGHT


def built(fn: Callable[..., Any], formats: str = "w15a16", samples: Any = SAMPLES) -> Model:
    return lower(fn, *samples[0], formats=formats, calibration=samples)


def narrow(fn: Callable[..., Any], formats: Formats | None = None) -> tuple[Any, list[Any], dict[Var, Any]]:
    """The graph of a function, its narrow operands and its ranges."""
    graph = simplified(capture(fn, SAMPLES[0])[0])
    seen = unseen(weight_operands(graph))
    ranges = calibrate(graph, SAMPLES, plan(graph), channels=seen)
    return graph, narrow_operands(weight_operands(graph), ranges, seen, formats or Formats(15)), ranges


def test_an_outlier_channel_widens_no_operand(monkeypatch: pytest.MonkeyPatch) -> None:
    found = built(network, "w15a16")
    monkeypatch.setattr(lowering, "narrow_operands", lambda *_: [])
    before = built(network, "w15a16")
    assert (anatomy(found.program).wide, anatomy(before.program).wide) == (0, 1)
    assert anatomy(found.program).trace_bytes < anatomy(before.program).trace_bytes
    assert found.program.header.values == before.program.header.values
    held_out = [(normal(24, WIDTH, seed=99),)]
    assert found.fidelity(held_out).relative < 2e-3 and before.fidelity(held_out).relative < 1e-3


def test_exponents_are_those_of_the_outliers() -> None:
    _, operands, _ = narrow(network)
    (one,) = operands
    assert one.exponents[7] > 0 and not np.delete(one.exponents, 7).any()
    assert not one.operand.shared and not one.operand.tied


def test_the_divided_graph_with_its_raised_weights_is_the_same_function() -> None:
    graph, operands, ranges = narrow(network)
    divided = narrowed(graph, ranges, operands)
    assert len(divided.graph.nodes) == len(graph.nodes), "the division belongs to the norm's gain and offset"
    assert all(var in divided.ranges for var, _ in divided.graph.variables())
    nodes = [
        node
        if raised is None
        else type(node)(
            node.primitive,
            node.params,
            (node.inputs[0], (node.inputs[1] * raised.factors(node.inputs[1].shape)).astype(np.float32)),
            node.outputs,
            node.where,
        )
        for node in divided.graph.nodes
        for raised in (divided.raised.get(node.outputs[0]),)
    ]
    again = type(graph)(graph.inputs, tuple(nodes), graph.outputs)
    for sample in SAMPLES:
        np.testing.assert_allclose(evaluate(again, sample)[0], evaluate(graph, sample)[0], rtol=2e-4, atol=2e-4)


def test_a_value_that_is_added_elsewhere_keeps_its_format() -> None:
    def fn(x: Any) -> Any:
        h = normed(x)
        return jnp.tanh(h + jnp.tanh(h @ LEFT) @ (RIGHT @ normal(40, WIDTH, seed=3))) @ normal(WIDTH, 9, seed=4)

    graph, operands, ranges = narrow(fn)
    (one,) = operands
    assert one.operand.shared and one.exponents.any()
    divided = narrowed(graph, ranges, operands)
    assert divided.ranges[one.operand.var] is ranges[one.operand.var]
    assert any(x is one.operand.var for node in divided.graph.nodes for x in node.inputs)


def test_weights_that_are_read_elsewhere_are_not_multiplied() -> None:
    _, operands, _ = narrow(lambda x: jnp.tanh(normed(x) @ LEFT) + x @ LEFT)
    assert not any(one.exponents.any() for one in operands)


def test_a_value_of_which_no_channels_are_to_blame_is_widened() -> None:
    spiky = np.where(np.random.default_rng(0).random((8, 24, WIDTH)) < 1e-3, 4000, 1).astype(np.float32)
    samples = [(sample * rows,) for (sample,), rows in zip(SAMPLES, spiky, strict=True)]
    assert anatomy(built(lambda x: jnp.tanh(x * 1.5 @ LEFT) @ RIGHT, samples=samples).program).wide > 0


def test_a_divided_channel_has_room_for_a_tail_and_what_is_cut_is_counted() -> None:
    _, operands, _ = narrow(network)
    (one,) = operands
    rows = np.stack([np.asarray(normed(sample)) for (sample,) in SAMPLES])
    form = Formats(15).value(one.range)
    room = np.ldexp(np.exp2(one.exponents), 15 - form.scale)
    margins = room / np.abs(rows).max(axis=(0, 1))
    assert margins[7] >= 8 and margins.min() >= 2
    assert form.dtype is DType.I16 and form.ends(one.range) == (DType.I16.min, DType.I16.max)


@pytest.mark.parametrize("formats", ["w16a16", "w15a16", "w8a16"])
def test_no_weight_is_the_least_integer_of_its_dtype(formats: str) -> None:
    constants = built(network, formats).program.constants.values()
    large = [array for array in constants if array.size in (LEFT.size, RIGHT.size)]
    assert large and all(array.min() >= -np.iinfo(array.dtype).max for array in large)
    assert formats != "w15a16" or all(np.abs(array).max() == 16383 for array in large)
