"""Arrays over variables (see ``access``), and the read that works for any coordinates: by computed positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from rollup.form.affine import span
from rollup.form.ops import Access

Scalars = Mapping[int, jax.Array | int]
"""Variables that have one (possibly traced) value: the iteration, and domain variables that are looped over."""


@dataclass(frozen=True)
class Derived:
    """An array [claims or 1, extents of ``used``...]; a constant's while it is prepared is NumPy's, every other JAX's."""

    used: tuple[int, ...]
    array: Any

    def spread(self, order: Sequence[int]) -> jax.Array:
        """The same array with one axis per variable of ``order`` (ascending, a superset of ``used``)."""
        sizes = dict(zip(self.used, self.array.shape[1:], strict=True))
        spread: jax.Array = self.array.reshape([self.array.shape[0], *(sizes.get(var, 1) for var in order)])
        return spread


def holding(dtype: np.dtype, fill: int) -> np.dtype:
    """``dtype`` if the fill fits it, else int64."""
    limits = np.iinfo(dtype)
    return dtype if limits.min <= fill <= limits.max else np.dtype(np.int64)


def _grid(used: Sequence[int], sizes: Mapping[int, int], var: int, dtype: jnp.dtype) -> jax.Array:
    """The variable's values along its axis of a derived array's trailing axes."""
    shape = [sizes[v] if v == var else 1 for v in used]
    return lax.broadcasted_iota(dtype, shape, list(used).index(var)) if shape else jnp.zeros([], dtype)


def coordinate(
    offset: int, row: Mapping[int, int], used: Sequence[int], sizes: Mapping[int, int], scalars: Scalars
) -> jax.Array:
    """int64 [1, extents of used or 1...]: the affine coordinate."""
    total = jnp.full([1] * len(used), offset, jnp.int64)
    for var, coef in row.items():
        at = jnp.asarray(scalars[var], jnp.int64) if var in scalars else _grid(used, sizes, var, jnp.int64)
        total = total + at * coef
    return total[None]


def gather(
    source: jax.Array,
    access: Access,
    sizes: Mapping[int, int],
    scalars: Scalars,
    index: Derived | None,
    table: Sequence[Mapping[int, int]],
    used: tuple[int, ...],
) -> Derived:
    """Read by computed positions; what lies outside is replaced by ``fill``."""
    position = jnp.zeros([1] * (1 + len(used)), jnp.int64)
    valid: jax.Array | None = None
    for d, (offset, row, size) in enumerate(zip(access.offsets, table, access.shape, strict=True)):
        at = coordinate(offset, row, used, sizes, scalars)
        low, high = span(offset, row, sizes)
        if index is not None and access.indirect is not None and access.indirect[0] == d:
            at = at + index.spread(used)
            low = -1
        if low < 0 or high >= size:
            here = (at >= 0) & (at < size)
            valid = here if valid is None else valid & here
            at = jnp.clip(at, 0, size - 1)
        position = position * size + at
    array = take(source.reshape(source.shape[0], -1), position)
    if valid is not None:
        dtype = holding(source.dtype, access.fill)
        array = jnp.where(valid, array.astype(dtype), jnp.asarray(access.fill, dtype))
    shape = [array.shape[0], *(sizes[var] for var in used)]
    return Derived(used, jnp.broadcast_to(array, shape))


def take(flat: jax.Array, position: jax.Array) -> jax.Array:
    """``flat`` [claims or 1, n] at ``position`` [claims or 1, ...], all positions inside."""
    claims, size = flat.shape
    if claims * size < 1 << 31:
        position = position.astype(jnp.int32)
    if position.shape[0] == 1:
        return jnp.take(flat, position[0], axis=1, mode="clip")
    if claims > 1:
        start = jnp.arange(claims, dtype=position.dtype) * size
        position = position + start.reshape([-1] + [1] * (position.ndim - 1))
    return jnp.take(flat.reshape(-1), position, mode="clip")
