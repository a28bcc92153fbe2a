"""Nothing that is far off goes untold: random networks on inputs far beyond their samples are right, or say that something was cut."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import lower
from prover.saturation import run_counted
from rollup.numbers import saturated

Array = np.ndarray

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "gelu": lambda y: jax.nn.gelu(y, approximate=False),
    "silu": jax.nn.silu,
    "softmax": jax.nn.softmax,
    "exp": lambda y: jnp.exp(y * 0.3),
    "log1p": lambda y: jnp.log1p(jnp.abs(y)),
    "sqrt": lambda y: jnp.sqrt(jnp.abs(y) + 0.01),
    "cosh": lambda y: jnp.cosh(y * 0.3),
    "atan": jnp.arctan,
    "asinh": jnp.arcsinh,
    "erf": jax.scipy.special.erf,
    "norm": lambda y: (y - y.mean(-1, keepdims=True)) / jnp.sqrt(y.var(-1, keepdims=True) + 1e-5),
    "square": lambda y: y * y,
    "inverse": lambda y: 1 / (1 + y * y),
    "softplus": jax.nn.softplus,
    "logits": lambda y: y - jax.nn.logsumexp(y, -1, keepdims=True),
    "cumsum": lambda y: jnp.cumsum(y, -1),
    "gated": lambda y: y * jax.nn.sigmoid(y[..., ::-1]),
    "product": lambda y: y * y[..., ::-1],
}

OFF = 0.02
"""Of the range of what the float function gives, on these inputs or on the samples."""


def network(rng: np.random.Generator) -> tuple[Callable[[Any], Any], int, str]:
    """A function of rows, how long they are, and the functions that it is made of."""
    names = [str(name) for name in rng.choice(list(FUNCTIONS), int(rng.integers(1, 5)))]
    sizes = [int(n) for n in rng.integers(4, 40, len(names) + 2)]
    weights = [
        (rng.normal(size=(a, b)) / np.sqrt(a) * 10 ** rng.uniform(-0.7, 0.7)).astype(np.float32)
        for a, b in pairwise(sizes)
    ]
    product = rng.random() < 0.5

    def fn(x: Any) -> Any:
        for name, weight in zip(names, weights, strict=False):
            x = FUNCTIONS[name](x @ weight + 0.1 * weight[0])
        return x @ weights[-1] if product else x

    return fn, sizes[0], f"{names}, product: {product}"


def test_attack_what_is_far_off_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prover.executor.Executor.self_test", lambda executor: 0)
    counted = right = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        fn, size, what = network(rng)
        magnitude = 10 ** rng.uniform(-1.5, 0.5)
        samples = [((rng.normal(size=(3, size)) * magnitude).astype(np.float32),) for _ in range(8)]
        model = lower(fn, *samples[0], calibration=samples)
        base = max(float(np.abs(fn(x)).max()) for (x,) in samples)
        tensor = model.program.header.inputs[0]
        end = min(0.99 * tensor.dtype.max * 2.0**-tensor.scale, 12 * magnitude)
        far: list[Array] = [
            rng.uniform(-end, end, (3, size)),
            end * np.sign(rng.normal(size=(3, size))),
            np.tile(np.clip(rng.normal(size=size) * end / 3, -end, end), (3, 1)),
        ]
        for x in (samples[0][0], *(given.astype(np.float32) for given in far)):
            outputs, inside = run_counted(model.executor, model.quantize(x))
            real = np.asarray(fn(x))
            cut = saturated(model.program.header, model.program.interface, outputs) or inside
            off = np.abs(model.reals(outputs)[0] - real).max() > OFF * max(base, np.abs(real).max())
            assert cut or not off, f"seed {seed}: {what}"
            counted += bool(cut)
            right += not off
        assert not model.saturation(samples[:1]), f"seed {seed}: {what}"
    assert counted >= 12 and right >= 12


BEYOND: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "expm1": (lambda x: jnp.expm1(x * 5), 0, 4),
    "elu": (lambda x: jax.nn.elu(-x * 5), 0, 4),
    "selu": (lambda x: jax.nn.selu(-x * 5), 0, 4),
    "celu": (lambda x: jax.nn.celu(-x * 5), 0, 4),
    "a difference of exponentials": (lambda x: jnp.exp(5 * x) - jnp.exp(-5 * x), -4, 4),
    "a root of an exponential": (lambda x: jnp.sqrt(jnp.exp(2 * x)), -4, 4),
    "a quotient of exponentials": (lambda x: jnp.exp(-x * x) / jnp.sqrt(1 + x * x), -4, 4),
    "what is left of one": (lambda x: 1 - jnp.exp(-3 * x), -4, 4),
}


@pytest.mark.parametrize("name", BEYOND)
def test_an_exponential_beyond_its_samples_is_right_or_counted(name: str) -> None:
    """Samples between 1 and 2; inputs over all that the model takes. What is stored of an exponential ends somewhere, what an op goes
    on with does not end before."""
    fn, low, high = BEYOND[name]
    rng = np.random.default_rng(1)
    samples = [(rng.uniform(1, 2, 16).astype(np.float32),) for _ in range(16)]
    model = lower(fn, *samples[0], calibration=samples)
    seen = np.asarray(fn(samples[0][0]))
    near = model.reals(model.executor.outputs(model.quantize(*samples[0])))[0]
    assert np.abs(near - seen).max() < 2e-3 * np.abs(seen).max()
    x = np.linspace(low, high, 16, dtype=np.float32) * np.float32(0.999)
    outputs, inside = run_counted(model.executor, model.quantize(x))
    real = np.asarray(fn(x))
    cut = saturated(model.program.header, model.program.interface, outputs) or inside
    off = np.abs(model.reals(outputs)[0] - real).max() > OFF * max(np.abs(seen).max(), np.abs(real).max())
    assert cut or not off
