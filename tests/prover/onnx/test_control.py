"""Branches, loops and recurrent layers, compared with onnxruntime."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from onnx import TensorProto, helper

from prover.onnx import NeedsConstant
from tests.prover.onnx.models import agree, loaded, model_of, ours, theirs

RNG = np.random.default_rng(6)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


X = {"x": floats(2, 3)}


def value(name: str, code: int, shape: list[int] | None) -> Any:
    return helper.make_tensor_value_info(name, code, shape)


def branch(*nodes: Any) -> Any:
    return helper.make_graph(list(nodes), "branch", [], [value("r", TensorProto.FLOAT, None)])


def chosen(condition: list[Any]) -> Any:
    """y = -x or 2x, by a condition that is computed; the branches read x from outside."""
    return model_of(
        [
            *condition,
            helper.make_node(
                "If",
                ["c"],
                ["y"],
                then_branch=branch(helper.make_node("Neg", ["x"], ["r"])),
                else_branch=branch(helper.make_node("Add", ["x", "x"], ["r"])),
            ),
        ],
        X,
        ["y"],
        weights={"two": np.asarray(2), "zero": np.float32(0)},
    )


def by_shape() -> list[Any]:
    return [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Size", ["s"], ["n"]),
        helper.make_node("Equal", ["n", "two"], ["c"]),
    ]


def by_value() -> list[Any]:
    return [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0), helper.make_node("Greater", ["s", "zero"], ["c"])]


def test_a_branch_that_shapes_decide_is_taken_while_tracing() -> None:
    proto = chosen(by_shape())
    agree(ours(proto, X), theirs(proto, X))
    assert "cond" not in str(jax.make_jaxpr(loaded(proto).fn)(X["x"]))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_branch_that_values_decide_is_taken_at_run_time(sign: int) -> None:
    proto = chosen(by_value())
    inputs = {"x": sign * np.abs(X["x"])}
    agree(ours(proto, inputs), theirs(proto, inputs))


def test_branches_of_different_shapes_need_a_known_condition() -> None:
    proto = chosen(by_value())
    alternative = next(a.g for a in proto.graph.node[-1].attribute if a.name == "else_branch")
    alternative.node[0].op_type = "Concat"
    alternative.node[0].attribute.append(helper.make_attribute("axis", 0))
    with pytest.raises(NeedsConstant, match="different shapes"):
        loaded(proto).fn(X["x"])


def loop(count: int, stop: int | None = None) -> Any:
    """a += x * i, each a stacked; ends early before iteration ``stop``."""
    going = (
        [helper.make_node("Less", ["i", "stop"], ["on"])]
        if stop is not None
        else [helper.make_node("Identity", ["go"], ["on"])]
    )
    body = helper.make_graph(
        [
            *going,
            helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["x", "f"], ["p"]),
            helper.make_node("Add", ["a", "p"], ["b"]),
            helper.make_node("Identity", ["b"], ["seen"]),
        ],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("a", TensorProto.FLOAT, [2, 3])],
        [
            value("on", TensorProto.BOOL, []),
            value("b", TensorProto.FLOAT, [2, 3]),
            value("seen", TensorProto.FLOAT, [2, 3]),
        ],
    )
    weights = {"count": np.asarray(count), "go": np.asarray(True), "stop": np.asarray(stop or 0)}
    return model_of(
        [helper.make_node("Loop", ["count", "go", "x"], ["y", "all"], body=body)], X, ["y", "all"], weights=weights
    )


@pytest.mark.parametrize(("count", "stop"), [(3, None), (40, None), (40, 5)])
def test_a_loop_of_known_count_is_unrolled_or_a_scan(count: int, stop: int | None) -> None:
    proto = loop(count, stop)
    agree(ours(proto, X), theirs(proto, X))
    scanned = "scan" in str(jax.make_jaxpr(loaded(proto).fn)(X["x"]))
    assert scanned == (count == 40 and stop is None)


def test_a_scan_runs_along_its_axes_in_its_directions() -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["a", "e"], ["b"]), helper.make_node("Mul", ["b", "e"], ["o"])],
        "body",
        [value("a", TensorProto.FLOAT, [2]), value("e", TensorProto.FLOAT, [2])],
        [value("b", TensorProto.FLOAT, [2]), value("o", TensorProto.FLOAT, [2])],
    )
    node = helper.make_node(
        "Scan",
        ["init", "x"],
        ["y", "z"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_input_directions=[1],
        scan_output_axes=[1],
        scan_output_directions=[1],
    )
    proto = model_of([node], X, ["y", "z"], weights={"init": floats(2)})
    agree(ours(proto, X), theirs(proto, X))


RECURRENT: dict[str, tuple[str, int, dict[str, Any], bool]] = {
    "LSTM, both directions": ("LSTM", 4, {"direction": "bidirectional"}, False),
    "LSTM, sequences of several lengths": ("LSTM", 4, {"direction": "bidirectional"}, True),
    "LSTM, clipped, other activations": (
        "LSTM",
        4,
        {"direction": "reverse", "clip": 0.4, "activations": ["HardSigmoid", "Softsign", "Relu"]},
        False,
    ),
    "GRU, reset before the product": ("GRU", 3, {"direction": "reverse"}, True),
    "GRU, reset after the product": ("GRU", 3, {"direction": "bidirectional", "linear_before_reset": 1}, False),
    "RNN, both directions": ("RNN", 1, {"direction": "bidirectional", "activations": ["Tanh", "Relu"]}, True),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrent_layer(name: str) -> None:
    op, gates, attributes, several = RECURRENT[name]
    directions = 2 if attributes["direction"] == "bidirectional" else 1
    inputs = {"x": floats(5, 3, 4)}
    weights = {
        "w": floats(directions, gates * 6, 4),
        "r": floats(directions, gates * 6, 6),
        "b": floats(directions, 2 * gates * 6),
        "lengths": np.asarray([5, 2, 4] if several else [5, 5, 5], np.int32),
        "h": floats(directions, 3, 6),
    }
    outputs = ["y", "yh"]
    if op == "LSTM":
        weights |= {"c": floats(directions, 3, 6), "p": floats(directions, 18)}
        outputs.append("yc")
    node = helper.make_node(op, ["x", *weights], outputs, hidden_size=6, **attributes)
    proto = model_of([node], inputs, outputs, 14, weights)
    agree(ours(proto, inputs), theirs(proto, inputs), rtol=1e-3)
