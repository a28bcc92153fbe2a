"""Tree ensembles for tests: random ones in every mode, and those that scikit-learn trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from onnx import helper

from tests.prover.onnx.models import model_of

ML = "ai.onnx.ml"
MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ")


def grown(rng: Any, depth: int, features: int, modes: Sequence[str]) -> list[tuple[str, int, float, int, int]]:
    """Nodes of a random tree: (mode, feature, split, true child, false child); splits are halves, as the tests' inputs are."""
    nodes: list[Any] = []

    def grow(left: int) -> int:
        place = len(nodes)
        nodes.append(("LEAF", 0, 0.0, 0, 0))
        if left and rng.random() > 0.2:
            mode, feature, split = str(rng.choice(modes)), int(rng.integers(features)), float(rng.integers(-3, 4)) / 2
            nodes[place] = (f"BRANCH_{mode}", feature, split, grow(left - 1), grow(left - 1))
        return place

    grow(depth)
    return nodes


def attributes(
    trees: Sequence[Sequence[tuple[str, int, float, int, int]]], kind: str, weights: Callable[[int, int], Iterable[Any]]
) -> dict[str, Any]:
    """Attributes of an ensemble; ``weights(tree, node)``: (target, weight) of a leaf."""
    names = ("treeids", "nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    found: dict[str, Any] = {f"nodes_{name}": [] for name in names}
    found |= {f"{kind}_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree, nodes in enumerate(trees):
        for number, node in enumerate(nodes):
            for name, value in zip(names, (tree, number, *node), strict=True):
                found[f"nodes_{name}"].append(value)
            for target, weight in weights(tree, number) if node[0] == "LEAF" else ():
                for name, value in zip(
                    ("treeids", "nodeids", "ids", "weights"), (tree, number, target, weight), strict=True
                ):
                    found[f"{kind}_{name}"].append(value)
    return found


def ensemble_of(op: str, x: Any, version: int = 3, **given: Any) -> Any:
    """A model of one node; classifiers give labels and scores."""
    outputs = ["label", "scores"] if op.endswith("Classifier") else ["y"]
    return model_of(
        [helper.make_node(op, ["x"], outputs, domain=ML, **given)], {"x": x}, outputs, 17, domains={ML: version}
    )


def trained(model: Any, x: Any) -> Any:
    """A forest or a tree of scikit-learn as one node, its classes 0, 1, 2, ...; regressions with one target."""
    members = list(getattr(model, "estimators_", [model]))
    trees, values = [], []
    for member in members:
        tree = member.tree_
        nodes = []
        for j in range(tree.node_count):
            leaf = tree.children_left[j] < 0
            # scikit-learn compares a float32 with a float64 split: rounded down, a float32 split decides alike.
            split = np.float32(tree.threshold[j])
            split = np.nextafter(split, np.float32(-np.inf)) if split > tree.threshold[j] else split
            nodes.append(
                ("LEAF", 0, 0.0, 0, 0)
                if leaf
                else (
                    "BRANCH_LEQ",
                    int(tree.feature[j]),
                    float(split),
                    int(tree.children_left[j]),
                    int(tree.children_right[j]),
                )
            )
        trees.append(nodes)
        values.append(tree.value[:, 0, :])
    if not hasattr(model, "classes_"):
        found = attributes(trees, "target", lambda t, n: [(0, float(values[t][n, 0]))])
        return ensemble_of("TreeEnsembleRegressor", x, n_targets=1, aggregate_function="AVERAGE", **found)
    count = len(model.classes_)
    found = attributes(
        trees,
        "class",
        lambda t, n: [(c, float(values[t][n, c] / values[t][n].sum() / len(trees))) for c in range(count)],
    )
    return ensemble_of("TreeEnsembleClassifier", x, classlabels_int64s=list(range(count)), **found)
