"""Small ONNX models for tests, and what runs them: our importer, or onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from prover.onnx import NeedsConstant, OnnxModel
from prover.onnx.model import read

NOWHERE = Path("/nonexistent")


def code_of(array: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype))


def model_of(
    nodes: Sequence[Any],
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    opset: int = 17,
    weights: Mapping[str, Any] | None = None,
    functions: Sequence[Any] = (),
    domains: Mapping[str, int] | None = None,
) -> Any:
    """A ModelProto; ``inputs``: name -> an array like the input."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, code_of(x), np.shape(x)) for name, x in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(x), name) for name, x in (weights or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in (domains or {}).items())]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8)


def loaded(proto: Any) -> OnnxModel:
    return read(proto.SerializeToString(), "model", NOWHERE)


def ours(proto: Any, inputs: Mapping[str, Any]) -> list[np.ndarray]:
    """The importer's outputs. Inputs that decide shapes are fixed to their values."""
    model = loaded(proto)
    while True:
        try:
            results = model.fn(*(inputs[port.name] for port in model.inputs))
        except NeedsConstant as error:
            names = [port.name for port in model.inputs if port.name in error.inputs]
            if not names:
                raise
            model = model.fixed(**{name: inputs[name] for name in names})
        else:
            return [np.asarray(x) for x in (results if isinstance(results, tuple) else (results,))]


def theirs(proto: Any, inputs: Mapping[str, Any]) -> list[np.ndarray]:
    """onnxruntime's outputs, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(inputs)))


def agree(got: Sequence[np.ndarray], wanted: Sequence[Any], rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """The same number of arrays, shapes, kinds of dtype and values."""
    assert len(got) == len(wanted)
    for mine, other in zip(got, wanted, strict=True):
        assert mine.shape == np.shape(other)
        assert mine.dtype.kind == other.dtype.kind
        assert mine.dtype.itemsize >= min(4, other.dtype.itemsize)
        np.testing.assert_allclose(np.float64(mine), np.float64(other), rtol=rtol, atol=atol)


__all__ = ["TensorProto", "agree", "code_of", "helper", "loaded", "model_of", "onnx", "ours", "theirs"]
