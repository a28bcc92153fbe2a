"""Gather, scatter, top-k and the like. Indices below zero count from the end; beyond a dimension they are clamped or dropped."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, canonical, is_static, rule


def _inside(node: OnnxNode, index: int, size: int) -> Any:
    """Operand ``index`` as non-negative indices; constants beyond the dimension are an error."""
    value = node.operands[index]
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iu":
            raise node.error(f"its indices are {value.dtype}; integers are expected")
        if value.size and (value.min() < -size or value.max() >= size):
            raise node.error(f"an index is outside a dimension of {size}")
        found = np.asarray(np.where(value < 0, value + size, value))
        return found if node.static else found.astype(np.int32)
    places = node[index]
    if places.dtype.kind not in "iu":
        raise node.error(f"its indices are {places.dtype}; integers are expected")
    return places if places.dtype.kind == "u" else jnp.where(places < 0, places + size, places)


@rule("Gather")
def _gather(node: OnnxNode) -> Any:
    x = node[0]
    axis = node.axis(node.attribute("axis"), x.ndim)
    indices = _inside(node, 1, x.shape[axis])
    node.sized((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    if node.static:
        return np.take(x, indices, axis)
    if is_static(indices) and indices.ndim == 0:
        return x[(slice(None),) * axis + (int(indices),)]
    return jnp.take(x, indices, axis, mode="clip")


@rule("GatherElements")
def _gather_elements(node: OnnxNode) -> Any:
    x = node[0]
    axis = node.axis(node.attribute("axis"), x.ndim)
    indices = _inside(node, 1, x.shape[axis])
    if indices.ndim != x.ndim:
        raise node.error(f"indices of rank {indices.ndim} do not fit a tensor of rank {x.ndim}")
    if any(n > m for d, (n, m) in enumerate(zip(indices.shape, x.shape, strict=True)) if d != axis):
        raise node.error(f"indices of shape {list(indices.shape)} do not fit {list(x.shape)}")
    x = x[tuple(slice(None) if d == axis else slice(0, n) for d, n in enumerate(indices.shape))]
    return np.take_along_axis(x, indices, axis) if node.static else jnp.take_along_axis(x, indices, axis, mode="clip")


def _index_vectors(node: OnnxNode, x: Any, batch: int) -> list[Any]:
    """The coordinates in the last dimension of operand 1, each as an array over the other dimensions."""
    depth = node.shape(1)[-1]
    if depth < 1 or depth + batch > x.ndim:
        raise node.error(f"index vectors of {depth} do not fit a tensor of rank {x.ndim}")
    raw = node.operands[1]
    parts = []
    for j in range(depth):
        size = x.shape[batch + j]
        part = raw[..., j]  # type: ignore[index]
        if is_static(raw) and part.size and (part.min() < -size or part.max() >= size):
            raise node.error(f"an index is outside a dimension of {size}")
        xp = np if is_static(raw) else jnp
        parts.append(node.computed(xp.where(part < 0, part + size, part)))
    return parts


@rule("GatherND")
def _gather_nd(node: OnnxNode) -> Any:
    x, batch = node[0], int(node.attribute("batch_dims", 0))
    if not 0 <= batch < min(x.ndim, len(node.shape(1))):
        raise node.error(f"{batch} batch dimensions do not exist")
    parts = _index_vectors(node, x, batch)
    lead = [
        np.arange(x.shape[d], dtype=np.int32).reshape([-1 if e == d else 1 for e in range(parts[0].ndim)])
        for d in range(batch)
    ]
    if node.static:
        return x[(*lead, *parts)]
    return jnp.asarray(x).at[(*lead, *parts)].get(mode="clip")


def _scattered(node: OnnxNode, target: Any, reduction: str, updates: Any) -> Any:
    """Apply updates at ``target``, an ``.at[...]``."""
    method = {"none": "set", "add": "add", "mul": "multiply", "max": "max", "min": "min"}.get(reduction)
    if method is None:
        raise node.error(f"the reduction {reduction!r} does not exist")
    return getattr(target, method)(updates, mode="drop")


@rule("ScatterElements", "Scatter")
def _scatter_elements(node: OnnxNode) -> Any:
    x, updates = jnp.asarray(node[0]), node[2]
    axis = node.axis(node.attribute("axis"), x.ndim)
    indices = _inside(node, 1, x.shape[axis])
    if indices.shape != updates.shape or indices.ndim != x.ndim:
        raise node.error(f"indices of shape {list(indices.shape)} do not fit updates of shape {list(updates.shape)}")
    places = [
        np.arange(n, dtype=np.int32).reshape([-1 if e == d else 1 for e in range(x.ndim)])
        for d, n in enumerate(indices.shape)
    ]
    target = x.at[tuple(indices if d == axis else places[d] for d in range(x.ndim))]
    return _scattered(node, target, node.attribute("reduction", "none"), updates)


@rule("ScatterND")
def _scatter_nd(node: OnnxNode) -> Any:
    x, updates = jnp.asarray(node[0]), node[2]
    parts = _index_vectors(node, x, 0)
    wanted = (*parts[0].shape, *x.shape[len(parts) :])
    if tuple(updates.shape) != wanted:
        raise node.error(f"updates of shape {list(updates.shape)} are given where {list(wanted)} is expected")
    return _scattered(node, x.at[tuple(parts)], node.attribute("reduction", "none"), updates)


@rule("TensorScatter")
def _tensor_scatter(node: OnnxNode) -> Any:
    cache, update = jnp.asarray(node[0]), node[1]
    axis = node.axis(node.attribute("axis"), cache.ndim)
    if axis == 0:
        raise node.error("axis 0 is the batch; the sequence is another axis")
    size, length, batch = cache.shape[axis], update.shape[axis], cache.shape[0]
    starts = node[2] if node.has(2) else np.zeros(batch, np.int32)
    places = jnp.asarray(starts)[:, None] + np.arange(length, dtype=np.int32)
    mode = node.attribute("mode")
    if mode not in ("linear", "circular"):
        raise node.error(f"the mode {mode!r} does not exist")
    if mode == "circular":
        places = places % size
    moved = jnp.moveaxis(cache, axis, 1).at[np.arange(batch)[:, None], places]
    return jnp.moveaxis(moved.set(jnp.moveaxis(update, axis, 1), mode="drop"), 1, axis)


@rule("ArgMax", "ArgMin")
def _arg(node: OnnxNode) -> Any:
    x = jnp.asarray(node[0])
    axis = node.axis(node.attribute("axis"), x.ndim)
    fn = jnp.argmax if node.step.op == "ArgMax" else jnp.argmin
    keep = bool(node.attribute("keepdims"))
    if node.attribute("select_last_index", 0):
        found = x.shape[axis] - 1 - fn(jnp.flip(x, axis), axis=axis, keepdims=keep)
    else:
        found = fn(x, axis=axis, keepdims=keep)
    return found.astype(canonical(np.int64))


@rule("TopK")
def _top_k(node: OnnxNode) -> Any:
    """Sorted, ties in the order of their indices."""
    x = jnp.asarray(node[0])
    k = node.integer(1) if node.step.opset >= 10 else int(node.attribute("k"))
    axis = node.axis(node.attribute("axis"), x.ndim)
    if not 0 <= k <= x.shape[axis]:
        raise node.error(f"the best {k} of {x.shape[axis]} do not exist")
    y = jnp.moveaxis(x, axis, -1)
    if node.attribute("largest", 1):
        values, indices = jax.lax.top_k(y, k)
    else:
        order = jnp.argsort(y, axis=-1, stable=True)[..., :k]
        values, indices = jnp.take_along_axis(y, order, axis=-1), order
    return jnp.moveaxis(values, -1, axis), jnp.moveaxis(indices, -1, axis).astype(canonical(np.int64))


@rule("ArrayFeatureExtractor", domain="ai.onnx.ml")
def _array_feature_extractor(node: OnnxNode) -> Any:
    x = node[0]
    indices = _inside(node, 1, x.shape[-1]).reshape(-1)
    return jnp.take(jnp.asarray(x), indices, -1, mode="clip").reshape(math.prod(x.shape[:-1]), -1)


@rule("Binarizer", domain="ai.onnx.ml")
def _binarizer(node: OnnxNode) -> Any:
    x = node[0]
    return (x > node.attribute("threshold")).astype(x.dtype)
