"""Functions of functions, at random: lowering emits nothing that its own audit refuses, and constants keep their value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, lower
from rollup.errors import AuditError

INNER: dict[str, Callable[[Any], Any]] = {
    "x*x": lambda x: x * x,
    "x**3": lambda x: x**3,
    "x**8": lambda x: x**8,
    "exp": jnp.exp,
    "abs": jnp.abs,
    "sinh": jnp.sinh,
    "sin": lambda x: jnp.sin(x) * x,
}

MIXED: dict[str, Callable[[Any], Any]] = {
    "x*y": lambda x: x * x[::-1],
    "x*x*y": lambda x: x * x * jnp.flip(x, 1),
    "x/y": lambda x: x / (1.5 + x[::-1] * x[::-1]),
    "sum": lambda x: x.sum(-1, keepdims=True) * x,
}
"""What no table of one operand can give."""

OUTER: dict[str, Callable[[Any], Any]] = {
    "log": lambda y: jnp.log(jnp.abs(y) + 1),
    "log1p": lambda y: jnp.log1p(jnp.abs(y)),
    "log2": lambda y: jnp.log2(y * y + 0.5),
    "pow": lambda y: (jnp.abs(y) + 1) ** 0.3,
    "root": lambda y: (jnp.abs(y) + 0.1) ** 0.125,
    "inverse power": lambda y: (y * y + 2) ** -1.7,
    "sqrt": lambda y: jnp.sqrt(jnp.abs(y) + 0.01),
    "rsqrt": lambda y: 1 / jnp.sqrt(y * y + 1),
    "exp": lambda y: jnp.exp(-jnp.abs(y)),
    "expm1": lambda y: jnp.expm1(-jnp.abs(y)),
    "logaddexp": lambda y: jnp.logaddexp(y, 0.5),
    "tanh": jnp.tanh,
    "cosh": lambda y: jnp.log(jnp.cosh(jnp.clip(y, -3, 3))),
    "cbrt": jnp.cbrt,
    "cos": jnp.cos,
    "atan": lambda y: jnp.arctan2(y, 1.5),
    "inverse": lambda y: 1 / (1 + jnp.abs(y)),
    "xlogy": lambda y: jax.scipy.special.xlogy(jnp.abs(y) + 1, jnp.abs(y) + 1),
    "softmax": jax.nn.softmax,
}


@pytest.fixture(autouse=True)
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here asks whether kernels are exact on this machine."""
    monkeypatch.setattr("prover.executor.Executor.self_test", lambda executor: 0)


def lowered(fn: Callable[[Any], Any], rng: np.random.Generator, rows: int, magnitude: float) -> tuple[Model, Any]:
    samples = [((rng.normal(size=(rows, 16)) * magnitude).astype(np.float32),) for _ in range(4)]
    return lower(fn, *samples[0], calibration=samples), samples[0][0]


def off(model: Model, fn: Callable[[Any], Any], x: Any) -> float:
    """How far the program is from the function, of its largest result."""
    real = np.asarray(fn(x))
    return float(np.abs(model.reals(model.executor.outputs(model.quantize(x)))[0] - real).max() / np.abs(real).max())


def composed(rng: np.random.Generator) -> tuple[Callable[[Any], Any], str]:
    """An outer function of a mixture, half of the time of another function, each of them scaled and moved."""
    inner, mixed, outer = (str(rng.choice(list(names))) for names in (INNER, MIXED, OUTER))
    steps = ([INNER[inner]] if rng.random() < 0.5 else []) + [MIXED[mixed]]
    factors, offsets = np.where(rng.random(2) < 0.5, 10.0 ** rng.uniform(-3, 1, 2), 1), rng.choice([0.0, 1.0, 20.0], 2)

    def fn(x: Any) -> Any:
        for step, factor, offset in zip(steps, factors, offsets, strict=False):
            x = step(x) * np.float32(factor) + np.float32(offset)
        return OUTER[outer](x)

    return fn, f"{[inner][: len(steps) - 1]} {mixed} {factors} {offsets} {outer}"


@pytest.mark.parametrize("rows", [4, 40])
@pytest.mark.parametrize(
    "fn",
    [
        lambda x: jnp.log(x * x + 1),
        lambda x: jnp.log1p(x * x),
        lambda x: jnp.log(x * x[::-1] + 20),
        lambda x: (x * x + 1) ** 0.3,
        lambda x: (x**8 + 1) ** 0.125,
    ],
    ids=["log", "log1p", "mixed", "power", "root"],
)
def test_logarithms_and_powers_take_operands_of_any_length(fn: Callable[[Any], Any], rows: int) -> None:
    model, x = lowered(fn, np.random.default_rng(0), rows, 1.0)
    assert off(model, fn, x) < 1e-3


def test_attack_what_is_lowered_passes_the_audit_and_is_near() -> None:
    for seed in range(18):
        rng = np.random.default_rng(seed)
        fn, what = composed(rng)
        rows, magnitude = int(rng.choice([4, 40])), 10 ** rng.uniform(-2, 0.3)
        try:
            model, x = lowered(fn, rng, rows, magnitude)
        except AuditError as error:
            pytest.fail(f"seed {seed}: {what} of {rows} rows, {magnitude}: {error}")
        assert off(model, fn, x) < 0.02, f"seed {seed}: {what} of {rows} rows, {magnitude}"


SMALL = 1e-3

BESIDE: dict[str, Callable[[Any], Any]] = {
    "added": lambda x: 1 / (1 + (SMALL * x) ** 2),
    "subtracted": lambda x: 3 - (SMALL * x) ** 4,
    "taken away again": lambda x: jnp.sqrt(x * x + 1e4) - 100,
    "greater": lambda x: jnp.maximum((SMALL * x) ** 6, 1.0),
    "between": lambda x: jnp.clip((SMALL * x) ** 6, 2.0, 1e20),
    "selected": lambda x: jnp.where(x > 0, (SMALL * x) ** 6, 1.0),
    "of many magnitudes": lambda x: jnp.where(x > 0, 1e6, 1e-9),
    "large": lambda x: x * x * x + 1e20,
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_constant_keeps_its_value_beside_small_operands(name: str) -> None:
    fn = BESIDE[name]
    model, x = lowered(fn, np.random.default_rng(0), 4, 1.0)
    assert off(model, fn, x) < 1e-3


BOUNDS: dict[str, Callable[[Any], Any]] = {
    "least": lambda x: jnp.minimum(x * x * x, 1e20),
    "between": lambda x: jnp.clip(x * x * x, -1e20, 1e20),
    "mask": lambda x: jax.nn.softmax(jnp.where(x[0] > 0, x * x * x, -1e20)),
    "added": lambda x: jax.nn.softmax(x * x * x + np.where(np.arange(16) > 3, 0, -1e20).astype(np.float32)),
    "least float": lambda x: jax.nn.softmax(x * x * x + np.where(np.arange(16) > 3, 0, -3.4e38).astype(np.float32)),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_or_a_mask_takes_no_digits(name: str) -> None:
    fn = BOUNDS[name]
    model, x = lowered(fn, np.random.default_rng(0), 4, 1.0)
    assert off(model, fn, x) < 1e-4


def test_a_constant_keeps_its_value_beside_drawn_numbers() -> None:
    def fn(key: Any) -> Any:
        return jax.random.normal(key, (4,)) * 1e-6 + 5

    keys = [(np.asarray(jax.random.PRNGKey(seed)),) for seed in range(4)]
    model = lower(fn, *keys[0], calibration=keys)
    assert off(model, fn, keys[0][0]) < 4e-7
