"""Resize and Upsample: per axis, every output element is a weighted sum of a few input elements at constant places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, rule

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Axis:
    """One axis: sizes, scale, region of interest, and how coordinates are transformed."""

    size: int
    out: int
    scale: float
    region: tuple[float, float]
    transform: str

    def places(self) -> Floats:
        """Where each output element lies in the input."""
        x, n = np.arange(self.out, dtype=np.float64), self.size
        wide = self.scale * n
        if self.transform == "asymmetric":
            return x / self.scale
        if self.transform == "align_corners":
            return np.zeros_like(x) if wide == 1 else x * (n - 1) / (wide - 1)
        if self.transform == "tf_half_pixel_for_nn":
            return (x + 0.5) / self.scale
        if self.transform == "tf_crop_and_resize":
            start, end = self.region
            if self.out == 1:
                return np.full_like(x, (start + end) * (n - 1) / 2)
            return start * (n - 1) + x * (end - start) * (n - 1) / (self.out - 1)
        if self.transform == "pytorch_half_pixel" and self.out == 1:
            return np.full_like(x, -0.5)
        half = (x + 0.5) / self.scale - 0.5
        if self.transform == "half_pixel_symmetric":
            return n / 2 * (1 - self.out / wide) + half
        return half


MOST_MATRIX = 1 << 26
"""Elements of an interpolation with many taps."""

TRANSFORMS = frozenset(
    {
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
    }
)

NEAREST: dict[str, Callable[[Any], Any]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def nearest(x: Any, d: int, places: Floats, how: str) -> Any:
    """One element each; a whole factor is a broadcast, since that is free."""
    chosen = np.clip(NEAREST[how](places), 0, x.shape[d] - 1).astype(np.int32)
    return taken(x, d, chosen)


def taken(x: Any, d: int, chosen: np.ndarray[Any, Any]) -> Any:
    n = x.shape[d]
    factor = len(chosen) // n
    if factor and np.array_equal(chosen, np.repeat(np.arange(n), factor)):
        if factor == 1:
            return x
        wide = jnp.broadcast_to(jnp.expand_dims(x, d + 1), (*x.shape[: d + 1], factor, *x.shape[d + 1 :]))
        return wide.reshape(*x.shape[:d], n * factor, *x.shape[d + 1 :])
    steps = np.diff(chosen)
    if len(steps) and (steps == steps[0]).all() and steps[0] > 0:
        return x[(slice(None),) * d + (slice(int(chosen[0]), int(chosen[-1]) + 1, int(steps[0])),)]
    return jnp.take(x, chosen, axis=d, mode="clip")


def weights_of(axis: Axis, kind: str, a: float, antialias: bool, outside: bool) -> tuple[np.ndarray[Any, Any], Floats]:
    """(indices, weights), each (out, taps), of linear or cubic interpolation."""
    places = axis.places()
    base = np.floor(places)
    narrow = min(axis.scale, 1.0) if antialias else 1.0
    reach = 1 if kind == "linear" else 2
    first = math.floor(-reach / narrow) + 1
    if 1 - first > 2 * reach * (axis.size + 1):
        raise ValueError(f"a scale of {axis.scale} is too small for {axis.size} elements")
    taps = np.arange(first, 2 - first)
    distance = np.abs((taps[None, :] - (places - base)[:, None]) * narrow)
    if kind == "linear":
        weights = np.clip(1 - distance, 0, 1)
    else:
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        weights = np.where(distance <= 1, near, np.where(distance < 2, far, 0))
    indices = base[:, None] + taps[None, :]
    if outside:
        weights = np.where((indices >= 0) & (indices < axis.size), weights, 0)
    weights = weights / weights.sum(1, keepdims=True)
    used = (weights != 0).any(0)
    return np.clip(indices, 0, axis.size - 1).astype(np.int32)[:, used], weights[:, used]


def interpolated(x: Any, d: int, indices: np.ndarray[Any, Any], weights: Floats) -> Any:
    """A sum over few taps, or a product with a matrix where there are many."""
    out, taps = indices.shape
    if taps <= 4:
        shape = [out if e == d else 1 for e in range(x.ndim)]
        parts = [taken(x, d, indices[:, j]) * weights[:, j].astype(x.dtype).reshape(shape) for j in range(taps)]
        return sum(parts[1:], parts[0])
    if out * x.shape[d] > MOST_MATRIX:
        raise ValueError(f"{taps} taps at {out} places of {x.shape[d]} elements are too many")
    matrix = np.zeros((out, x.shape[d]))
    np.add.at(matrix, (np.arange(out)[:, None], indices), weights)
    return jnp.moveaxis(jnp.tensordot(x, matrix.astype(x.dtype), ((d,), (1,))), -1, d)


def _round_half_up(x: float) -> int:
    return math.floor(x + 0.5)


def _plan(node: OnnxNode, axes: Sequence[int], scales: Any, sizes: Any) -> tuple[list[float], list[int]]:
    """Scales and output sizes of the resized axes."""
    shape = [node.shape()[d] for d in axes]
    given = sizes if sizes is not None else scales
    if len(given) != len(axes):
        raise node.error(f"{len(given)} scales or sizes for {len(axes)} axes")
    if sizes is not None:
        policy = node.attribute("keep_aspect_ratio_policy", "stretch")
        factors = [size / n for size, n in zip(sizes, shape, strict=True)]
        if policy == "stretch":
            return factors, [int(s) for s in sizes]
        if policy not in ("not_larger", "not_smaller"):
            raise node.error(f"keep_aspect_ratio_policy {policy!r} does not exist")
        factor = min(factors) if policy == "not_larger" else max(factors)
        return [factor] * len(axes), [_round_half_up(factor * n) for n in shape]
    if any(not 0 < s < 1 << 24 for s in scales):
        raise node.error("a scale must be positive and finite")
    return [float(s) for s in scales], [math.floor(n * s) for n, s in zip(shape, scales, strict=True)]


def _resize(node: OnnxNode, transform: str, how: str, scales: Any, sizes: Any, regions: Any) -> Any:
    x = jnp.asarray(node[0])
    listed = node.attribute("axes")
    axes = node.axes(listed, x.ndim) if listed else tuple(range(x.ndim))
    factors, outs = _plan(node, axes, scales, sizes)
    whole = list(x.shape)
    for d, out in zip(axes, outs, strict=True):
        whole[d] = out
    node.sized(whole)
    kind = node.attribute("mode")
    if kind not in ("nearest", "linear", "bilinear", "cubic") or transform not in TRANSFORMS or how not in NEAREST:
        raise node.error(f"mode {kind!r} with {transform!r} and {how!r} does not exist")
    kind = "linear" if kind == "bilinear" else kind
    if regions is not None and len(regions) != 2 * len(axes):
        raise node.error(f"{len(regions)} bounds of a region for {len(axes)} axes")
    integers = x.dtype.kind in "iu"
    y = x.astype(jnp.float32) if integers and kind != "nearest" else x
    beyond = np.zeros((1,) * x.ndim, np.bool_)
    for j, (d, factor, out) in enumerate(zip(axes, factors, outs, strict=True)):
        region = (0.0, 1.0) if regions is None else (float(regions[j]), float(regions[j + len(axes)]))
        axis = Axis(x.shape[d], out, factor, region, transform)
        if transform == "tf_crop_and_resize":
            places = axis.places()
            shape = [-1 if e == d else 1 for e in range(x.ndim)]
            beyond = beyond | ((places < 0) | (places > x.shape[d] - 1)).reshape(shape)
        elif out == x.shape[d] and factor == 1:
            continue
        if kind == "nearest":
            y = nearest(y, d, axis.places(), how)
        else:
            a, outside = node.attribute("cubic_coeff_a", -0.75), bool(node.attribute("exclude_outside", 0))
            y = interpolated(y, d, *weights_of(axis, kind, a, bool(node.attribute("antialias", 0)), outside))
    if beyond.any():
        y = jnp.where(beyond, np.asarray(node.attribute("extrapolation_value"), y.dtype), y)
    return jnp.round(y).astype(x.dtype) if integers and kind != "nearest" else y.astype(x.dtype)


@rule("Resize", since=11)
def _resize_11(node: OnnxNode) -> Any:
    scales = node.constant(2) if node.has(2) and node.constant(2).size else None
    sizes = node.integers(3) if node.has(3) else None
    if (scales is None) == (sizes is None):
        raise node.error("either scales or sizes must be given")
    transform = node.attribute("coordinate_transformation_mode")
    regions = node.constant(1) if transform == "tf_crop_and_resize" and node.has(1) else None
    return _resize(node, transform, node.attribute("nearest_mode"), scales, sizes, regions)


@rule("Upsample")
def _upsample_1(node: OnnxNode) -> Any:
    """Of images: two scales."""
    scales = (1.0, 1.0, node.attribute("height_scale"), node.attribute("width_scale"))
    return _resize(node, "asymmetric", "floor", scales, None, None)


@rule("Upsample", since=7)
def _upsample_7(node: OnnxNode) -> Any:
    return _resize(node, "asymmetric", "floor", node.attribute("scales"), None, None)


@rule("Upsample", since=9)
@rule("Resize")
def _resize_10(node: OnnxNode) -> Any:
    """Before opset 11: coordinates are divided by the scale, and rounded down."""
    return _resize(node, "asymmetric", "floor", node.constant(1), None, None)
