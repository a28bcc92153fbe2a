"""ONNX graphs, put together node by node from float weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 20
CLAIMS = "claims"
"""The name of the leading axis, whose size is free."""


class GraphNodes:
    """Nodes and weights of a graph that grows from its inputs; every method gives the name of its result."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def weight(self, array: Any) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def __call__(self, op: str, *operands: str | np.ndarray | np.generic, **attributes: Any) -> str:
        """One node; arrays among the operands become weights."""
        names = [operand if isinstance(operand, str) else self.weight(operand) for operand in operands]
        result = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, names, [result], **attributes))
        return result

    def reshaped(self, x: str, *shape: int) -> str:
        """0 keeps the dimension, -1 is what is left."""
        return self("Reshape", x, np.array(shape, np.int64))

    def dense(self, x: str, weight: Any, bias: Any | None = None) -> str:
        """x @ weight [in, out] + bias."""
        product = self("MatMul", x, np.asarray(weight, np.float32))
        return product if bias is None else self("Add", product, np.asarray(bias, np.float32))

    def built(self, inputs: Sequence[tuple[str, Any, Sequence[int]]], output: str) -> bytes:
        """The file: ``inputs`` are (name, dtype, shape without claims); the output is float32."""
        kinds: dict[Any, int] = {np.float32: onnx.TensorProto.FLOAT, np.int32: onnx.TensorProto.INT32}
        given = [helper.make_tensor_value_info(name, kinds[dtype], [CLAIMS, *shape]) for name, dtype, shape in inputs]
        result = helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "benchmark", given, [result], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        data: bytes = model.SerializeToString()
        return data
