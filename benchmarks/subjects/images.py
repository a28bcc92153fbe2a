"""Networks for handwritten digits: the demo's convolutions with its trained weights, and two hidden layers with random ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from benchmarks.subjects.nodes import GraphNodes
from benchmarks.subjects.subject import OnnxTwin, Sample, Subject
from prover import Model, lower
from touchstone.demo.digits import CALIBRATION, Digits, Params, classify, digits, load_params

BATCHES = (1, 256)
WIDTHS = (64, 256, 128, 10)


@cache
def _digits() -> Digits:
    return digits()


def samples(count: int) -> Sequence[Sample]:
    """Held-out images float32 [8, 8, 1], again from the first one after the last."""
    images = _digits().images
    return [(images[at % len(images)],) for at in range(count)]


def lowered(fn: Callable[[], Callable[..., Any]], name: str, formats: str) -> Model:
    """The network's program, calibrated on training images."""
    chosen = [(image,) for image in _digits().train_images[:CALIBRATION]]
    return lower(fn(), *chosen[0], formats=formats, calibration=chosen).noted(name=name)


def _feed(given: Sequence[Sample]) -> dict[str, np.ndarray]:
    return {"image": np.stack([image for (image,) in given])}


@cache
def _layers() -> list[tuple[np.ndarray, np.ndarray]]:
    """(weights [in, out], bias [out]) of every layer; random, since a speed does not depend on them."""
    rng = np.random.default_rng(0)
    made = []
    for wide, narrow in pairwise(WIDTHS):
        weights = rng.standard_normal((wide, narrow)) * np.sqrt(2 / wide)
        made.append((weights.astype(np.float32), rng.standard_normal(narrow).astype(np.float32) / 10))
    return made


def _perceptron(layers: Sequence[tuple[Any, Any]], image: Any) -> Any:
    """Logits [10] of one image."""
    x = image.reshape(-1)
    for number, (weights, bias) in enumerate(layers):
        x = x @ weights + bias
        if number + 1 < len(layers):
            x = jax.nn.relu(x)
    return x


def mlp() -> Callable[..., Any]:
    return partial(_perceptron, _layers())


def _mlp_twin() -> OnnxTwin:
    graph = GraphNodes()
    x = graph.reshaped("image", 0, -1)
    for number, (weights, bias) in enumerate(_layers()):
        x = graph("Gemm", x, weights, bias)
        if number + 1 < len(_layers()):
            x = graph("Relu", x)
    return OnnxTwin(graph.built([("image", np.float32, (8, 8, 1))], x), _feed)


@cache
def _params() -> Params:
    return load_params()


def cnn() -> Callable[..., Any]:
    return partial(classify, _params())


def _cnn_twin() -> OnnxTwin:
    graph, params = GraphNodes(), _params()
    x = graph.reshaped("image", 0, 1, 8, 8)
    for layer in ("conv1", "conv2"):
        kernel = np.transpose(params[layer], (3, 2, 0, 1))
        x = graph("Relu", graph("Conv", x, kernel, params[f"{layer}_bias"], pads=[1, 1, 1, 1]))
    x = graph("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    # The weights behind it are for channels last.
    x = graph.reshaped(graph("Transpose", x, perm=[0, 2, 3, 1]), 0, -1)
    x = graph("Relu", graph("Gemm", x, params["hidden"], params["hidden_bias"]))
    x = graph("Gemm", x, params["logits"], params["logits_bias"])
    return OnnxTwin(graph.built([("image", np.float32, (8, 8, 1))], x), _feed)


def _subject(key: str, title: str, fn: Callable[[], Callable[..., Any]], twin: Callable[[], OnnxTwin]) -> Subject:
    return Subject(key, title, BATCHES, fn, partial(lowered, fn, title), samples, twin=twin)


SUBJECTS = (
    _subject("digits-mlp", "digits, MLP 64-256-128-10", mlp, _mlp_twin),
    _subject("digits-cnn", "digits, the demo's CNN", cnn, _cnn_twin),
)
