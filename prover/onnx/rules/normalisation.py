"""Normalisations over batches, channels, groups and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, is_static, rule


def _channels(value: Any, rank: int) -> Any:
    """Per-channel values against (batch, channels, ...)."""
    return value.reshape((1, -1) + (1,) * (rank - 2))


def scaled(x: Any, axes: Sequence[int], epsilon: float) -> tuple[Any, Any, Any]:
    """(x - mean) / deviation over axes; mean; inverse deviation."""
    mean = jnp.mean(x, axis=tuple(axes), keepdims=True)
    centred = x - mean
    inverse = lax.rsqrt(jnp.mean(jnp.square(centred), axis=tuple(axes), keepdims=True) + np.asarray(epsilon, x.dtype))
    return centred * inverse, mean, inverse


@rule("BatchNormalization")
def _batch(node: OnnxNode) -> Any:
    """One factor and one offset per channel, where the statistics are constants; before opset 9 perhaps one per element."""
    x, scale, bias, mean, var = node.all
    epsilon = node.attribute("epsilon")
    if node.step.opset < 7 and not node.attribute("is_test", 0):
        raise node.unsupported(
            "it takes the batch's own statistics unless is_test is set; export the model for inference"
        )
    if node.step.opset < 9 and not node.attribute("spatial", 1):
        factor = scale / node.xp.sqrt(var + np.asarray(epsilon, var.dtype))
        return (((x - mean) * factor + bias).astype(x.dtype), None, None)
    if scale.shape != (x.shape[1] if x.ndim > 1 else 1,):
        raise node.error(f"a scale of shape {list(scale.shape)} does not fit an input of shape {list(x.shape)}")
    if node.attribute("training_mode", 0):
        axes = tuple(d for d in range(x.ndim) if d != 1)
        momentum = node.attribute("momentum")
        seen, spread = jnp.mean(x, axis=axes), jnp.var(x, axis=axes)
        running = (mean * momentum + seen * (1 - momentum), var * momentum + spread * (1 - momentum))
        mean, var = seen, spread
    else:
        running = (None, None)
    known = all(is_static(v) for v in (scale, bias, mean, var))
    factor = scale / (np if known else jnp).sqrt(var + np.asarray(epsilon, var.dtype))
    offset = bias - mean * factor
    y = x * _channels(factor, x.ndim) + _channels(offset, x.ndim)
    return (y.astype(x.dtype), *running)


@rule("InstanceNormalization")
def _instance(node: OnnxNode) -> Any:
    x = node[0]
    y, _, _ = scaled(x, range(2, x.ndim), node.attribute("epsilon"))
    return y * _channels(node[1], x.ndim) + _channels(node[2], x.ndim)


@rule("GroupNormalization")
def _group(node: OnnxNode) -> Any:
    """Scale and bias: per group before opset 21, per channel since."""
    x, scale, bias = node[0], node[1], node[2]
    groups = int(node.attribute("num_groups"))
    if groups < 1 or x.shape[1] % groups:
        raise node.error(f"{x.shape[1]} channels do not form {groups} groups")
    if node.step.opset < 21:
        scale, bias = (np.repeat(v, x.shape[1] // groups) if is_static(v) else jnp.repeat(v, x.shape[1] // groups)
                       for v in (scale, bias))  # fmt: skip
    work = _stash(node, x)
    parts = work.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    y, _, _ = scaled(parts, range(2, parts.ndim), node.attribute("epsilon"))
    y = y.reshape(x.shape).astype(x.dtype)
    return y * _channels(scale, x.ndim) + _channels(bias, x.ndim)


def _stash(node: OnnxNode, x: Any) -> Any:
    """Statistics of short floats are computed in float32 (stash_type 1)."""
    short = x.dtype.itemsize < 4 and node.attribute("stash_type", 1) == 1
    return jnp.asarray(x).astype(jnp.float32) if short else jnp.asarray(x)


@rule("LayerNormalization")
def _layer(node: OnnxNode) -> Any:
    x = node[0]
    axis = node.axis(node.attribute("axis"), x.ndim)
    y, mean, inverse = scaled(_stash(node, x), range(axis, x.ndim), node.attribute("epsilon"))
    y = y.astype(x.dtype) * node[1]
    return (y + node[2] if node.has(2) else y), mean, inverse


@rule("RMSNormalization")
def _rms(node: OnnxNode) -> Any:
    x = node[0]
    axis = node.axis(node.attribute("axis"), x.ndim)
    work = _stash(node, x)
    mean = jnp.mean(jnp.square(work), axis=tuple(range(axis, x.ndim)), keepdims=True)
    return (work * lax.rsqrt(mean + np.asarray(node.attribute("epsilon"), work.dtype))).astype(x.dtype) * node[1]


@rule("MeanVarianceNormalization")
def _mean_variance(node: OnnxNode) -> Any:
    x = node[0]
    axes = node.axes(node.attribute("axes"), x.ndim)
    centred = x - jnp.mean(x, axis=axes, keepdims=True)
    return centred / (jnp.sqrt(jnp.mean(jnp.square(centred), axis=axes, keepdims=True)) + np.asarray(1e-9, x.dtype))


@rule("LpNormalization")
def _lp(node: OnnxNode) -> Any:
    """A row of zeros stays zero."""
    x, p = node[0], node.attribute("p")
    axis = node.axis(node.attribute("axis"), x.ndim)
    if p not in (1, 2):
        raise node.error(f"p is {p}; 1 and 2 exist")
    norm = jnp.sum(jnp.abs(x) if p == 1 else jnp.square(x), axis=axis, keepdims=True)
    norm = norm if p == 1 else jnp.sqrt(norm)
    return jnp.where(norm == 0, jnp.zeros((), x.dtype), x / jnp.where(norm == 0, jnp.ones((), x.dtype), norm))


@rule("LRN")
def _lrn(node: OnnxNode) -> Any:
    """Divided by a power of the squares' sum over neighbouring channels."""
    x, size = node[0], int(node.attribute("size"))
    if not 1 <= size <= 1 << 16:
        raise node.error(f"a window of {size} channels is refused")
    low = (size - 1) // 2
    total = lax.reduce_window(
        jnp.square(x),
        np.zeros((), x.dtype)[()],
        lax.add,
        (1, size) + (1,) * (x.ndim - 2),
        (1,) * x.ndim,
        ((0, 0), (low, size - 1 - low)) + ((0, 0),) * (x.ndim - 2),
    )
    alpha, beta, bias = (node.attribute(name) for name in ("alpha", "beta", "bias"))
    return x * jnp.power(bias + (alpha / size) * total, -beta)


@rule("Normalizer", domain="ai.onnx.ml")
def _normalizer(node: OnnxNode) -> Any:
    """As onnxruntime has it: MAX divides by the largest element, sign and all, and a row whose norm is 0 stays as it is."""
    x, kind = node[0], node.attribute("norm")
    if kind not in ("MAX", "L1", "L2"):
        raise node.error(f"the norm {kind!r} does not exist")
    if kind == "MAX":
        norm = jnp.max(x, axis=-1, keepdims=True)
    else:
        norm = jnp.sum(jnp.abs(x) if kind == "L1" else jnp.square(x), axis=-1, keepdims=True)
        norm = norm if kind == "L1" else jnp.sqrt(norm)
    return x / jnp.where(norm == 0, jnp.ones((), norm.dtype), norm)
