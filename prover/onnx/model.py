"""An ONNX model as a JAX float function."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

import prover.onnx.rules  # noqa: F401  (fills the table)
from prover.onnx import wire
from prover.onnx.functions import parsed
from prover.onnx.graph import Walk
from prover.onnx.ir import OnnxFunction, OnnxGraph, OnnxPort, OnnxStep
from prover.onnx.node import canonical
from prover.onnx.parse import OLDEST_OPSET, Parser, domain_of, port_of
from prover.onnx.tensors import FAILURES, Array, FileReader
from rollup.errors import LoweringError, UnsupportedError

LOG = logging.getLogger(__name__)

MOST_FILE_BYTES = 1 << 31
"""Of the model file itself; protobuf's own limit. Weights beyond it are external data."""


ZIPPED = ("ai.onnx.ml", "ZipMap")


def left_out(step: OnnxStep) -> str:
    """What to tell about a ZipMap: its output is a tensor here."""
    classes = step.attributes.get("classlabels_int64s") or step.attributes.get("classlabels_strings") or ()
    told = ", ".join(map(str, classes[:20])) + (", ..." if len(classes) > 20 else "")
    return f"{step} is left out: {step.outputs[0]!r} is the tensor of probabilities, with a column for each of [{told}]"


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A model that ``load_onnx`` read.

    ``inputs`` and ``outputs`` are in the file's order; a dimension that the file leaves open is its name ("?" if it has none).
    ``fn(*arrays)`` gives one array, or a tuple where the model has several outputs.

    64-bit integers and floats are computed in 32 bits unless JAX's x64 mode is on, as everywhere in JAX; what is known while
    tracing (shapes, axes, loop counts) keeps its 64 bits.
    """

    name: str
    graph: OnnxGraph
    inputs: tuple[OnnxPort, ...]
    outputs: tuple[OnnxPort, ...]
    functions: Mapping[tuple[str, str], OnnxFunction]
    constants: Mapping[str, Array] = field(default_factory=dict)
    """Inputs that were fixed."""

    def fn(self, *arrays: Any) -> Any:
        """The model's float function: arrays of the inputs' dtypes and shapes in, one array or a tuple out.

        Open dimensions take the arrays' sizes. Works under any JAX transformation, and by itself. Raises LoweringError for
        arrays that do not fit, UnsupportedError for an op without a rule, naming node, op and opset.
        """
        checked = self._checked(arrays)
        return self._compiled(*checked)

    def fixed(self, **values: Any) -> OnnxModel:
        """The same model with these inputs as constants: what decides shapes, axes, loops or branches must be known."""
        known = {port.name: port for port in self.inputs}
        constants = dict(self.constants)
        for name, value in values.items():
            if name not in known:
                raise LoweringError(f"{self.name} has no input {name!r} to fix; it has {', '.join(map(repr, known))}")
            port = known[name]
            array = np.asarray(value, dtype=port.dtype)
            self._fits(port, array.shape, {})
            constants[name] = array
        left = tuple(port for port in self.inputs if port.name not in values)
        return replace(self, inputs=left, constants=constants)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", jax.jit(self._traced))

    _compiled: Any = field(init=False, repr=False)

    def _traced(self, *arrays: Any) -> Any:
        weights = sum(array.nbytes for array in self.graph.constants.values())
        walk = Walk(self.functions, weights, {port.name: frozenset({port.name}) for port in self.inputs})
        given = dict(zip((port.name for port in self.inputs), arrays, strict=True))
        given.update(self.constants)
        try:
            results = walk.run(self.graph, [given.get(name) for name in self.graph.inputs], None)
            outputs = [jnp.asarray(x, canonical(x.dtype)) for x in results]
        except LoweringError as error:
            error.args = (f"{self.name}: {error}",)
            raise
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _checked(self, arrays: tuple[Any, ...]) -> list[Any]:
        if len(arrays) != len(self.inputs):
            told = ", ".join(port.name for port in self.inputs)
            raise LoweringError(f"{self.name} takes {len(self.inputs)} inputs ({told}), not {len(arrays)}")
        sizes: dict[str, tuple[int, str]] = {}
        checked = []
        for port, array in zip(self.inputs, arrays, strict=True):
            given = array if hasattr(array, "dtype") else np.asarray(array)
            what = f"{self.name}: input {port.name!r}"
            if port.dtype is not None and canonical(given.dtype) != canonical(port.dtype):
                raise LoweringError(f"{what} is of {port.dtype}, but an array of {given.dtype} is given")
            self._fits(port, tuple(given.shape), sizes)
            dtype = canonical(given.dtype)
            if isinstance(given, np.ndarray) and given.dtype.kind in "iu" and given.dtype != dtype and given.size:
                info = np.iinfo(dtype)
                if int(given.min()) < info.min or int(given.max()) > info.max:
                    raise LoweringError(f"{what} has values beyond {dtype}, in which JAX computes; enable 64-bit JAX")
            checked.append(jnp.asarray(given, dtype))
        return checked

    def _fits(self, port: OnnxPort, shape: tuple[int, ...], sizes: dict[str, tuple[int, str]]) -> None:
        what = f"{self.name}: input {port.name!r}"
        if port.shape is None:
            return
        if len(shape) != len(port.shape):
            raise LoweringError(
                f"{what} has the shape {_shown(port.shape)}, but an array of shape {list(shape)} is given"
            )
        for number, (declared, size) in enumerate(zip(port.shape, shape, strict=True)):
            if isinstance(declared, int):
                if declared and declared != size:
                    raise LoweringError(
                        f"{what} has {declared} in dimension {number} of {_shown(port.shape)}, but the array has {size}"
                    )
            elif declared != "?":
                before, other = sizes.setdefault(declared, (size, port.name))
                if before != size:
                    raise LoweringError(
                        f"{what} has {size} as {declared!r}, but input {other!r} has {before}; one name is one size"
                    )


def _shown(shape: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def load_onnx(path: str | Path) -> OnnxModel:
    """Read an ONNX model file (opset 6 to the newest known; external data in the same folder).

    Raises LoweringError for a file that is truncated, inconsistent or too large, naming the file and the place, and
    UnsupportedError for what is out of scope. Sizes are checked before memory is taken.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise LoweringError("there is no such file; give the path of an ONNX model")
        size = path.stat().st_size
        if size > MOST_FILE_BYTES:
            raise LoweringError(f"{size} bytes are more than {MOST_FILE_BYTES}; store the weights as external data")
        return read(path.read_bytes(), path.name, path.parent)
    except LoweringError as error:
        error.args = (f"{path.name}: {error}",)
        raise
    except OSError as error:
        raise LoweringError(f"{path.name} cannot be read: {error.strerror or error}") from error


def read(data: bytes, name: str, folder: Path) -> OnnxModel:
    """A model from the bytes of its file; ``folder`` holds its external data."""
    wire.check(data)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise LoweringError(f"is no ONNX model: {error}") from error
    if not proto.HasField("graph"):
        raise LoweringError("has no graph, so it is no ONNX model or truncated")
    try:
        return _model(proto, name, folder)
    except FAILURES as error:
        raise LoweringError(f"is malformed: {' '.join(str(error).split())[:300]}") from error


def _model(proto: Any, name: str, folder: Path) -> OnnxModel:
    opsets = _opsets(proto)
    keys = [(domain_of(f.domain), f.name) for f in proto.functions]
    if len(set(keys)) != len(keys):
        raise LoweringError("has two functions of one name")
    functions = {}
    for key, function in zip(keys, proto.functions, strict=True):
        functions[key] = parsed(function)
    graph = Parser(FileReader(folder), opsets, frozenset(keys)).graph(proto.graph, ChainMap(), "the graph")
    inputs = tuple(port_of(v) for v in proto.graph.input if v.name not in graph.constants)
    zipped = {name: step for step in graph.steps if (step.domain, step.op) == ZIPPED for name in step.outputs}
    outputs = tuple(port_of(v, v.name in zipped) for v in proto.graph.output)
    for port in outputs:
        if port.name in zipped:
            LOG.warning("%s: %s", name, left_out(zipped[port.name]))
    if not outputs:
        raise LoweringError("has no outputs, so there is nothing to compute")
    return OnnxModel(name, graph, inputs, outputs, functions)


def _opsets(proto: Any) -> dict[str, int]:
    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = domain_of(entry.domain)
        if domain in opsets and opsets[domain] != entry.version:
            raise LoweringError(f"imports two opsets of domain {entry.domain!r}")
        opsets[domain] = entry.version
    newest = onnx.defs.onnx_opset_version()
    version = opsets.get("")
    if version is not None and not 1 <= version <= newest:
        raise UnsupportedError(f"is of opset {version}; opsets {OLDEST_OPSET} to {newest} are supported, convert it")
    if not opsets:
        raise LoweringError("imports no opset, so it is no ONNX model or truncated")
    return opsets


__all__ = ["OnnxModel", "load_onnx", "read"]
