"""Which node tests are in scope, decided by the types, operators and numbers of a test, never by its name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto

from prover.onnx.parse import OLDEST_OPSET
from tests.campaigns.onnx.suite import Case, attribute, graphs, nodes

TRAINING_DOMAIN = "ai.onnx.preview.training"
IMAGES = {"ImageDecoder"}
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
SEQUENCES = {
    "ConcatFromSequence",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceInsert",
    "SequenceMap",
    "SplitToSequence",
}
OPTIONALS = {"Optional", "OptionalGetElement", "OptionalHasElement"}
DATA_DEPENDENT = {"Compress", "NonMaxSuppression", "NonZero", "Unique"}
"""Operators whose output has as many elements as the values of their input say."""

NARROW = {
    number
    for name, number in TensorProto.DataType.items()
    if name.startswith(("FLOAT8", "FLOAT4", "INT4", "UINT4", "INT2", "UINT2"))
}
CONSTANT = "nothing but shapes goes in"
NOTHING = "tensors without elements"
COMPLEX = {TensorProto.COMPLEX64, TensorProto.COMPLEX128}


def out_of_scope(case: Case) -> str | None:
    """Why a test cannot be asked of a program of fixed shapes and finite numbers; None if it is in scope."""
    return _by_type(case) or _by_operator(case) or _by_number(case)


def _by_type(case: Case) -> str | None:
    kinds, elements = set(), set()
    for declared in _types(case.model):
        kind = declared.WhichOneof("value")
        kinds.add(kind)
        if kind == "tensor_type":
            elements.add(declared.tensor_type.elem_type)
    elements |= set(_elements(case.model))
    if TensorProto.STRING in elements or any(attribute(n, "keys_strings") for n in nodes(case.model)):
        return "strings"
    if "sequence_type" in kinds or _uses(case, SEQUENCES):
        return "sequences"
    if "optional_type" in kinds or _uses(case, OPTIONALS):
        return "optional types"
    if elements & COMPLEX:
        return "complex numbers"
    if elements & NARROW:
        return "storage types narrower than 8 bits, and 8-bit floats"
    return None


def _uses(case: Case, operators: set[str]) -> bool:
    return any(node.op_type in operators for node in nodes(case.model))


def _types(model: onnx.ModelProto) -> Iterator[onnx.TypeProto]:
    for graph in graphs(model.graph):
        for declared in (*graph.input, *graph.output, *graph.value_info):
            yield declared.type


def _elements(model: onnx.ModelProto) -> Iterator[int]:
    """Element types of constants, and of what casts give."""
    for graph in graphs(model.graph):
        yield from (tensor.data_type for tensor in graph.initializer)
    for node in nodes(model):
        for found in node.attribute:
            if found.HasField("t"):
                yield found.t.data_type
        if node.op_type in ("Cast", "BitCast"):
            yield attribute(node, "to")
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            yield attribute(node, "output_dtype", TensorProto.UNDEFINED)


def _by_operator(case: Case) -> str | None:
    if any(_changed(case, node) for node in nodes(case.model)):
        return f"opsets before {OLDEST_OPSET}"
    for node in nodes(case.model):
        if node.domain == TRAINING_DOMAIN or (
            node.op_type == "BatchNormalization" and attribute(node, "training_mode", 0)
        ):
            return "training"
        if node.op_type in IMAGES:
            return "image decoding"
        if node.op_type in RANDOM or (node.op_type == "Dropout" and _drops(case, node)):
            return "random generators"
        if node.op_type in DATA_DEPENDENT:
            return "data-dependent shapes"
    return None


def _changed(case: Case, node: onnx.NodeProto) -> bool:
    """Whether the node means something else than it did in the oldest opset that the importer reads."""
    version = next((entry.version for entry in case.model.opset_import if entry.domain == ""), OLDEST_OPSET)
    if node.domain or version >= OLDEST_OPSET:
        return False
    return onnx.defs.get_schema(node.op_type, OLDEST_OPSET).since_version > version


def _drops(case: Case, node: onnx.NodeProto) -> bool:
    """Whether a Dropout is in training mode, its third operand being an input or a constant of the test."""
    if len(node.input) < 3:
        return False
    constants = {tensor.name for tensor in case.model.graph.initializer}
    inputs = [declared for declared in case.model.graph.input if declared.name not in constants]
    values = {declared.name: value for declared, value in zip(inputs, case.inputs, strict=True)}
    values |= {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in case.model.graph.initializer}
    return bool(np.any(values.get(node.input[2], True)))


def _by_number(case: Case) -> str | None:
    arrays = [np.asarray(array) for array in (*case.inputs, *case.outputs)]
    if not all(np.all(np.isfinite(array.astype(np.float64))) for array in arrays if array.dtype.kind not in "iub"):
        return "infinities and NaN"
    if any(np.size(array) == 0 for array in case.outputs) or all(np.size(array) == 0 for array in case.inputs):
        return NOTHING
    return None
