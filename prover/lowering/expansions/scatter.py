"""Scatters: with constant indices a gather of the updates, else comparisons of every index with every position."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.lowering.expansions.table import expansion
from rollup.errors import UnsupportedError

MOST_COMPARED = 1 << 22
"""Comparisons (positions times indices) that one scatter may make, and elements that it may gather."""


@dataclass(frozen=True)
class ScatterKind:
    """How an update meets what is there; None: the last update replaces it.

    ``fold`` combines updates along an axis; ``neutral`` changes nothing there, None: counting an update twice changes nothing.
    """

    combine: Callable[[Any, Any], Any] | None
    fold: Callable[..., Any] | None
    neutral: int | None


KINDS = {
    "scatter": ScatterKind(None, None, None),
    "scatter-add": ScatterKind(lax.add, jnp.sum, 0),
    "scatter-sub": ScatterKind(lax.sub, jnp.sum, 0),
    "scatter-mul": ScatterKind(lax.mul, jnp.prod, 1),
    "scatter-min": ScatterKind(lax.min, jnp.min, None),
    "scatter-max": ScatterKind(lax.max, jnp.max, None),
}


@dataclass(frozen=True)
class Flat:
    """A scatter with one scattered axis in front: ``operand`` (positions, rest), ``updates`` (n, rest), ``index`` (n), -1 where dropped."""

    operand: Any
    index: Any
    updates: Any


def _scatter(name: str, kind: ScatterKind) -> None:
    @expansion(name)
    def expand(operand: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any, **_: Any) -> Any:
        axes, flat = _flattened(operand, indices, updates, dimension_numbers, mode)
        index = flat.index
        if isinstance(index, np.ndarray):
            result = _gathered(kind, flat, index)
        elif index.shape[0] == 1:
            hit = _aligned(index == np.arange(flat.operand.shape[0], dtype=np.int32), flat.operand)
            new = (
                flat.updates if kind.combine is None else kind.combine(flat.operand, _like(flat.updates, flat.operand))
            )
            result = jnp.where(hit, new, flat.operand)
        else:
            result = _compared(kind, flat)
        moved = result.reshape([operand.shape[d] for d in axes])
        return jnp.transpose(moved, np.argsort(axes).tolist())


for _name, _kind in KINDS.items():
    _scatter(_name, _kind)


def _like(x: Any, other: Any) -> Any:
    return jnp.broadcast_to(x, other.shape)


def _aligned(mask: Any, like: Any) -> Any:
    """A mask over leading axes, for an array with more of them."""
    return jnp.broadcast_to(mask.reshape(*mask.shape, *([1] * (like.ndim - mask.ndim))), like.shape)


def _flattened(operand: Any, indices: Any, updates: Any, numbers: Any, mode: Any) -> tuple[list[int], Flat]:
    """The order of the operand's axes, scattered ones first, and the scatter over them as one."""
    xp = np if isinstance(indices, np.ndarray) else jnp
    batching = list(numbers.operand_batching_dims)
    window = [d for d in range(operand.ndim) if d not in (*numbers.inserted_window_dims, *batching)]
    size = dict.fromkeys(range(operand.ndim), 1)
    size.update((d, updates.shape[u]) for d, u in zip(window, numbers.update_window_dims, strict=True))
    lead = indices.shape[:-1]
    starts = {d: indices[..., j].astype(np.int32) for j, d in enumerate(numbers.scatter_dims_to_operand_dims)}
    for d, at in zip(batching, numbers.scatter_indices_batching_dims, strict=True):
        along = np.arange(lead[at], dtype=np.int32).reshape([-1 if e == at else 1 for e in range(len(lead))])
        starts[d] = np.broadcast_to(along, lead)
    for d in window:
        if size[d] < operand.shape[d] and d not in starts:
            starts[d] = np.zeros(lead, np.int32)
    scattered = sorted(starts)
    rest = [d for d in range(operand.ndim) if d not in starts]
    position: Any = np.zeros((*lead, *([1] * len(scattered))), np.int32)
    valid: Any = np.ones(lead, np.bool_)
    stride = math.prod(operand.shape[d] for d in scattered)
    for j, d in enumerate(scattered):
        stride //= operand.shape[d]
        last = operand.shape[d] - size[d]
        start = xp.clip(starts[d], 0, last) if mode == lax.GatherScatterMode.CLIP else starts[d]
        valid = valid & (start >= 0) & (start <= last)
        offsets = np.arange(size[d], dtype=np.int32).reshape([-1 if e == j else 1 for e in range(len(scattered))])
        position = position + (start.reshape(*lead, *([1] * len(scattered))) + offsets) * np.int32(stride)
    index = xp.where(valid.reshape(*lead, *([1] * len(scattered))), position, np.int32(-1)).reshape(-1)
    batch = [u for u in range(updates.ndim) if u not in numbers.update_window_dims]
    where = dict(zip(window, numbers.update_window_dims, strict=True))
    order = [*batch, *(where[d] for d in scattered if d in where), *(where[d] for d in rest)]
    inner = [operand.shape[d] for d in rest]
    flat = Flat(
        jnp.transpose(operand, (*scattered, *rest)).reshape(-1, *inner),
        index,
        jnp.transpose(updates, order).reshape(-1, *inner),
    )
    return [*scattered, *rest], flat


def _bounded(count: int, flat: Flat) -> None:
    if count > MOST_COMPARED:
        raise UnsupportedError(
            f"{flat.operand.shape[0]} positions times {flat.index.shape[0]} updates are more than {MOST_COMPARED}; "
            "scatter fewer at a time, or gather instead"
        )


def _gathered(kind: ScatterKind, flat: Flat, index: np.ndarray) -> Any:
    """Every position gathers the updates that it gets, in their order."""
    hits: list[list[int]] = [[] for _ in range(flat.operand.shape[0])]
    for n, p in enumerate(index.tolist()):
        if p >= 0:
            hits[p].append(n)
    if kind.combine is None:
        hits = [found[-1:] for found in hits]
    depth = max(map(len, hits))
    if depth == 0:
        return flat.operand
    _bounded(depth * flat.operand.size, flat)
    spare = -1 if kind.neutral is not None else None
    sources = np.array(
        [[*found, *([found[0] if found and spare is None else -1] * (depth - len(found)))] for found in hits], np.int32
    )
    picked = jnp.take(flat.updates, np.maximum(sources, 0), axis=0, mode="clip")
    mask = _aligned(sources >= 0, picked)
    if kind.combine is None:
        return jnp.where(mask[:, 0], picked[:, 0], flat.operand)
    assert kind.fold is not None
    if kind.neutral is not None:
        picked = jnp.where(mask, picked, jnp.asarray(kind.neutral, picked.dtype))
    new = kind.combine(flat.operand, kind.fold(picked, axis=1).astype(flat.operand.dtype))
    return jnp.where(mask[:, 0], new, flat.operand)


def _compared(kind: ScatterKind, flat: Flat) -> Any:
    """Run-time indices: which update hits which position is a matrix of comparisons."""
    positions, count = flat.operand.shape[0], flat.index.shape[0]
    places = np.arange(positions, dtype=np.int32)[:, None]
    _bounded(positions * count, flat)
    hit = flat.index[None, :] == places
    if kind.combine is None:
        last = jnp.max(jnp.where(hit, np.arange(count, dtype=np.int32), np.int32(-1)), axis=1)
        new = jnp.take(flat.updates, jnp.maximum(last, 0), axis=0, mode="clip")
        return jnp.where(_aligned(last >= 0, flat.operand), new, flat.operand)
    if kind.fold is jnp.sum:
        total = jnp.tensordot(hit.astype(flat.updates.dtype), flat.updates, 1)
        return kind.combine(flat.operand, total.astype(flat.operand.dtype))
    assert kind.fold is not None
    _bounded(positions * flat.updates.size, flat)
    each = jnp.where(
        hit.reshape(positions, count, *([1] * (flat.updates.ndim - 1))),
        flat.updates[None],
        # An extreme of what is there already changes nothing.
        flat.operand[:, None] if kind.neutral is None else jnp.asarray(kind.neutral, flat.updates.dtype),
    )
    return kind.combine(flat.operand, kind.fold(each, axis=1))
