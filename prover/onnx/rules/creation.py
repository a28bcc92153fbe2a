"""Tensors from nothing, and shapes of tensors: static whatever the operand is."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, canonical, rule
from prover.onnx.tensors import dtype_of


@rule("Constant")
def _constant(node: OnnxNode) -> Any:
    for name, value in node.step.attributes.items():
        if name == "value":
            return value
        if name in ("value_float", "value_floats", "value_int", "value_ints"):
            return np.asarray(value, np.float32 if "float" in name else np.int64)
    raise node.unsupported("it has no value that is a tensor of numbers; strings and sparse tensors are out of scope")


@rule("Shape")
def _shape(node: OnnxNode) -> Any:
    shape = node.shape()
    start, end = node.attribute("start", 0), node.attribute("end")
    return np.asarray(shape[start:end], np.int64)


@rule("Size")
def _size(node: OnnxNode) -> Any:
    return np.asarray(math.prod(node.shape()), np.int64)


@rule("ConstantOfShape")
def _constant_of_shape(node: OnnxNode) -> Any:
    value = node.attribute("value")
    value = np.zeros(1, np.float32) if value is None else value
    if value.size != 1:
        raise node.error(f"its value has {value.size} elements; one is expected")
    return np.full(node.sized(node.integers(0)), value.reshape(())[()], value.dtype)


@rule("EyeLike")
def _eye_like(node: OnnxNode) -> Any:
    shape = node.shape()
    if len(shape) != 2:
        raise node.error(f"a tensor of rank {len(shape)} is no matrix")
    code = node.attribute("dtype")
    like = node.operands[0]
    dtype = dtype_of(code, str(node.step)) if code else np.dtype(like.dtype)  # type: ignore[union-attr]
    k = int(node.attribute("k", 0))
    rows, columns = node.sized(shape)
    return (np.arange(columns)[None, :] - np.arange(rows)[:, None] == k).astype(dtype)


@rule("Range")
def _range(node: OnnxNode) -> Any:
    start, limit, delta = (node.constant(j).reshape(()) for j in range(3))
    if not delta:
        raise node.error("its delta is zero")
    count = max(0, math.ceil((limit.item() - start.item()) / delta.item()))
    node.sized((count,))
    return (start + np.arange(count) * delta).astype(start.dtype)


@rule("OneHot")
def _one_hot(node: OnnxNode) -> Any:
    """Indices count from the end if negative; beyond the depth nothing is hot."""
    indices, values = node[0], node[2]
    depth = int(node.constant(1).reshape(()))
    rank = len(indices.shape) + 1
    axis = node.axis(node.attribute("axis"), rank)
    shape = list(indices.shape)
    shape.insert(axis, depth)
    node.sized(shape)
    if indices.dtype.kind not in "iu":
        indices = indices.astype(canonical(np.int64))
    wanted = np.arange(depth, dtype=np.int32).reshape([depth if d == axis else 1 for d in range(rank)])
    places = node.xp.expand_dims(indices, axis)
    hot = node.xp.where(places < 0, places + depth, places) == wanted
    return node.xp.where(hot, values[1], values[0])


def _windows(node: OnnxNode) -> tuple[np.dtype[Any], int, np.ndarray[Any, Any]]:
    dtype = dtype_of(int(node.attribute("output_datatype")), str(node.step))
    size = int(node.constant(0).reshape(()))
    (size,) = node.sized((size,))
    length = size if node.attribute("periodic") else size - 1
    return dtype, size, 2 * np.pi * np.arange(size) / max(length, 1)


@rule("HannWindow")
def _hann(node: OnnxNode) -> Any:
    dtype, _, angle = _windows(node)
    return (0.5 - 0.5 * np.cos(angle)).astype(dtype)


@rule("HammingWindow")
def _hamming(node: OnnxNode) -> Any:
    dtype, _, angle = _windows(node)
    return (25 / 46 - (1 - 25 / 46) * np.cos(angle)).astype(dtype)


@rule("BlackmanWindow")
def _blackman(node: OnnxNode) -> Any:
    dtype, _, angle = _windows(node)
    return (0.42 - 0.5 * np.cos(angle) + 0.08 * np.cos(2 * angle)).astype(dtype)


@rule("MelWeightMatrix")
def _mel(node: OnnxNode) -> Any:
    """As the standard's reference: triangles between mel-spaced bins of the spectrum."""
    bins, length, rate = (int(node.constant(j).reshape(())) for j in range(3))
    low, high = (float(node.constant(j).reshape(())) for j in (3, 4))
    dtype = dtype_of(int(node.attribute("output_datatype")), str(node.step))
    rows, columns = node.sized((length // 2 + 1, bins))
    lowest, highest = (2595 * np.log10(1 + f / 700) for f in (low, high))
    mels = lowest + np.arange(bins + 2) * ((highest - lowest) / (bins + 2))
    places = np.floor((length + 1) * (700 * (10 ** (mels / 2595) - 1)) / rate).astype(np.int64)
    out = np.zeros((rows, columns))
    for j in range(bins):
        left, centre, right = places[j : j + 3]
        if left == centre:
            out[centre : centre + 1, j] = 1
        else:
            rising = np.arange(left, centre + 1)
            out[left : centre + 1, j] = (rising - left) / (centre - left)
        if right > centre:
            falling = np.arange(centre, right)
            out[centre:right, j] = (right - falling) / (right - centre)
    return out.astype(dtype)


@rule("Dropout")
def _dropout(node: OnnxNode) -> Any:
    """Inference: the identity, and a mask of nothing dropped."""
    if node.step.opset < 7 and not node.attribute("is_test", 0) and node.attribute("ratio"):
        raise node.unsupported("it drops at random unless is_test is set; export the model for inference")
    if node.has(2) and node.step.opset >= 12 and bool(node.constant(2).reshape(())):
        ratio = float(node.constant(1).reshape(())) if node.has(1) else 0.5
        if ratio:
            raise node.unsupported("it drops at random in training mode; a claim must be reproducible")
    mask = np.ones(node.sized(node.shape()), np.bool_) if node.wants(1) else None
    return node.operands[0], mask


@rule("Expand")
def _expand(node: OnnxNode) -> Any:
    shape = node.sized(np.broadcast_shapes(node.shape(), node.integers(1)))
    return jnp.broadcast_to(node[0], shape) if not node.static else np.broadcast_to(node[0], shape).copy()


@rule("Tile")
def _tile(node: OnnxNode) -> Any:
    repeats = node.integers(1)
    if len(repeats) != len(node.shape()):
        raise node.error(f"{len(repeats)} repeats for a tensor of rank {len(node.shape())}")
    node.sized([n * r for n, r in zip(node.shape(), repeats, strict=True)])
    return node.xp.tile(node[0], repeats)
