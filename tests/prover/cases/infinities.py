"""Infinities: masks that are stored, looked at again, given as inputs; the starts of extremes; what tells them from numbers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.prover.cases.table import case, reals

INFINITY = np.float32(np.inf)
PADDED = np.array([1, 1, 1, 0, 1, 0], np.float32)
CAUSAL = np.tril(np.ones((6, 6), bool), -1)


def _looked_at_again(x: Any, keep: Any) -> Any:
    """Attention under a mask that is selected twice, padded, added, and asked which rows it hides altogether."""
    mask = jnp.where(CAUSAL, jnp.where(keep > 0, 0.0, -INFINITY), -INFINITY)
    mask = jnp.pad(mask, ((0, 0), (0, 1)), constant_values=-INFINITY)
    keys = jnp.pad(x, ((0, 1), (0, 0)))
    weights = jax.nn.softmax(x @ keys.T + mask, axis=-1)
    hidden = jnp.max(mask, axis=-1, keepdims=True) == -INFINITY
    return jnp.where(hidden, 0.0, weights) @ keys


def _given(x: Any, mask: Any) -> Any:
    """Attention whose mask is an input."""
    return jax.nn.softmax(x @ x.T + mask, axis=-1) @ x


def _least_float(x: Any, keep: Any) -> Any:
    """A mask of the least float, doubled before it is added."""
    mask = (1.0 - keep) * jnp.finfo(jnp.float32).min / 4
    return jax.nn.softmax(x @ x.T + (mask * 2)[None, :], axis=-1) @ x


def _by_arithmetic(x: Any, keep: Any, kept: Any) -> Any:
    """Masks that are products of a real and of an integer mask with the least float, its negative, and a table that has it here
    and there.
    """
    least = jnp.finfo(jnp.float32).min
    scores = x @ x.T
    return (
        jax.nn.softmax(scores + (1.0 - keep) * least, axis=-1),
        jax.nn.softmax(scores - (1.0 - kept.astype(jnp.float32)) * -least, axis=-1),
        jax.nn.softmax(scores + keep * np.where(CAUSAL, least, 0.25).astype(np.float32), axis=-1),
        jax.nn.softmax(scores + (keep - 1.0) / np.float32(1e-35), axis=-1) @ x,
    )


def _guarded(x: Any, keep: Any) -> Any:
    """The largest of what is kept, per row; of nothing, zero."""
    most = jnp.max(jnp.where(keep[None, :] > x, x, -INFINITY), axis=-1)
    least = jnp.min(jnp.where(keep[None, :] > x, x, INFINITY), axis=-1)
    return jnp.where(jnp.isfinite(most), most, 0.0) - jnp.where(least < INFINITY, least, 1.0)


def _compared(x: Any) -> Any:
    """Every comparison with both infinities, from both sides, of values that hold both."""
    y = jnp.where(x > 1, INFINITY, jnp.where(x < -1, -INFINITY, x))
    y = jnp.cumsum(jnp.pad(y[None, :], ((1, 0), (0, 0))), axis=0)[1]
    found = [
        [y == end, y != end, y < end, y <= end, y > end, y >= end, end < y, end <= y] for end in (INFINITY, -INFINITY)
    ]
    return [*found, jnp.isfinite(y), jnp.isinf(y), jnp.exp(-jnp.abs(y))]


def _ends(x: Any) -> Any:
    """An exponential without a maximum taken out, of a sum with a mask."""
    return jnp.exp(x + jnp.where(x > 0.5, -INFINITY, 0.0)[::-1]) + jnp.tanh(jnp.where(x > 0, x, INFINITY))


def _block_by_block(x: Any, kept: Any) -> Any:
    """Attention over blocks of keys, whose running maximum begins at minus infinity."""

    def step(carry: Any, block: Any) -> Any:
        most, total, mixed = carry
        keys, positions = block
        scores = jnp.where(positions < kept, x @ keys.T, -1e30)
        higher = jnp.maximum(most, scores.max(-1))
        weights, fade = jnp.exp(scores - higher[:, None]), jnp.exp(most - higher)
        return (higher, total * fade + weights.sum(-1), mixed * fade[:, None] + weights @ keys), None

    start = jnp.full(6, -INFINITY), jnp.zeros(6), jnp.zeros((6, 8))
    (_, total, mixed), _ = jax.lax.scan(step, start, (KEYS, np.arange(24).reshape(6, 4)))
    return mixed / total[:, None]


def _logarithms(x: Any, keep: Any) -> Any:
    kept = jnp.where(keep > 0, x, -INFINITY)
    return jax.nn.logsumexp(kept, axis=-1), jax.lax.top_k(jax.nn.log_softmax(kept, axis=-1), 2)


def _constants(x: Any) -> Any:
    """Results that are constants, beside a product, a statistic and an extreme."""
    return (
        np.arange(6, dtype=np.float32),
        x @ x.T,
        jnp.mean(x * x, axis=-1),
        jnp.max(x, axis=0),
        np.array([1, 2], np.int32),
    )


KEYS = reals(6, 4, 8) * np.float32(0.5)
case("mask, looked at again", _looked_at_again, reals(6, 8) * 0.5, PADDED)
for name, hidden in (("large", -1e9), ("the least float", np.finfo(np.float32).min)):
    MASK = np.where(CAUSAL | np.eye(6, dtype=bool), 0, hidden).astype(np.float32)
    case(f"mask, an input, {name}", _given, reals(6, 8) * 0.5, MASK)
case("mask, made by arithmetic", _by_arithmetic, reals(6, 8) * 0.5, PADDED, PADDED.astype(np.int32))
case("mask, the least float", _least_float, reals(6, 8) * 0.5, PADDED)
case("attention, block by block", _block_by_block, reals(6, 8), np.int32(17), relative=1e-3)
case("logarithms of masked sums", _logarithms, reals(6, 6), PADDED)
case("constants among the results", _constants, reals(6, 8))
case("extremes of what is kept", _guarded, reals(6, 6), np.array([-9, 0, 9, 0.5, 0, 9], np.float32))
case("comparisons with infinities", _compared, reals(40) * 1.5)
case("exponentials and tangents of infinities", _ends, reals(40))
