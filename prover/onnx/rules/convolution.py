"""Convolutions: plain, grouped, depthwise, dilated, transposed; and columns to images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, rule


def window(node: OnnxNode, name: str, count: int, default: int = 1) -> tuple[int, ...]:
    """An attribute with one positive number per spatial dimension."""
    values = node.attribute(name)
    found = tuple(int(v) for v in values) if values else (default,) * count
    if len(found) != count or any(v < 1 or v > 1 << 24 for v in found):
        raise node.error(f"{name} {list(found)[:16]} does not fit {count} spatial dimensions")
    return found


def pads_of(
    node: OnnxNode, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """Padding below and above, from the attribute pads or auto_pad."""
    auto, count = node.attribute("auto_pad", "NOTSET"), len(sizes)
    if auto == "VALID":
        return [(0, 0)] * count
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        amounts = []
        for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
            total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
            low = total // 2 if auto == "SAME_UPPER" else total - total // 2
            amounts.append((low, total - low))
        return amounts
    if auto != "NOTSET":
        raise node.error(f"auto_pad {auto!r} does not exist")
    pads = node.attribute("pads") or (0,) * (2 * count)
    if len(pads) != 2 * count or any(abs(p) > 1 << 24 for p in pads):
        raise node.error(f"pads {list(pads)[:16]} do not fit {count} spatial dimensions")
    return [(int(pads[j]), int(pads[j + count])) for j in range(count)]


def convolve(node: OnnxNode, x: Any, w: Any, accumulate: Any = None) -> Any:
    """The convolution of a node's attributes, channels second; ``accumulate``: dtype of the result."""
    count = x.ndim - 2
    if count < 1 or w.ndim != x.ndim:
        raise node.error(f"a tensor of shape {list(x.shape)} and a kernel of shape {list(w.shape)} do not fit")
    group = int(node.attribute("group"))
    if group < 1 or x.shape[1] != w.shape[1] * group or w.shape[0] % group:
        raise node.error(f"{x.shape[1]} channels in {group} groups do not fit a kernel of shape {list(w.shape)}")
    kernel = tuple(w.shape[2:])
    if node.attribute("kernel_shape") and tuple(node.attribute("kernel_shape")) != kernel:
        raise node.error(
            f"kernel_shape {list(node.attribute('kernel_shape'))} is not that of the kernel {list(w.shape)}"
        )
    strides, dilations = window(node, "strides", count), window(node, "dilations", count)
    pads = pads_of(node, x.shape[2:], kernel, strides, dilations)
    out = [
        (n + low + high - (k - 1) * d - 1) // s + 1
        for n, k, s, d, (low, high) in zip(x.shape[2:], kernel, strides, dilations, pads, strict=True)
    ]
    node.sized((x.shape[0], w.shape[0], *out))
    return lax.conv_general_dilated(
        jnp.asarray(x),
        jnp.asarray(w),
        strides,
        pads,
        rhs_dilation=dilations,
        dimension_numbers=_numbers(count),
        feature_group_count=group,
        preferred_element_type=accumulate,
    )


def _numbers(count: int) -> lax.ConvDimensionNumbers:
    plain = tuple(range(count + 2))
    return lax.ConvDimensionNumbers(plain, plain, plain)


def biased(node: OnnxNode, y: Any, index: int = 2) -> Any:
    if not node.has(index):
        return y
    return y + node[index].reshape((1, -1) + (1,) * (y.ndim - 2))


@rule("Conv")
def _conv(node: OnnxNode) -> Any:
    return biased(node, convolve(node, node[0], node[1]))


@rule("ConvTranspose")
def _conv_transpose(node: OnnxNode) -> Any:
    """A convolution of the input spread by the strides with the flipped kernel."""
    x, w = node[0], node[1]
    count = x.ndim - 2
    group = int(node.attribute("group"))
    if count < 1 or w.ndim != x.ndim or group < 1 or x.shape[1] != w.shape[0] or w.shape[0] % group:
        raise node.error(f"a tensor of shape {list(x.shape)} and a kernel of shape {list(w.shape)} do not fit")
    kernel = tuple(w.shape[2:])
    strides, dilations = window(node, "strides", count), window(node, "dilations", count)
    extra = tuple(node.attribute("output_padding") or (0,) * count)
    if len(extra) != count or any(not 0 <= e <= 1 << 24 for e in extra):
        raise node.error(f"output_padding {list(extra)[:16]} does not fit")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    full = [s * (n - 1) + e + r for n, s, e, r in zip(x.shape[2:], strides, extra, reach, strict=True)]
    wanted = node.attribute("output_shape")
    auto = node.attribute("auto_pad", "NOTSET")
    if wanted or auto in ("SAME_UPPER", "SAME_LOWER"):
        sizes = tuple(wanted)[-count:] if wanted else tuple(n * s for n, s in zip(x.shape[2:], strides, strict=True))
        totals = [f - n for f, n in zip(full, sizes, strict=True)]
        halves = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in totals]
        pads = [(half, total - half) for half, total in zip(halves, totals, strict=True)]
    else:
        pads = pads_of(node, x.shape[2:], kernel, strides, dilations)
    node.sized((x.shape[0], w.shape[1] * group, *(f - low - high for f, (low, high) in zip(full, pads, strict=True))))
    amounts = [(r - 1 - low, r - 1 - high + e) for r, (low, high), e in zip(reach, pads, extra, strict=True)]
    # (C, M/group, ...) -> (M, C/group, ...), flipped
    w = w.reshape(group, w.shape[0] // group, *w.shape[1:])
    w = w.swapaxes(1, 2).reshape(group * w.shape[2], w.shape[1], *kernel)
    w = w[(slice(None), slice(None)) + (slice(None, None, -1),) * count]
    y = lax.conv_general_dilated(
        jnp.asarray(x),
        jnp.asarray(w),
        (1,) * count,
        amounts,
        lhs_dilation=strides,
        rhs_dilation=dilations,
        dimension_numbers=_numbers(count),
        feature_group_count=group,
    )
    return biased(node, y)


@rule("Col2Im")
def _col2im(node: OnnxNode) -> Any:
    """Sum of the blocks' pixels where they overlap."""
    x, image, block = node[0], node.integers(1), node.integers(2)
    count = len(image)
    strides, dilations = window(node, "strides", count), window(node, "dilations", count)
    pads = node.attribute("pads") or (0,) * (2 * count)
    if len(block) != count or len(pads) != 2 * count or any(not 0 <= p <= 1 << 20 for p in pads) or min(block) < 1:
        raise node.error("image_shape, block_shape and pads do not fit")
    channels = x.shape[1] // math.prod(block)
    full = node.sized([n + pads[j] + pads[j + count] for j, n in enumerate(image)])
    steps = [(n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(full, dilations, block, strides, strict=True)]
    x = jnp.asarray(x).reshape(x.shape[0], channels, *block, *steps)
    node.sized((x.shape[0], channels, *full))
    out = jnp.zeros((x.shape[0], channels, *full), x.dtype)
    grid = [
        (np.arange(k)[:, None] * d + np.arange(n)[None, :] * s)
        for k, d, n, s in zip(block, dilations, steps, strides, strict=True)
    ]
    places = []
    for j, own in enumerate(grid):
        shape = [1] * (2 * count)
        shape[j], shape[count + j] = own.shape
        places.append(own.reshape(shape))
    out = out.at[(slice(None), slice(None), *places)].add(x)
    cut = tuple(slice(pads[j], pads[j] + n) for j, n in enumerate(image))
    return out[(slice(None), slice(None), *cut)]
