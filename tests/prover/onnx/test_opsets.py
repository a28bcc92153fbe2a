"""An op whose meaning changed between opsets means what it meant in the file's opset: compared with onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from rollup.errors import UnsupportedError
from tests.prover.onnx.models import agree, model_of, ours, theirs

RNG = np.random.default_rng(4)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def integers(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


X = {"x": floats(2, 3, 4)}
IMAGE = {"x": floats(1, 2, 5, 6)}
SCALES = np.asarray([1, 1, 2, 2], np.float32)

CASES: dict[str, tuple[int, str, dict[str, Any], dict[str, Any], dict[str, Any], int]] = {
    # name: opset, op, inputs, weights, attributes, outputs
    "softmax over all trailing axes": (11, "Softmax", X, {}, {"axis": 1}, 1),
    "softmax over one axis": (13, "Softmax", X, {}, {"axis": 1}, 1),
    "log-softmax over all trailing axes": (9, "LogSoftmax", X, {}, {"axis": 1}, 1),
    "hardmax over all trailing axes": (11, "Hardmax", X, {}, {"axis": 1}, 1),
    "clip bounds as attributes": (9, "Clip", X, {}, {"min": -0.5, "max": 0.25}, 1),
    "clip bounds as inputs": (11, "Clip", X, {"low": np.float32(-0.5), "high": np.float32(0.25)}, {}, 1),
    "squeeze axes as attribute": (9, "Squeeze", {"x": floats(1, 3, 1)}, {}, {"axes": [0]}, 1),
    "unsqueeze axes as attribute": (11, "Unsqueeze", X, {}, {"axes": [0, 4]}, 1),
    "unsqueeze axes as input": (13, "Unsqueeze", X, {"axes": integers(0, -1)}, {}, 1),
    "sum axes as attribute": (11, "ReduceSum", X, {}, {"axes": [1], "keepdims": 0}, 1),
    "sum axes as input": (13, "ReduceSum", X, {"axes": integers(1)}, {"keepdims": 0}, 1),
    "mean axes as attribute": (13, "ReduceMean", X, {}, {"axes": [-1]}, 1),
    "mean axes as input": (18, "ReduceMean", X, {"axes": integers(-1)}, {}, 1),
    "mean of nothing named": (18, "ReduceMean", X, {}, {"noop_with_empty_axes": 1}, 1),
    "split sizes as attribute": (11, "Split", X, {}, {"axis": 2, "split": [1, 3]}, 2),
    "split sizes as input": (13, "Split", X, {"sizes": integers(1, 3)}, {"axis": 2}, 2),
    "split into unequal parts": (18, "Split", {"x": floats(5, 2)}, {}, {"num_outputs": 2}, 2),
    "slice by attributes": (9, "Slice", X, {}, {"starts": [1, -3], "ends": [9, -1], "axes": [1, 2]}, 1),
    "slice backwards": (
        10,
        "Slice",
        X,
        {"starts": integers(-1), "ends": integers(-(1 << 62)), "axes": integers(2), "steps": integers(-2)},
        {},
        1,
    ),
    "pad by attributes": (9, "Pad", X, {}, {"pads": [0, 1, 0, 0, 0, 2], "value": 1.5}, 1),
    "pad by reflection": (11, "Pad", X, {"pads": integers(0, 1, 2, 0, 1, 1)}, {"mode": "reflect"}, 1),
    "pad some axes": (18, "Pad", X, {"pads": integers(1, 2), "value": np.float32(2), "axes": integers(1)}, {}, 1),
    "pad around": (19, "Pad", X, {"pads": integers(0, 1, 2, 0, 1, 1)}, {"mode": "wrap"}, 1),
    "top-k, k an input": (10, "TopK", X, {"k": integers(2)}, {"axis": 2}, 2),
    "the smallest k": (11, "TopK", X, {"k": integers(2)}, {"axis": 1, "largest": 0}, 2),
    "upsample": (9, "Upsample", IMAGE, {"scales": SCALES}, {"mode": "nearest"}, 1),
    "resize before coordinates had modes": (10, "Resize", IMAGE, {"scales": SCALES}, {"mode": "linear"}, 1),
    "resize by half pixels": (11, "Resize", IMAGE, {"roi": floats(0), "scales": SCALES}, {"mode": "linear"}, 1),
    "resize to sizes, cubic": (
        13,
        "Resize",
        IMAGE,
        {"roi": floats(0), "scales": floats(0), "sizes": integers(1, 2, 7, 4)},
        {"mode": "cubic", "coordinate_transformation_mode": "align_corners"},
        1,
    ),
    "resize with antialiasing": (
        18,
        "Resize",
        IMAGE,
        {"roi": floats(0), "scales": floats(0), "sizes": integers(1, 2, 2, 3)},
        {"mode": "linear", "antialias": 1},
        1,
    ),
    "normalise by given statistics": (
        9,
        "BatchNormalization",
        IMAGE,
        {"s": floats(2), "b": floats(2), "m": floats(2), "v": np.abs(floats(2))},
        {},
        1,
    ),
    "groups scaled per group": (
        18,
        "GroupNormalization",
        IMAGE,
        {"s": floats(2), "b": floats(2)},
        {"num_groups": 2},
        1,
    ),
    "dropout is nothing": (10, "Dropout", X, {}, {"ratio": 0.5}, 1),
    "arg-max of the first": (11, "ArgMax", {"x": np.zeros((2, 3), np.float32)}, {}, {"axis": 1}, 1),
    "arg-max of the last": (
        12,
        "ArgMax",
        {"x": np.zeros((2, 3), np.float32)},
        {},
        {"axis": 1, "select_last_index": 1},
        1,
    ),
    "one axis of a matrix product": (
        9,
        "Gemm",
        {"x": floats(3, 4)},
        {"w": floats(5, 4), "c": floats(5)},
        {"transB": 1},
        1,
    ),
    "average with the padding": (
        10,
        "AveragePool",
        IMAGE,
        {},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1},
        1,
    ),
    "maximum of padded windows": (
        12,
        "MaxPool",
        IMAGE,
        {},
        {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        1,
    ),
    "depthwise convolution": (
        11,
        "Conv",
        IMAGE,
        {"w": floats(4, 1, 3, 3), "b": floats(4)},
        {"group": 2, "auto_pad": "SAME_LOWER", "dilations": [1, 1], "strides": [2, 1]},
        1,
    ),
    "transposed convolution": (
        11,
        "ConvTranspose",
        IMAGE,
        {"w": floats(2, 3, 3, 2), "b": floats(3)},
        {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 0]},
        1,
    ),
    "division towards zero": (
        14,
        "Div",
        {"x": np.asarray([-7, 7, -6], np.int32)},
        {"y": np.asarray(2, np.int32)},
        {},
        1,
    ),
    "gelu by tanh": (20, "Gelu", X, {}, {"approximate": "tanh"}, 1),
    "layer normalisation": (17, "LayerNormalization", X, {"s": floats(4), "b": floats(4)}, {"axis": -1}, 1),
    "statistics per element": (
        8,
        "BatchNormalization",
        {"x": floats(3, 2)},
        {"s": floats(2), "b": floats(2), "m": floats(2), "v": np.abs(floats(2))},
        {"spatial": 0},
        1,
    ),
    "broadcast as numpy does": (7, "Add", X, {"y": floats(3, 1)}, {}, 1),
    "upsample by an attribute": (8, "Upsample", IMAGE, {}, {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}, 1),
    "slopes as numpy broadcasts": (7, "PRelu", X, {"slope": floats(3, 1)}, {}, 1),
}

SIX: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], Any]] = {
    # name: op, inputs, weights, attributes, what it means in numpy
    "along an axis": ("Mul", X, {"y": floats(3)}, {"broadcast": 1, "axis": 1}, lambda x, y: x * y[:, None]),
    "along two axes": ("Sub", X, {"y": floats(2, 3)}, {"broadcast": 1, "axis": 0}, lambda x, y: x - y[..., None]),
    "along the last axes": ("Add", X, {"y": floats(3, 4)}, {"broadcast": 1}, lambda x, y: x + y),
    "an axis from the end": ("Div", X, {"y": floats(3) + 4}, {"broadcast": 1, "axis": -2}, lambda x, y: x / y[:, None]),
    "a comparison": ("Greater", X, {"y": floats(2)}, {"broadcast": 1, "axis": 0}, lambda x, y: x > y[:, None, None]),
    "a power": (
        "Pow",
        {"x": np.abs(X["x"])},
        {"y": floats(3)},
        {"broadcast": 1, "axis": 1},
        lambda x, y: x ** y[:, None],
    ),
    "a slope per channel": ("PRelu", X, {"y": floats(3)}, {}, lambda x, y: np.where(x < 0, x * y[:, None], x)),
    "dropout in a test": ("Dropout", X, {}, {"is_test": 1, "ratio": 0.5}, lambda x: x),
    "upsample of images": (
        "Upsample",
        IMAGE,
        {},
        {"height_scale": 2.0, "width_scale": 3.0},
        lambda x: x.repeat(2, 2).repeat(3, 3),
    ),
    "statistics of channels": (
        "BatchNormalization",
        X,
        {"s": floats(3), "b": floats(3), "m": floats(3), "v": np.abs(floats(3))},
        {"is_test": 1},
        lambda x, s, b, m, v: (x - m[:, None]) / np.sqrt(v[:, None] + 1e-5) * s[:, None] + b[:, None],
    ),
}


@pytest.mark.parametrize("name", SIX)
def test_an_op_of_opset_6_means_what_it_meant(name: str) -> None:
    op, inputs, weights, attributes, meaning = SIX[name]
    proto = model_of([helper.make_node(op, [*inputs, *weights], ["out"], **attributes)], inputs, ["out"], 6, weights)
    agree(ours(proto, inputs), [np.asarray(meaning(*inputs.values(), *weights.values()))])


@pytest.mark.parametrize("op", ["Dropout", "BatchNormalization"])
def test_training_of_opset_6_is_refused(op: str) -> None:
    weights = {name: np.ones(3, np.float32) for name in "sbmv"} if op == "BatchNormalization" else {}
    proto = model_of([helper.make_node(op, ["x", *weights], ["y"])], X, ["y"], 6, weights)
    with pytest.raises(UnsupportedError, match="unless is_test is set"):
        ours(proto, X)


@pytest.mark.parametrize("name", CASES)
def test_an_op_means_what_its_opset_says(name: str) -> None:
    opset, op, inputs, weights, attributes, count = CASES[name]
    outputs = [f"y{j}" for j in range(count)]
    proto = model_of(
        [helper.make_node(op, [*inputs, *weights], outputs, **attributes)], inputs, outputs, opset, weights
    )
    agree(ours(proto, inputs), theirs(proto, inputs))
