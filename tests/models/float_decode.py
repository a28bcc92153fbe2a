"""Decoding a Llama in float32 with a cache, as one would write it in plain JAX: what the integer program's decoding is compared with."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.gguf.config import TransformerConfig
from prover.gguf.transformer import rotation_table
from prover.gguf.weights import Weights

Cache = list[tuple[Any, Any]]
"""Keys and values of every layer, float32 [N, kv heads, head] each."""


def blank(config: TransformerConfig, size: int) -> Cache:
    shape = (size, config.kv_heads, config.head)
    return [(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32)) for _ in range(config.layers)]


@partial(jax.jit, static_argnums=0, donate_argnums=2)
def step(config: TransformerConfig, weights: Weights, cache: Cache, token: Any, at: Any) -> tuple[Any, Cache]:
    """(the most likely token after position ``at``, the cache with that position), ``token`` standing there."""
    size = cache[0][0].shape[0]
    assert config.rotation is not None
    table = rotation_table(config.rotation, config.head, size)
    turn = [jax.lax.dynamic_slice_in_dim(jnp.asarray(part), at, 1) for part in table]
    seen = jnp.arange(size) <= at
    x = weights.embedding[token]
    following = []
    for layer, (keys, values) in zip(weights.layers, cache, strict=True):
        h = _norm(config, x, layer.attention_norm.weight)
        query = _turned(layer.query.weight @ h, config.heads, turn).reshape(config.kv_heads, config.group, config.head)
        key = _turned(layer.key.weight @ h, config.kv_heads, turn)
        keys = jax.lax.dynamic_update_slice_in_dim(keys, key[None], at, 0)
        value = (layer.value.weight @ h).reshape(1, config.kv_heads, config.head)
        values = jax.lax.dynamic_update_slice_in_dim(values, value, at, 0)
        scores = jnp.einsum("kgd,mkd->kgm", query, keys) * np.float32(config.head**-0.5)
        weight = jax.nn.softmax(jnp.where(seen, scores, -1e9), axis=-1)
        x = x + layer.output.weight @ jnp.einsum("kgm,mkd->kgd", weight, values).reshape(-1)
        h = _norm(config, x, layer.mlp_norm.weight)
        x = x + layer.down.weight @ (jax.nn.silu(layer.gate.weight @ h) * (layer.up.weight @ h))
        following.append((keys, values))
    return jnp.argmax(weights.head @ _norm(config, x, weights.norm.weight)), following


def _norm(config: TransformerConfig, x: Any, weight: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x)) + config.epsilon) * weight


def _turned(x: Any, heads: int, turn: list[Any]) -> Any:
    cosine, sine = (part.reshape(-1, 2) for part in turn)
    pairs = x.reshape(heads, -1, 2)
    return (pairs * cosine + jnp.flip(pairs, axis=-1) * sine).reshape(heads, -1)
