"""Decoding a Llama or a Gemma in float32 with a cache, as one would write it in plain JAX: what the integer program's decoding is
compared with.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.gguf.config import Rotation, TransformerConfig
from prover.gguf.transformer import rotation_table
from prover.gguf.weights import Affine, GgufWeights

Cache = list[tuple[Any, Any]]
"""Keys and values of every layer, float32 [N, kv heads, head] each."""


def blank(config: TransformerConfig, size: int) -> Cache:
    shape = (size, config.kv_heads, config.head)
    return [(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32)) for _ in range(config.layers)]


@partial(jax.jit, static_argnums=0, donate_argnums=2)
def step(config: TransformerConfig, weights: GgufWeights, cache: Cache, token: Any, at: Any) -> tuple[Any, Cache]:
    """(the most likely token after position ``at``, the cache with that position), ``token`` standing there."""
    size = cache[0][0].shape[0]
    turns = [_turn(config, rotation, size, at) for rotation in (config.rotation, config.local_rotation)]
    position = jnp.arange(size)
    seen = position <= at
    latest = seen & (at - position < config.window)
    x = weights.embedding[token]
    if config.architecture.scaled_embedding:
        x = x * np.float32(math.sqrt(config.width))
    activated = jax.nn.silu if config.architecture.activation == "silu" else partial(jax.nn.gelu, approximate=True)
    following = []
    for number, (layer, (keys, values)) in enumerate(zip(weights.layers, cache, strict=True)):
        turn, mask = (turns[1], latest) if config.windowed(number) else (turns[0], seen)
        h = _norm(config, x, layer.attention_norm)
        query = _turned(_norm(config, (layer.query.weight @ h).reshape(config.heads, -1), layer.query_norm), turn)
        key = _turned(_norm(config, (layer.key.weight @ h).reshape(config.kv_heads, -1), layer.key_norm), turn)
        keys = jax.lax.dynamic_update_slice_in_dim(keys, key[None], at, 0)
        value = (layer.value.weight @ h).reshape(1, config.kv_heads, config.head)
        values = jax.lax.dynamic_update_slice_in_dim(values, value, at, 0)
        query = query.reshape(config.kv_heads, config.group, config.head)
        scores = jnp.einsum("kgd,mkd->kgm", query, keys) * np.float32(config.scale)
        weight = jax.nn.softmax(jnp.where(mask, scores, -1e9), axis=-1)
        mixed = layer.output.weight @ jnp.einsum("kgm,mkd->kgd", weight, values).reshape(-1)
        x = x + _norm(config, mixed, layer.attention_post_norm)
        h = _norm(config, x, layer.mlp_norm)
        assert layer.gate is not None
        given = layer.down.weight @ (activated(layer.gate.weight @ h) * (layer.up.weight @ h))
        x = x + _norm(config, given, layer.mlp_post_norm)
        following.append((keys, values))
    return jnp.argmax(weights.head @ _norm(config, x, weights.norm)), following


def _turn(config: TransformerConfig, rotation: Rotation | None, size: int, at: Any) -> list[Any]:
    """Cosine and signed sine [head / 2, 2] of the position."""
    assert rotation is not None
    table = rotation_table(rotation, config.head, size)
    return [jax.lax.dynamic_index_in_dim(jnp.asarray(part)[:, 0], at, keepdims=False) for part in table]


def _norm(config: TransformerConfig, x: Any, by: Affine | None) -> Any:
    """Along the last axis; without weights ``x`` itself."""
    if by is None:
        return x
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + config.epsilon) * by.weight


def _turned(x: Any, turn: list[Any]) -> Any:
    """[heads, head]: every pair of elements turned by the position's angle."""
    cosine, sine = turn
    pairs = x.reshape(len(x), -1, 2)
    return (pairs * cosine + jnp.flip(pairs, axis=-1) * sine).reshape(x.shape)
