"""What classical models share: rows of features, and what becomes of raw scores: post transforms, labels, two classes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, canonical
from prover.onnx.tensors import Array

TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
"""By the numbers that ``TreeEnsemble`` uses."""

TINY = 1e-7
"""Magnitude up to which a score counts as zero for SOFTMAX_ZERO."""


def rows_of(node: OnnxNode) -> Any:
    """The input as floats (rows, features), in its own width."""
    x = jnp.asarray(node[0])
    if x.ndim not in (1, 2):
        raise node.error(f"its input has the shape {list(x.shape)}; rows of features are expected")
    x = x.reshape(1, -1) if x.ndim == 1 else x
    return x.astype(jnp.float32) if x.dtype.kind in "iub" else x


def transform_of(node: OnnxNode) -> str:
    """The post transform by name."""
    kind = node.attribute("post_transform", "NONE")
    if isinstance(kind, int):
        kind = TRANSFORMS[kind] if 0 <= kind < len(TRANSFORMS) else str(kind)
    if kind not in TRANSFORMS:
        raise node.error(f"the post transform {kind!r} does not exist")
    return str(kind)


def transformed(scores: Any, kind: str) -> Any:
    """Scores (rows, classes) after their post transform."""
    match kind:
        case "SOFTMAX":
            return jax.nn.softmax(scores, axis=-1)
        case "LOGISTIC":
            return jax.nn.sigmoid(scores)
        case "SOFTMAX_ZERO":
            counts = jnp.abs(scores) > TINY
            powers = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
            powers = jnp.where(counts, powers, jnp.zeros((), scores.dtype))
            return powers / jnp.sum(powers, axis=-1, keepdims=True)
        case "PROBIT":
            return _probit(scores)
        case _:
            return scores


def _probit(p: Any) -> Any:
    """The inverse of the normal distribution, by the approximation of the error function's inverse that runtimes use."""
    y = 2 * p - 1
    logarithm = jnp.log((1 - y) * (1 + y))
    v = 2 / (3.14159 * 0.147) + 0.5 * logarithm
    return 1.41421356 * jnp.sign(y) * jnp.sqrt(jnp.sqrt(v * v - logarithm / 0.147) - v)


def two_sided(score: Any, kind: str, within_unit: bool) -> Any:
    """Both classes' scores (rows, 2) from the one of the second class (rows, 1); ``within_unit``: it is a probability already."""
    if kind == "LOGISTIC":
        return jax.nn.sigmoid(jnp.concatenate([-score, score], axis=-1))
    if within_unit:
        return jnp.concatenate([1 - score, score], axis=-1)
    return jnp.concatenate([-score, score], axis=-1)


def labels_of(node: OnnxNode, *names: str) -> Array:
    """The class labels: integers. Raises UnsupportedError for strings, saying how to export numbers."""
    if node.attribute("classlabels_strings"):
        raise node.unsupported(
            "its class labels are strings, and a program computes with numbers; encode the classes before training "
            "(y = LabelEncoder().fit_transform(y)) and export again: class i is then the i-th label in ascending order"
        )
    labels = next((node.attribute(name) for name in names if node.attribute(name)), ())
    if not labels:
        raise node.error(f"the attribute {names[0]!r} is missing: it has no class labels")
    return np.asarray(labels, np.int64)


def labelled(node: OnnxNode, place: Any, labels: Array) -> Any:
    """The labels at these places of the class list."""
    dtype = canonical(np.int64)
    if np.array_equal(labels, np.arange(len(labels))):
        return place.astype(dtype)
    info = np.iinfo(dtype)
    if labels.min() < info.min or labels.max() > info.max:
        raise node.unsupported("a class label is beyond 32 bits; enable 64-bit JAX (jax.enable_x64)")
    return jnp.take(labels.astype(dtype), place, mode="clip")
