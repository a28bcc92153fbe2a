"""Linear models, support vectors and feature transforms give onnxruntime's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from rollup.errors import LoweringError, UnsupportedError
from tests.prover.onnx.ensembles import ML
from tests.prover.onnx.models import agree, model_of, ours, theirs

RNG = np.random.default_rng(6)
X = RNG.standard_normal((9, 4)).astype(np.float32)
WHOLE = RNG.integers(-3, 4, (9, 4))
SIGNED = np.r_[X[:3], -np.abs(X[3:6]), [[0, -1, -2, 0], [0, 0, 0, 0], [3, -1, 0, -9]]].astype(np.float32)
"""Rows of both signs, without a positive element, of zeros."""


def floats(*shape: int) -> list[float]:
    return [float(v) for v in RNG.standard_normal(shape).astype(np.float32).reshape(-1)]


def tensor(values: Any, dtype: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values, dtype), "t")


def one(op: str, inputs: dict[str, Any], outputs: int = 1, version: int = 3, **attributes: Any) -> Any:
    names = [f"y{j}" for j in range(outputs)]
    return model_of(
        [helper.make_node(op, list(inputs), names, domain=ML, **attributes)], inputs, names, 17, domains={ML: version}
    )


SVM = {"support_vectors": floats(6, 4), "kernel_params": [0.5, 0.25, 3.0]}
PAIRS = {
    "classlabels_ints": [5, 1, 3],
    "vectors_per_class": [2, 1, 3],
    "coefficients": floats(2, 6),
    "rho": floats(3),
    **SVM,
}
TWO = {"classlabels_ints": [5, 1], "vectors_per_class": [2, 4], "coefficients": floats(1, 6), "rho": floats(1), **SVM}

CASES: dict[str, tuple[str, dict[str, Any], int, int, dict[str, Any]]] = {
    "linear regression": ("LinearRegressor", {"x": X}, 1, 1, {"targets": 3, "coefficients": floats(3, 4)}),
    "with intercepts": (
        "LinearRegressor",
        {"x": X},
        1,
        1,
        {"targets": 2, "coefficients": floats(2, 4), "intercepts": floats(2)},
    ),
    **{
        f"linear classifier, {post}": (
            "LinearClassifier",
            {"x": X},
            2,
            1,
            {
                "coefficients": floats(3, 4),
                "intercepts": floats(3),
                "classlabels_ints": [3, 1, 2],
                "post_transform": post,
            },
        )
        for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")
    },
    **{
        f"linear classifier of one row, {post}": (
            "LinearClassifier",
            {"x": X},
            2,
            1,
            {"coefficients": floats(1, 4), "intercepts": floats(1), "classlabels_ints": [4, 8], "post_transform": post},
        )
        for post in ("NONE", "LOGISTIC")
    },
    **{
        f"support vectors for a value, {kernel}": (
            "SVMRegressor",
            {"x": X},
            1,
            1,
            {"n_supports": 6, "coefficients": floats(6), "rho": floats(1), "kernel_type": kernel, **SVM},
        )
        for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID")
    },
    "of one class": (
        "SVMRegressor",
        {"x": X},
        1,
        1,
        {"n_supports": 6, "coefficients": floats(6), "rho": floats(1), "kernel_type": "RBF", "one_class": 1, **SVM},
    ),
    **{
        f"support vectors for classes, {kernel}": ("SVMClassifier", {"x": X}, 2, 1, {"kernel_type": kernel, **PAIRS})
        for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID")
    },
    "for two classes": ("SVMClassifier", {"x": X}, 2, 1, {"kernel_type": "RBF", **TWO}),
    "with probabilities of three": (
        "SVMClassifier",
        {"x": X},
        2,
        1,
        {"kernel_type": "RBF", "prob_a": [-1.0, -0.5, -2.0], "prob_b": [0.1, 0.2, -0.3], **PAIRS},
    ),
    "with probabilities of two": (
        "SVMClassifier",
        {"x": X},
        2,
        1,
        {"kernel_type": "RBF", "prob_a": [-1.0], "prob_b": [0.1], **TWO},
    ),
    "without support vectors": (
        "SVMClassifier",
        {"x": X},
        2,
        1,
        {"classlabels_ints": [0, 1, 2], "coefficients": floats(3, 4), "rho": [0.5], "kernel_params": [0.0, 0.0, 0.0]},
    ),
    "scaler": ("Scaler", {"x": X}, 1, 1, {"offset": floats(4), "scale": floats(4)}),
    "scaler of whole numbers": ("Scaler", {"x": WHOLE}, 1, 1, {"offset": [1.5], "scale": [0.25]}),
    "imputer of a number": (
        "Imputer",
        {"x": WHOLE.astype(np.float32)},
        1,
        1,
        {"imputed_value_floats": floats(4), "replaced_value_float": 2.0},
    ),
    "imputer of NaN": (
        "Imputer",
        {"x": X},
        1,
        1,
        {"imputed_value_floats": [1.0], "replaced_value_float": float("nan")},
    ),
    "imputer of a whole number": (
        "Imputer",
        {"x": WHOLE},
        1,
        1,
        {"imputed_value_int64s": [7, 8, 9, 10], "replaced_value_int64": -1},
    ),
    **{f"rows of norm 1, {norm}": ("Normalizer", {"x": SIGNED}, 1, 1, {"norm": norm}) for norm in ("L1", "L2", "MAX")},
    "binarizer": ("Binarizer", {"x": X}, 1, 1, {"threshold": 0.25}),
    "one-hot": ("OneHotEncoder", {"x": WHOLE}, 1, 1, {"cats_int64s": [2, -1, 0], "zeros": 1}),
    "one-hot of floats": (
        "OneHotEncoder",
        {"x": WHOLE.astype(np.float32)},
        1,
        1,
        {"cats_int64s": [2, -1, 0], "zeros": 1},
    ),
    "labels, numbers to numbers": (
        "LabelEncoder",
        {"x": WHOLE},
        1,
        2,
        {"keys_int64s": [2, -1, 0], "values_floats": [0.5, 1.5, -2.0], "default_float": 9.0},
    ),
    "labels, floats to whole numbers": (
        "LabelEncoder",
        {"x": WHOLE.astype(np.float32)},
        1,
        2,
        {"keys_floats": [2.0, -1.0, 0.0], "values_int64s": [7, 8, 9]},
    ),
    "labels as tensors": (
        "LabelEncoder",
        {"x": WHOLE},
        1,
        4,
        {
            "keys_tensor": tensor([2, -1], np.int64),
            "values_tensor": tensor([10, 20], np.int64),
            "default_tensor": tensor([5], np.int64),
        },
    ),
    "features side by side": (
        "FeatureVectorizer",
        {"x": X, "y": X[:, :2].copy()},
        1,
        1,
        {"inputdimensions": [4, 2]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_op_gives_onnxruntimes_numbers(name: str) -> None:
    op, inputs, outputs, version, attributes = CASES[name]
    proto = one(op, inputs, outputs, version, **attributes)
    agree(ours(proto, inputs), theirs(proto, inputs))


REFUSED: dict[str, tuple[type[Exception], str, dict[str, Any], str]] = {
    "coefficients of a wrong number": (
        LoweringError,
        "LinearRegressor",
        {"coefficients": [1.0, 2.0]},
        "coefficients has 2 entries where 1 times 4",
    ),
    "rows for no classes": (
        LoweringError,
        "LinearClassifier",
        {"coefficients": [1.0] * 4, "classlabels_ints": [0, 1, 2]},
        "1 rows of coefficients for 3 classes",
    ),
    "no labels": (LoweringError, "LinearClassifier", {"coefficients": [1.0] * 4}, "has no class labels"),
    "string labels": (
        UnsupportedError,
        "LinearClassifier",
        {"coefficients": [1.0] * 8, "classlabels_strings": ["a", "b"]},
        "encode the classes before training",
    ),
    "an infinite coefficient": (
        LoweringError,
        "LinearRegressor",
        {"coefficients": [float("inf")] * 4},
        "not finite",
    ),
    "an unknown kernel": (
        LoweringError,
        "SVMRegressor",
        {"n_supports": 1, "support_vectors": [1.0] * 4, "coefficients": [1.0], "rho": [0.0], "kernel_type": "COSINE"},
        "'COSINE' does not exist",
    ),
    "support vectors of a wrong number": (
        LoweringError,
        "SVMRegressor",
        {"n_supports": 2, "support_vectors": [1.0] * 4, "coefficients": [1.0, 1.0], "rho": [0.0]},
        "support_vectors has 4 entries where 2 times 4",
    ),
    "an offset of a wrong number": (LoweringError, "Scaler", {"offset": [1.0, 2.0], "scale": [1.0]}, "offset has 2"),
    "categories of strings": (UnsupportedError, "OneHotEncoder", {"cats_strings": ["a"]}, "encode them as integers"),
    "one key twice": (
        LoweringError,
        "LabelEncoder",
        {"keys_floats": [1.0, 1.0], "values_int64s": [1, 2]},
        "one key twice",
    ),
    "keys without values": (LoweringError, "LabelEncoder", {"keys_floats": [1.0]}, "it has no values"),
    "strings as keys": (
        UnsupportedError,
        "LabelEncoder",
        {"keys_strings": ["a"], "values_int64s": [1]},
        "encode outside of the model",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_model_is_refused_in_a_sentence(name: str) -> None:
    kind, op, attributes, sentence = REFUSED[name]
    proto = one(op, {"x": X}, 2 if op.endswith("Classifier") else 1, 2 if op == "LabelEncoder" else 1, **attributes)
    with pytest.raises(kind) as caught:
        ours(proto, {"x": X})
    assert sentence in str(caught.value)
    assert f"({op}, opset" in str(caught.value)
