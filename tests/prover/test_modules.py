"""Whole small models of the usual libraries (flax.nnx, flax.linen, equinox) lower and keep their function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from prover import lower

KEY = jax.random.key(7)
IMAGE, ROWS, STEPS = (2, 8, 8, 3), (3, 16), (2, 6, 8)

Built = tuple[Callable[..., Any], tuple[int, ...]]
BUILDERS: dict[str, Callable[[], Built]] = {}


def built(fn: Callable[[], Built]) -> Callable[[], Built]:
    BUILDERS[fn.__name__.replace("_", " ")] = fn
    return fn


@built
def nnx_mlp() -> Built:
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Linear(16, 32, rngs=rngs),
        nnx.gelu,
        nnx.LayerNorm(32, rngs=rngs),
        nnx.Dropout(0.5, deterministic=True),
        nnx.Linear(32, 10, rngs=rngs),
        nnx.log_softmax,
    )
    return model, ROWS


@built
def nnx_cnn() -> Built:
    rngs = nnx.Rngs(0)
    layers = [
        nnx.Conv(3, 8, (3, 3), rngs=rngs),
        nnx.BatchNorm(8, use_running_average=True, rngs=rngs),
        nnx.silu,
        nnx.Conv(8, 8, (3, 3), feature_group_count=8, strides=2, rngs=rngs),
        nnx.GroupNorm(8, 4, rngs=rngs),
        nnx.ConvTranspose(8, 4, (2, 2), strides=(2, 2), rngs=rngs),
        lambda x: nnx.avg_pool(nnx.max_pool(x, (2, 2), (2, 2)), (3, 3), (1, 1), "SAME"),
        lambda x: x.reshape(x.shape[0], -1),
        nnx.Linear(64, 5, rngs=rngs),
    ]
    return nnx.Sequential(*layers), IMAGE


@built
def nnx_attention() -> Built:
    rngs = nnx.Rngs(0)
    attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
    norm, table = nnx.RMSNorm(8, rngs=rngs), nnx.Embed(11, 8, rngs=rngs)

    def run(x: Any) -> Any:
        tokens = table(lax.argmax(x, 2, np.int32))
        mask = nnx.make_causal_mask(jnp.ones(x.shape[:2]))
        return table.attend(x + attention(norm(x + tokens), mask=mask))

    return run, STEPS


@built
def nnx_lstm() -> Built:
    rngs = nnx.Rngs(0)
    first, second = nnx.OptimizedLSTMCell(8, 6, rngs=rngs), nnx.GRUCell(6, 4, rngs=rngs)

    def step(carry: Any, x: Any) -> Any:
        inner, y = first(carry[0], x)
        outer, z = second(carry[1], y)
        return (inner, outer), z

    def run(x: Any) -> Any:
        start = (jnp.zeros((2, 6)), jnp.zeros((2, 6))), jnp.zeros((2, 4))
        return lax.scan(step, start, jnp.moveaxis(x, 1, 0))[1]

    return run, STEPS


class Block(nn.Module):
    """A transformer block of linen."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=2)(y, mask=nn.make_causal_mask(jnp.ones(x.shape[:2])))
        return x + nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.RMSNorm()(x)), approximate=False))


class Pixels(nn.Module):
    """A convolutional net of linen with every norm that it has."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.BatchNorm(use_running_average=True)(nn.Conv(8, (3, 3), kernel_dilation=2)(x))
        x = nn.InstanceNorm()(nn.ConvTranspose(8, (3, 3), strides=(2, 2))(nn.leaky_relu(x)))
        return nn.Dense(4)(nn.relu(nn.GroupNorm(num_groups=2)(x)).mean((1, 2)))


class Recurrent(nn.Module):
    """Recurrent layers of linen, one of them convolutional."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.RNN(nn.LSTMCell(6), reverse=True, keep_order=True)(x)
        return nn.RNN(nn.ConvLSTMCell(2, (3,)))(x[..., None])


def _linen(module: Any, shape: tuple[int, ...]) -> Built:
    variables = module.init(KEY, jnp.zeros(shape))
    return lambda x: module.apply(variables, x), shape


@built
def linen_block() -> Built:
    return _linen(Block(), STEPS)


@built
def linen_pixels() -> Built:
    return _linen(Pixels(), IMAGE)


@built
def linen_recurrent() -> Built:
    return _linen(Recurrent(), STEPS)


@built
def equinox_mlp() -> Built:
    return jax.vmap(eqx.nn.MLP(16, 5, 24, 2, activation=jax.nn.softplus, key=KEY)), ROWS


@built
def equinox_conv() -> Built:
    first, second, third = jax.random.split(KEY, 3)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(3, 8, 3, padding=1, groups=1, key=first),
            eqx.nn.Lambda(eqx.nn.PReLU(0.1)),
            eqx.nn.GroupNorm(2, 8),
            eqx.nn.MaxPool2d(2, 2),
            eqx.nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, key=second),
            eqx.nn.AdaptiveAvgPool2d(2),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(16, 5, key=third),
        ]
    )
    return lambda x: jax.vmap(model)(jnp.moveaxis(x, -1, 1)), IMAGE


@built
def equinox_gru() -> Built:
    cell = eqx.nn.GRUCell(8, 6, key=KEY)

    def run(xs: Any) -> Any:
        return lax.scan(lambda h, x: (cell(x, h),) * 2, jnp.zeros(6), xs)[1]

    return jax.vmap(run), STEPS


@built
def equinox_attention() -> Built:
    attention = eqx.nn.MultiheadAttention(2, 8, key=KEY)
    rotary, norm = eqx.nn.RotaryPositionalEmbedding(4), eqx.nn.LayerNorm(8)

    def heads(q: Any, k: Any, v: Any) -> Any:
        turn = jax.vmap(rotary, in_axes=1, out_axes=1)
        return turn(q), turn(k), v

    def run(x: Any) -> Any:
        y = jax.vmap(norm)(x)
        return x + attention(y, y, y, mask=jnp.tril(jnp.ones((6, 6), bool)), process_heads=heads)

    return jax.vmap(run), STEPS


@pytest.mark.parametrize("name", BUILDERS)
def test_a_module_lowers_and_keeps_its_function(name: str) -> None:
    fn, shape = BUILDERS[name]()
    rng = np.random.default_rng(3)
    samples = [(rng.standard_normal(shape).astype(np.float32),) for _ in range(6)]
    model = lower(fn, *samples[0], calibration=samples[:4])
    fidelity = model.fidelity(samples[4:])
    assert all(output.relative <= 1e-3 for output in fidelity.outputs), fidelity
