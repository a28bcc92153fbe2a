"""Inputs keep the precision that the function needs: columns, thresholds, weights of columns, and no more than that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prover import lower
from prover.lowering.capture import capture
from prover.lowering.graph import evaluate
from prover.lowering.passes.balance import balanced
from rollup.types import DType
from tests.prover.cases import reals

CLOSE = 1e-4
"""Of probabilities: the bound that tables have to keep."""


def fitted(load: Callable[[], Any], raw: bool) -> tuple[Callable[[Any], Any], np.ndarray]:
    """(class probabilities of one row, all rows); ``raw``: the scaling of columns is part of the weights."""
    data = load()
    rows = data.data.astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, data.target)
    scaler, linear = pipeline[0], pipeline[1]
    mean, deviation = scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32)
    weights, bias = linear.coef_.T.astype(np.float32), linear.intercept_.astype(np.float32)
    if raw:
        bias = (linear.intercept_ - (linear.coef_ / scaler.scale_) @ scaler.mean_).astype(np.float32)
        weights = (linear.coef_ / scaler.scale_).T.astype(np.float32)

    def probabilities(x: Any) -> Any:
        logits = (x if raw else (x - mean) / deviation) @ weights + bias
        return jax.nn.sigmoid(logits) if logits.shape[-1] == 1 else jax.nn.softmax(logits)

    return probabilities, rows[:, None]


@pytest.mark.parametrize(
    ("load", "raw", "bound"),
    [
        (load_breast_cancer, False, CLOSE),
        (load_breast_cancer, True, CLOSE),
        (load_wine, False, CLOSE),
        (load_wine, True, 2 * CLOSE),
    ],
    ids=["cancer", "cancer, raw", "wine", "wine, raw"],
)
def test_columns_of_a_table_that_differ_by_orders_of_magnitude_keep_their_digits(
    load: Callable[[], Any], raw: bool, bound: float
) -> None:
    fn, rows = fitted(load, raw)
    model = lower(fn, rows[0], calibration=[(row,) for row in rows[:100]])
    wanted = np.concatenate([np.asarray(fn(row)) for row in rows])
    found = np.concatenate(
        model.executor.outputs_batch([np.concatenate([model.quantize(row)[0][None] for row in rows])])[0][:, None]
    )
    ((_, tensor),) = model.program.header.outputs
    found = found.reshape(wanted.shape) * 2.0**-tensor.scale
    assert np.abs(wanted - found).max() <= bound
    decided = (lambda p: p[:, 0] > 0.5) if wanted.shape[1] == 1 else (lambda p: p.argmax(1))
    np.testing.assert_array_equal(decided(found), decided(wanted))


def test_a_threshold_between_two_close_values_makes_the_grid_as_fine_as_it_has_to_be() -> None:
    rows = np.array([[0.1, 1000.0], [0.10001, 900.0], [0.10002, 2000.0], [0.10003, 10.0]], np.float32)
    model = lower(
        lambda x: (x[0] < np.float32(0.100015)).astype(jnp.int32), rows[0], calibration=[(row,) for row in rows]
    )
    assert [int(model.predict(row)) for row in rows] == [1, 1, 0, 0]
    # As many bits as it takes, and no more: nothing asks for them here.
    plain = lower(lambda x: x * 2, rows[0], calibration=[(row,) for row in rows])
    assert plain.program.header.inputs[0].dtype is DType.I16
    assert model.program.header.inputs[0].dtype is not DType.I16


def test_decisions_of_a_table_of_thresholds_are_those_of_float_on_rows_that_no_sample_showed() -> None:
    rows = load_breast_cancer().data.astype(np.float32)
    features = np.arange(120) % rows.shape[1]
    # Halfway between neighbours, and some of the values themselves, as trees have them.
    ordered = np.sort(rows, axis=0)
    at = np.random.default_rng(3).integers(0, len(rows) - 1, len(features))
    low, high = ordered[at, features], ordered[at + 1, features]
    splits = np.where(np.arange(120) % 3 == 0, low, (low + high) / 2).astype(np.float32)

    def decide(x: Any) -> Any:
        seen = x[features]
        return jnp.stack([seen <= splits, seen < splits, seen == splits])

    model = lower(decide, rows[0], calibration=[(row,) for row in rows[:50]])
    for row in rows[50:200]:
        np.testing.assert_array_equal(model.predict(row), np.asarray(decide(row)))
    counts = np.arange(120, dtype=np.float32).reshape(4, 30) % 17
    plain = lower(decide, counts[0], calibration=[(row,) for row in counts])
    assert plain.program.header.inputs[0].dtype is DType.I16


def test_pictures_and_sounds_stay_int16() -> None:
    image = [(np.abs(reals(16, 16, 3)) % 1,) for _ in range(4)]
    kernel = reals(3, 3, 3, 8)

    def features(x: Any) -> Any:
        return lax_conv(x, kernel).mean((0, 1, 2))

    def lax_conv(x: Any, w: np.ndarray) -> Any:
        return jax.nn.relu(
            jax.lax.conv_general_dilated(x[None], w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        )

    assert lower(features, *image[0], calibration=image).program.header.inputs[0].dtype is DType.I16


COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}


@pytest.mark.parametrize("name", COMPARE)
@pytest.mark.parametrize("swapped", [False, True], ids=["", "swapped"])
def test_a_constant_decides_as_in_float_on_every_number_of_the_grid(name: str, swapped: bool) -> None:
    """Thresholds on the grid, just beside it, between two numbers of it, beyond it, and far below its step."""
    samples = [(np.array([-3.0, 2.5], np.float32),), (np.array([3.75, -1.0], np.float32),)]
    thresholds = np.array(
        [
            0.5,
            np.nextafter(np.float32(0.5), 1),
            np.nextafter(np.float32(0.5), 0),
            0.3,
            -0.3,
            1e30,
            -1e30,
            1e-30,
            -1e-30,
            0.0,
            7.9,
            -8.0,
        ],
        np.float32,
    )

    def fn(x: Any) -> Any:
        a, b = x[0], thresholds
        return COMPARE[name](b, a) if swapped else COMPARE[name](a, b)

    model = lower(fn, *samples[0], calibration=samples)
    (tensor,) = model.program.header.inputs
    step = 2.0**-tensor.scale
    near = [round(float(t) / step) + k for t in thresholds if abs(t) < 8 for k in (-1, 0, 1)]

    @given(st.one_of(st.sampled_from(near), st.integers(tensor.dtype.min, tensor.dtype.max)))
    @settings(max_examples=60, deadline=None)
    def decides(integer: int) -> None:
        integer = max(tensor.dtype.min, min(tensor.dtype.max, integer))
        x = np.array([integer * step, 0], np.float64)
        (found,) = model.executor.outputs([np.array([integer, 0], tensor.dtype.numpy)])
        np.testing.assert_array_equal(found.astype(bool), np.asarray(fn(x)))

    decides()


def test_balanced_columns_compute_what_they_computed() -> None:
    rows = reals(5, 6) * np.float32(10) ** np.arange(-3, 3, dtype=np.float32)
    weights = reals(6, 4)
    sums = (((0,), (1,)), ((), ()))
    graph, _, _ = capture(lambda x: (x @ weights, jax.lax.dot_general(weights, x, sums)), (rows,))
    changed = balanced(graph, [(rows,)])
    assert len(changed.nodes) == len(graph.nodes) + 2
    for before, after in zip(evaluate(graph, [rows]), evaluate(changed, [rows]), strict=True):
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
    alike, _, _ = capture(lambda x: x @ weights, (reals(5, 6),))
    assert balanced(alike, [(np.ones((5, 6), np.float32),)]).nodes == alike.nodes
