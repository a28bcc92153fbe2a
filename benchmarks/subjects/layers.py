"""One layer of a transformer encoder, in JAX and as ONNX nodes: the synthetic blocks, and what MiniLM consists of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.subjects.nodes import GraphNodes
from benchmarks.subjects.subject import OnnxTwin, Sample, Subject
from prover import Model, lower
from tests.models.minilm import EPSILON, Weights, dense, norm

WIDTHS = (512, 1024, 2048, 4096)
POSITIONS = 32
HEAD = 64
CALIBRATED = 4

DENSE = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")


def layer(weights: Weights, x: Any) -> Any:
    """float32 [n, width] -> [n, width]: attention and an MLP four times as wide, each with its residual and its norm."""
    n, width = x.shape
    heads = width // HEAD
    query, key, value = (dense(weights, name, x).reshape(n, heads, HEAD) for name in DENSE[:3])
    scores = jnp.einsum("qhd,khd->hqk", query, key) / np.sqrt(HEAD)
    mixed = jnp.einsum("hqk,khd->qhd", jax.nn.softmax(scores, axis=-1), value).reshape(n, width)
    x = norm(weights, NORMS[0], x + dense(weights, DENSE[3], mixed))
    hidden = jax.nn.gelu(dense(weights, DENSE[4], x), approximate=False)
    return norm(weights, NORMS[1], x + dense(weights, DENSE[5], hidden))


def onnx_layer(graph: GraphNodes, weights: Weights, x: str, heads: int, attended: str | None = None) -> str:
    """The same as nodes, of [claims, n, width]; ``attended``: what is added to the scores [claims, 1, 1, n]."""
    width = np.asarray(weights[f"{DENSE[0]}.bias"]).size
    head = width // heads

    def split(name: str, order: Sequence[int]) -> str:
        flat = _onnx_dense(graph, weights, name, x)
        return graph("Transpose", graph.reshaped(flat, 0, 0, heads, head), perm=order)

    query, key, value = split(DENSE[0], (0, 2, 1, 3)), split(DENSE[1], (0, 2, 3, 1)), split(DENSE[2], (0, 2, 1, 3))
    scores = graph("Div", graph("MatMul", query, key), np.float32(np.sqrt(head)))
    if attended is not None:
        scores = graph("Add", scores, attended)
    mixed = graph("MatMul", graph("Softmax", scores, axis=-1), value)
    flat = graph.reshaped(graph("Transpose", mixed, perm=(0, 2, 1, 3)), 0, 0, width)
    x = onnx_norm(graph, weights, NORMS[0], graph("Add", x, _onnx_dense(graph, weights, DENSE[3], flat)))
    hidden = graph("Gelu", _onnx_dense(graph, weights, DENSE[4], x))
    return onnx_norm(graph, weights, NORMS[1], graph("Add", x, _onnx_dense(graph, weights, DENSE[5], hidden)))


def _onnx_dense(graph: GraphNodes, weights: Weights, name: str, x: str) -> str:
    return graph.dense(x, np.asarray(weights[f"{name}.weight"]).T, weights[f"{name}.bias"])


def onnx_norm(graph: GraphNodes, weights: Weights, name: str, x: str) -> str:
    scale, bias = (np.asarray(weights[f"{name}.{part}"], np.float32) for part in ("weight", "bias"))
    return graph("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)


@cache
def random_weights(width: int) -> Weights:
    """A layer's weights, random: a speed does not depend on them."""
    rng = np.random.default_rng(width)
    shapes = dict.fromkeys(DENSE, (width, width)) | {DENSE[4]: (4 * width, width), DENSE[5]: (width, 4 * width)}
    made: dict[str, Any] = {}
    for name, shape in shapes.items():
        made[f"{name}.weight"] = rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[1]))
        made[f"{name}.bias"] = rng.standard_normal(shape[0], np.float32) / 10
    for name in NORMS:
        made[f"{name}.weight"], made[f"{name}.bias"] = np.ones(width, np.float32), np.zeros(width, np.float32)
    return made


def _samples(width: int, count: int, seed: int = 1) -> Sequence[Sample]:
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((POSITIONS, width), np.float32),) for _ in range(count)]


def _block(width: int) -> Callable[..., Any]:
    return partial(layer, random_weights(width))


def _lowered(width: int, formats: str) -> Model:
    chosen = _samples(width, CALIBRATED, seed=0)
    return lower(_block(width), *chosen[0], formats=formats, calibration=chosen).noted(name=f"block {width}")


def _twin(width: int) -> OnnxTwin:
    graph = GraphNodes()
    result = onnx_layer(graph, random_weights(width), "x", width // HEAD)
    model = graph.built([("x", np.float32, (POSITIONS, width))], result)
    return OnnxTwin(model, lambda given: {"x": np.stack([x for (x,) in given])})


SUBJECTS = tuple(
    Subject(
        f"block-{width}",
        f"encoder layer of width {width:,}, {POSITIONS} positions",
        (1,),
        partial(_block, width),
        partial(_lowered, width),
        partial(_samples, width),
        twin=partial(_twin, width),
    )
    for width in WIDTHS
)
