"""Element-wise arithmetic, comparison, logic, casts."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, canonical, is_static, rule
from prover.onnx.tensors import dtype_of


def _broadcast(node: OnnxNode) -> None:
    node.sized(np.broadcast_shapes(*(node.shape(j) for j in range(len(node)))))


def pair(node: OnnxNode) -> tuple[Any, Any]:
    """Both operands, ready to broadcast. Before opset 7 the second one is laid along the first one's axes from ``axis`` on."""
    x, y = node[0], node[1]
    axis = node.attribute("axis") if node.step.opset < 7 and node.attribute("broadcast", 0) else None
    if axis is not None:
        axis = node.axis(int(axis), x.ndim)
        if axis + y.ndim > x.ndim:
            raise node.error(f"an operand of rank {y.ndim} does not fit at axis {axis} of a tensor of rank {x.ndim}")
        y = y.reshape((*y.shape, *(1,) * (x.ndim - axis - y.ndim)))
    node.sized(np.broadcast_shapes(x.shape, y.shape))
    return x, y


def _binary(op: str, fn: Callable[[Any], Callable[[Any, Any], Any]]) -> None:
    @rule(op)
    def apply(node: OnnxNode) -> Any:
        return fn(node.xp)(*pair(node))


def _unary(op: str, fn: Callable[[Any], Callable[[Any], Any]]) -> None:
    @rule(op)
    def apply(node: OnnxNode) -> Any:
        return fn(node.xp)(node[0])


for _op, _name in {
    "Add": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
}.items():
    _binary(_op, operator.attrgetter(_name))

for _op, _name in {
    "Abs": "abs",
    "Ceil": "ceil",
    "Floor": "floor",
    "Neg": "negative",
    "Not": "logical_not",
    "BitwiseNot": "bitwise_not",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Sign": "sign",
    "Sin": "sin",
    "Cos": "cos",
    "Tan": "tan",
    "Asin": "arcsin",
    "Acos": "arccos",
    "Atan": "arctan",
    "Sinh": "sinh",
    "Cosh": "cosh",
    "Asinh": "arcsinh",
    "Acosh": "arccosh",
    "Atanh": "arctanh",
    "Tanh": "tanh",
    "IsNaN": "isnan",
    "Round": "round",
}.items():
    _unary(_op, operator.attrgetter(_name))


@rule("Identity")
def _identity(node: OnnxNode) -> Any:
    return node.operands[0]


@rule("Erf")
def _erf(node: OnnxNode) -> Any:
    return lax.erf(jnp.asarray(node[0]))


@rule("Reciprocal")
def _reciprocal(node: OnnxNode) -> Any:
    x = node[0]
    return np.ones((), x.dtype) / x


@rule("Div")
def _div(node: OnnxNode) -> Any:
    """Integers are divided towards zero."""
    x, y = pair(node)
    if x.dtype.kind not in "iu":
        return x / y
    if is_static(y) and not np.all(y):
        raise node.error("an integer is divided by the constant zero")
    if x.dtype.kind == "u":
        return x // y
    if node.static:
        quotient = np.abs(x) // np.abs(y)
        return np.where((x < 0) == (y < 0), quotient, -quotient).astype(x.dtype)
    x, y = jnp.broadcast_arrays(x, y)
    return lax.div(x, y)


@rule("Mod")
def _mod(node: OnnxNode) -> Any:
    """The result has the divisor's sign, or the dividend's with fmod."""
    _broadcast(node)
    x, y = node[0], node[1]
    if node.attribute("fmod", 0):
        return node.xp.fmod(x, y)
    return node.xp.mod(x, y)


@rule("Pow")
def _pow(node: OnnxNode) -> Any:
    """A whole constant exponent is a product."""
    x, y = pair(node)
    if is_static(y) and y.size == 1 and not node.static:
        exponent = float(y.reshape(()))
        wide = node.sized(np.broadcast_shapes(x.shape, y.shape))
        if exponent == 0.5 and x.dtype.kind == "f":
            return jnp.sqrt(x).reshape(wide)
        if exponent.is_integer() and abs(exponent) <= 16 and (exponent >= 0 or x.dtype.kind not in "iu"):
            return lax.integer_pow(x, int(exponent)).reshape(wide)
    if x.dtype.kind in "iu" and y.dtype.kind not in "iu":
        work = jnp.promote_types(jnp.float32, y.dtype)
        return node.xp.power(x.astype(work), y.astype(work)).astype(x.dtype)
    return node.xp.power(x, y.astype(x.dtype) if x.dtype.kind not in "iu" else y).astype(x.dtype)


@rule("Sum", "Max", "Min", "Mean")
def _variadic(node: OnnxNode) -> Any:
    _broadcast(node)
    xp, op = node.xp, node.step.op
    fn = {"Sum": xp.add, "Mean": xp.add, "Max": xp.maximum, "Min": xp.minimum}[op]
    total = functools.reduce(fn, node.all)
    return total / np.asarray(len(node), total.dtype) if op == "Mean" else total


@rule("Where")
def _where(node: OnnxNode) -> Any:
    _broadcast(node)
    return node.xp.where(node[0], node[1], node[2])


@rule("Clip")
def _clip(node: OnnxNode) -> Any:
    """Bounds are attributes before opset 11, inputs since; the upper bound wins."""
    x = node[0]
    if node.step.opset < 11:
        low, high = node.attribute("min"), node.attribute("max")
    else:
        low, high = (_saturated(node, j, x.dtype) if node.has(j) else None for j in (1, 2))
    if isinstance(low, float):
        low = None if low <= -3.4028234663852886e38 else np.asarray(low, x.dtype)
    if isinstance(high, float):
        high = None if high >= 3.4028234663852886e38 else np.asarray(high, x.dtype)
    for bound in (low, high):
        if bound is not None and np.size(bound) != 1:
            raise node.error("a bound must be one number")
    if low is not None:
        x = node.xp.maximum(x, low.reshape(()))
    if high is not None:
        x = node.xp.minimum(x, high.reshape(()))
    return x


def _saturated(node: OnnxNode, index: int, dtype: Any) -> Any:
    """A constant bound in the dtype that is computed in: one beyond it bounds nothing."""
    value = node.operands[index]
    if is_static(value) and np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        return np.clip(np.asarray(value), info.min, info.max).astype(dtype)
    return node[index]


@rule("IsInf")
def _isinf(node: OnnxNode) -> Any:
    x, xp = node[0], node.xp
    found = xp.isinf(x)
    if not node.attribute("detect_positive", 1):
        found = found & (x < 0)
    if not node.attribute("detect_negative", 1):
        found = found & (x > 0)
    return found


@rule("BitShift")
def _shift(node: OnnxNode) -> Any:
    _broadcast(node)
    direction = node.attribute("direction")
    if direction not in ("LEFT", "RIGHT"):
        raise node.error(f"the direction {direction!r} is neither LEFT nor RIGHT")
    x, y = node[0], node[1]
    width = x.dtype.itemsize * 8
    if direction == "LEFT":
        return node.xp.where(y < width, node.xp.left_shift(x, y), np.zeros((), x.dtype))
    if x.dtype.kind == "i":
        return node.xp.right_shift(x, node.xp.minimum(y, np.asarray(width - 1, y.dtype)))
    return node.xp.where(y < width, node.xp.right_shift(x, y), np.zeros((), x.dtype))


def cast(node: OnnxNode, x: Any, dtype: np.dtype[Any]) -> Any:
    """To ``dtype`` as JAX computes in it; floats become integers towards zero."""
    target = dtype if node.static else canonical(dtype)
    if x.dtype == target:
        return x
    if target.kind == "b":
        return x != np.zeros((), x.dtype)
    if node.static:
        return x.astype(target)
    if x.dtype.kind not in "iub" and target.kind in "iu":
        wide = lax.convert_element_type(lax.convert_element_type(x, jnp.float32), jnp.int32)
        return wide if target.itemsize >= 4 and target.kind == "i" else _narrow(x, wide, target)
    return lax.convert_element_type(x, target)


def _narrow(x: Any, wide: Any, target: np.dtype[Any]) -> Any:
    """Through int32, so that a value out of range wraps as in numpy; 32 and 64 unsigned bits directly."""
    return lax.convert_element_type(x if target.itemsize >= 4 else wide, target)


@rule("Cast")
def _cast(node: OnnxNode) -> Any:
    dtype = dtype_of(int(node.attribute("to")), str(node.step))
    x = node.operands[0]
    return cast(node, x if is_static(x) else node[0], dtype)


@rule("CastLike")
def _cast_like(node: OnnxNode) -> Any:
    like = node.operands[1]
    return cast(node, node[0], np.dtype(like.dtype))  # type: ignore[union-attr]


@rule("BitCast")
def _bitcast(node: OnnxNode) -> Any:
    dtype, x = dtype_of(int(node.attribute("to")), str(node.step)), node[0]
    if node.static:
        return x.view(dtype)
    target = canonical(dtype)
    if target.itemsize != dtype.itemsize or target.itemsize != x.dtype.itemsize:
        raise node.unsupported(f"the bits of {x.dtype} as {dtype} need 64-bit JAX (jax.enable_x64)")
    if target.kind == "b" or x.dtype.kind == "b":
        return x.astype(target)
    return jax.lax.bitcast_convert_type(x, target)


@rule("Trilu")
def _trilu(node: OnnxNode) -> Any:
    x = node[0]
    k = node.integer(1) if node.has(1) else 0
    if x.ndim < 2:
        raise node.error(f"a tensor of rank {x.ndim} has no triangle")
    k = max(-math.prod(x.shape) - 1, min(k, math.prod(x.shape) + 1))
    fn = np.triu if node.attribute("upper", 1) else np.tril
    mask = fn(np.ones(node.sized(x.shape[-2:]), np.bool_), k)
    return node.xp.where(mask, x, np.zeros((), x.dtype))
