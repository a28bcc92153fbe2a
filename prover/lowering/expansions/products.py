"""Reductions by other than sums and extremes: logarithmically many steps, each calibrated by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from prover.lowering.expansions.table import expansion
from rollup.errors import UnsupportedError

Combine = Callable[[Any, Any], Any]

MOST_POSITIONS = 64
"""Positions of a window that is reduced by a function of its own."""


def _over(x: Any, axes: Sequence[int], combine: Combine) -> Any:
    """``combine`` over the axes, halving their length with every step."""
    kept = [d for d in range(x.ndim) if d not in axes]
    x = jnp.transpose(x, (*axes, *kept)).reshape(-1, *(x.shape[d] for d in kept))
    while (n := x.shape[0]) > 1:
        half = n // 2
        paired = combine(x[:half], x[half : 2 * half])
        x = jnp.concatenate([paired, x[2 * half :]], 0) if n % 2 else paired
    return x[0]


def _joined(jaxpr: Any, parts: Sequence[Sequence[Any]], inits: Sequence[Any]) -> list[Any]:
    """Tuples of arrays combined element by element with a reduction's own scalar function, and with what it starts from."""
    call = core.jaxpr_as_fun(jaxpr)
    shape = parts[0][0].shape

    def combine(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
        flat = jax.vmap(call)(*(x.reshape(-1) for x in (*left, *right)))
        return [x.reshape(shape) for x in flat]

    rows = [list(part) for part in parts]
    while len(rows) > 1:
        rows = [
            combine(*pair) if len(pair) == 2 else pair[0] for pair in (rows[j : j + 2] for j in range(0, len(rows), 2))
        ]
    return combine([jnp.broadcast_to(init, shape) for init in inits], rows[0])


@expansion("reduce")
def reduce(*operands: Any, jaxpr: Any, dimensions: Sequence[int], **_: Any) -> list[Any]:
    arrays, inits = operands[: len(operands) // 2], operands[len(operands) // 2 :]
    moved = [jnp.moveaxis(x, dimensions, range(len(dimensions))) for x in arrays]
    count = math.prod(moved[0].shape[: len(dimensions)])
    _few(count)
    flat = [x.reshape(count, *x.shape[len(dimensions) :]) for x in moved]
    return _joined(jaxpr, [[x[j] for x in flat] for j in range(count)], inits)


@expansion("reduce_window")
def reduce_window(
    *operands: Any,
    jaxpr: Any,
    consts: Sequence[Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
    **_: Any,
) -> list[Any]:
    arrays, inits = operands[: len(operands) // 2], operands[len(operands) // 2 :]
    _few(math.prod(window_dimensions))
    config = [(low, high, step - 1) for (low, high), step in zip(padding, base_dilation, strict=True)]
    padded = [lax.pad(x, jnp.asarray(init), config) for x, init in zip(arrays, inits, strict=True)]
    reach = [(w - 1) * step for w, step in zip(window_dimensions, window_dilation, strict=True)]
    parts = []
    for place in np.ndindex(*window_dimensions):
        first = [at * step for at, step in zip(place, window_dilation, strict=True)]
        last = [n - r + f for n, r, f in zip(padded[0].shape, reach, first, strict=True)]
        parts.append([lax.slice(x, first, last, tuple(window_strides)) for x in padded])
    return _joined(core.ClosedJaxpr(jaxpr, list(consts)), parts, inits)


def _few(count: int) -> None:
    if count > MOST_POSITIONS:
        raise UnsupportedError(
            f"it combines {count} elements with a function of its own; combine up to {MOST_POSITIONS}, or use sums and extremes"
        )


@expansion("reduce_prod")
def reduce_prod(x: Any, *, axes: Sequence[int], **_: Any) -> Any:
    return _over(x, axes, lax.mul)


def _bitwise(name: str, combine: Combine) -> None:
    @expansion(name)
    def expand(x: Any, *, axes: Sequence[int], **_: Any) -> Any:
        if x.dtype == np.bool_ and name != "reduce_xor":
            return (jnp.all if name == "reduce_and" else jnp.any)(x, axis=tuple(axes))
        return _over(x, axes, combine)


_bitwise("reduce_and", lax.bitwise_and)
_bitwise("reduce_or", lax.bitwise_or)
_bitwise("reduce_xor", lax.bitwise_xor)


def _running(x: Any, axis: int, reverse: bool, combine: Combine) -> Any:
    """Running ``combine``: after each step an element covers twice as many."""
    x = jnp.moveaxis(x, axis, 0)
    x = x[::-1] if reverse else x
    step = 1
    while step < x.shape[0]:
        x = jnp.concatenate([x[:step], combine(x[:-step], x[step:])], 0)
        step *= 2
    return jnp.moveaxis(x[::-1] if reverse else x, 0, axis)


@expansion("cumprod")
def cumprod(x: Any, *, axis: int, reverse: bool) -> Any:
    return _running(x, axis, reverse, lax.mul)


@expansion("cumlogsumexp")
def cumlogsumexp(x: Any, *, axis: int, reverse: bool) -> Any:
    return _running(x, axis, reverse, _log_add)


def _log_add(a: Any, b: Any) -> Any:
    return jnp.maximum(a, b) + jnp.log1p(jnp.exp(-jnp.abs(a - b)))
