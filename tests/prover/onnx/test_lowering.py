"""An imported model is lowered like any other function, and its ops are known by the names of the file's nodes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from prover import lower
from prover.lowering.capture import capture
from tests.prover.onnx.models import loaded, model_of, theirs

RNG = np.random.default_rng(2)


def network() -> object:
    """Convolution, pooling, shape arithmetic, a recurrent layer, a classifier."""

    def floats(*shape: int) -> np.ndarray:
        return (RNG.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    return model_of(
        [
            helper.make_node("Conv", ["x", "k", "kb"], ["c"], name="features", pads=[1, 1]),
            helper.make_node("Relu", ["c"], ["r"], name="bend"),
            helper.make_node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2], strides=[2]),
            helper.make_node("Transpose", ["p"], ["t"], name="turn", perm=[2, 0, 1]),
            helper.make_node("LSTM", ["t", "w", "u", "b"], ["", "h"], name="memory", hidden_size=5),
            helper.make_node("Shape", ["x"], ["s"], name="shape"),
            helper.make_node("Slice", ["s", "zero", "one"], ["n"], name="batch"),
            helper.make_node("Concat", ["n", "rest"], ["flat"], name="wanted", axis=0),
            helper.make_node("Reshape", ["h", "flat"], ["f"], name="flatten"),
            helper.make_node("Gemm", ["f", "o", "ob"], ["g"], name="classify", transB=1),
            helper.make_node("Softmax", ["g"], ["y"], name="answer", axis=-1),
        ],
        {"x": np.ones((2, 3, 8), np.float32)},
        ["y"],
        17,
        {
            "k": floats(4, 3, 3),
            "kb": floats(4),
            "w": floats(1, 20, 4),
            "u": floats(1, 20, 5),
            "b": floats(1, 40),
            "zero": np.asarray([0]),
            "one": np.asarray([1]),
            "rest": np.asarray([-1]),
            "o": floats(6, 5),
            "ob": floats(6),
        },
    )


def test_a_lowered_model_keeps_the_float_model_s_answers() -> None:
    fn = loaded(network()).fn
    samples = [(RNG.standard_normal((2, 3, 8)).astype(np.float32),) for _ in range(6)]
    model = lower(fn, *samples[0], calibration=samples[:4])
    for (x,) in samples[4:]:
        np.testing.assert_allclose(np.asarray(model.predict(x)), np.asarray(fn(x)), atol=2e-3)


def test_ops_are_known_by_the_names_of_the_nodes() -> None:
    graph, _, _ = capture(loaded(network()).fn, [np.ones((2, 3, 8), np.float32)])
    places = {node.where.split("/")[0] for node in graph.nodes}
    assert places == {"features", "bend", "pool", "turn", "memory", "flatten", "classify", "answer"}
    scan = next(node for node in graph.nodes if node.name == "scan")
    assert scan.body is not None and {node.where for node in scan.body.nodes} == {"memory"}


@pytest.mark.parametrize("ops", [["Min"], ["Neg", "Exp"], ["Less"]])
def test_an_infinity_in_a_table_that_is_gathered_is_an_infinity(ops: list[str]) -> None:
    table = np.where(RNG.random((5, 6)) < 0.4, np.inf, RNG.standard_normal((5, 6))).astype(np.float32)
    x, rows = RNG.standard_normal((4, 6)).astype(np.float32), np.asarray([0, 2, 1, 3])
    nodes = [helper.make_node("Gather", ["table", "rows"], ["v0"])]
    for j, op in enumerate(ops):
        nodes.append(helper.make_node(op, ["x", f"v{j}"] if len(ops) == 1 else [f"v{j}"], [f"v{j + 1}"]))
    inputs = {"x": x, "rows": rows}
    proto = model_of(nodes, inputs, [f"v{len(ops)}"], 17, {"table": table})
    program = lower(loaded(proto).fn, x, rows)
    np.testing.assert_allclose(np.asarray(program.predict(x, rows)), theirs(proto, inputs)[0], atol=1e-3)
