"""What models are made of: norms, attention, embeddings, convolutions, pooling, resizing."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.prover.cases.table import NHWC, case, integers, reals

SCALE, SHIFT = reals(8) * 0.2 + 1, reals(8) * 0.1


def _normed(x: Any, axes: Any) -> Any:
    centred = x - x.mean(axes, keepdims=True)
    return centred * lax.rsqrt((centred * centred).mean(axes, keepdims=True) + 1e-5)


case(
    "norms: RMS, batch, group, instance",
    lambda x: (
        x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * SCALE,
        (x - SHIFT) / jnp.sqrt(SCALE + 1e-5) * SHIFT,
        _normed(x.reshape(2, 4, 4, 2, 4), (1, 2, 4)).reshape(x.shape) * SCALE + SHIFT,
        _normed(x, (1, 2)),
    ),
    reals(2, 4, 4, 8),
)
case("log-sum-exp", lambda x: (jax.nn.logsumexp(x * 2, -1), jax.nn.softmax(x, 0), jax.nn.logsumexp(x)), reals(4, 6))
case(
    "activations",
    lambda x: (
        jax.nn.elu(x),
        jax.nn.leaky_relu(x),
        jax.nn.hard_swish(x),
        jax.nn.mish(x),
        jax.nn.selu(x),
        jax.nn.glu(x),
    ),
    reals(3, 8),
)
WEIGHTS = [reals(16, n) / 4 for n in (16, 8, 8)]
PROJECTION = reals(16, 16) / 4


def rotated(x: Any) -> Any:
    """Rotary embedding of (tokens, heads, size)."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[0])[:, None, None] / 100.0 ** (np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1).astype(
        x.dtype
    )


def _attention(x: Any) -> Any:
    """Four query heads share two key heads; a token sees itself and those before it."""
    n = x.shape[0]
    q, k, v = (
        rotated((x @ w).reshape(n, -1, 4)) if j < 2 else (x @ w).reshape(n, -1, 4) for j, w in enumerate(WEIGHTS)
    )
    scores = jnp.einsum("qgrd,kgd->grqk", q.reshape(n, 2, 2, 4), k) / 2
    scores = jnp.where(jnp.tril(jnp.ones((n, n), bool)), scores, -jnp.inf)
    mixed = jnp.einsum("grqk,kgd->qgrd", jax.nn.softmax(scores, -1), v)
    return mixed.reshape(n, 16) @ PROJECTION


case("attention: causal, grouped heads, rotary", _attention, reals(6, 16), relative=1e-3)
case(
    "attention of the library, biased and masked",
    lambda q, k, m: jax.nn.dot_product_attention(q, k, k * 0.5, mask=m[:, None], is_causal=True),
    reals(1, 5, 4, 4),
    reals(1, 5, 2, 4),
    np.tril(np.ones((1, 5, 5), bool)),
    relative=1e-3,
)
TABLE = jnp.asarray(reals(11, 6))
case(
    "embeddings",
    lambda i, p: jnp.take(TABLE, i, axis=0) + TABLE.at[p].get(mode="clip"),
    integers(0, 11, 5),
    integers(0, 14, 5),
)
case(
    "einsum of all kinds",
    lambda x, y: (
        jnp.einsum("ii->i", x[:, :3]),
        jnp.einsum("ij,kj->", x, y),
        jnp.einsum("ij,ij->i", x, y),
        jnp.einsum("i...,j...->ij...", x, y),
        jnp.einsum("ij,kj,kl->il", x, x, y),
        jnp.einsum("ii", x[:, :3]),
    ),
    reals(3, 4),
    reals(3, 4),
    relative=1e-3,
)
DEEP, UP1, PAIRS = jnp.asarray(reals(3, 3, 2, 6)), jnp.asarray(reals(4, 4, 2)), jnp.asarray(reals(3, 2, 6))
MANY, SIDE = jnp.asarray(reals(4, 3, 3, 3)), jnp.asarray(reals(1, 6, 6, 2))
case(
    "conv, transposed, 1d and grouped",
    lambda x: (
        lax.conv_transpose(x, UP1, (3,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")),
        lax.conv_general_dilated(
            x,
            PAIRS,
            (1,),
            [(3, 2)],
            lhs_dilation=(2,),
            feature_group_count=2,
            dimension_numbers=("NWC", "WIO", "NWC"),
        ),
    ),
    reals(2, 5, 4),
)
case(
    "conv, channels multiplied, dilated",
    lambda x: lax.conv_general_dilated(
        x, DEEP.reshape(3, 3, 1, 12), (2, 1), "SAME", rhs_dilation=(2, 2), feature_group_count=2, dimension_numbers=NHWC
    ),
    reals(1, 7, 7, 2),
)
case(
    "conv, batch in groups",
    lambda x: lax.conv_general_dilated(x, MANY, (1, 1), "SAME", batch_group_count=2),
    reals(4, 3, 5, 5),
)
case(
    "conv, an image that is constant",
    lambda k: lax.conv_general_dilated(SIDE, k, (1, 1), "VALID", dimension_numbers=NHWC),
    reals(3, 3, 2, 2),
)
case(
    "conv, kernel an input, grouped and transposed",
    lambda x, k: lax.conv_general_dilated(x, k, (1, 1), [(1, 1), (2, 0)], lhs_dilation=(2, 1), feature_group_count=2),
    reals(1, 4, 4, 4),
    reals(6, 2, 3, 3),
)
case(
    "resize, linear, cubic, nearest, smaller",
    lambda x: [
        jax.image.resize(x, (1, 7, 6, 2), "linear"),
        jax.image.resize(x, (1, 8, 8, 2), "cubic"),
        jax.image.resize(x, (1, 9, 8, 2), "nearest"),
        jax.image.resize(x, (1, 2, 3, 2), "linear"),
        jnp.repeat(jnp.repeat(x, 2, 1), 2, 2),
    ],
    reals(1, 4, 4, 2),
)
case(
    "pooling: padded average, over all, one-dimensional",
    lambda x: (
        lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        / lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
        x.mean((1, 2)),
        lax.reduce_window(x[0, 0], -jnp.inf, lax.max, (2, 1), (2, 1), "VALID"),
    ),
    reals(1, 5, 5, 3),
)
case(
    "narrow floats",
    lambda x: ((x.astype(jnp.bfloat16) @ jnp.ones((5, 3), jnp.bfloat16) + 1), jax.nn.gelu(x.astype(jnp.float16))),
    reals(4, 5),
    relative=5e-3,
)
case(
    "bytes in, bytes out",
    lambda u, s, m: (
        (u.astype(jnp.float32) * 0.5).astype(jnp.uint8),
        (u.astype(jnp.int32) - 128).astype(jnp.int8) + s,
        jnp.where(m, s, -s),
        jnp.sum(u, dtype=jnp.int32),
        jnp.dot(u, u.T, preferred_element_type=jnp.int32),
        m & (s > 0),
        m.astype(jnp.uint8) * u,
    ),
    integers(0, 255, 3, 4).astype(np.uint8),
    integers(-128, 127, 3, 4).astype(np.int8),
    integers(0, 2, 3, 4).astype(bool),
)
