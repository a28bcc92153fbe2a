"""Fourier transforms, as products with constant matrices of cosines and sines."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, rule

MOST_MATRIX = 1 << 24
"""Elements of a transform's matrix: 4,096 points."""


def transformed(node: OnnxNode, x: Any, length: int, inverse: bool, onesided: bool) -> Any:
    """Over the second to last dimension of (..., points, 1 or 2); the result has real and imaginary parts last."""
    if length < 1 or length * length > MOST_MATRIX:
        raise node.error(f"a transform of {length} points is refused; at most {int(MOST_MATRIX**0.5)} are supported")
    points = x.shape[-2]
    if points > length:
        x = x[..., :length, :]
    elif points < length:
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, length - points), (0, 0)])
    out = length // 2 + 1 if onesided else length
    angle = 2 * np.pi * np.outer(np.arange(length), np.arange(out)) / length
    cos, sin = np.cos(angle).astype(x.dtype), (np.sin(angle) * (1 if inverse else -1)).astype(x.dtype)
    real = x[..., 0]
    if x.shape[-1] == 1:
        parts = [real @ cos, real @ sin]
    else:
        imaginary = x[..., 1]
        parts = [real @ cos - imaginary @ sin, real @ sin + imaginary @ cos]
    y = jnp.stack(parts, axis=-1)
    return y * np.asarray(1 / length, x.dtype) if inverse else y


def real_inverse(node: OnnxNode, x: Any, length: int) -> Any:
    """The real signal of ``length`` points with this half spectrum (..., bins, 2)."""
    if length < 1 or length * length > MOST_MATRIX:
        raise node.error(f"a transform of {length} points is refused; at most {int(MOST_MATRIX**0.5)} are supported")
    bins = length // 2 + 1
    x = x[..., :bins, :]
    if x.shape[-2] < bins:
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, bins - x.shape[-2]), (0, 0)])
    angle = 2 * np.pi * np.outer(np.arange(bins), np.arange(length)) / length
    twice = np.where((np.arange(bins) == 0) | (2 * np.arange(bins) == length), 1, 2)[:, None] / length
    y = x[..., 0] @ (np.cos(angle) * twice).astype(x.dtype) - x[..., 1] @ (np.sin(angle) * twice).astype(x.dtype)
    return y[..., None]


@rule("DFT")
def _dft(node: OnnxNode) -> Any:
    """The axis is an attribute before opset 20, an input since."""
    x = jnp.asarray(node[0])
    if x.ndim < 2 or x.shape[-1] not in (1, 2):
        raise node.error(f"a tensor of shape {list(x.shape)} holds no real or complex numbers in its last dimension")
    given = node.attribute("axis", -2)
    axis = node.axis(node.integer(2) if node.has(2) else int(given), x.ndim)
    if axis == x.ndim - 1:
        raise node.error("the last dimension holds real and imaginary parts; transform another one")
    inverse, onesided = bool(node.attribute("inverse")), bool(node.attribute("onesided"))
    y = jnp.moveaxis(x, axis, -2)
    if inverse and onesided:
        length = node.integer(1) if node.has(1) else 2 * (y.shape[-2] - 1)
        return jnp.moveaxis(real_inverse(node, y, length), -2, axis)
    length = node.integer(1) if node.has(1) else y.shape[-2]
    return jnp.moveaxis(transformed(node, y, length, inverse, onesided), -2, axis)


@rule("STFT")
def _stft(node: OnnxNode) -> Any:
    signal, step = jnp.asarray(node[0]), node.integer(1)
    signal = signal[..., None] if signal.ndim == 2 else signal
    window = node[2] if node.has(2) else None
    length = node.integer(3) if node.has(3) else int(node.shape(2)[0]) if node.has(2) else 0
    if step < 1 or not 0 < length <= signal.shape[1]:
        raise node.error(f"frames of {length} every {step} do not fit {signal.shape[1]} samples")
    count = (signal.shape[1] - length) // step + 1
    node.sized((signal.shape[0], count, length, signal.shape[2]))
    places = np.arange(count)[:, None] * step + np.arange(length)[None, :]
    frames = signal[:, places.astype(np.int32)]
    if window is not None:
        if window.shape != (length,):
            raise node.error(f"a window of shape {list(window.shape)} does not fit frames of {length}")
        frames = frames * window[:, None]
    return transformed(node, frames, length, False, bool(node.attribute("onesided")))
