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


SLOPES = np.array([[30000.0], [12000.0], [-8000.0]], np.float32)
PENALISED = np.array([[2.1, 1, 1], [1, 1, 1], [3, 0, 2]], np.float32)

NUMBERS: dict[str, Callable[[Any], Any]] = {
    "an intercept": lambda x: x @ SLOPES + np.array([-25000], np.float32),
    "a number": lambda x: x * 9000 - 25000.0,
    "intercepts": lambda x: x @ np.tile(SLOPES, 2) + np.array([-25000, -11000], np.float32),
    "an intercept beside none": lambda x: x @ np.tile(SLOPES, 2) + np.array([0, -25000], np.float32),
    "a penalty": lambda x: x.sum(-1) * 1e4 + jnp.where(x[:, 0] > 2, -20000.0, 0.0),
    "a rectified sum": lambda x: jax.nn.relu(x @ SLOPES + np.array([-25000], np.float32)),
    "logits with an intercept beside none": lambda x: jax.nn.softmax(
        x @ np.array([[9000, 9003], [8000, 8001], [-7000, -6999]], np.float32) + np.array([0, -25000], np.float32)
    ),
    "a choice with an intercept beside none": lambda x: jnp.argmax(
        x @ np.array([[0, 30000], [0, 12000], [0, -8000]], np.float32) + np.array([0, -25000], np.float32), -1
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_large_negative_number_that_is_added_is_added(name: str) -> None:
    fn = NUMBERS[name]
    samples = [(np.abs(reals(3, 3)) % np.float32(1.9),) for _ in range(8)]
    model = lower(fn, *samples[0], calibration=samples)
    for x in (samples[0][0], samples[5][0], PENALISED):
        real = np.asarray(fn(x), np.float64)
        np.testing.assert_allclose(model.predict(x), real, atol=2e-3 * max(1.0, float(np.abs(real).max())))


def test_uniform_numbers_reach_from_a_large_negative_number() -> None:
    def drawn(key: Any) -> Any:
        return jax.random.uniform(jax.random.wrap_key_data(key), (6,), minval=-1e6, maxval=1)

    key = np.array([1, 2], np.uint32)
    np.testing.assert_allclose(lower(drawn, key).predict(key), drawn(key), atol=1)


@pytest.mark.parametrize("least", [-1e4, -1e9, -np.inf])
def test_a_mask_that_is_added_hides_where_samples_stay_far_above_it(least: float) -> None:
    """Zero or the mask, chosen or a constant, in front of a softmax."""
    known = np.where(np.tril(np.ones((6, 6), bool)), 0, least).astype(np.float32)

    def masked(x: Any, keep: Any) -> Any:
        scores = x @ x.T + known
        return jax.nn.softmax(scores + jnp.where(keep > 0, 0.0, np.float32(least)), axis=-1) @ x

    x, keep = reals(6, 8) * np.float32(0.5), np.array([1, 0, 1, 1, 0, 0], np.float32)
    model = lower(masked, x, ALL, calibration=[(x, ALL), (x, keep)])
    for given in (ALL, keep, np.array([1, 1, 0, 1, 0, 1], np.float32)):
        np.testing.assert_allclose(model.predict(x, given), masked(x, given), atol=1e-3)


ENERGIES: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "all of them": (lambda e: jax.nn.softmax(-e, -1), 50000, 50005),
    "by a number": (lambda e: jax.nn.softmax(3 * e + np.full(6, -2e4, np.float32), -1), -1, 1),
    "from small to large": (lambda e: jax.nn.softmax(-e, -1), 0, 50000),
    "logarithms": (lambda e: jax.nn.log_softmax(-e, -1), 50000, 50005),
}


@pytest.mark.parametrize("name", ENERGIES)
def test_a_softmax_of_large_energies_is_no_softmax_of_masks(name: str) -> None:
    fn, low, high = ENERGIES[name]
    rng = np.random.default_rng(0)
    samples = [(rng.uniform(low, high, (2, 6)).astype(np.float32),) for _ in range(8)]
    model = lower(fn, *samples[0], calibration=samples)
    far = rng.uniform(low + (high - low) / 2, high, (2, 6)).astype(np.float32)
    for x in (samples[0][0], samples[3][0], far):
        np.testing.assert_allclose(model.predict(x), fn(x), atol=1e-2)


HEAD = np.random.default_rng(5).normal(size=(16, 50)).astype(np.float32)
CHOICES: dict[str, Callable[[Any, Any, float], Any]] = {
    "the largest": lambda x, m, far: jnp.argmax(jnp.where(m > 0, x @ HEAD, -far), -1),
    "the least": lambda x, m, far: jnp.argmin(jnp.where(m > 0, x @ HEAD, far), -1),
    "the three largest": lambda x, m, far: lax.top_k(jnp.where(m > 0, x @ HEAD, -far), 3)[1],
    "the largest sum": lambda x, m, far: jnp.argmax(x @ HEAD + jnp.where(m > 0, 0.0, -far), -1),
    "the largest sum with a product": lambda x, m, far: jnp.argmax(x @ HEAD + (1 - m) * -far, -1),
    "order": lambda x, m, far: jnp.argsort(jnp.where(m > 0, x @ HEAD, far), -1)[:, :3],
}


@pytest.mark.parametrize("far", [1e4, 1e9])
@pytest.mark.parametrize("name", CHOICES)
def test_a_mask_costs_a_choice_no_bits(name: str, far: float) -> None:
    rng = np.random.default_rng(0)
    samples = [
        (rng.normal(size=(8, 16)).astype(np.float32), (rng.uniform(size=(8, 50)) < 0.5).astype(np.float32))
        for _ in range(4)
    ]

    def fn(x: Any, m: Any) -> Any:
        return CHOICES[name](x, m, far)

    model = lower(fn, *samples[0], calibration=samples)
    assert model.saturation(samples) == ()
    for x, m in (*samples, (samples[0][0], samples[1][1]), (1.5 * samples[0][0], samples[2][1])):
        exact = np.asarray(fn(x, m))
        assert np.mean(np.asarray(model.predict(x, m)) == exact) > 0.9


def test_values_as_large_as_a_mask_are_compared_with_it() -> None:
    rng = np.random.default_rng(0)
    samples = [(rng.uniform(-4e4, 4e4, (8, 16)).astype(np.float32),) for _ in range(4)]

    def fn(x: Any) -> Any:
        return jnp.argmax(jnp.where(jnp.arange(16) % 2 == 0, x * 0.5, -15000.0), -1)

    model = lower(fn, *samples[0], calibration=samples)
    for (x,) in (*samples, (-np.abs(samples[0][0]),)):
        np.testing.assert_array_equal(model.predict(x), fn(x))
