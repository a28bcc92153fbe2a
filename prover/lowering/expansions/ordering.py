"""Order: sort and top_k by counting, for each element, how many come before it. Exact and stable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.lowering.expansions.table import expansion
from rollup.errors import UnsupportedError

LONGEST_SORT = 256
"""Elements along a sorted axis: all pairs of them are compared."""

MOST_PICKED = 64
"""Elements that top_k takes from a longer axis, one arg-max each."""


@expansion("sort")
def sort(*operands: Any, dimension: int, num_keys: int, **_: Any) -> list[Any]:
    n = operands[0].shape[dimension]
    if n > LONGEST_SORT:
        raise UnsupportedError(
            f"it sorts {n} elements by comparing all pairs; sort up to {LONGEST_SORT}, or use top_k or arg-max"
        )
    moved = [jnp.moveaxis(x, dimension, -1) for x in operands]
    order = _order(_ranks(moved[:num_keys], lax.lt), n)
    return [jnp.moveaxis(_taken(x, order), -1, dimension) for x in moved]


@expansion("top_k")
def top_k(x: Any, *, k: int, axis: int = -1, **_: Any) -> list[Any]:
    moved = jnp.moveaxis(x, axis, -1)
    if moved.shape[-1] <= LONGEST_SORT:
        order = _order(_ranks([moved], lax.gt), k)
    elif k <= MOST_PICKED:
        order = _picked(moved, k)
    else:
        raise UnsupportedError(
            f"it takes {k} of {moved.shape[-1]} elements; take up to {MOST_PICKED}, or any number of up to {LONGEST_SORT}"
        )
    return [jnp.moveaxis(y, -1, axis) for y in (_taken(moved, order), order)]


@expansion("approx_top_k")
def approx_top_k(x: Any, *, k: int, reduction_dimension: int, is_max_k: bool, **_: Any) -> list[Any]:
    values, order = lax.top_k(x if is_max_k else -x, k, axis=reduction_dimension)
    return [values if is_max_k else -values, order]


def _taken(x: Any, order: Any) -> Any:
    return jnp.take_along_axis(x, order, -1, mode="promise_in_bounds")


def _ranks(keys: Sequence[Any], before: Any) -> Any:
    """rank[..., i]: how many elements k of the last axis come before element i; among equals the earlier one."""
    n = keys[0].shape[-1]
    first = np.broadcast_to(np.arange(n)[None, :] < np.arange(n)[:, None], (*keys[0].shape, n))
    for key in reversed(keys):
        other, own = (jnp.broadcast_to(key[at], first.shape) for at in ((..., None, slice(None)), (..., None)))
        first = before(other, own) | ((other == own) & first)
    return jnp.sum(first, -1, dtype=np.int32)


def _order(rank: Any, count: int) -> Any:
    """order[..., r]: the element whose rank is r."""
    return lax.argmax(rank[..., None, :] == np.arange(count, dtype=np.int32)[:, None], rank.ndim, np.int32)


def _picked(x: Any, count: int) -> Any:
    """order[..., r] by an arg-max each; what was taken counts as smaller than anything else."""
    if jnp.issubdtype(x.dtype, jnp.integer) and x.dtype.itemsize < 4:
        x = x.astype(np.int32)
    lowest = jnp.min(x, -1, keepdims=True) - 1
    places = lax.broadcasted_iota(np.int32, x.shape, x.ndim - 1)
    found = []
    for _ in range(count):
        found.append(lax.argmax(x, x.ndim - 1, np.int32))
        x = jnp.where(places == found[-1][..., None], lowest, x)
    return jnp.stack(found, -1)
