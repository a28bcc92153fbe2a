"""A decoder as a float function: tokens to hidden states and logits in plain JAX, for all architectures that are read."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from prover.gguf.config import Rotation, TransformerConfig
from prover.gguf.weights import Affine, Array, GgufWeights, Layer

MASKED = -1e9
"""The score of a position that must not be seen."""

Turn = tuple[Array, Array]
"""Cosine and signed sine of every position and pair."""


def rotation_table(rotation: Rotation, head: int, length: int) -> Turn:
    """(cosine, signed sine) [length, 1, head / 2, 2] of every position and pair: x turns to ``x * cosine + flipped x * sine``.

    Elements beyond the rotated ones turn by zero, so that a head stays in one piece.
    """
    pairs = np.arange(0, rotation.rotated, 2, dtype=np.float64)
    frequencies = np.zeros(head // 2)
    frequencies[: len(pairs)] = rotation.theta ** (-pairs / rotation.rotated) / np.asarray(rotation.stretches or 1.0)
    angles = np.arange(length)[:, None, None] / rotation.stretch * frequencies
    magnitude = np.ones(head // 2)
    magnitude[: len(pairs)] = rotation.magnitude
    cosine, sine = np.cos(angles) * magnitude, np.sin(angles) * magnitude
    return (
        np.stack([cosine, cosine], axis=-1).astype(np.float32),
        np.stack([-sine, sine], axis=-1).astype(np.float32),
    )


def _turn(rotation: Rotation | None, head: int, length: int) -> Turn | None:
    return None if rotation is None else rotation_table(rotation, head, length)


def _linear(x: Array, by: Affine) -> Array:
    """[n, inputs] by [outputs, inputs]: [n, outputs]."""
    product = jnp.einsum("ni,oi->no", x, by.weight)
    return product if by.bias is None else product + by.bias


def _norm(config: TransformerConfig, x: Array, by: Affine | None) -> Array:
    """Along the last axis; without weights ``x`` itself."""
    if by is None:
        return x
    if config.architecture.norm == "layer":
        x = x - jnp.mean(x, axis=-1, keepdims=True)
    normed = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + config.epsilon) * by.weight
    return normed if by.bias is None else normed + by.bias


def _rotate(x: Array, turn: Turn | None) -> Array:
    """[n, heads, head]: every pair of elements turned by its position's angle."""
    if turn is None:
        return x
    cosine, sine = turn
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return (pairs * cosine + jnp.flip(pairs, axis=-1) * sine).reshape(x.shape)


def _attention(config: TransformerConfig, layer: Layer, x: Array, turn: Turn | None, seen: Array) -> Array:
    n, kv, head = x.shape[0], config.kv_heads, config.head
    query = _norm(config, _linear(x, layer.query).reshape(n, config.heads, head), layer.query_norm)
    query = _rotate(query, turn).reshape(n, kv, config.group, head)
    key = _rotate(_norm(config, _linear(x, layer.key).reshape(n, kv, head), layer.key_norm), turn)
    value = _linear(x, layer.value).reshape(n, kv, head)
    scores = jnp.einsum("nkgd,mkd->nkgm", query, key) * np.float32(config.scale)
    attention = jax.nn.softmax(jnp.where(seen, scores, MASKED), axis=-1)
    mixed = jnp.einsum("nkgm,mkd->nkgd", attention, value)
    return _linear(mixed.reshape(n, config.heads * head), layer.output)


def _activated(config: TransformerConfig, x: Array) -> Array:
    return jax.nn.silu(x) if config.architecture.activation == "silu" else jax.nn.gelu(x, approximate=True)


def _mlp(config: TransformerConfig, layer: Layer, x: Array) -> Array:
    if layer.gate is None:
        return _linear(_activated(config, _linear(x, layer.up)), layer.down)
    return _linear(_activated(config, _linear(x, layer.gate)) * _linear(x, layer.up), layer.down)


def forward(config: TransformerConfig, weights: GgufWeights, tokens: Array) -> Array:
    """Logits float32 [n, vocabulary] of ``tokens`` int32 [n]: row i is about the token after position i. See ``hidden``."""
    return _linear(hidden(config, weights, tokens), Affine(weights.head))


def hidden(config: TransformerConfig, weights: GgufWeights, tokens: Array) -> Array:
    """The states behind the last norm, float32 [n, width], of ``tokens`` int32 [n]: row i knows of positions 0 to i.

    A token outside the vocabulary counts as the nearest one inside. Raises LoweringError for more positions than the model takes.
    """
    n = tokens.shape[0]
    config.check_length(n)
    positions = np.arange(n)
    seen = positions[:, None] >= positions
    latest = seen & (positions[:, None] - positions < config.window)
    turn = _turn(config.rotation, config.head, n)
    local_turn = _turn(config.local_rotation, config.head, n)
    x = jnp.take(weights.embedding, tokens, axis=0, mode="clip")
    if config.architecture.scaled_embedding:
        x = x * np.float32(math.sqrt(config.width))
    if weights.positions is not None:
        x = x + weights.positions[:n]
    for number, layer in enumerate(weights.layers):
        table, mask = (local_turn, latest) if config.windowed(number) else (turn, seen)
        mixed = _attention(config, layer, _norm(config, x, layer.attention_norm), table, mask[:, None, None, :])
        x = x + _norm(config, mixed, layer.attention_post_norm)
        given = _mlp(config, layer, _norm(config, x, layer.mlp_norm))
        x = x + _norm(config, given, layer.mlp_post_norm)
    return _norm(config, x, weights.norm)
