"""Infinities: known before any sample shows them, and paid for only where somebody computes with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from prover import lower
from tests.prover.cases import reals

ALL = np.ones(6, np.float32)
SOME = np.array([1, 0, 1, 1, 0, 0], np.float32)
NONE = np.zeros(6, np.float32)


def attention(x: Any, keep: Any) -> Any:
    """The mask is stored: two consumers look at it."""
    mask = jnp.broadcast_to(jnp.where(keep > 0, 0.0, -jnp.inf), (6, 6))
    weights = jax.nn.softmax(x @ x.T + mask, axis=-1)
    return jnp.where(jnp.max(mask, axis=-1, keepdims=True) == -jnp.inf, 0.0, weights) @ x


@pytest.mark.parametrize("keep", [ALL, SOME, NONE], ids=["all", "some", "none"])
def test_a_mask_that_no_sample_showed_hides_all_the_same(keep: np.ndarray) -> None:
    x = reals(6, 8) * np.float32(0.5)
    model = lower(attention, x, ALL, calibration=[(x, ALL)])
    np.testing.assert_allclose(model.predict(x, keep), attention(x, keep), atol=1e-3)


def _sizes(fn: Callable[..., Any], *inputs: Any) -> list[int]:
    program = lower(fn, *inputs, calibration=[inputs]).program
    return [op.dtype.numpy.itemsize for op in program.ops]


def test_infinities_that_only_are_put_in_order_cost_nothing() -> None:
    x = reals(1, 8, 8, 3)

    def pooled(fill: float) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            x = jnp.pad(x * x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
            return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

        return run

    assert _sizes(pooled(-np.inf), x) == _sizes(pooled(-1.0), x)


def test_large_numbers_are_no_infinities() -> None:
    x = reals(40) * np.float32(3e4)
    got, large = lower(lambda x: (jnp.where(x > 0, x, -3e4) + 1, x > jnp.inf), x).predict(x)
    np.testing.assert_allclose(got, np.where(x > 0, x, -3e4) + 1, atol=16)
    assert not large.any()


@pytest.mark.parametrize("least", [np.finfo(np.float32).min, -1e30, -(2.0**90)])
@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_a_mask_made_by_arithmetic_hides_what_no_sample_showed(least: float, kind: type) -> None:
    """(1 - mask) * least, as exported language models have it, of a mask of reals or of integers."""

    def masked(x: Any, keep: Any) -> Any:
        return jax.nn.softmax(x @ x.T + (1.0 - keep.astype(jnp.float32)) * np.float32(least), axis=-1) @ x

    x = reals(6, 8) * np.float32(0.5)
    model = lower(masked, x, ALL.astype(kind), calibration=[(x, ALL.astype(kind))])
    for keep in (ALL, SOME):
        np.testing.assert_allclose(model.predict(x, keep.astype(kind)), masked(x, keep.astype(kind)), atol=1e-3)


@pytest.mark.parametrize("power", [70, 76, 89])
def test_magnitudes_short_of_infinity_keep_their_meaning(power: int) -> None:
    x, far = np.array([0, 1, 1, 0], np.float32), np.float32(2.0**power)
    model = lower(lambda x: x - (1.0 - x) * far, x, calibration=[(x,)])
    np.testing.assert_allclose(model.predict(x), x - (1 - x) * far, rtol=1e-3, atol=far * 1e-3)
