"""Mutated model files: whatever comes out is a model or an error of ours, never another exception."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import jax
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from prover.onnx.model import OnnxModel, read
from rollup.errors import TouchstoneError
from tests.prover.onnx.models import NOWHERE, model_of

MUTATIONS = 100
"""Of each seed model."""


def seeds() -> list[bytes]:
    """Small models that between them have most kinds of fields: attributes, subgraphs, functions, shape arithmetic."""
    image = np.ones((1, 2, 5, 5), np.float32)
    rng = np.random.default_rng(1)
    convolution = model_of(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], group=1),
            helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2]),
            helper.make_node("Shape", ["p"], ["s"]),
            helper.make_node("Slice", ["s", "zero", "two"], ["t"]),
            helper.make_node("Concat", ["t", "minus"], ["u"], axis=0),
            helper.make_node("Reshape", ["p", "u"], ["y"]),
        ],
        {"x": image},
        ["y"],
        weights={
            "w": rng.standard_normal((3, 2, 3, 3)).astype(np.float32),
            "zero": np.asarray([0]),
            "two": np.asarray([2]),
            "minus": np.asarray([-1]),
        },
    )
    branch = [
        helper.make_graph(
            [helper.make_node(op, ["x"], ["r"])], op, [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
        )
        for op in ("Neg", "Exp")
    ]
    body = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["c"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 3]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("c", TensorProto.FLOAT, [2, 3]),
        ],
    )
    double = helper.make_function(
        "own", "double", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    control = model_of(
        [
            helper.make_node("If", ["yes"], ["b"], then_branch=branch[0], else_branch=branch[1]),
            helper.make_node("Loop", ["three", "yes", "x"], ["l"], body=body),
            helper.make_node("double", ["l"], ["y"], domain="own"),
        ],
        {"x": np.ones((2, 3), np.float32)},
        ["y"],
        weights={"yes": np.asarray(True), "three": np.asarray(3)},
        functions=[double],
        domains={"own": 1},
    )
    recurrent = model_of(
        [
            helper.make_node("LSTM", ["x", "w", "r", "b"], ["h", "", "e"], hidden_size=2, direction="forward"),
            helper.make_node("ReduceMean", ["h"], ["m"], axes=[-1], keepdims=1),
            helper.make_node("Softmax", ["m"], ["n"], axis=0),
            helper.make_node("TopK", ["n", "k"], ["y", "z"], axis=0),
        ],
        {"x": np.ones((3, 1, 4), np.float32)},
        ["y", "z"],
        weights={
            "w": rng.standard_normal((1, 8, 4)).astype(np.float32),
            "r": rng.standard_normal((1, 8, 2)).astype(np.float32),
            "b": np.zeros((1, 16), np.float32),
            "k": np.asarray([2]),
        },
    )
    return [proto.SerializeToString() for proto in (convolution, control, recurrent)]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, removed, inserted, or a part copied elsewhere."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(out))
        kind = rng.randrange(5)
        if kind == 0:
            out[place] = rng.randrange(256)
        elif kind == 1:
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del out[place : place + rng.randrange(1, 6)]
        elif kind == 3:
            out[place:place] = rng.randbytes(rng.randrange(1, 6))
        else:
            start = rng.randrange(len(out))
            out[place:place] = out[start : start + rng.randrange(1, 40)]
        if not out:
            break
    return bytes(out)


NUMBERS = (-(1 << 63), -(1 << 31), -2, -1, 0, 1, 2, 3, 7, 1 << 20, 1 << 31, (1 << 63) - 1)
OPS = (
    "Relu",
    "Add",
    "Gather",
    "Concat",
    "Conv",
    "MatMul",
    "Reshape",
    "Expand",
    "Resize",
    "Loop",
    "Scan",
    "If",
    "GRU",
    "Tile",
)


def altered(data: bytes, rng: random.Random) -> bytes:
    """A file that still is a model: an op, a name, a number, a type or a tensor's shape is another one."""
    proto = onnx.ModelProto()
    proto.ParseFromString(data)
    nodes = [*proto.graph.node, *(inner for function in proto.functions for inner in function.node)]
    nodes += [inner for node in proto.graph.node for a in node.attribute if a.HasField("g") for inner in a.g.node]
    names = sorted({name for node in nodes for name in (*node.input, *node.output)})
    for _ in range(rng.choice((1, 1, 2, 3))):
        node = rng.choice(nodes)
        kind = rng.randrange(6)
        if kind == 0:
            node.op_type = rng.choice(OPS)
        elif kind == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        elif kind == 2 and node.attribute:
            attribute = rng.choice(node.attribute)
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
            else:
                attribute.i = rng.choice(NUMBERS)
        elif kind == 3:
            tensor = rng.choice(proto.graph.initializer)
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.int64:
                changed = np.full(array.shape, rng.choice(NUMBERS), np.int64)
                tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
            else:
                tensor.CopyFrom(numpy_helper.from_array(array.reshape(-1), tensor.name))
        elif kind == 4:
            proto.opset_import[0].version = rng.randrange(1, 30)
        elif proto.graph.input:
            shape = rng.choice(proto.graph.input).type.tensor_type.shape
            rng.choice(shape.dim).dim_value = rng.choice((0, 1, 2, 5, 9))
    return proto.SerializeToString()


def shaped(model: OnnxModel) -> None:
    """Trace the model on arrays of the shapes that it declares, small where they are open; nothing is computed."""
    arrays = [
        jax.ShapeDtypeStruct([n if isinstance(n, int) else 2 for n in port.shape or ()], port.dtype or np.float32)
        for port in model.inputs
    ]
    jax.eval_shape(model.fn, *arrays)


@pytest.mark.parametrize("mutate", [mutated, altered])
def test_mutated_files_give_models_or_errors_of_ours(mutate: Callable[[bytes, random.Random], bytes]) -> None:
    outcomes: Counter[str] = Counter()
    for number, seed in enumerate(seeds()):
        shaped(read(seed, "seed", NOWHERE))
        rng = random.Random(number)
        for _ in range(MUTATIONS):
            data = mutate(seed, rng)
            try:
                model = read(data, "mutant", NOWHERE)
            except TouchstoneError:
                outcomes["refused when loaded"] += 1
                continue
            try:
                shaped(model)
            except TouchstoneError:
                outcomes["refused when traced"] += 1
            else:
                outcomes["a model"] += 1
    assert outcomes.total() == 3 * MUTATIONS
    assert min(outcomes[kind] for kind in ("refused when loaded", "refused when traced", "a model")) >= 3, outcomes
