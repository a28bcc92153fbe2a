"""Classical models but trees: linear ones, support vectors, and what prepares their features."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, canonical, rule
from prover.onnx.scores import labelled, labels_of, rows_of, transform_of, transformed, two_sided
from prover.onnx.tensors import Array

KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")

COUPLING_STEPS = 100
"""Most iterations in which pairwise probabilities become one per class."""


def _rows(node: OnnxNode) -> Any:
    """The input as float32 (rows, features)."""
    return rows_of(node).astype(jnp.float32)


def _floats(node: OnnxNode, name: str) -> Array:
    values = np.asarray(node.attribute(name) or (), np.float32)
    if not np.isfinite(values).all():
        raise node.error(f"{name} has a value that is not finite; export the model again")
    return values


def _matrix(node: OnnxNode, name: str, rows: int, columns: int) -> Array:
    """An attribute as a matrix of this size."""
    values = _floats(node, name)
    if rows < 1 or values.size != rows * columns:
        raise node.error(f"{name} has {values.size} entries where {rows} times {columns} are expected")
    return values.reshape(rows, columns)


@rule("LinearRegressor", domain="ai.onnx.ml")
def _linear_regressor(node: OnnxNode) -> Any:
    x, targets = _rows(node), int(node.attribute("targets"))
    y = x @ _matrix(node, "coefficients", targets, x.shape[1]).T
    intercepts = _floats(node, "intercepts")
    if intercepts.size not in (0, targets):
        raise node.error(f"intercepts has {intercepts.size} entries for {targets} targets")
    return transformed(y + intercepts if intercepts.size else y, transform_of(node))


@rule("LinearClassifier", domain="ai.onnx.ml")
def _linear_classifier(node: OnnxNode) -> Any:
    """One row of coefficients for two classes is the second class's score."""
    x, kind = _rows(node), transform_of(node)
    labels = labels_of(node, "classlabels_ints")
    size = _floats(node, "coefficients").size
    intercepts = _floats(node, "intercepts")
    rows = intercepts.size or size // max(1, x.shape[1])
    if rows != len(labels) and (rows, len(labels)) != (1, 2):
        raise node.error(f"it has {rows} rows of coefficients for {len(labels)} classes")
    scores = x @ _matrix(node, "coefficients", rows, x.shape[1]).T
    scores = scores + intercepts if intercepts.size else scores
    if rows == 1 and len(labels) == 2:
        label = labelled(node, (scores[:, 0] > 0).astype(canonical(np.int64)), labels)
        return label, two_sided(scores, kind, kind != "LOGISTIC")
    return labelled(node, jnp.argmax(scores, axis=1), labels), transformed(scores, kind)


def _kernel(node: OnnxNode, x: Any, vectors: Array, linear: bool) -> Any:
    """(rows, vectors): how alike a row and a support vector are."""
    kind = "LINEAR" if linear else node.attribute("kernel_type")
    if kind not in KERNELS:
        raise node.error(f"the kernel {kind!r} does not exist")
    parameters = _floats(node, "kernel_params")
    if kind != "LINEAR" and parameters.size != 3:
        raise node.error(f"kernel_params has {parameters.size} entries; gamma, coef0 and degree are expected")
    node.sized((x.shape[0], *vectors.shape))
    if kind == "LINEAR":
        return x @ vectors.T
    gamma, shift, degree = parameters
    if kind == "RBF":
        differences = x[:, None, :] - vectors[None]
        return jnp.exp(-gamma * jnp.sum(jnp.square(differences), axis=-1))
    y = (x * gamma) @ vectors.T + shift
    if kind == "SIGMOID":
        return jnp.tanh(y)
    return lax.integer_pow(y, int(degree)) if float(degree).is_integer() and 0 <= degree <= 16 else jnp.power(y, degree)


@rule("SVMRegressor", domain="ai.onnx.ml")
def _svm_regressor(node: OnnxNode) -> Any:
    x, count, rho = _rows(node), int(node.attribute("n_supports")), _floats(node, "rho")
    if rho.size < 1:
        raise node.error("the attribute 'rho' is missing")
    if count > 0:
        alike = _kernel(node, x, _matrix(node, "support_vectors", count, x.shape[1]), False)
        y = alike @ _matrix(node, "coefficients", 1, count).T + rho[0]
    else:
        y = x @ _matrix(node, "coefficients", 1, x.shape[1]).T + rho[0]
    if node.attribute("one_class"):
        one = np.ones((), np.float32)
        return jnp.where(y > 0, one, -one)
    return y


@rule("SVMClassifier", domain="ai.onnx.ml")
def _svm_classifier(node: OnnxNode) -> Any:
    x, kind = _rows(node), transform_of(node)
    labels, rho = labels_of(node, "classlabels_ints"), _floats(node, "rho")
    count, own = len(labels), node.attribute("vectors_per_class") or ()
    positive = bool((_floats(node, "coefficients") >= 0).all())
    if count < 2:
        raise node.unsupported("it has one class, so there is nothing to choose")
    if rho.size < 1:
        raise node.error("the attribute 'rho' is missing")
    if sum(own) == 0:
        scores = x @ _matrix(node, "coefficients", count, x.shape[1]).T + rho[0]
        place = jnp.argmax(scores, axis=1)
        if count == 2:
            best = jnp.max(scores, axis=1)
            place = jnp.where(best >= 0.5 if positive else best > 0, 1, place)
        return labelled(node, place, labels), transformed(scores, kind)
    pairs = _pairwise(node, x, count, own, rho)
    # A pair that its first class wins is a vote for it, else one for the second.
    first, second = np.triu_indices(count, 1)
    turns = np.eye(count, dtype=np.int32)[first] - np.eye(count, dtype=np.int32)[second]
    votes = (pairs > 0).astype(jnp.int32) @ turns + np.bincount(second, minlength=count).astype(np.int32)
    label = labelled(node, jnp.argmax(votes, axis=1), labels)
    a, b = _floats(node, "prob_a"), _floats(node, "prob_b")
    if a.size:
        if a.size != pairs.shape[1] or b.size != a.size:
            raise node.error(
                f"prob_a and prob_b have {a.size} and {b.size} entries for {pairs.shape[1]} pairs of classes"
            )
        return label, transformed(_coupled(pairs, a, b, count), kind)
    if count == 2:
        # onnxruntime: what decides is the first class's, and with a transform what is written is its complement.
        return label, two_sided(pairs, "NONE", kind != "NONE")
    return label, transformed(pairs, kind)


def _pairwise(node: OnnxNode, x: Any, count: int, own: tuple[int, ...], rho: Array) -> Any:
    """The score of every pair of classes, the first one's if positive: (rows, pairs)."""
    total, number = sum(own), count * (count - 1) // 2
    if len(own) != count or min(own) < 0:
        raise node.error(f"vectors_per_class has {len(own)} entries for {count} classes")
    if rho.size != number:
        raise node.error(f"rho has {rho.size} entries for {number} pairs of classes")
    alike = _kernel(node, x, _matrix(node, "support_vectors", total, x.shape[1]), False)
    coefficients = _matrix(node, "coefficients", count - 1, total)
    starts = np.concatenate([[0], np.cumsum(own)])
    weights, pair = np.zeros((total, number), np.float32), 0
    for i in range(count):
        for j in range(i + 1, count):
            first, second = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
            weights[first, pair], weights[second, pair] = coefficients[j - 1, first], coefficients[i, second]
            pair += 1
    return alike @ weights + rho


def _coupled(pairs: Any, a: Array, b: Array, count: int) -> Any:
    """Probabilities of classes from those of pairs (Wu, Lin and Weng), iterated until they change little."""
    won = jnp.clip(jax.nn.sigmoid(-(pairs * a + b)), 1e-7, 1 - 1e-7)
    r: dict[tuple[int, int], Any] = {}
    number = 0
    for i in range(count):
        for j in range(i + 1, count):
            r[i, j], r[j, i], number = won[:, number], 1 - won[:, number], number + 1
    q = [
        [sum(r[k, i] * r[k, i] for k in range(count) if k != i) if i == j else -r[j, i] * r[i, j] for j in range(count)]
        for i in range(count)
    ]
    matrix = jnp.stack([jnp.stack(row, axis=1) for row in q], axis=1)
    close = np.float32(0.005 / count)

    def step(_: Any, p: Any) -> Any:
        qp = jnp.sum(matrix * p[:, None, :], axis=2)
        pqp = jnp.sum(p * qp, axis=1, keepdims=True)
        done = jnp.max(jnp.abs(qp - pqp), axis=1, keepdims=True) < close
        new = p
        for i in range(count):
            diagonal = matrix[:, i, i : i + 1]
            change = (pqp - qp[:, i : i + 1]) / diagonal
            new = new + change * (np.arange(count) == i)
            pqp = (pqp + change * (change * diagonal + 2 * qp[:, i : i + 1])) / (1 + change) / (1 + change)
            qp = (qp + change * matrix[:, i, :]) / (1 + change)
            new = new / (1 + change)
        return jnp.where(done, p, new)

    start = jnp.full((pairs.shape[0], count), 1 / count, jnp.float32)
    return lax.fori_loop(0, COUPLING_STEPS, step, start)


@rule("Scaler", domain="ai.onnx.ml")
def _scaler(node: OnnxNode) -> Any:
    x = node[0]
    x = x.astype(np.float32)
    for name in ("offset", "scale"):
        values = _floats(node, name)
        if values.size not in (1, x.shape[-1] if x.ndim else 1):
            raise node.error(f"{name} has {values.size} entries for {list(x.shape)[-1:]} features")
        x = x - values if name == "offset" else x * values
    return x


@rule("Imputer", domain="ai.onnx.ml")
def _imputer(node: OnnxNode) -> Any:
    """A value that stands for a missing one is replaced; NaN can't be an input, so that there is nothing to do for it."""
    x = node[0]
    real = x.dtype.kind not in "iu"
    name = "imputed_value_floats" if real else "imputed_value_int64s"
    values = np.asarray(node.attribute(name) or (), np.float32 if real else np.int64)
    replaced = node.attribute("replaced_value_float" if real else "replaced_value_int64")
    if values.size not in (1, x.shape[-1] if x.ndim else 1):
        raise node.error(f"{name} has {values.size} entries for {list(x.shape)[-1:]} features")
    if real and math.isnan(replaced):
        return x
    return node.xp.where(x == np.asarray(replaced).astype(x.dtype), values.astype(x.dtype), x)


@rule("FeatureVectorizer", domain="ai.onnx.ml")
def _feature_vectorizer(node: OnnxNode) -> Any:
    """Columns side by side, each operand cut or filled with zeros to its number of them."""
    sizes = node.attribute("inputdimensions") or ()
    if len(sizes) != len(node):
        raise node.error(f"inputdimensions has {len(sizes)} entries for {len(node)} inputs")
    parts = []
    for x, size in zip(node.all, sizes, strict=True):
        x = jnp.asarray(x)
        x = x.reshape(1, -1) if x.ndim == 1 else x
        if x.ndim != 2 or not 0 <= size <= 1 << 20:
            raise node.error(f"an input of shape {list(x.shape)} as {size} columns")
        x = x[:, :size]
        parts.append(jnp.pad(x, ((0, 0), (0, size - x.shape[1]))).astype(jnp.float32))
    return jnp.concatenate(parts, axis=1)


@rule("OneHotEncoder", domain="ai.onnx.ml")
def _one_hot(node: OnnxNode) -> Any:
    """A number that is no category gives zeros, whatever ``zeros`` says: a program can't refuse an input."""
    if node.attribute("cats_strings"):
        raise node.unsupported(
            "its categories are strings, and a program computes with numbers; encode them as integers"
        )
    categories = np.asarray(node.attribute("cats_int64s") or (), np.int64)
    if not categories.size:
        raise node.error("the attribute 'cats_int64s' is missing")
    x = node[0]
    node.sized((*x.shape, categories.size))
    x = x if x.dtype.kind in "iu" else jnp.trunc(x)
    return (x[..., None] == _within(node, categories, x.dtype)).astype(np.float32)


def _within(node: OnnxNode, values: Array, dtype: Any) -> Array:
    """Integers in the dtype that is compared in."""
    kind = np.dtype(dtype)
    if kind.kind in "iu" and (values.min() < np.iinfo(kind).min or values.max() > np.iinfo(kind).max):
        raise node.unsupported(f"a number is beyond {kind}; enable 64-bit JAX (jax.enable_x64)")
    return values.astype(kind)


@rule("LabelEncoder", domain="ai.onnx.ml")
def _label_encoder(node: OnnxNode) -> Any:
    """Numbers for numbers; one that is no key gives the default."""
    found = {side: _side(node, side) for side in ("keys", "values")}
    keys, values = found["keys"], found["values"]
    if keys.shape != values.shape or not keys.size:
        raise node.error(f"it has {keys.size} keys and {values.size} values")
    keep = ~np.isnan(keys) if keys.dtype.kind == "f" else np.ones(keys.size, np.bool_)
    keys, values = keys[keep], values[keep]
    if len(np.unique(keys)) != len(keys):
        raise node.error("it has one key twice")
    default = node.attribute("default_tensor")
    if default is None:
        default = node.attribute("default_float" if values.dtype.kind == "f" else "default_int64")
    x = jnp.asarray(node[0])
    node.sized((*x.shape, keys.size))
    kind = canonical(values.dtype)
    table = np.concatenate([np.asarray(default).reshape(-1)[:1].astype(values.dtype), values])
    table = _within(node, table, kind) if kind.kind in "iu" else table.astype(kind)
    hit = x[..., None] == (_within(node, keys, x.dtype) if keys.dtype.kind in "iu" else keys.astype(x.dtype))
    place = jnp.sum(jnp.where(hit, np.arange(1, keys.size + 1, dtype=np.int32), np.int32(0)), axis=-1)
    return jnp.take(jnp.asarray(table), place, mode="clip")


def _side(node: OnnxNode, side: str) -> Array:
    if node.attribute(f"{side}_strings") or node.attribute("classes_strings"):
        raise node.unsupported("it works on strings, and a program computes with numbers; encode outside of the model")
    for name, dtype in ((f"{side}_int64s", np.int64), (f"{side}_floats", np.float32)):
        if node.attribute(name):
            return np.asarray(node.attribute(name), dtype)
    tensor = node.attribute(f"{side}_tensor")
    if tensor is None:
        raise node.error(f"it has no {side}")
    return np.asarray(tensor).reshape(-1)


@rule("ZipMap", domain="ai.onnx.ml")
def _zip_map(node: OnnxNode) -> Any:
    """Left out: the tensor of probabilities, a column per class."""
    return node.operands[0]
