"""Tree ensembles decide as onnxruntime does, as functions and as programs; a bad one is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

from prover import lower
from rollup.errors import LoweringError, UnsupportedError
from tests.prover.onnx.ensembles import MODES, attributes, ensemble_of, grown, trained
from tests.prover.onnx.models import agree, loaded, ours, theirs

RNG = np.random.default_rng(11)
X = (RNG.integers(-4, 5, (12, 4)) / 2).astype(np.float32)
POST = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")


def forest(
    seed: int, kind: str, targets: Callable[[int], Any], positive: bool = False, count: int = 5
) -> dict[str, Any]:
    """A random ensemble whose tree ``t`` has weights for ``targets(t)``."""
    rng = np.random.default_rng(seed)
    trees = [grown(rng, int(rng.integers(1, 5)), X.shape[1], MODES) for _ in range(count)]

    def weights(tree: int, node: int) -> list[tuple[int, float]]:
        return [
            (t, float(abs(w) / count if positive else w)) for t in targets(tree) for w in [np.float32(rng.normal())]
        ]

    return attributes(trees, kind, weights)


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_regressor_gives_onnxruntimes_values(aggregate: str, count: int) -> None:
    found = forest(3, "target", lambda t: range(count))
    base = [0.25, -1.5, 2.0][:count]
    proto = ensemble_of(
        "TreeEnsembleRegressor", X, n_targets=count, aggregate_function=aggregate, base_values=base, **found
    )
    agree(ours(proto, {"x": X}), theirs(proto, {"x": X}))


def test_trees_of_one_target_each_are_summed_by_target() -> None:
    proto = ensemble_of("TreeEnsembleRegressor", X, n_targets=2, **forest(5, "target", lambda t: [t % 2]))
    agree(ours(proto, {"x": X}), theirs(proto, {"x": X}))


@pytest.mark.parametrize("post", POST)
@pytest.mark.parametrize("base", [(), (0.5, -0.25, 0.125)])
def test_a_classifier_gives_onnxruntimes_labels_and_scores(post: str, base: tuple[float, ...]) -> None:
    for targets in (lambda t: range(3), lambda t: [t % 3]):
        given = {"base_values": base} if base else {}
        proto = ensemble_of(
            "TreeEnsembleClassifier",
            X,
            classlabels_int64s=[4, 2, 9],
            post_transform=post,
            **given,
            **forest(7, "class", targets),
        )
        agree(ours(proto, {"x": X}), theirs(proto, {"x": X}))


@pytest.mark.parametrize("post", POST)
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("base", [(), (0.25,), (0.5, -0.25)])
def test_two_classes_are_told_apart_as_onnxruntime_does(post: str, positive: bool, base: tuple[float, ...]) -> None:
    ways: list[tuple[Any, list[int]]] = [
        (lambda t: [0], [3, 7]),
        (lambda t: [1], [3, 7]),
        (lambda t: range(2), [0, 1]),
        (lambda t: [t % 2], [0, 1]),
    ]
    for targets, labels in ways:
        given = {"base_values": base} if base else {}
        proto = ensemble_of(
            "TreeEnsembleClassifier",
            X,
            classlabels_int64s=labels,
            post_transform=post,
            **given,
            **forest(9, "class", targets, positive),
        )
        agree(ours(proto, {"x": X}), theirs(proto, {"x": X}))


def test_the_ensemble_of_operator_set_5_has_sets_of_members() -> None:
    nan = np.float32(np.nan)

    def tensor(name: str, values: Any, dtype: Any) -> Any:
        return numpy_helper.from_array(np.asarray(values, dtype), name)

    proto = ensemble_of(
        "TreeEnsemble",
        X,
        5,
        n_targets=2,
        aggregate_function=1,
        tree_roots=[0],
        nodes_modes=tensor("m", [0, 6, 6], np.uint8),
        nodes_featureids=[0, 1, 2],
        nodes_splits=tensor("s", [0.5, 0, 0], np.float32),
        nodes_truenodeids=[1, 0, 2],
        nodes_trueleafs=[0, 1, 1],
        nodes_falsenodeids=[2, 1, 3],
        nodes_falseleafs=[0, 1, 1],
        leaf_targetids=[0, 1, 0, 1],
        leaf_weights=tensor("w", [1.5, 2.0, -0.5, 8.0], np.float32),
        membership_values=tensor("v", [0.5, 1.0, nan, -1.0, 2.0, 0.5, nan], np.float32),
    )
    agree(ours(proto, {"x": X}), ReferenceEvaluator(proto).run(None, {"x": X}))


TRAINED = {
    "a tree on iris": (DecisionTreeClassifier(random_state=0), load_iris),
    "a forest on wine": (RandomForestClassifier(10, random_state=0), load_wine),
    "a regression on diabetes": (
        RandomForestRegressor(10, max_depth=6, random_state=0),
        partial(load_diabetes, scaled=False),
    ),
}


@pytest.mark.parametrize("name", TRAINED)
def test_a_program_of_trees_keeps_every_answer(name: str) -> None:
    model, data = TRAINED[name]
    x, y = data(return_X_y=True)
    x = x.astype(np.float32)
    proto = trained(model.fit(x, y), x)
    program = lower(loaded(proto).fn, x, calibration=[(x,)])
    got, wanted = jax.tree.leaves(program.predict(x)), theirs(proto, {"x": x})
    assert len(got) == len(wanted)
    if len(got) == 2:
        np.testing.assert_array_equal(np.asarray(got[0]), wanted[0])
    else:
        assert np.abs(np.asarray(got[0]) - wanted[0]).max() <= 1e-4 * np.ptp(wanted[0])


def test_a_number_on_a_split_goes_the_way_that_the_float_goes() -> None:
    """Splits and inputs that meet, and splits one step of a float32 away from an input."""
    points = np.asarray([0.1, 0.3, 1 / 3, 0.7, 1.1], np.float32)
    splits = [float(np.nextafter(p, np.float32(d))) for p in points for d in (-9, 9)] + [float(p) for p in points]
    trees = [
        [(f"BRANCH_{mode}", 0, split, 1, 2), *[("LEAF", 0, 0.0, 0, 0)] * 2]
        for split in splits
        for mode in ("LEQ", "LT")
    ]
    found = attributes(trees, "target", lambda t, n: [(t, float(n == 1))])
    x = points[:, None]
    proto = ensemble_of("TreeEnsembleRegressor", x, n_targets=len(trees), **found)
    program = lower(loaded(proto).fn, x)
    on_grid = np.asarray(program.quantize(x)[0]).reshape(x.shape) * 2.0 ** -program.program.header.inputs[0].scale
    held = on_grid.astype(np.float32)
    assert np.array_equal(held, on_grid)
    np.testing.assert_allclose(np.asarray(program.predict(x)), theirs(proto, {"x": held})[0], atol=1e-3)


GOOD = [("BRANCH_LEQ", 0, 0.5, 1, 2), ("LEAF", 0, 0.0, 0, 0), ("LEAF", 0, 0.0, 0, 0)]


def bad(**changed: Any) -> dict[str, Any]:
    found = attributes([GOOD], "target", lambda t, n: [(0, 1.0)]) | changed
    return {name: value for name, value in found.items() if value is not None}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a list is missing": (bad(nodes_featureids=None), "nodes_featureids' is missing"),
    "lengths disagree": (bad(nodes_values=[0.5]), "nodes_values has 1 entries where 3"),
    "modes are missing": (bad(nodes_modes=["LEAF"]), "nodes_modes has 1 entries"),
    "an unknown mode": (bad(nodes_modes=["BRANCH_MAYBE", "LEAF", "LEAF"]), "'MAYBE' does not exist"),
    "a child that does not exist": (bad(nodes_truenodeids=[9, 0, 0]), "has the child 9, which does not exist"),
    "a node without a parent": (bad(nodes_truenodeids=[2, 0, 0]), "2 nodes without a parent"),
    "a node that is its own child": (bad(nodes_truenodeids=[0, 0, 0]), "form a cycle"),
    "two nodes of one number": (bad(nodes_nodeids=[0, 1, 1]), "the same number"),
    "a feature beyond the input": (bad(nodes_featureids=[4, 0, 0]), "feature 4 of an input with 4"),
    "a weight of no node": (bad(target_nodeids=[1, 7]), "node 7 of tree 0, which does not exist"),
    "a target beyond the count": (bad(target_ids=[0, 3]), "a weight for 3, but there are 1"),
    "two weights of one leaf": (bad(target_nodeids=[1, 1]), "two weights for one target"),
    "a split that is NaN": (bad(nodes_values=[float("nan"), 0, 0]), "NaN"),
    "an infinite weight": (bad(target_weights=[float("inf"), 0.0]), "not finite"),
    "base values of another number": (bad(base_values=[1.0, 2.0]), "base_values has 2 entries for 1"),
    "an unknown aggregate": (bad(aggregate_function="MEDIAN"), "'MEDIAN' does not exist"),
    "an unknown transform": (bad(post_transform="CUBE"), "'CUBE' does not exist"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_ensemble_is_refused_in_a_sentence(name: str) -> None:
    given, sentence = REFUSED[name]
    with pytest.raises(LoweringError, match=r"TreeEnsembleRegressor, opset 3") as caught:
        ours(ensemble_of("TreeEnsembleRegressor", X, **given), {"x": X})
    assert sentence in str(caught.value)


def test_a_cycle_beside_the_root_is_refused() -> None:
    nodes = [("BRANCH_LEQ", 0, 0.5, 3, 3), ("BRANCH_LEQ", 0, 0.5, 2, 3), ("BRANCH_LEQ", 0, 0.5, 1, 3), GOOD[1]]
    found = attributes([nodes], "target", lambda t, n: [(0, 1.0)])
    with pytest.raises(LoweringError, match="cycle"):
        ours(ensemble_of("TreeEnsembleRegressor", X, **found), {"x": X})


def test_string_labels_are_refused_with_a_remedy() -> None:
    found = attributes([GOOD], "class", lambda t, n: [(0, 1.0)])
    proto = ensemble_of("TreeEnsembleClassifier", X, classlabels_strings=["no", "yes"], **found)
    with pytest.raises(UnsupportedError, match="encode the classes before training"):
        ours(proto, {"x": X})


def test_zip_map_is_left_out_and_loading_says_so(caplog: pytest.LogCaptureFixture) -> None:
    found = forest(1, "class", lambda t: range(3))
    proto = ensemble_of("TreeEnsembleClassifier", X, classlabels_int64s=[0, 1, 2], **found)
    node = helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])
    proto.graph.node.append(node)
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, [])))
    del proto.graph.output[1]
    proto.graph.output.append(helper.make_value_info("maps", maps))
    label, scores = ours(proto, {"x": X})
    assert "is left out: 'maps' is the tensor of probabilities, with a column for each of [0, 1, 2]" in caplog.text
    wanted = theirs(proto, {"x": X})
    np.testing.assert_array_equal(label, wanted[0])
    np.testing.assert_allclose(scores, [list(row.values()) for row in wanted[1]], rtol=1e-5)  # type: ignore[attr-defined]
