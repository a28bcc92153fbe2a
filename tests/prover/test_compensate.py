"""Compensation: 8-bit weights whose errors take each other back where inputs are correlated, and never something worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from prover import lower
from prover.lowering.capture import capture
from prover.lowering.formats import Formats, quantize, weight_steps
from prover.lowering.graph import FloatGraph
from prover.lowering.passes import compensate, moments
from prover.lowering.passes.calibrate import calibrate
from prover.lowering.passes.compensate import compensated
from prover.lowering.passes.fold import fold
from prover.lowering.passes.infinity import HUGE
from prover.lowering.passes.plan import plan
from rollup.types import DType

NARROW = Formats(weight_bits=8)
Array = np.ndarray


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def correlated(rows: int, columns: int) -> Array:
    """Rows of few strong directions and many weak ones."""
    mixed = normal(columns, columns, seed=1) * np.geomspace(1, 0.02, columns)
    found: Array = normal(rows, columns, seed=2) @ mixed.T.astype(np.float32)
    return found


def chosen(
    fn: Callable[..., Any], samples: Sequence[Array], formats: Formats = NARROW
) -> tuple[FloatGraph, list[Array]]:
    """The folded graph of a function of one input, and the integers of its products, in order."""
    graph = fold(capture(fn, (samples[0],))[0])
    given = [(sample,) for sample in samples]
    found = compensated(graph, given, calibrate(graph, given, plan(graph)), formats)
    return graph, [found[node.outputs[0]] for node in graph.nodes if node.outputs[0] in found]


def nearest(weights: Array, kept: int) -> Array:
    """Integers of weights with ``kept`` axes of channels in front."""
    return quantize(weights / weight_steps(weights, kept, DType.I8.max), 0, -127, 127)


def error(x: Array, weights: Array, integers: Array) -> float:
    """Root mean square of what rounded weights [channels, columns] change of x [rows, columns] times them."""
    kept = weights.astype(np.float64)
    return float(np.sqrt(np.mean((x @ (kept - integers * weight_steps(kept, 1, DType.I8.max)).T) ** 2)))


def test_correlated_inputs_lose_half_of_the_error_on_rows_that_no_sample_showed() -> None:
    x, weights = correlated(1024, 48), normal(32, 48)
    _, (integers,) = chosen(lambda x: jnp.tanh(x @ weights.T), list(x[:512].reshape(16, 32, 48)))
    assert integers.dtype == np.int8 and integers.shape == (48, 32)
    assert 2.0 * error(x[512:], weights, integers.T) < error(x[512:], weights, nearest(weights, 1))


def test_blocks_of_columns_and_parts_of_channels_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weights = correlated(64, 48), normal(48, 24)
    _, (whole,) = chosen(lambda x: jnp.tanh(x @ weights), [x])
    monkeypatch.setattr(moments, "BLOCK", 7)
    monkeypatch.setattr(compensate, "PART_ELEMENTS", 48 * 5)
    monkeypatch.setattr(moments, "PART_ROWS", 9)
    _, (parts,) = chosen(lambda x: jnp.tanh(x @ weights), [x])
    assert np.mean(whole != parts) < 0.01


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(np.zeros((8, 12), np.float32), id="nothing"),
        pytest.param(normal(8, 12) * (np.arange(12) % 3 > 0), id="columns of zeros"),
        pytest.param(normal(1, 12), id="one row"),
        pytest.param(np.full((8, 12), 3.0, np.float32), id="constant"),
        pytest.param(np.repeat(normal(8, 6), 2, axis=1), id="columns twice"),
        pytest.param(normal(5, 1), id="one column"),
        pytest.param(normal(4, 96), id="fewer rows than columns"),
        pytest.param(normal(8, 12) * np.float32(1e-30), id="tiny"),
        pytest.param(normal(8, 12) * np.float32(1e-42), id="denormal"),
        pytest.param(normal(8, 12) * np.float32(1e26), id="large"),
        pytest.param(np.where(np.arange(12) == 3, -1e30, normal(8, 12)), id="infinities"),
        pytest.param(normal(8, 12) * np.geomspace(1, 1e-12, 12), id="of all magnitudes"),
    ],
)
def test_what_samples_do_not_show_is_rounded_with_the_same_bounds(x: Array) -> None:
    x = x.astype(np.float32)
    weights = normal(x.shape[1], 9)
    weights[:, 4] = 0
    _, (integers,) = chosen(lambda x: jnp.tanh(x @ weights), [x])
    assert np.abs(integers.astype(int)).max() <= 127 and not integers[:, 4].any()
    seen = np.where(np.abs(x) < HUGE, x, 0).astype(np.float64)
    assert error(seen, weights.T, integers.T) <= error(seen, weights.T, nearest(weights.T, 1)) * (1 + 1e-6)


def test_one_column_and_independent_columns_are_rounded_to_the_nearest() -> None:
    x = np.eye(16, dtype=np.float32) * np.arange(1, 17, dtype=np.float32)
    weights = normal(16, 9)
    _, (integers,) = chosen(lambda x: jnp.tanh(x @ weights), [x])
    assert np.array_equal(integers, nearest(weights.T, 1).T)


def test_a_row_that_is_far_longer_than_the_others_decides_no_more_than_they_do() -> None:
    x, weights = correlated(512, 48), normal(32, 48)
    x[::128] = normal(4, 48, seed=3) * 1e4
    _, (integers,) = chosen(lambda x: jnp.tanh(x @ weights.T), list(x.reshape(16, 32, 48)))
    usual = np.delete(x, np.arange(0, 512, 128), axis=0)
    assert 2.0 * error(usual, weights, integers.T) < error(usual, weights, nearest(weights, 1))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_sums_windows(groups: int) -> None:
    kernel = normal(8, 6 // groups, 3, 2)
    images = normal(12, 1, 6, 12, 11)
    for axis in (2, 3, 4):
        images = np.cumsum(images, axis=axis)

    def convolved(x: Any, kernel: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            kernel,
            (2, 1),
            [(1, 0), (-1, 2)],
            lhs_dilation=(1, 2),
            rhs_dilation=(1, 2),
            feature_group_count=groups,
        )

    _, (integers,) = chosen(lambda x: jnp.tanh(convolved(x, kernel)), list(images[:6]))
    steps = weight_steps(kernel.astype(np.float64), 1, DType.I8.max)

    def lost(integers: Array) -> float:
        return float(jnp.sqrt(jnp.mean(convolved(images[6:, 0], (kernel - integers * steps).astype(np.float32)) ** 2)))

    assert integers.shape == kernel.shape
    assert 2.0 * lost(integers) < lost(nearest(kernel.astype(np.float64), 1))


def test_weights_of_a_batch_see_their_own_rows() -> None:
    weights = normal(3, 16, 5)
    x = np.stack([correlated(64, 16) * scale for scale in (1, 50, 0.01)], axis=1)
    _, (integers,) = chosen(lambda x: jnp.tanh(jnp.einsum("nbi,bio->nbo", x, weights)), [x])
    for at in range(3):
        _, (alone,) = chosen(lambda x, at=at: jnp.tanh(x @ weights[at]), [x[:, at]])  # type: ignore[misc]
        assert np.array_equal(integers[at], alone)


def test_weights_that_two_products_read_are_rounded_once_for_both() -> None:
    weights, x = normal(24, 24), correlated(64, 24)
    _, (first, second) = chosen(lambda x: jnp.tanh(x @ weights) + jnp.tanh(jnp.roll(x, 5, axis=1) @ weights), [x])
    _, (both,) = chosen(lambda x: jnp.tanh(jnp.concatenate([x, jnp.roll(x, 5, axis=1)]) @ weights), [x])
    assert first is second
    assert np.mean(first != both) < 0.01


def test_infinities_say_nothing_about_their_column() -> None:
    weights, x = normal(24, 8), correlated(64, 24)
    at = np.arange(24) % 8 == 3
    integers = [chosen(lambda x: jnp.tanh(x @ weights), [np.where(at, fill, x)])[1][0] for fill in (0, -(2.0**100))]
    assert np.array_equal(*integers)


def test_16_bit_weights_and_results_are_left_alone() -> None:
    weights, x = normal(24, 8), correlated(16, 24)
    assert chosen(lambda x: jnp.tanh(x @ weights), [x], Formats())[1] == []
    assert chosen(lambda x: x @ weights, [x])[1] == []


def test_what_is_not_compensated_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    weights, x = normal(24, 24), correlated(16, 24)

    def loop(x: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, c: jnp.tanh(c @ weights), x)

    assert chosen(loop, [x])[1] == []
    assert "inside a loop" in caplog.text
    monkeypatch.setattr(compensate, "MOST_COLUMNS", 23)
    assert chosen(lambda x: jnp.tanh(x @ weights), [x])[1] == []
    assert "at most 23 are compensated" in caplog.text


def test_memory_bounds_samples_and_rows(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    weights, x = normal(24, 8), correlated(1024, 24)
    monkeypatch.setattr(compensate, "HELD_BYTES", 4 * 2 * 32 * 24 * 4)
    monkeypatch.setattr(moments, "MOST_ROWS", 100)
    _, (integers,) = chosen(lambda x: jnp.tanh(jnp.sin(x) @ weights), list(x.reshape(32, 32, 24)))
    assert "on 4 samples" in caplog.text
    assert error(np.sin(x), weights.T, integers.T) < error(np.sin(x), weights.T, nearest(weights.T, 1))


def test_a_program_has_the_compensated_integers_and_the_same_id_every_time() -> None:
    x, weights = correlated(64, 48), normal(48, 32)
    samples = [(part,) for part in x.reshape(4, 16, 48)]

    def fn(x: Any) -> Any:
        return jnp.maximum(x @ weights, 0)

    # Of its own weights a result keeps 16 bits.
    first, again = (lower(lambda x: jnp.sum(fn(x)), x[:16], formats="w8a16", calibration=samples) for _ in range(2))
    assert first.program.id == again.program.id
    (stored,) = [array for array in first.program.constants.values() if array.dtype == np.int8]
    _, (integers,) = chosen(lambda x: jnp.sum(fn(x)), [part for (part,) in samples])
    assert np.array_equal(stored.reshape(32, 48), integers.T)
    assert not np.array_equal(integers, nearest(weights.T, 1).T)
