"""Pooling: maximum, average, p-norm; local, global; and its inverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, canonical, rule
from prover.onnx.rules.convolution import pads_of, window

MOST_WORK = 1 << 30
"""Elements of all windows of a channel together."""


@dataclass(frozen=True)
class Window:
    """Where a pooling looks: per spatial dimension."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    declared: tuple[tuple[int, int], ...]
    """Padding without what ceil_mode adds."""
    sizes: tuple[int, ...]
    out: tuple[int, ...]

    def places(self, d: int) -> np.ndarray[Any, Any]:
        """Coordinates in the unpadded input: (out, kernel)."""
        starts = np.arange(self.out[d])[:, None] * self.strides[d] - self.pads[d][0]
        return starts + np.arange(self.kernel[d])[None, :] * self.dilations[d]


def looked_at(node: OnnxNode, sizes: Sequence[int]) -> Window:
    count = len(sizes)
    if count < 1:
        raise node.error("its input has no spatial dimension")
    kernel = window(node, "kernel_shape", count)
    strides, dilations = window(node, "strides", count), window(node, "dilations", count)
    declared = pads_of(node, sizes, kernel, strides, dilations)
    same = node.attribute("auto_pad", "NOTSET").startswith("SAME")
    pads, out = [], []
    for n, k, s, d, (low, high) in zip(sizes, kernel, strides, dilations, declared, strict=True):
        reach = (k - 1) * d + 1
        room = n + low + high - reach
        if room < 0 or low < 0 or high < 0:
            raise node.error(f"a window of {reach} does not fit into {n} elements padded by {low} and {high}")
        steps = room // s + 1
        if node.attribute("ceil_mode", 0) and not same:
            steps = -(-room // s) + 1
            if (steps - 1) * s >= n + low:
                steps -= 1
        pads.append((low, max(high, (steps - 1) * s + reach - n - low)))
        out.append(steps)
    if math.prod(out) * math.prod(kernel) > MOST_WORK:
        raise node.error(f"windows of {list(kernel)} at {list(out)} places are refused; that is too much work")
    return Window(kernel, strides, dilations, tuple(pads), tuple(declared), tuple(sizes), tuple(out))


def reduced(x: Any, seen: Window, initial: Any, fn: Any) -> Any:
    lead = (1, 1)
    return lax.reduce_window(
        jnp.asarray(x),
        np.asarray(initial, x.dtype)[()],
        fn,
        (*lead, *seen.kernel),
        (*lead, *seen.strides),
        ((0, 0), (0, 0), *seen.pads),
        window_dilation=(*lead, *seen.dilations),
    )


def lowest(dtype: Any) -> Any:
    return -np.inf if np.dtype(dtype).kind not in "iu" else np.iinfo(dtype).min


@rule("MaxPool")
def _max_pool(node: OnnxNode) -> Any:
    x = node[0]
    seen = looked_at(node, x.shape[2:])
    node.sized((*x.shape[:2], *seen.out))
    if not node.wants(1):
        return reduced(x, seen, lowest(x.dtype), lax.max)
    flat, inside = _taps(seen)
    node.sized((*x.shape[:2], *flat.shape))
    values = jnp.asarray(x).reshape(*x.shape[:2], -1)[:, :, flat]
    values = jnp.where(inside, values, np.asarray(lowest(x.dtype), x.dtype))
    best = jnp.argmax(values, axis=-1)
    if node.attribute("storage_order"):
        flat = _column_major(flat, seen.sizes)
    place = jnp.take_along_axis(jnp.asarray(flat)[None, None], best[..., None], axis=-1)[..., 0]
    plane = np.arange(math.prod(x.shape[:2]), dtype=np.int32).reshape(*x.shape[:2], 1) * math.prod(seen.sizes)
    shape = (*x.shape[:2], *seen.out)
    return values.max(-1).reshape(shape), (place + plane).astype(canonical(np.int64)).reshape(shape)


def _taps(seen: Window) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """For every place and tap (places, taps): the flat index into the spatial dimensions, and whether it is inside."""
    count = len(seen.sizes)
    flat = np.zeros((1,) * (2 * count), np.int32)
    inside = np.ones((1,) * (2 * count), np.bool_)
    for d, n in enumerate(seen.sizes):
        shape = [1] * (2 * count)
        shape[d], shape[count + d] = seen.out[d], seen.kernel[d]
        own = seen.places(d).reshape(shape)
        flat = flat * n + np.clip(own, 0, n - 1).astype(np.int32)
        inside = inside & (own >= 0) & (own < n)
    shape = [math.prod(seen.out), math.prod(seen.kernel)]
    return flat.reshape(shape), inside.reshape(shape)


def _column_major(flat: np.ndarray[Any, Any], sizes: Sequence[int]) -> np.ndarray[Any, Any]:
    parts = np.unravel_index(flat, sizes)
    return np.ravel_multi_index(parts[::-1], tuple(sizes)[::-1]).astype(np.int32)


@rule("AveragePool")
def _average_pool(node: OnnxNode) -> Any:
    x = node[0]
    seen = looked_at(node, x.shape[2:])
    node.sized((*x.shape[:2], *seen.out))
    total = reduced(x, seen, 0, lax.add)
    count = np.ones((1,) * len(seen.sizes))
    for d, n in enumerate(seen.sizes):
        low, high = seen.declared[d] if node.attribute("count_include_pad", 0) else (0, 0)
        places = seen.places(d)
        own = ((places >= -low) & (places < n + high)).sum(1)
        count = count * own.reshape([-1 if e == d else 1 for e in range(len(seen.sizes))])
    count = count.reshape(-1)[:1].reshape(()) if (count == count.reshape(-1)[0]).all() else count
    return total * (1 / np.maximum(count, 1)).astype(x.dtype)


@rule("LpPool")
def _lp_pool(node: OnnxNode) -> Any:
    x, p = node[0], node.attribute("p")
    seen = looked_at(node, x.shape[2:])
    node.sized((*x.shape[:2], *seen.out))
    return rooted(reduced(powered(x, p), seen, 0, lax.add), p)


def powered(x: Any, p: int) -> Any:
    if p < 1:
        raise ValueError(f"a norm of order {p} does not exist")
    return jnp.abs(x) if p == 1 else jnp.square(x) if p == 2 else lax.integer_pow(jnp.abs(x), int(p))


def rooted(x: Any, p: int) -> Any:
    return x if p == 1 else jnp.sqrt(x) if p == 2 else jnp.power(x, np.asarray(1 / p, x.dtype))


def _spatial(node: OnnxNode) -> tuple[int, ...]:
    return tuple(range(2, len(node.shape())))


@rule("GlobalAveragePool")
def _global_average_pool(node: OnnxNode) -> Any:
    return jnp.mean(node[0], axis=_spatial(node), keepdims=True)


@rule("GlobalMaxPool")
def _global_max_pool(node: OnnxNode) -> Any:
    return jnp.max(node[0], axis=_spatial(node), keepdims=True)


@rule("GlobalLpPool")
def _global_lp_pool(node: OnnxNode) -> Any:
    p = node.attribute("p")
    return rooted(jnp.sum(powered(node[0], p), axis=_spatial(node), keepdims=True), p)


@rule("MaxUnpool")
def _max_unpool(node: OnnxNode) -> Any:
    """Values go back to where the pooling's indices say, in a tensor of the size that was pooled."""
    x, indices = jnp.asarray(node[0]), node[1]
    count = x.ndim - 2
    kernel, strides = window(node, "kernel_shape", count), window(node, "strides", count)
    pads = node.attribute("pads") or (0,) * (2 * count)
    natural = (
        *x.shape[:2],
        *(
            (n - 1) * s - pads[j] - pads[j + count] + k
            for j, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
        ),
    )
    shape = node.sized(node.integers(2) if node.has(2) else natural)
    node.sized(natural)
    out = jnp.zeros(math.prod(natural), x.dtype).at[jnp.asarray(indices).reshape(-1)].set(x.reshape(-1), mode="drop")
    out = out.reshape(natural)
    if shape == natural:
        return out
    return lax.pad(out, np.zeros((), x.dtype)[()], [(0, m - n, 0) for n, m in zip(natural, shape, strict=True)])
