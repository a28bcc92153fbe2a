"""The pipelines: what is trained on which data, and how it is exported."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import datasets, ensemble, linear_model, naive_bayes, neural_network, preprocessing, svm, tree
from sklearn.pipeline import make_pipeline

OPSETS = {"": 18, "ai.onnx.ml": 3}
TRAINED = 3
"""Every so many rows one is left out of training and calibration."""

DATA: Mapping[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}


@dataclass(frozen=True)
class Pipeline:
    """``made``: the untrained model; ``by``: the package that it is of."""

    name: str
    data: str
    made: Callable[[], Any]
    by: str = "scikit-learn"

    @property
    def classifies(self) -> bool:
        return self.data != "diabetes"


def _xgboost(name: str, **options: Any) -> Callable[[], Any]:
    def made() -> Any:
        import xgboost

        return getattr(xgboost, name)(n_jobs=1, random_state=0, **options)

    return made


def _lightgbm(name: str, **options: Any) -> Callable[[], Any]:
    def made() -> Any:
        import lightgbm

        return getattr(lightgbm, name)(n_jobs=1, random_state=0, verbose=-1, **options)

    return made


def _scaled(model: Callable[[], Any], scaler: Callable[[], Any] = preprocessing.StandardScaler) -> Callable[[], Any]:
    return lambda: make_pipeline(scaler(), model())


def _on(data: str, made: Mapping[str, Callable[[], Any]], by: str = "scikit-learn") -> list[Pipeline]:
    return [Pipeline(name, data, model, by) for name, model in made.items()]


def _classifiers(data: str) -> list[Pipeline]:
    return [
        *_on(
            data,
            {
                "decision tree": lambda: tree.DecisionTreeClassifier(random_state=0),
                "random forest": lambda: ensemble.RandomForestClassifier(100, random_state=0),
                "logistic regression, scaled": _scaled(lambda: linear_model.LogisticRegression(max_iter=2000)),
                "support vectors (RBF), scaled": _scaled(lambda: svm.SVC()),
            },
        ),
        *_on(data, {"boosted trees": _xgboost("XGBClassifier", n_estimators=50)}, "XGBoost"),
        *_on(data, {"boosted trees": _lightgbm("LGBMClassifier", n_estimators=50)}, "LightGBM"),
    ]


PIPELINES = [
    *(pipeline for data in ("iris", "wine", "breast cancer", "digits") for pipeline in _classifiers(data)),
    *_on(
        "iris",
        {
            "extra trees": lambda: ensemble.ExtraTreesClassifier(50, random_state=0),
            "gradient boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=30, random_state=0),
            "naive Bayes": naive_bayes.GaussianNB,
            "support vectors (linear)": lambda: svm.SVC(kernel="linear"),
        },
    ),
    *_on(
        "wine",
        {
            "forest, columns from 0 to 1": _scaled(
                lambda: ensemble.RandomForestClassifier(50, random_state=0), preprocessing.MinMaxScaler
            ),
        },
    ),
    *_on(
        "breast cancer",
        {
            "gradient boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=50, random_state=0),
            "support vectors (polynomial), scaled": _scaled(lambda: svm.SVC(kernel="poly")),
        },
    ),
    *_on(
        "digits",
        {
            "extra trees on black and white": lambda: make_pipeline(
                preprocessing.Binarizer(threshold=8), ensemble.ExtraTreesClassifier(50, random_state=0)
            ),
            "logistic regression, rows of norm 1": lambda: make_pipeline(
                preprocessing.Normalizer(), linear_model.LogisticRegression(max_iter=500)
            ),
            "perceptron, scaled": _scaled(lambda: neural_network.MLPClassifier((32,), random_state=0, max_iter=300)),
        },
    ),
    *_on(
        "diabetes",
        {
            "decision tree": lambda: tree.DecisionTreeRegressor(max_depth=6, random_state=0),
            "random forest": lambda: ensemble.RandomForestRegressor(100, random_state=0),
            "extra trees": lambda: ensemble.ExtraTreesRegressor(50, random_state=0),
            "gradient boosting": lambda: ensemble.GradientBoostingRegressor(random_state=0),
            "least squares": linear_model.LinearRegression,
            "ridge, scaled": _scaled(linear_model.Ridge),
            "support vectors (RBF), scaled": _scaled(lambda: svm.SVR(C=10.0)),
        },
    ),
    *_on("diabetes", {"boosted trees": _xgboost("XGBRegressor", n_estimators=50)}, "XGBoost"),
    *_on("diabetes", {"boosted trees": _lightgbm("LGBMRegressor", n_estimators=50)}, "LightGBM"),
]


def trained(pipeline: Pipeline) -> tuple[bytes, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(the model's ONNX file, all rows of its data as float32, which of them it was trained on)."""
    rows, targets = DATA[pipeline.data](return_X_y=True)
    rows = rows.astype(np.float32)
    known = np.arange(len(rows)) % TRAINED != 0
    model = pipeline.made()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows[known], targets[known])
        return exported(pipeline, model, rows[:1]), rows, known


def exported(pipeline: Pipeline, model: Any, row: np.ndarray[Any, Any]) -> bytes:
    if pipeline.by == "scikit-learn":
        from skl2onnx import to_onnx

        return bytes(to_onnx(model, row, target_opset=OPSETS).SerializeToString())
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    convert = convert_xgboost if pipeline.by == "XGBoost" else convert_lightgbm
    types = [("x", FloatTensorType([None, row.shape[1]]))]
    return bytes(convert(model, initial_types=types, target_opset=15).SerializeToString())
