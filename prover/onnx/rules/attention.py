"""Attention with grouped heads, masks, caches and caps; rotary embeddings."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, is_static, rule
from prover.onnx.tensors import dtype_of


def _heads(node: OnnxNode, x: Any, name: str) -> Any:
    """(batch, length, heads * width) -> (batch, heads, length, width)."""
    if x.ndim == 4:
        return x
    count = node.attribute(name)
    if x.ndim != 3 or not count or count < 1 or x.shape[2] % count:
        raise node.error(f"a tensor of shape {list(x.shape)} does not have the {count} heads of {name}")
    return x.reshape(*x.shape[:2], count, x.shape[2] // count).transpose(0, 2, 1, 3)


def _allowed(node: OnnxNode, queries: int, keys: int, offset: Any) -> Any:
    """Which (query, key) pairs causality and the sliding window leave; None: all. ``offset``: keys before the first query."""
    left, right = int(node.attribute("left_window_size", -1)), int(node.attribute("right_window_size", -1))
    if node.attribute("is_causal"):
        right = 0 if right < 0 else min(right, 0)
    if left < 0 and right < 0:
        return None
    ahead = np.arange(keys, dtype=np.int32)[None, :] - np.arange(queries, dtype=np.int32)[:, None]
    ahead = ahead - (offset.reshape(-1, 1, 1, 1) if getattr(offset, "ndim", 0) else offset)
    allowed = ahead <= right if right >= 0 else ahead <= keys
    return allowed & (ahead >= -left) if left >= 0 else allowed


def _operands(node: OnnxNode) -> tuple[Any, Any, Any]:
    """Queries, keys and values [batch, heads, positions, width], those of the past in front."""
    q, k, v = _heads(node, node[0], "q_num_heads"), *(_heads(node, node[j], "kv_num_heads") for j in (1, 2))
    if node.has(4) != node.has(5):
        raise node.error("past_key and past_value come together")
    if node.has(4):
        k, v = (node.xp.concatenate([node[j], x], axis=2) for j, x in ((4, k), (5, v)))
    if q.shape[1] % k.shape[1] or k.shape[1] != v.shape[1] or k.shape[2] != v.shape[2]:
        raise node.error(f"heads of shapes {list(q.shape)}, {list(k.shape)}, {list(v.shape)} do not fit each other")
    return q, k, v


def _masked(node: OnnxNode, queries: int, keys: int) -> tuple[Any, Any]:
    """(which pairs of query and key count, None: all; what is added to the scores, None: nothing)."""
    lengths = node[6] if node.has(6) else None
    offset = node.shape(4)[2] if node.has(4) else lengths - queries if lengths is not None else 0
    masks = [_allowed(node, queries, keys, offset)]
    if lengths is not None:
        masks.append(np.arange(keys, dtype=np.int32) < lengths.reshape(-1, 1, 1, 1))
    bias = None
    if node.has(3):
        mask = _widened(node, node[3], keys)
        if mask.dtype == np.bool_:
            masks.append(mask)
        else:
            # Minus infinity is no number that a score could be added to: what it says is taken out of the bias.
            masks.append(mask > (-1e30 if is_static(mask) else -np.inf))
            bias = node.xp.where(masks[-1], mask, np.zeros((), mask.dtype))
            bias = None if is_static(bias) and not bias.any() else bias
    return _all(masks), bias


def _probabilities(scores: Any, allowed: Any) -> Any:
    if allowed is None or _everyone(allowed):
        return jax.nn.softmax(scores, axis=-1)
    # A row without any key: its scores are all minus infinity, its probabilities zero.
    some = jnp.any(allowed, axis=-1, keepdims=True)
    return jnp.where(some, jax.nn.softmax(jnp.where(some, scores, jnp.zeros((), scores.dtype)), axis=-1), 0)


@rule("Attention")
def _attention(node: OnnxNode) -> Any:
    """Scores, cap, mask, softmax, values. A query that may look at nothing gives zeros."""
    q, k, v = _operands(node)
    dtype = q.dtype
    batch, heads, queries, width = q.shape
    keys, shape = k.shape[2], (k.shape[1], heads // k.shape[1])
    node.sized((batch, heads, queries, keys))
    scale = node.attribute("scale")
    factor = np.asarray(1 / math.sqrt(width) if scale is None else scale, np.float32).astype(dtype)
    raw = scores = jnp.einsum("bhgqd,bhkd->bhgqk", (q * factor).reshape(batch, *shape, queries, width), k)
    cap = node.attribute("softcap")
    if cap:
        scores = cap * jnp.tanh(scores / cap)
    capped = scores
    allowed, bias = _masked(node, queries, keys)
    if bias is not None:
        scores = scores + _grouped(bias, *shape)
    precision = node.attribute("softmax_precision")
    scores = scores.astype(dtype_of(precision, str(node.step))) if precision else scores
    if allowed is not None:
        allowed = _grouped(allowed, *shape)
        scores = jnp.where(allowed, scores, np.asarray(-np.inf, scores.dtype))
    weights = _probabilities(scores, allowed).astype(dtype)
    y = jnp.einsum("bhgqk,bhkd->bhgqd", weights, v).reshape(batch, heads, queries, v.shape[3])
    if len(node.shape()) == 3:
        y = y.transpose(0, 2, 1, 3).reshape(batch, queries, heads * v.shape[3])
    shown = None
    if node.wants(3):
        mode = node.attribute("qk_matmul_output_mode")
        if mode not in (0, 1, 2, 3):
            raise node.error(f"qk_matmul_output_mode is {mode}; 0 to 3 exist")
        shown = (raw, capped, scores, weights)[mode].reshape(batch, heads, queries, keys).astype(dtype)
    return y, k if node.wants(1) else None, v if node.wants(2) else None, shown


def _widened(node: OnnxNode, mask: Any, keys: int) -> Any:
    """A mask for fewer keys than there are: nothing beyond is looked at."""
    missing = keys - mask.shape[-1]
    if not missing or (mask.shape[-1] == 1 and mask.dtype != np.bool_):
        return mask
    xp = np if is_static(mask) else jnp
    amounts = [(0, 0)] * (mask.ndim - 1) + [(0, missing)]
    return xp.pad(mask, amounts, constant_values=False if mask.dtype == np.bool_ else -np.inf)


def _all(masks: list[Any]) -> Any:
    found = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else found & mask
    return found


def _grouped(mask: Any, outer: int, groups: int) -> Any:
    """A mask over (batch, heads, queries, keys), or less, over (batch, outer, groups, queries, keys)."""
    if mask.ndim < 3:
        return mask
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    if mask.shape[1] == 1:
        return mask[:, :, None]
    return mask.reshape(mask.shape[0], outer, groups, *mask.shape[2:])


def _everyone(allowed: Any) -> bool:
    """Whether it is known that every query may look at some key."""
    return is_static(allowed) and bool(allowed.any(-1).all())


@rule("RotaryEmbedding")
def _rotary(node: OnnxNode) -> Any:
    x, cos, sin = node[0], node[1], node[2]
    three = x.ndim == 3
    if three:
        x = _heads(node, x, "num_heads").transpose(0, 2, 1, 3)
    elif x.ndim == 4:
        x = x.transpose(0, 2, 1, 3)
    else:
        raise node.error(f"a tensor of shape {list(x.shape)} has no heads")
    width = int(node.attribute("rotary_embedding_dim") or x.shape[-1])
    if width % 2 or not 0 < width <= x.shape[-1]:
        raise node.error(f"{width} of {x.shape[-1]} elements cannot be rotated in pairs")
    if node.has(3):
        places = node[3]
        cos, sin = (c[places] if is_static(places) else jnp.take(c, places, axis=0, mode="clip") for c in (cos, sin))
    if cos.shape[-1] != width // 2:
        raise node.error(f"a cache of width {cos.shape[-1]} does not rotate {width} elements")
    cos, sin = cos[:, :, None, :], sin[:, :, None, :]
    turned, rest = x[..., :width], x[..., width:]
    if node.attribute("interleaved"):
        a, b = turned[..., 0::2], turned[..., 1::2]
        y = jnp.stack([cos * a - sin * b, sin * a + cos * b], axis=-1).reshape(turned.shape)
    else:
        a, b = turned[..., : width // 2], turned[..., width // 2 :]
        y = jnp.concatenate([cos * a - sin * b, sin * a + cos * b], axis=-1)
    if rest.shape[-1]:
        y = jnp.concatenate([y, rest], axis=-1)
    return y.reshape(node.shape()) if three else y.transpose(0, 2, 1, 3)
