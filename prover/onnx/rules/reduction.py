"""Reductions over axes, cumulative sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, rule

AXES_INPUT = {"ReduceSum": 13}
"""The opset since which axes are an input; 18 for all others."""


def _axes(node: OnnxNode, rank: int) -> tuple[int, ...]:
    if node.step.opset >= AXES_INPUT.get(node.step.op, 18):
        axes = node.integers(1) if node.has(1) else ()
        if not axes and node.attribute("noop_with_empty_axes"):
            return ()
    else:
        axes = node.attribute("axes") or ()
    return node.axes(axes, rank) if axes else tuple(range(rank))


def _same(xp: Any, x: Any) -> Any:
    return x


def _reduction(op: str, reduce: Callable[..., Any], before: Callable[[Any, Any], Any] = _same) -> None:
    @rule(op)
    def apply(node: OnnxNode) -> Any:
        xp, x = node.xp, node[0]
        axes = _axes(node, x.ndim)
        y = before(xp, x)
        if not axes:
            return y if op not in _AFTER else reduce(xp, y, (), True).astype(x.dtype)
        return reduce(xp, y, axes, bool(node.attribute("keepdims"))).astype(x.dtype)


_AFTER = ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp")


def _sum(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return xp.sum(x, axis=axes, keepdims=keep)


def _mean(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    if x.dtype.kind in "iu":
        return xp.sum(x, axis=axes, keepdims=keep) // max(1, int(np.prod([x.shape[a] for a in axes])))
    return xp.mean(x, axis=axes, keepdims=keep)


def _extreme(name: str) -> Callable[..., Any]:
    def reduce(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
        """Of nothing: the identity, infinite for floats."""
        if x.dtype.kind == "b":
            return (xp.any if name == "max" else xp.all)(x, axis=axes, keepdims=keep)
        sign = -1 if name == "max" else 1
        initial: float
        if x.dtype.kind in "iu":
            info = np.iinfo(x.dtype)
            initial = info.min if sign < 0 else info.max
        else:
            initial = sign * np.inf
        if all(x.shape):
            return getattr(xp, name)(x, axis=axes, keepdims=keep)
        return getattr(xp, name)(x, axis=axes, keepdims=keep, initial=initial)

    return reduce


def _log_sum_exp(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    if not all(x.shape):
        return xp.log(xp.sum(x, axis=axes, keepdims=keep))
    return jax.nn.logsumexp(jnp.asarray(x), axis=axes, keepdims=keep)


_reduction("ReduceSum", _sum)
_reduction("ReduceMean", _mean)
_reduction("ReduceMax", _extreme("max"))
_reduction("ReduceMin", _extreme("min"))
_reduction("ReduceProd", lambda xp, x, axes, keep: xp.prod(x, axis=axes, keepdims=keep))
_reduction("ReduceL1", _sum, lambda xp, x: xp.abs(x))
_reduction("ReduceSumSquare", _sum, lambda xp, x: x * x)
_reduction("ReduceL2", lambda xp, x, axes, keep: xp.sqrt(_sum(xp, x, axes, keep)), lambda xp, x: x * x)
_reduction("ReduceLogSum", lambda xp, x, axes, keep: xp.log(_sum(xp, x, axes, keep)))
_reduction("ReduceLogSumExp", _log_sum_exp)


@rule("CumSum", "CumProd")
def _cumulative(node: OnnxNode) -> Any:
    x = node[0]
    axis = node.axis(node.integer(1), x.ndim)
    total = node.step.op == "CumSum"
    if node.attribute("reverse"):
        x = node.xp.flip(x, axis)
    if node.attribute("exclusive"):
        start = (node.xp.zeros_like if total else node.xp.ones_like)(x[(slice(None),) * axis + (slice(0, 1),)])
        x = node.xp.concatenate([start, x[(slice(None),) * axis + (slice(0, -1),)]], axis)
    y = (node.xp.cumsum if total else node.xp.cumprod)(x, axis=axis).astype(x.dtype)
    return node.xp.flip(y, axis) if node.attribute("reverse") else y
