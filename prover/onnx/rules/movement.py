"""Ops that move elements: reshape, transpose, slice, concatenate, pad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, is_static, rule


@rule("Reshape")
def _reshape(node: OnnxNode) -> Any:
    """0 keeps a dimension (unless allowzero), -1 takes what is left."""
    x, wanted = node[0], list(node.integers(1))
    if not node.attribute("allowzero", 0):
        for d, n in enumerate(wanted):
            if n == 0 and d >= x.ndim:
                raise node.error(f"dimension {d} of {wanted} is to be kept, but the tensor has rank {x.ndim}")
        wanted = [x.shape[d] if n == 0 else n for d, n in enumerate(wanted)]
    if wanted.count(-1) > 1 or any(n < -1 for n in wanted):
        raise node.error(f"{wanted} is no shape")
    if -1 in wanted:
        rest = math.prod(n for n in wanted if n != -1)
        if not rest or x.size % rest:
            raise node.error(f"a tensor of shape {list(x.shape)} does not become {wanted}")
        wanted[wanted.index(-1)] = x.size // rest
    if math.prod(wanted) != x.size:
        raise node.error(f"a tensor of shape {list(x.shape)} does not become {wanted}")
    return node.xp.reshape(x, node.sized(wanted))


@rule("Flatten")
def _flatten(node: OnnxNode) -> Any:
    x, axis = node[0], node.attribute("axis")
    if not -x.ndim <= axis <= x.ndim:
        raise node.error(f"axis {axis} does not exist in a tensor of rank {x.ndim}")
    axis = axis + x.ndim if axis < 0 else axis
    return node.xp.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@rule("Transpose")
def _transpose(node: OnnxNode) -> Any:
    x = node[0]
    order = node.attribute("perm") or tuple(range(x.ndim))[::-1]
    return node.xp.transpose(x, node.axes(order, x.ndim))


def _listed_axes(node: OnnxNode) -> tuple[int, ...] | None:
    """Axes: an attribute before opset 13, an input since."""
    if node.step.opset < 13:
        axes = node.attribute("axes")
        return None if axes is None else tuple(axes)
    return node.integers(1) if node.has(1) else None


@rule("Squeeze")
def _squeeze(node: OnnxNode) -> Any:
    x, axes = node[0], _listed_axes(node)
    chosen = [d for d, n in enumerate(x.shape) if n == 1] if axes is None else node.axes(axes, x.ndim)
    for d in chosen:
        if x.shape[d] != 1:
            raise node.error(f"dimension {d} of {list(x.shape)} is not 1")
    return node.xp.reshape(x, [n for d, n in enumerate(x.shape) if d not in chosen])


@rule("Unsqueeze")
def _unsqueeze(node: OnnxNode) -> Any:
    x, axes = node[0], _listed_axes(node)
    if axes is None:
        raise node.error("its axes are missing")
    return node.xp.expand_dims(x, node.axes(axes, x.ndim + len(axes)))


@rule("Concat")
def _concat(node: OnnxNode) -> Any:
    parts = node.all
    axis = node.axis(node.attribute("axis"), parts[0].ndim)
    return node.xp.concatenate(parts, axis)


@rule("Split")
def _split(node: OnnxNode) -> Any:
    """Sizes: an attribute before opset 13, an input since; else equal parts, the last one smaller."""
    x, count = node[0], len(node.step.outputs)
    axis = node.axis(node.attribute("axis"), x.ndim)
    size = x.shape[axis]
    sizes: Sequence[int] | None = node.attribute("split")
    if node.step.opset >= 13 and node.has(1):
        sizes = node.integers(1)
    if sizes is None:
        wanted = node.attribute("num_outputs") or count
        if wanted != count:
            raise node.error(f"num_outputs is {wanted}, but the node has {count} outputs")
        part = -(-size // count)
        sizes = [min(part, max(0, size - part * j)) for j in range(count)]
    if len(sizes) != count or any(n < 0 for n in sizes) or sum(sizes) != size:
        raise node.error(f"{size} elements do not split into {list(sizes)} for {count} outputs")
    ends = np.cumsum(sizes)
    return [_cut(x, axis, int(end) - n, int(end), 1) for end, n in zip(ends, sizes, strict=True)]


def _cut(x: Any, axis: int, start: int, stop: int | None, step: int) -> Any:
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


@rule("Slice", since=10)
def _slice(node: OnnxNode) -> Any:
    starts, ends = node.integers(1), node.integers(2)
    axes = node.integers(3) if node.has(3) else tuple(range(len(starts)))
    steps = node.integers(4) if node.has(4) else (1,) * len(starts)
    return _sliced(node, starts, ends, axes, steps)


@rule("Slice")
def _slice_1(node: OnnxNode) -> Any:
    starts, ends = node.attribute("starts"), node.attribute("ends")
    axes = node.attribute("axes") or tuple(range(len(starts)))
    return _sliced(node, starts, ends, axes, (1,) * len(starts))


def _sliced(
    node: OnnxNode, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Sequence[int]
) -> Any:
    x = node[0]
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise node.error(
            f"{len(starts)} starts, {len(ends)} ends, {len(axes)} axes and {len(steps)} steps do not match"
        )
    cuts = [slice(None)] * x.ndim
    for axis, start, end, step in zip(node.axes(axes, x.ndim), starts, ends, steps, strict=True):
        n = x.shape[axis]
        if not step:
            raise node.error("a step is zero")
        if step > 0:
            first, last = (min(max(v + n if v < 0 else v, 0), n) for v in (start, end))
            cuts[axis] = slice(first, max(first, last), min(step, n + 1))
        else:
            first = min(max(start + n if start < 0 else start, -1), n - 1)
            last = min(max(end + n if end < 0 else end, -1), n - 1)
            cuts[axis] = slice(0, 0) if last >= first else slice(first, None if last < 0 else last, max(step, -n - 1))
    return x[tuple(cuts)]


def padded(node: OnnxNode, x: Any, pads: Sequence[tuple[int, int]], mode: str, value: Any) -> Any:
    """Pad; negative amounts cut off."""
    node.sized([max(0, n + low + high) for n, (low, high) in zip(x.shape, pads, strict=True)])
    for axis, (low, high) in enumerate(pads):
        if low < 0 or high < 0:
            if max(0, -low) + max(0, -high) > x.shape[axis]:
                raise node.error(f"dimension {axis} of {list(x.shape)} is cut by more than it has")
            x = _cut(x, axis, max(0, -low), x.shape[axis] - max(0, -high), 1)
    amounts = [(max(0, low), max(0, high)) for low, high in pads]
    if mode == "constant":
        if node.static or is_static(value):
            return node.xp.pad(x, amounts, constant_values=value)
        inside = np.pad(np.ones(x.shape, np.bool_), amounts)
        return jnp.where(inside, jnp.pad(x, amounts), value)
    if mode not in ("reflect", "edge", "wrap"):
        raise node.error(f"the mode {mode!r} does not exist")
    return node.xp.pad(x, amounts, mode=mode)


@rule("Pad")
def _pad(node: OnnxNode) -> Any:
    """Amounts and value: attributes before opset 11, inputs since."""
    x = node[0]
    value: Any = np.zeros((), x.dtype)
    if node.step.opset < 11:
        pads, axes = node.attribute("pads"), tuple(range(x.ndim))
        value = np.asarray(node.attribute("value"), x.dtype)
    else:
        pads = node.integers(1)
        axes = node.axes(node.integers(3), x.ndim) if node.has(3) else tuple(range(x.ndim))
        if node.has(2) and 0 not in node.shape(2):
            value = node[2].reshape(())
    if len(pads) != 2 * len(axes):
        raise node.error(f"{len(pads)} amounts for {len(axes)} axes; two an axis are expected")
    amounts = [(0, 0)] * x.ndim
    for j, axis in enumerate(axes):
        amounts[axis] = (int(pads[j]), int(pads[j + len(axes)]))
    return padded(node, x, amounts, node.attribute("mode"), value)


@rule("CenterCropPad")
def _center_crop_pad(node: OnnxNode) -> Any:
    x, wanted = node[0], node.integers(1)
    axes = node.axes(node.attribute("axes") or tuple(range(x.ndim)), x.ndim)
    if len(axes) != len(wanted):
        raise node.error(f"{len(wanted)} sizes for {len(axes)} axes")
    amounts = [(0, 0)] * x.ndim
    for axis, size in zip(axes, wanted, strict=True):
        more = size - x.shape[axis]
        low = more // 2 if more >= 0 else -((-more) // 2)
        amounts[axis] = (low, more - low)
    return padded(node, x, amounts, "constant", np.zeros((), x.dtype))


@rule("DepthToSpace")
def _depth_to_space(node: OnnxNode) -> Any:
    x, block = node[0], node.attribute("blocksize")
    n, c, h, w = x.shape
    if block < 1 or c % (block * block):
        raise node.error(f"{c} channels do not form blocks of {block} by {block}")
    if node.attribute("mode", "DCR") == "DCR":
        y = x.reshape(n, block, block, c // block**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(n, c // block**2, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(n, c // block**2, h * block, w * block)


@rule("SpaceToDepth")
def _space_to_depth(node: OnnxNode) -> Any:
    x, block = node[0], node.attribute("blocksize")
    n, c, h, w = x.shape
    if block < 1 or h % block or w % block:
        raise node.error(f"{h} by {w} pixels do not form blocks of {block}")
    y = x.reshape(n, c, h // block, block, w // block, block)
    order = (0, 1, 3, 5, 2, 4) if node.attribute("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return y.transpose(order).reshape(n, c * block * block, h // block, w // block)


@rule("ReverseSequence")
def _reverse_sequence(node: OnnxNode) -> Any:
    x, lengths = node[0], node[1]
    batch, time = node.axis(node.attribute("batch_axis"), x.ndim), node.axis(node.attribute("time_axis"), x.ndim)
    y = jnp.moveaxis(x, (batch, time), (0, 1))
    place = np.arange(y.shape[1], dtype=np.int32)
    ends = jnp.asarray(lengths).astype(jnp.int32)[:, None]
    source = jnp.where(place < ends, ends - 1 - place, place)
    source = source.reshape(source.shape + (1,) * (y.ndim - 2))
    return jnp.moveaxis(jnp.take_along_axis(y, source, axis=1), (0, 1), (batch, time))
