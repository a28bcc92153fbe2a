"""all-MiniLM-L6-v2, which embeds sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.subjects.layers import onnx_layer, onnx_norm
from benchmarks.subjects.nodes import GraphNodes
from benchmarks.subjects.subject import OnnxTwin, Sample, Subject
from tests.models import minilm


def _samples(count: int) -> Sequence[Sample]:
    return minilm.samples()[:count]


def _twin() -> OnnxTwin:
    weights = {name: np.asarray(array) for name, array in minilm.weights_of().items()}
    graph = GraphNodes()
    rows = graph("Gather", weights["embeddings.word_embeddings.weight"], "ids")
    places = weights["embeddings.position_embeddings.weight"][: minilm.LENGTH]
    x = graph("Add", rows, places + weights["embeddings.token_type_embeddings.weight"][0])
    x = onnx_norm(graph, weights, "embeddings.LayerNorm", x)
    here = graph("Cast", "mask", to=1)
    absent = graph("Mul", graph("Sub", np.float32(1), here), np.float32(minilm.MASKED))
    attended = graph.reshaped(absent, 0, 1, 1, minilm.LENGTH)
    for number in range(minilm.LAYERS):
        at = f"encoder.layer.{number}."
        own = {name.removeprefix(at): array for name, array in weights.items() if name.startswith(at)}
        x = onnx_layer(graph, own, x, minilm.HEADS, attended)
    total = graph("MatMul", graph.reshaped(here, 0, 1, minilm.LENGTH), x)
    # The mean's divisor is positive and leaves no trace in a vector of length 1.
    embedding = graph("LpNormalization", graph.reshaped(total, 0, -1), axis=-1, p=2)
    inputs = [(name, np.int32, (minilm.LENGTH,)) for name in ("ids", "mask")]
    return OnnxTwin(graph.built(inputs, embedding), _feed)


def _feed(given: Sequence[Sample]) -> dict[str, np.ndarray]:
    return {name: np.stack([one[at] for one in given]) for at, name in enumerate(("ids", "mask"))}


SUBJECTS = (
    Subject(
        "minilm",
        f"{minilm.NAME}, {minilm.LENGTH} tokens",
        (1, 32),
        minilm.function,
        minilm.lowered,
        _samples,
        (minilm.PACKAGE,),
        _twin,
    ),
)
