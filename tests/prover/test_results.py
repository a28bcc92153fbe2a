"""Small results keep float32's digits, with the ends of int32; what stands beside them costs what it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from prover import lower
from prover.lowering.capture import capture
from prover.lowering.passes.hints import Within
from prover.lowering.passes.plan import POSTED_ELEMENTS, plan
from prover.lowering.passes.signs import Sign, signs
from prover.model import Model
from rollup.types import DType
from tests.prover.cases import reals

ROUNDING = 1e-6
"""Of a result's range, the most that its own format may lose."""

GRID = np.arange(-128, 128, dtype=np.float32) / 128
"""Reals that int16 holds as they are, so that what is lost is the result's."""


def lowered(fn: Callable[..., Any], *inputs: np.ndarray) -> Model:
    return lower(fn, *inputs, calibration=[inputs])


@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (lambda x: x / 3, GRID),
        (lambda x: 1000 + x / 3, GRID),
        (lambda x: (x.reshape(16, 16) / 3).T, GRID),
        (lambda x: jax.nn.sigmoid(x / 64 - 5), GRID),
        (lambda x: jnp.exp(-jnp.square(x)), GRID),
        (lambda x: {"all": x / 7, "some": x[:3] / 9}, GRID),
        (lambda x: lax.scan(lambda c, a: (c + a, c / 3), jnp.zeros(8), x.reshape(32, 8))[1], GRID),
    ],
    ids=["quotients", "beside a constant", "moved", "sigmoids", "exponentials", "two results", "out of a loop"],
)
def test_a_small_result_loses_nothing_by_its_format(fn: Callable[[Any], Any], x: np.ndarray) -> None:
    model = lowered(fn, x)
    for _, tensor in model.program.header.outputs:
        assert tensor.dtype is DType.I32
    for found, wanted in zip(jax.tree.leaves(model.predict(x)), jax.tree.leaves(fn(x)), strict=True):
        wanted = np.asarray(wanted, np.float64)
        # Where values lie far from zero, float32 itself is coarser.
        coarse = np.spacing(np.float32(np.abs(wanted).max()))
        assert np.abs(found - wanted).max() <= ROUNDING * np.ptp(wanted) + coarse


def test_results_end_where_their_dtype_ends() -> None:
    model = lowered(lambda x: x * x * x, GRID)
    ((_, tensor),) = model.program.header.outputs
    (input_type,) = model.program.header.inputs
    most = np.full(GRID.shape, input_type.dtype.max, input_type.dtype.numpy)
    (top,) = model.executor.outputs([most])
    (bottom,) = model.executor.outputs([-most])
    assert (top == tensor.dtype.max).all() and (bottom == tensor.dtype.min).all()


def test_large_results_and_what_products_read_keep_their_width() -> None:
    rows = reals(POSTED_ELEMENTS + 1)
    weights = reals(8, 4)

    def hidden(x: Any) -> Any:
        h = jnp.tanh(x[:8])
        return h, h @ weights, x / 3

    model = lowered(hidden, rows)
    assert [tensor.dtype for _, tensor in model.program.header.outputs] == [DType.I16, DType.I32, DType.I16]


def test_the_bytes_of_an_input_are_spent_where_they_are_few() -> None:
    weights = reals(10, 1)
    for rows, dtype in ((64, DType.I32), (128, DType.I16)):
        x = reals(rows, 10)
        model = lowered(lambda x: x @ weights, x)
        assert model.program.header.inputs[0].dtype is dtype
    x = reals(64, 10)
    model = lowered(lambda x: x @ weights, x)
    wanted = (x.astype(np.float64) @ weights.astype(np.float64)).ravel()
    assert np.abs(model.predict(x).ravel() - wanted).max() <= 6e-5 * np.ptp(wanted)


def test_signs_follow_from_what_is_plain_to_see() -> None:
    def fn(x: Any, y: Any) -> list[Any]:
        squares = jnp.sum(jnp.square(x))
        return [-0.5 * squares, squares + jnp.abs(y), x * x, x * y, squares - y, jnp.maximum(x, 0) * -jnp.exp(y)]

    graph, _, _ = capture(fn, (np.ones(3, np.float32),) * 2)
    found = signs(graph)
    known = [found.get(x) for x in graph.outputs]  # type: ignore[arg-type]
    negative, positive = Sign(False, True), Sign(True, False)
    assert known == [negative, positive, positive, None, None, negative]


def test_a_kernel_needs_no_margin() -> None:
    graph, _, _ = capture(lambda x: jnp.exp(-jnp.sum(x * x, 1)) @ reals(3, 2), (reals(3, 4),))
    (power,) = [node for node in graph.nodes if node.name == "exp"]
    assert plan(graph).hint(power.outputs[0]).within is Within.ONE
    vectors, coefficients = reals(128, 4), reals(128, 1)

    def regressed(x: Any) -> Any:
        return jnp.exp(-0.1 * jnp.sum(jnp.square(x[:, None] - vectors), axis=-1)) @ coefficients

    x = reals(64, 4)
    x[0] = vectors[0]
    model = lowered(regressed, x)
    kernel = next(
        scale
        for op, scale in zip(model.program.ops, model.program.meta["scales"], strict=True)
        if op.shape == (64, 128)
    )
    assert kernel == 15
    wanted = np.asarray(regressed(x), np.float64)
    assert np.abs(model.predict(x) - wanted).max() <= 6e-5 * np.ptp(wanted)


def test_products_of_many_factors_keep_their_digits() -> None:
    x = reals(20000)
    model = lowered(lambda x: jnp.prod(1 + x / 1000), x)
    wanted = float(np.prod(1 + x.astype(np.float64) / 1000))
    assert abs(model.predict(x) - wanted) <= 1e-4 * wanted


def test_what_is_gathered_for_the_last_product_is_as_fine_as_what_it_reads() -> None:
    edges = np.stack([np.arange(30) * 7 % 10, np.arange(30) ** 2 % 10]).astype(np.int32)

    def deviation(x: Any, e: Any) -> Any:
        def mean(v: Any) -> Any:
            return (
                jax.ops.segment_sum(v[e[0]], e[1], 10)
                / jnp.maximum(jax.ops.segment_sum(jnp.ones(30), e[1], 10), 1)[:, None]
            )

        return jnp.sqrt(jnp.maximum(mean(x * x) - mean(x) ** 2, 0) + 1e-5)

    x = reals(10, 8)
    model = lowered(deviation, x, edges)
    wanted = np.asarray(deviation(x, edges), np.float64)
    assert np.abs(model.predict(x, edges) - wanted).max() <= 1e-3 * np.ptp(wanted)
