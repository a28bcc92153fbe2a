"""Quantised ops on 8 and 16 bit integers: they are exact in integers, and rescaled in floats."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, rule
from prover.onnx.rules.convolution import biased, convolve
from prover.onnx.tensors import dtype_of


def _along(node: OnnxNode, value: Any, rank: int, shape: tuple[int, ...]) -> Any:
    """A scale or zero point: one, one per slice of ``axis``, or one per block along it."""
    if not value.ndim or (value.size == 1 and rank != value.ndim):
        return value.reshape(())
    axis = node.axis(node.attribute("axis", 1), rank)
    if value.ndim == 1:
        if value.shape[0] != shape[axis]:
            raise node.error(f"{value.shape[0]} scales do not fit dimension {axis} of {list(shape)}")
        return value.reshape([-1 if d == axis else 1 for d in range(rank)])
    block = int(node.attribute("block_size", 0))
    if value.ndim != rank or block < 1 or value.shape[axis] != -(-shape[axis] // block):
        raise node.error(f"scales of shape {list(value.shape)} in blocks of {block} do not fit {list(shape)}")
    wide = np.repeat(value, block, axis) if isinstance(value, np.ndarray) else jnp.repeat(value, block, axis)
    return wide[(slice(None),) * axis + (slice(0, shape[axis]),)]


def saturated(real: Any, zero: Any, dtype: Any) -> Any:
    """Rounded half to even, moved by the zero point, kept inside the integer type."""
    info = np.iinfo(dtype)
    moved = jnp.round(real) if zero is None else jnp.round(real) + zero.astype(real.dtype)
    return jnp.clip(moved, info.min, info.max).astype(dtype)


@rule("QuantizeLinear")
def _quantize(node: OnnxNode) -> Any:
    x = jnp.asarray(node[0])
    scale = _along(node, node[1], x.ndim, x.shape)
    code = node.attribute("output_dtype", 0)
    zero = node.get(2)
    dtype = np.dtype(zero.dtype) if zero is not None else dtype_of(code, str(node.step)) if code else np.dtype(np.uint8)
    if dtype.kind not in "iu":
        raise node.unsupported(f"quantising to {dtype} is out of scope")
    work = x.astype(jnp.float32) if x.dtype.kind in "iu" else x
    real = work / scale.astype(work.dtype)
    return saturated(real, None if zero is None else _along(node, zero, x.ndim, x.shape), dtype)


@rule("DequantizeLinear")
def _dequantize(node: OnnxNode) -> Any:
    x, scale = node[0], node[1]
    out = node.attribute("output_dtype", 0)
    centred = _centred(node, x, 2, lambda zero: _along(node, zero, x.ndim, x.shape))
    real = centred.astype(scale.dtype) * _along(node, scale, x.ndim, x.shape)
    return real.astype(dtype_of(out, str(node.step))) if out else real


@rule("DynamicQuantizeLinear")
def _dynamic(node: OnnxNode) -> Any:
    x = jnp.asarray(node[0])
    low, high = jnp.minimum(jnp.min(x), 0), jnp.maximum(jnp.max(x), 0)
    scale = (high - low) / np.float32(255)
    safe = jnp.where(scale == 0, jnp.ones((), x.dtype), scale)
    zero = jnp.clip(jnp.round(-low / safe), 0, 255)
    return jnp.clip(jnp.round(x / safe) + zero, 0, 255).astype(jnp.uint8), scale, zero.astype(jnp.uint8)


def _centred(node: OnnxNode, x: Any, index: int, shaped: Any) -> Any:
    """An integer operand minus its zero point, in int32."""
    x = x.astype(np.int32)
    return x - shaped(node[index]).astype(np.int32) if node.has(index) else x


def _rows(zero: Any) -> Any:
    """A zero point of a left operand: one, or one per row."""
    return zero.reshape(()) if zero.size == 1 else zero[..., None] if zero.ndim == 1 else zero


def _one(zero: Any) -> Any:
    """A zero point or scale of a right operand or an image: one, or one per column."""
    return zero.reshape(()) if zero.size == 1 else zero


@rule("MatMulInteger")
def _matmul_integer(node: OnnxNode) -> Any:
    x = _centred(node, node[0], 2, _rows)
    y = _centred(node, node[1], 3, _one)
    return jnp.matmul(x, y)


@rule("QLinearMatMul")
def _qlinear_matmul(node: OnnxNode) -> Any:
    x = _centred(node, node[0], 2, _rows)
    y = _centred(node, node[3], 5, _one)
    factor = _rows(node[1]).astype(np.float32) * _one(node[4]).astype(np.float32)
    out = node[6].astype(np.float32)
    total = jnp.matmul(x, y).astype(jnp.float32)
    return saturated(total * (factor / out), node[7], np.dtype(node[7].dtype))


def _kernel(zero: Any) -> Any:
    """A zero point of a kernel: one, or one per output channel."""
    return zero.reshape(()) if zero.size == 1 else zero.reshape(-1, 1, 1, 1)


@rule("ConvInteger")
def _conv_integer(node: OnnxNode) -> Any:
    """Padding is the zero point, hence zero here."""
    x = _centred(node, node[0], 2, _one)
    w = _centred(node, node[1], 3, _kernel)
    return convolve(node, x, w, jnp.int32)


@rule("QLinearConv")
def _qlinear_conv(node: OnnxNode) -> Any:
    x = _centred(node, node[0], 2, _one)
    w = _centred(node, node[3], 5, lambda z: z.reshape((-1,) + (1,) * (len(node.shape(3)) - 1)))
    total = biased(node, convolve(node, x, w, jnp.int32), 8).astype(jnp.float32)
    factor = node[1].astype(np.float32) * node[4].astype(np.float32) / node[6].astype(np.float32)
    factor = factor.reshape(()) if factor.size == 1 else factor.reshape((1, -1) + (1,) * (total.ndim - 2))
    return saturated(total * lax.convert_element_type(factor, jnp.float32), node[7], np.dtype(node[7].dtype))
