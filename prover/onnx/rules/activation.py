"""Activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, rule


@rule("Relu")
def _relu(node: OnnxNode) -> Any:
    x = node[0]
    return node.xp.maximum(x, np.zeros((), x.dtype))


@rule("Sigmoid")
def _sigmoid(node: OnnxNode) -> Any:
    return jax.nn.sigmoid(node[0])


@rule("HardSigmoid")
def _hard_sigmoid(node: OnnxNode) -> Any:
    return jnp.clip(node[0] * node.attribute("alpha") + node.attribute("beta"), 0, 1)


@rule("HardSwish")
def _hard_swish(node: OnnxNode) -> Any:
    x = node[0]
    return x * jnp.clip(x * (1 / 6) + 0.5, 0, 1)


@rule("LeakyRelu")
def _leaky_relu(node: OnnxNode) -> Any:
    x = node[0]
    return jnp.where(x >= 0, x, x * node.attribute("alpha"))


@rule("PRelu")
def _prelu(node: OnnxNode) -> Any:
    """Before opset 7 several slopes are one per channel."""
    x, slope = node[0], node[1]
    if node.step.opset < 7 and slope.size > 1:
        if x.ndim < 2 or slope.size != x.shape[1]:
            raise node.error(f"{slope.size} slopes do not fit an input of shape {list(x.shape)}")
        slope = slope.reshape((-1,) + (1,) * (x.ndim - 2))
    return jnp.where(x >= 0, x, x * slope)


@rule("Elu")
def _elu(node: OnnxNode) -> Any:
    x = node[0]
    return jnp.where(x > 0, x, node.attribute("alpha") * jnp.expm1(jnp.minimum(x, 0)))


@rule("Celu")
def _celu(node: OnnxNode) -> Any:
    x, alpha = node[0], node.attribute("alpha")
    return jnp.maximum(x, 0) + jnp.minimum(alpha * jnp.expm1(jnp.minimum(x, 0) / alpha), 0)


@rule("Selu")
def _selu(node: OnnxNode) -> Any:
    x = node[0]
    alpha, gamma = node.attribute("alpha"), node.attribute("gamma")
    return gamma * jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0)))


@rule("ThresholdedRelu")
def _thresholded_relu(node: OnnxNode) -> Any:
    x = node[0]
    return jnp.where(x > node.attribute("alpha"), x, jnp.zeros((), x.dtype))


@rule("Shrink")
def _shrink(node: OnnxNode) -> Any:
    x, bias, bound = node[0], node.attribute("bias"), node.attribute("lambd")
    zero = jnp.zeros((), x.dtype)
    return jnp.where(x < -bound, x + bias, jnp.where(x > bound, x - bias, zero)).astype(x.dtype)


@rule("Softplus")
def _softplus(node: OnnxNode) -> Any:
    return jax.nn.softplus(node[0])


@rule("Softsign")
def _softsign(node: OnnxNode) -> Any:
    x = node[0]
    return x / (1 + jnp.abs(x))


@rule("Mish")
def _mish(node: OnnxNode) -> Any:
    x = node[0]
    return x * jnp.tanh(jax.nn.softplus(x))


def swish(x: Any, alpha: float) -> Any:
    return x * jax.nn.sigmoid(x if alpha == 1 else alpha * x)


@rule("Swish")
def _swish(node: OnnxNode) -> Any:
    return swish(node[0], node.attribute("alpha"))


@rule("SwiGLU")
def _swiglu(node: OnnxNode) -> Any:
    return swish(node[0], node.attribute("alpha")) * node[1]


@rule("Gelu")
def _gelu(node: OnnxNode) -> Any:
    kind = node.attribute("approximate")
    if kind not in ("none", "tanh"):
        raise node.error(f"approximate is {kind!r}; 'none' and 'tanh' exist")
    return jax.nn.gelu(jnp.asarray(node[0]), approximate=kind == "tanh")


def flattened(node: OnnxNode) -> tuple[Any, tuple[int, ...]]:
    """Operand 0 as a matrix, cut at the attribute ``axis``: what ops normalised over before opset 13."""
    x = node[0]
    axis = node.axis(node.attribute("axis"), x.ndim) if x.ndim else 0
    rows = int(np.prod(x.shape[:axis], dtype=np.int64))
    return jnp.reshape(x, (rows, -1)) if rows else x, x.shape


def hardmax(x: Any, axis: int) -> Any:
    best = jnp.expand_dims(jnp.argmax(x, axis=axis), axis)
    return (lax.broadcasted_iota(best.dtype, x.shape, axis) == best).astype(x.dtype)


def _normaliser(op: str, fn: Callable[[Any, int], Any]) -> None:
    """``fn`` of an array and an axis: along it, or before opset 13 along everything from it on."""

    @rule(op, since=13)
    def along(node: OnnxNode) -> Any:
        return fn(node[0], node.axis(node.attribute("axis"), node[0].ndim))

    @rule(op)
    def from_axis_on(node: OnnxNode) -> Any:
        x, shape = flattened(node)
        return fn(x, x.ndim - 1).reshape(shape)


_normaliser("Softmax", jax.nn.softmax)
_normaliser("LogSoftmax", jax.nn.log_softmax)
_normaliser("Hardmax", hardmax)
