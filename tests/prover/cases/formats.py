"""Number formats: widened values, scales per row, eight-bit weights, masks, embeddings that share their constant."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.prover.cases.table import case, reals


def uneven(*shape: int) -> Any:
    """Reals whose rows differ by factors up to 2^20."""
    rows = 2.0 ** np.linspace(-10, 10, int(np.prod(shape[:-1]))).reshape(*shape[:-1], 1)
    return (reals(*shape) * rows).astype(np.float32)


WEIGHTS, MORE = reals(24, 12), reals(12, 10)
TABLE = reals(5000, 16)


def _dense(x: Any) -> Any:
    return jnp.tanh((x * 3.0) @ WEIGHTS * 0.01) @ MORE


def _normed(x: Any) -> Any:
    """A norm whose gain makes one channel twelve times as large as the others."""
    gain = np.where(np.arange(24) == 3, np.float32(12), np.float32(1))
    return jnp.tanh((x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5) * gain) @ WEIGHTS * 0.01) @ MORE


def _scores(x: Any, y: Any) -> Any:
    return jnp.log1p(jnp.abs(jnp.einsum("bid,bjd->bij", x * 2.0, y * 0.5)))


def _masked(x: Any, keep: Any) -> Any:
    """Attention under a causal mask by selection and a padding mask by addition."""
    scores = jnp.einsum("ihd,jhd->hij", x, x) * 0.5
    scores = jnp.where(np.tril(np.ones((6, 6), bool)), scores, -1e9) + (1.0 - keep) * -1e4
    return jnp.einsum("hij,jhd->ihd", jax.nn.softmax(scores, axis=-1), x)


def _infinite(x: Any, keep: Any) -> Any:
    """Attention whose masks are zeros and infinities that are added: one known, one that depends on an input."""
    scores = jnp.einsum("ihd,jhd->hij", x, x) * 0.5 + np.where(np.tril(np.ones((6, 6), bool)), 0, -np.inf).astype(
        np.float32
    )
    scores = scores + jnp.where(keep[None, None] > 0, 0.0, -jnp.inf)
    return jnp.einsum("hij,jhd->ihd", jax.nn.softmax(scores, axis=-1), x)


def _tied(tokens: Any) -> Any:
    x = jnp.take(TABLE, tokens, axis=0, mode="clip")
    return jnp.argmax(x @ TABLE.T, axis=-1), x


def _stream(x: Any) -> Any:
    """A residual stream with a large element, normalised before every layer."""
    for scale in (1.0, 2.0):
        h = x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5)
        x = x + (h @ WEIGHTS * scale) @ WEIGHTS.T
    return x


case("product, widened", _dense, reals(5, 24) * np.float32(50.0), formats="w16a16/1")
case("product, scaled by row", _dense, uneven(5, 24), formats="w16a16/1/1")
case("product of two inputs, both scaled by row", _scores, uneven(2, 4, 8), uneven(2, 5, 8), formats="w16a16/1/1")
case("product, 8-bit weights", lambda x: jnp.tanh(x @ WEIGHTS) @ MORE, reals(5, 24), formats="w8a16", relative=2e-2)
case("attention, masks selected and added", _masked, reals(6, 2, 8), np.array([1, 1, 1, 1, 0, 0], np.float32))
case("attention, infinite masks added", _infinite, reals(6, 2, 8), np.array([1, 0, 1, 1, 0, 0], np.float32))
case("embedding tied to the output", _tied, np.array([0, 7, 4999, 1234], np.int32))
case("residual stream", _stream, reals(3, 24) * np.array([1, 300, 1], np.float32)[:, None])
case("product, an outlier channel", _normed, reals(5, 24), formats="w15a16", relative=1e-3)
case("product, an outlier channel, 8-bit weights", _normed, reals(5, 24), formats="w8a16", relative=3e-2)
