"""Functions: local ones of the file, and bodies that the standard defines for its own ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto, defs, helper

from prover.onnx.ir import AttributeReference, OnnxFunction, OnnxGraph, OnnxStep
from prover.onnx.parse import Parser, domain_of, schema_of
from prover.onnx.tensors import DTYPES, FAILURES, FileReader
from rollup.errors import LoweringError

_CODES = {dtype: code for code, dtype in DTYPES.items()}


def bound(graph: OnnxGraph, attributes: Mapping[str, Any]) -> OnnxGraph:
    """A function's body with references to attributes replaced; what the caller leaves out is absent there, too."""
    return replace(graph, steps=tuple(_bound(step, attributes) for step in graph.steps))


def _bound(step: OnnxStep, attributes: Mapping[str, Any]) -> OnnxStep:
    if not any(isinstance(value, (AttributeReference, OnnxGraph)) for value in step.attributes.values()):
        return step
    own: dict[str, Any] = {}
    for name, value in step.attributes.items():
        if isinstance(value, OnnxGraph):
            own[name] = bound(value, attributes)
        elif not isinstance(value, AttributeReference):
            own[name] = value
        elif value.name in attributes:
            own[name] = attributes[value.name]
    return replace(step, attributes=own)


def parsed(proto: FunctionProto) -> OnnxFunction:
    """One of the standard's bodies, or a local function."""
    opsets = {"": defs.onnx_opset_version()}
    opsets.update({domain_of(entry.domain): entry.version for entry in proto.opset_import})
    return Parser(FileReader(Path()), opsets, frozenset()).function(proto)


@lru_cache(maxsize=256)
def _plain(op: str, opset: int, domain: str) -> OnnxFunction | None:
    schema = schema_of(op, opset, domain)
    versions = [v for v in schema.function_opset_versions if v <= opset] if schema is not None else []
    if not versions:
        return None
    proto = FunctionProto()
    proto.ParseFromString(_bytes(schema.get_function_with_opset_version(max(versions))))
    return _with_defaults(parsed(proto), schema)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else body.SerializeToString()


def _with_defaults(function: OnnxFunction, schema: Any) -> OnnxFunction:
    defaults = {
        name: helper.get_attribute_value(declared.default_value)
        for name, declared in schema.attributes.items()
        if declared.default_value.name
    }
    texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in defaults.items()}
    return replace(function, defaults={**texts, **function.defaults})


def standard_body(step: OnnxStep, operands: Sequence[Any]) -> OnnxFunction | None:
    """The body that the standard gives an op of these operands, or None."""
    schema = schema_of(step.op, step.opset, step.domain)
    if schema is None:
        return None
    if schema.has_function:
        plain = _plain(step.op, step.opset, step.domain)
        if plain is not None:
            return plain
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= step.opset]
    if not versions:
        return None
    types = [b"" if x is None else _type(x) for x in operands]
    try:
        return _made(schema, max(versions), step, types)
    except FAILURES:
        raise
    except Exception as error:  # the schemas are native code with exceptions of their own
        raise LoweringError(f"{step} does not fit its inputs: {' '.join(str(error).split())[:300]}") from error


def _made(schema: Any, version: int, step: OnnxStep, types: list[bytes]) -> OnnxFunction | None:
    raw = schema.get_context_dependent_function_with_opset_version(version, _resolved(step), types)
    proto = FunctionProto()
    proto.ParseFromString(_bytes(raw))
    return _with_defaults(parsed(proto), schema) if proto.node else None


def _resolved(step: OnnxStep) -> bytes:
    """The serialised node with the values of its caller's attributes."""
    node = NodeProto()
    node.ParseFromString(step.raw)
    references = [attribute for attribute in node.attribute if attribute.ref_attr_name]
    for attribute in references:
        node.attribute.remove(attribute)
        if attribute.name in step.attributes:
            node.attribute.append(helper.make_attribute(attribute.name, step.attributes[attribute.name]))
    return bytes(node.SerializeToString())


def _type(value: Any) -> bytes:
    dtype = np.dtype(value.dtype)
    return helper.make_tensor_type_proto(_CODES[dtype], value.shape).SerializeToString()  # type: ignore[no-any-return]
