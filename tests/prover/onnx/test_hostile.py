"""A model file is hostile: each is refused with a sentence that names the place, before memory or time is spent."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from prover.onnx import NeedsConstant, load_onnx
from prover.onnx.model import OnnxModel
from rollup.errors import LoweringError, UnsupportedError
from tests.prover.onnx.models import agree, loaded, model_of, ours

X = np.ones((2, 3), np.float32)
PEAK = 200 << 20
"""Bytes that a refusal may take."""


@contextmanager
def bounded() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()


def saved(folder: Path, proto: Any) -> Path:
    path = folder / "bad.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    return path


def relu(**changes: Any) -> Any:
    return model_of([helper.make_node("Relu", ["x"], ["y"], name="one")], {"x": X}, ["y"], **changes)


def matmul(weight: Any) -> Any:
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": X}, ["y"], weights={"w": weight})


def with_nodes(*nodes: Any, outputs: tuple[str, ...] = ("y",), **more: Any) -> Any:
    return model_of(list(nodes), {"x": X}, outputs, **more)


def node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(op, inputs, outputs, name=attributes.pop("name", "bad"), **attributes)


def declared(shape: list[int], data: bytes, **fields: Any) -> Any:
    proto = matmul(np.ones((3, 2), np.float32))
    tensor = proto.graph.initializer[0]
    tensor.ClearField("dims")
    tensor.dims.extend(shape)
    tensor.raw_data = data
    for name, value in fields.items():
        setattr(tensor, name, value)
    return proto


def external(entries: dict[str, str]) -> Any:
    proto = matmul(np.ones((3, 2), np.float32))
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return proto


def nested(levels: int) -> bytes:
    """Subgraphs inside subgraphs, deeper than protobuf itself would read."""

    def field(number: int, payload: bytes) -> bytes:
        size, length = len(payload), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + payload

    graph = b""
    for _ in range(levels):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


CONDITION = np.asarray(True)


def looped(count: int, *body: Any) -> Any:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), *body],
        "body",
        [helper.make_tensor_value_info(n, c, []) for n, c in (("i", TensorProto.INT64), ("go", TensorProto.BOOL))],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    return with_nodes(
        node("Loop", ["count", "go"], [], body=graph),
        helper.make_node("Relu", ["x"], ["y"]),
        weights={"count": np.asarray(count, np.int64), "go": CONDITION},
    )


def infinite(value: float) -> Any:
    weight = np.ones((3, 2), np.float32)
    weight[1, 1] = value
    return matmul(weight)


def function_bomb(levels: int) -> Any:
    """Functions of which each calls the next twice."""
    functions = [
        helper.make_function(
            "own",
            f"f{level}",
            ["a"],
            ["c"],
            [
                helper.make_node(f"f{level + 1}", ["a"], ["b"], domain="own"),
                helper.make_node(f"f{level + 1}", ["b"], ["c"], domain="own"),
            ],
            [helper.make_opsetid("own", 1)],
        )
        for level in range(levels)
    ]
    last = helper.make_function(
        "own", f"f{levels}", ["a"], ["c"], [helper.make_node("Neg", ["a"], ["c"])], [helper.make_opsetid("", 17)]
    )
    return with_nodes(
        helper.make_node("f0", ["w"], ["z"], domain="own"),
        helper.make_node("Add", ["x", "z"], ["y"]),
        weights={"w": np.ones(3, np.float32)},
        functions=[*functions, last],
        domains={"own": 1},
    )


def recursive() -> Any:
    function = helper.make_function(
        "own", "f", ["a"], ["b"], [helper.make_node("f", ["a"], ["b"], domain="own")], [helper.make_opsetid("own", 1)]
    )
    return with_nodes(helper.make_node("f", ["x"], ["y"], domain="own"), functions=[function], domains={"own": 1})


def named_twice() -> Any:
    proto = matmul(np.ones((3, 2), np.float32))
    proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
    return proto


WHEN_LOADED: dict[str, tuple[Callable[[], Any], str]] = {
    "an empty file": (lambda: b"", "no graph"),
    "garbage": (lambda: bytes(range(256)) * 4, "no ONNX model"),
    "a text": (lambda: b"this is a story, not a model", "no ONNX model"),
    "a truncated file": (lambda: relu().SerializeToString()[:-7], "truncated"),
    "no opset": (lambda: _without(relu(), "opset_import"), "imports no opset"),
    "an opset of the future": (lambda: relu(opset=9999), "opset 9999"),
    "no outputs": (lambda: model_of([], {"x": X}, []), "no outputs"),
    "subgraphs beyond any depth": (lambda: nested(5000), "deep"),
    "an undefined input": (lambda: with_nodes(node("Relu", ["nobody"], ["y"])), "'nobody'"),
    "an undefined output": (lambda: with_nodes(outputs=("z",)), "'z'"),
    "a cycle": (lambda: with_nodes(node("Add", ["x", "b"], ["y"]), node("Relu", ["y"], ["b"], name="q")), "cycle"),
    "a name computed twice": (lambda: with_nodes(node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])), "'y'"),
    "an initialiser twice": (named_twice, "'w'"),
    "an attribute of a wrong type": (lambda: with_nodes(node("Softmax", ["x"], ["y"], axis=1.5)), "'axis'"),
    "an attribute that the op lacks": (lambda: with_nodes(node("Relu", ["x"], ["y"], slope=2)), "'slope'"),
    "too many inputs": (lambda: with_nodes(node("Relu", ["x", "x"], ["y"])), "2 inputs"),
    "a required input left out": (lambda: with_nodes(node("MatMul", ["x", ""], ["y"])), "'B'"),
    "huge dimensions, little data": (lambda: declared([1 << 40, 1 << 20], b"1234"), "'w'"),
    "dimensions whose product overflows": (lambda: declared([1 << 32, 1 << 32], b""), "'w'"),
    "negative dimensions": (lambda: declared([-3, -2], b"\0" * 24), "'w'"),
    "too little data": (lambda: declared([3, 2], b"\0" * 20), "24 bytes"),
    "an unknown element type": (lambda: declared([3, 2], b"\0" * 24, data_type=99), "99"),
    "a string tensor": (lambda: declared([3, 2], b"", data_type=TensorProto.STRING), "STRING"),
    "weights that are not a number": (lambda: infinite(np.nan), "'w' contains NaN"),
    "infinite weights": (lambda: infinite(np.inf), "'w' contains infinity"),
    "weights minus infinity": (lambda: infinite(-np.inf), "'w', a weight"),
    "external data outside": (lambda: external({"location": "../secret"}), "own folder"),
    "external data somewhere else": (lambda: external({"location": "/etc/passwd"}), "own folder"),
    "external data by a link": (lambda: external({"location": "link"}), "leaves the model's folder"),
    "external data in a linked folder": (lambda: external({"location": "up/secret"}), "leaves the model's folder"),
    "external data that is missing": (lambda: external({"location": "nothing"}), "no file"),
    "external data that is a folder": (lambda: external({"location": "."}), "no file"),
    "external data nowhere": (lambda: external({}), "own folder"),
    "external data too short": (lambda: external({"location": "short"}), "which has 8"),
    "external data beyond its end": (lambda: external({"location": "long", "offset": "64"}), "bytes 64 to 88"),
    "external data at a negative place": (lambda: external({"location": "long", "offset": "-1"}), "'-1'"),
    "external data of another length": (lambda: external({"location": "long", "length": "23"}), "23"),
}


def _without(proto: Any, name: str) -> Any:
    proto.ClearField(name)
    return proto


@pytest.mark.parametrize("name", WHEN_LOADED)
def test_a_file_is_refused_when_it_is_loaded(tmp_path: Path, name: str) -> None:
    make, told = WHEN_LOADED[name]
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"s" * 64)
    (folder / "short").write_bytes(b"s" * 8)
    (folder / "long").write_bytes(b"s" * 64)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    with bounded(), pytest.raises(LoweringError, match=r"^bad\.onnx: ") as caught:
        load_onnx(saved(folder, make()))
    assert told in str(caught.value)
    assert len(str(caught.value)) < 1000


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def sized(op: str, inputs: list[str], **weights: Any) -> Any:
    return with_nodes(node(op, inputs, ["y"]), weights=weights)


def conv(**attributes: Any) -> Any:
    image = np.ones((1, 1, 4, 4), np.float32)
    weights = {"w": np.ones((1, 1, 3, 3), np.float32)}
    return model_of([node("Conv", ["x", "w"], ["y"], **attributes)], {"x": image}, ["y"], weights=weights)


def pool(**attributes: Any) -> Any:
    image = np.ones((1, 1, 4, 4), np.float32)
    return model_of([node("MaxPool", ["x"], ["y"], **attributes)], {"x": image}, ["y"])


HUGE = 1 << 40

WHEN_TRACED: dict[str, tuple[Callable[[], Any], str]] = {
    "an unknown op": (lambda: with_nodes(node("Frobnicate", ["x"], ["y"])), "'bad' (Frobnicate, opset 17)"),
    "a huge constant": (lambda: sized("ConstantOfShape", ["s"], s=ints(HUGE, HUGE)), "'bad' (ConstantOfShape"),
    "a constant of negative size": (lambda: sized("ConstantOfShape", ["s"], s=ints(-1)), "'bad'"),
    "a huge expansion": (lambda: sized("Expand", ["x", "s"], s=ints(HUGE, 2, 3)), "'bad' (Expand"),
    "a huge tiling": (lambda: sized("Tile", ["x", "s"], s=ints(HUGE, 2)), "'bad' (Tile"),
    "a huge padding": (lambda: sized("Pad", ["x", "s"], s=ints(0, 0, HUGE, 0)), "'bad' (Pad"),
    "a huge range": (lambda: sized("Range", ["a", "b", "c"], a=np.int64(0), b=np.int64(HUGE), c=np.int64(1)), "'bad'"),
    "a range without steps": (
        lambda: sized("Range", ["a", "b", "c"], a=np.int64(0), b=np.int64(9), c=np.int64(0)),
        "zero",
    ),
    "a huge resizing": (
        lambda: sized("Resize", ["x", "", "", "s"], s=ints(HUGE, HUGE)),
        "'bad' (Resize",
    ),
    "scales that are no numbers": (
        lambda: with_nodes(
            node("Constant", [], ["s"], name="c", value_floats=[float("inf"), 1.0]),
            node("Resize", ["x", "", "s"], ["y"]),
        ),
        "'bad' (Resize",
    ),
    "a reshape that does not fit": (lambda: sized("Reshape", ["x", "s"], s=ints(5, -1)), "[5, -1]"),
    "a reshape to too many dimensions": (lambda: sized("Reshape", ["x", "s"], s=ints(6, *[1] * 100)), "dimensions"),
    "an axis that does not exist": (lambda: with_nodes(node("Softmax", ["x"], ["y"], axis=7)), "axis 7"),
    "a permutation that is none": (lambda: with_nodes(node("Transpose", ["x"], ["y"], perm=[0, 0])), "'bad'"),
    "a very long permutation": (lambda: with_nodes(node("Transpose", ["x"], ["y"], perm=[0] * 100000)), "'bad'"),
    "shapes that do not fit": (lambda: matmul(np.ones((4, 2), np.float32)), "no product"),
    "shapes that do not broadcast": (lambda: sized("Add", ["x", "w"], w=np.ones((4, 5), np.float32)), "'bad' (Add"),
    "a gather outside": (lambda: sized("Gather", ["x", "w"], w=ints(9)), "outside"),
    "a gather by floats": (lambda: sized("Gather", ["x", "w"], w=np.ones(1, np.float32)), "integers"),
    "the best of too few": (lambda: with_nodes(node("TopK", ["x", "k"], ["y", "z"]), weights={"k": ints(99)}), "99"),
    "no groups": (lambda: conv(group=0), "groups"),
    "strides of zero": (lambda: conv(strides=[0, 1]), "strides"),
    "huge strides": (lambda: conv(strides=[HUGE, 1]), "strides"),
    "huge dilations": (lambda: conv(dilations=[1 << 20, 1]), "'bad' (Conv"),
    "huge pads": (lambda: conv(pads=[1 << 22, 1 << 22, 1 << 22, 1 << 22]), "'bad' (Conv"),
    "pads that are too many": (lambda: conv(pads=[0] * 1000), "pads"),
    "a huge window": (lambda: pool(kernel_shape=[HUGE, 1]), "kernel_shape"),
    "a window over padding alone": (lambda: pool(kernel_shape=[9, 9]), "'bad' (MaxPool"),
    "too much work": (
        lambda: pool(kernel_shape=[1 << 20, 1 << 20], pads=[1 << 20, 1 << 20, 1 << 20, 1 << 20]),
        "too much work",
    ),
    "an attribute that means nothing": (lambda: conv(auto_pad="SOMEHOW"), "'SOMEHOW'"),
    "an einsum that means nothing": (
        lambda: with_nodes(node("Einsum", ["x"], ["y"], equation="ij->k->")),
        "'bad' (Einsum",
    ),
    "an integer constant divided by zero": (
        lambda: with_nodes(
            node("Cast", ["x"], ["i"], name="c", to=TensorProto.INT32),
            node("Div", ["i", "w"], ["y"]),
            weights={"w": np.zeros(3, np.int32)},
        ),
        "zero",
    ),
    "a loop without end": (lambda: looped((1 << 63) - 1), "'bad' (Loop"),
    "a loop that is too long": (lambda: looped(1 << 30, helper.make_node("Neg", ["i"], ["k"])), "'bad' (Loop"),
    "a function of itself": (recursive, "deep"),
    "a constant beyond 32 bits": (
        lambda: with_nodes(
            node("Cast", ["x"], ["i"], name="c", to=TensorProto.INT64),
            node("Add", ["i", "w"], ["y"]),
            weights={"w": ints(HUGE)},
        ),
        str(HUGE),
    ),
}


@pytest.mark.parametrize("name", WHEN_TRACED)
def test_a_model_is_refused_when_it_is_traced(name: str) -> None:
    make, told = WHEN_TRACED[name]
    proto = make()
    model = loaded(proto)
    arrays = [np.ones(port.shape, port.dtype) for port in model.inputs]
    with bounded(), pytest.raises(LoweringError, match=r"^model: ") as caught:
        model.fn(*arrays)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_functions_that_multiply_are_refused() -> None:
    with pytest.raises(LoweringError, match="ops are applied"):
        loaded(function_bomb(40)).fn(X)


def example() -> OnnxModel:
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["y"])],
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "ab"],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    return loaded(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def test_arrays_that_do_not_fit_are_refused_by_name() -> None:
    model = example()
    good = np.ones((2, 3), np.float32)
    for arrays, told in {
        "too few": ((good,), "takes 2 inputs (a, b), not 1"),
        "rank": ((good, good[0]), "input 'b' has the shape [batch, 3]"),
        "size": ((good, np.ones((2, 4), np.float32)), "input 'b' has 3 in dimension 1"),
        "dtype": ((good, np.ones((2, 3), np.int32)), "input 'b' is of float32, but an array of int32"),
        "one name, two sizes": ((good, np.ones((5, 3), np.float32)), "'batch'"),
    }.values():
        with pytest.raises(LoweringError) as caught:
            model.fn(*arrays)
        assert told in str(caught.value)


def test_open_dimensions_take_the_arrays_sizes() -> None:
    model = example()
    assert [port.shape for port in model.inputs] == [("batch", 3), ("batch", 3)]
    for rows in (1, 4):
        assert model.fn(np.ones((rows, 3), np.float32), np.ones((rows, 3), np.float32)).shape == (rows, 3)


def test_a_shape_that_is_an_input_is_asked_for_by_name_and_can_be_fixed() -> None:
    proto = model_of([helper.make_node("Reshape", ["x", "s"], ["y"])], {"x": X, "s": ints(3, 2)}, ["y"])
    model = loaded(proto)
    with pytest.raises(NeedsConstant, match="fixed") as caught:
        model.fn(X, ints(3, 2))
    assert caught.value.inputs == ("s",)
    fixed = model.fixed(s=ints(3, 2))
    assert [port.name for port in fixed.inputs] == ["x"]
    assert fixed.fn(X).shape == (3, 2)
    with pytest.raises(LoweringError, match="no input 'q'"):
        model.fixed(q=1)


def test_out_of_scope_says_why() -> None:
    model = loaded(with_nodes(node("NonZero", ["x"], ["y"])))
    with pytest.raises(
        UnsupportedError, match=r"node 'bad' \(NonZero, opset 17\): its output's shape depends on values"
    ):
        model.fn(X)


def test_external_data_inside_the_folder_is_read(tmp_path: Path) -> None:
    weight = np.arange(6, dtype=np.float32).reshape(3, 2)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(b"pad." + weight.tobytes())
    path = saved(tmp_path, external({"location": "weights/w.bin", "offset": "4", "length": "24"}))
    agree([np.asarray(load_onnx(path).fn(X))], [X @ weight])


def test_a_mask_of_infinities_is_no_bad_weight() -> None:
    mask = np.asarray([0, -np.inf, 0], np.float32)
    proto = with_nodes(node("Add", ["x", "m"], ["a"]), node("Softmax", ["a"], ["y"], name="s"), weights={"m": mask})
    agree(ours(proto, {"x": X}), [np.tile(np.asarray([0.5, 0, 0.5], np.float32), (2, 1))])


def test_a_graph_in_any_order_is_sorted() -> None:
    proto = with_nodes(node("Neg", ["a"], ["y"]), node("Relu", ["x"], ["a"], name="first"))
    agree(ours(proto, {"x": X}), [-X])


def test_an_initialiser_that_is_an_input_too_is_its_default() -> None:
    weight = np.arange(6, dtype=np.float32).reshape(3, 2)
    proto = matmul(weight)
    proto.graph.input.add().CopyFrom(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2]))
    assert [port.name for port in loaded(proto).inputs] == ["x"]
    agree(ours(proto, {"x": X}), [X @ weight])


def test_typed_data_is_read_like_raw_data() -> None:
    proto = matmul(np.ones((3, 2), np.float32))
    raw = numpy_helper.to_array(proto.graph.initializer[0])
    proto.graph.initializer[0].CopyFrom(helper.make_tensor("w", TensorProto.FLOAT, raw.shape, raw.ravel()))
    agree(ours(proto, {"x": X}), [X @ raw])
