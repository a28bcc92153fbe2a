"""Inputs that say shapes: a program has static shapes, so they are known when it is made.

The suite gives operands such as Reshape's ``shape`` or TopK's ``k`` as inputs of the graph, where a model in use has constants or
what it computes from shapes. Such an input becomes an initializer with the test's value, as does one that nothing reads; all others
stay inputs of the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import numpy_helper

from tests.campaigns.onnx.suite import graphs

STATIC: Mapping[str, Sequence[int]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Dropout": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "Loop": (0, 1),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceSum": (1,),
    "ReduceSumSquare": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Operands that decide an output's shape, the axes of an operation, its mode, or how often a loop runs, by operator."""

FROM_SHAPES = {"Shape", "Size"}
"""What these give is static whatever their operand is."""


def bound(model: onnx.ModelProto, inputs: Sequence[Any]) -> tuple[onnx.ModelProto, list[Any]]:
    """(the model with shape-carrying inputs as initializers, the values of the inputs that are left)."""
    names = _shape_names(model.graph)
    names |= {declared.name for declared in model.graph.input} - _read(model.graph)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept, values = [], []
    for declared, value in zip(model.graph.input, inputs, strict=True):
        if declared.name in names:
            copy.graph.initializer.append(numpy_helper.from_array(value, declared.name))
        else:
            kept.append(declared)
            values.append(value)
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    return copy, values


def _read(graph: onnx.GraphProto) -> set[str]:
    """Names of outputs, and of what the nodes of the graph and of graphs inside it read; of CastLike's example only the type is."""
    found: set[str] = set()
    for inner in graphs(graph):
        for node in inner.node:
            found.update(node.input[:1] if node.op_type == "CastLike" else node.input)
        found.update(output.name for output in inner.output)
    return found


def _shape_names(graph: onnx.GraphProto) -> set[str]:
    """Names in the graph on which a shape depends."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting = [
        node.input[position]
        for node in graph.node
        for position in STATIC.get(node.op_type, ())
        if position < len(node.input)
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        maker = makers.get(name)
        if maker is not None and maker.op_type not in FROM_SHAPES:
            waiting += maker.input
    return found
