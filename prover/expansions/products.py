"""Products over an axis and running products: logarithmically many steps, each calibrated by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.expansions.table import expansion

Combine = Callable[[Any, Any], Any]


def _over(x: Any, axes: Sequence[int], combine: Combine) -> Any:
    """``combine`` over the axes, halving their length with every step."""
    kept = [d for d in range(x.ndim) if d not in axes]
    x = jnp.transpose(x, (*axes, *kept)).reshape(-1, *(x.shape[d] for d in kept))
    while (n := x.shape[0]) > 1:
        half = n // 2
        paired = combine(x[:half], x[half : 2 * half])
        x = jnp.concatenate([paired, x[2 * half :]], 0) if n % 2 else paired
    return x[0]


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
