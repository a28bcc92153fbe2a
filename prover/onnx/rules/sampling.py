"""Ops that sample images at computed places: grids, regions, deformed kernels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, rule
from prover.onnx.rules.convolution import pads_of, window

CUBIC = -0.75


def _reflected(x: Any, low: float, high: float) -> Any:
    """Folded back at the borders until it lies between them."""
    span = high - low
    if span <= 0:
        return jnp.zeros_like(x) + low
    away = jnp.abs(x - low)
    turns = jnp.floor(away / span)
    rest = away - turns * span
    return jnp.where(turns % 2 == 0, low + rest, high - rest)


def _cubic(t: Any) -> list[Any]:
    """Weights of the elements at -1, 0, 1, 2 from the base."""

    def near(d: Any) -> Any:
        return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1

    def far(d: Any) -> Any:
        return ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def sampled(x: Any, places: Sequence[Any], taps: Callable[[Any], list[tuple[Any, Any]]], fit: Any) -> list[Any]:
    """Weighted neighbours of ``places`` (per spatial dimension (batch, points)) in ``x`` (batch, channels, ...).

    ``taps(coordinate)``: the neighbours and their weights; ``fit(index, dimension)``: an index inside, and whether it counts.
    """
    sizes = x.shape[2:]
    flat = x.reshape(*x.shape[:2], -1)
    found = []
    for combination in itertools.product(*(taps(place) for place in places)):
        index: Any = 0
        weight: Any = 1
        for d, (neighbour, share) in enumerate(combination):
            inside, counts = fit(neighbour, d)
            index = index * sizes[d] + inside.astype(jnp.int32)
            weight = weight * (share if counts is None else jnp.where(counts, share, 0))
        values = jnp.take_along_axis(flat, index[:, None, :], axis=2, mode="clip")
        found.append(values * (weight[:, None, :] if getattr(weight, "ndim", 0) else weight))
    return found


def linear_taps(place: Any) -> list[tuple[Any, Any]]:
    base = jnp.floor(place)
    return [(base, 1 - (place - base)), (base + 1, place - base)]


@rule("GridSample")
def _grid_sample(node: OnnxNode) -> Any:
    x, grid = jnp.asarray(node[0]), jnp.asarray(node[1])
    count = x.ndim - 2
    if count < 1 or grid.ndim != x.ndim or grid.shape[-1] != count or grid.shape[0] != x.shape[0]:
        raise node.error(f"a grid of shape {list(grid.shape)} does not fit {list(x.shape)}")
    mode, padding, corners = node.attribute("mode"), node.attribute("padding_mode"), node.attribute("align_corners")
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    if mode not in ("nearest", "linear", "cubic") or padding not in ("zeros", "border", "reflection"):
        raise node.error(f"mode {mode!r} with padding {padding!r} does not exist")
    sizes = x.shape[2:]
    node.sized((*x.shape[:2], *grid.shape[1:-1]))
    points = grid.reshape(grid.shape[0], -1, count)[..., ::-1]
    borders = [(0.0, n - 1.0) if corners else (-0.5, n - 0.5) for n in sizes]

    def settle(place: Any, d: int) -> Any:
        if padding == "border":
            return jnp.clip(place, 0, sizes[d] - 1)
        return _reflected(place, *borders[d]) if padding == "reflection" else place

    places = []
    for d, n in enumerate(sizes):
        place = (points[..., d] + 1) / 2 * (n - 1) if corners else ((points[..., d] + 1) * n - 1) / 2
        place = jnp.round(place) if mode == "nearest" else place
        places.append(settle(place, d) if mode != "cubic" else place)

    def taps(place: Any) -> list[tuple[Any, Any]]:
        if mode == "nearest":
            return [(jnp.round(place), np.ones((), np.float32))]
        if mode == "linear":
            return linear_taps(place)
        base = jnp.floor(place)
        return [(base + j - 1, weight) for j, weight in enumerate(_cubic(place - base))]

    def fit(index: Any, d: int) -> tuple[Any, Any]:
        settled = settle(index, d)
        counts = (index >= 0) & (index <= sizes[d] - 1) if padding == "zeros" else None
        return jnp.clip(settled, 0, sizes[d] - 1), counts

    parts = sampled(x, places, taps, fit)
    return sum(parts[1:], parts[0]).astype(x.dtype).reshape(*x.shape[:2], *grid.shape[1:-1])


@rule("RoiAlign")
def _roi_align(node: OnnxNode) -> Any:
    """Regions must be known where the number of samples depends on them (sampling_ratio 0)."""
    x, ratio = jnp.asarray(node[0]), int(node.attribute("sampling_ratio"))
    mode = node.attribute("mode")
    rois: Any = node.constant(1) if ratio == 0 else jnp.asarray(node[1])
    rows, columns = int(node.attribute("output_height")), int(node.attribute("output_width"))
    kind = node.attribute(
        "coordinate_transformation_mode", "output_half_pixel" if node.step.opset < 16 else "half_pixel"
    )
    if mode not in ("avg", "max") or rois.ndim != 2 or rois.shape[1] != 4 or min(rows, columns) < 1:
        raise node.error(f"mode {mode!r}, regions of shape {list(rois.shape)}, output {rows} by {columns} do not fit")
    xp = np if ratio == 0 else jnp
    scaled = rois * np.float32(node.attribute("spatial_scale")) - np.float32(0.5 if kind == "half_pixel" else 0)
    left, top, right, bottom = (scaled[:, j] for j in range(4))
    wide, high = right - left, bottom - top
    if kind != "half_pixel":
        wide, high = xp.maximum(wide, 1), xp.maximum(high, 1)
    axes = []
    for start, length, out in ((top, high, rows), (left, wide, columns)):
        size = length / out
        counts = np.maximum(np.ceil(size), 1).astype(np.int64) if ratio == 0 else np.full(rois.shape[0], max(1, ratio))
        most = int(counts.max()) if counts.size else 1
        node.sized((rois.shape[0], out, most))
        sample = np.arange(most)[None, None, :]
        place = start[:, None, None] + size[:, None, None] * (
            np.arange(out)[None, :, None] + (sample + np.float32(0.5)) / counts[:, None, None]
        ).astype(np.float32)
        axes.append((place, np.broadcast_to(sample < counts[:, None, None], (len(counts), out, most)), counts))
    (y, used_y, count_y), (z, used_z, count_z) = axes
    shape = (rois.shape[0], rows, columns, y.shape[2], z.shape[2])
    node.sized((x.shape[1], *shape))
    ys = xp.broadcast_to(y[:, :, None, :, None], shape).reshape(shape[0], -1)
    zs = xp.broadcast_to(z[:, None, :, None, :], shape).reshape(shape[0], -1)
    used = (used_y[:, :, None, :, None] & used_z[:, None, :, None, :]).reshape(shape[0], 1, -1)
    inside = (ys >= -1) & (ys <= x.shape[2]) & (zs >= -1) & (zs <= x.shape[3])
    chosen = jnp.take(x, node[2], axis=0, mode="clip")
    settled = [jnp.clip(place, 0, n - 1) for place, n in ((ys, x.shape[2]), (zs, x.shape[3]))]

    def fit(index: Any, d: int) -> tuple[Any, Any]:
        return jnp.clip(index, 0, x.shape[2 + d] - 1), None

    parts = [jnp.where(inside[:, None, :], part, 0) for part in sampled(chosen, settled, linear_taps, fit)]
    split = (shape[0], x.shape[1], rows, columns, -1)
    if mode == "max":
        best = jnp.where(used, jnp.maximum(jnp.maximum(parts[0], parts[1]), jnp.maximum(parts[2], parts[3])), -np.inf)
        return best.reshape(split).max(-1)
    total = jnp.where(used, sum(parts[1:], parts[0]), 0).reshape(split).sum(-1)
    return total * (1 / (count_y * count_z)).astype(x.dtype)[:, None, None, None]


@rule("DeformConv")
def _deform_conv(node: OnnxNode) -> Any:
    """A convolution whose every tap is moved by an offset and weighted by a mask; two spatial dimensions."""
    x, w, offset = jnp.asarray(node[0]), jnp.asarray(node[1]), jnp.asarray(node[2])
    if x.ndim != 4:
        raise node.unsupported(f"an input of rank {x.ndim} is out of scope; two spatial dimensions are supported")
    group, sets = int(node.attribute("group")), int(node.attribute("offset_group"))
    kernel = tuple(w.shape[2:])
    strides, dilations = window(node, "strides", 2), window(node, "dilations", 2)
    pads = pads_of(node, x.shape[2:], kernel, strides, dilations)
    taps, (rows, columns) = math.prod(kernel), offset.shape[2:]
    batch, channels = x.shape[:2]
    if group < 1 or sets < 1 or channels % sets or channels != w.shape[1] * group or offset.shape[1] != 2 * sets * taps:
        raise node.error(f"kernel {list(w.shape)} and offsets {list(offset.shape)} do not fit {list(x.shape)}")
    node.sized((batch, channels, taps, rows, columns))
    moved = offset.reshape(batch, sets, *kernel, 2, rows, columns)
    places = []
    for d, (n, size) in enumerate(zip((rows, columns), kernel, strict=True)):
        shape = [1, 1, 1, 1, 1, 1]
        shape[2 + d] = size
        tap = (np.arange(size, dtype=np.float32) * dilations[d] - pads[d][0]).reshape(shape)
        shape = [1, 1, 1, 1, 1, 1]
        shape[4 + d] = n
        step = (np.arange(n, dtype=np.float32) * strides[d]).reshape(shape)
        places.append((moved[:, :, :, :, d] + tap + step).reshape(batch * sets, -1))

    def fit(index: Any, d: int) -> tuple[Any, Any]:
        last = x.shape[2 + d] - 1
        return jnp.clip(index, 0, last), (index >= 0) & (index <= last)

    parts = sampled(x.reshape(batch * sets, channels // sets, *x.shape[2:]), places, linear_taps, fit)
    values = sum(parts[1:], parts[0]).reshape(batch, sets, channels // sets, taps, rows, columns)
    if node.has(4):
        values = values * jnp.asarray(node[4]).reshape(batch, sets, 1, taps, rows, columns)
    values = values.reshape(batch, group, channels // group, taps, rows, columns)
    y = jnp.einsum("bgctrs,gmct->bgmrs", values, w.reshape(group, w.shape[0] // group, w.shape[1], taps))
    y = y.reshape(batch, w.shape[0], rows, columns)
    return y + node[3].reshape(1, -1, 1, 1) if node.has(3) else y
