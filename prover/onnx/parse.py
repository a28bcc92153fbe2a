"""From protobuf messages to the importer's graphs: every name, order, attribute and opset is checked here, once."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto

from prover.onnx.ir import AttributeReference, OnnxFunction, OnnxGraph, OnnxPort, OnnxStep
from prover.onnx.scope import OUT_OF_SCOPE
from prover.onnx.tensors import Array, FileReader, dtype_of
from rollup.errors import LoweringError, UnsupportedError

OLDEST_OPSET = 6

GATHERS = frozenset({"Gather", "GatherElements", "GatherND"})
"""Ops that choose among the elements of their first operand."""

Names = ChainMap[str, bool]
"""Names that a graph may read: its own, then those of the graphs around it."""

MULTIPLIED = frozenset(
    {
        "BatchNormalization",
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "DeformConv",
        "Einsum",
        "GRU",
        "Gemm",
        "GroupNormalization",
        "InstanceNormalization",
        "LSTM",
        "LayerNormalization",
        "MatMul",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "RMSNormalization",
        "RNN",
    }
)
"""Ops whose constant operands are weights: an infinity there is no mask."""


WITH_NAN = frozenset({"membership_values", "keys_tensor", "values_tensor", "default_tensor"})
"""Attributes in which NaN separates, or is a key like any other."""


def domain_of(name: str) -> str:
    return "" if name == "ai.onnx" else name


@lru_cache(maxsize=4096)
def schema_of(op: str, opset: int, domain: str) -> Any:
    """The op's schema at that opset, or None."""
    try:
        return onnx.defs.get_schema(op, opset, domain)
    except onnx.defs.SchemaError:
        return None


@dataclass
class Parser:
    """Parses the graphs of one file."""

    reader: FileReader
    opsets: Mapping[str, int]
    functions: frozenset[tuple[str, str]]

    def graph(self, proto: Any, outer: Names, where: str) -> OnnxGraph:
        """A graph whose nodes may read the names of ``outer``, too. Raises LoweringError naming the offending thing."""
        if proto.sparse_initializer:
            raise UnsupportedError(f"{where} has sparse initialisers, which are out of scope; store dense ones")
        constants: dict[str, Array] = {}
        for tensor in proto.initializer:
            if not tensor.name or tensor.name in constants:
                raise LoweringError(f"{where} has two initialisers named {tensor.name!r}")
            constants[tensor.name] = self.reader.read(tensor, f"initialiser {tensor.name!r}")
        inputs = [value.name for value in proto.input]
        outputs = [value.name for value in proto.output]
        steps = self._ordered(proto.node, {*inputs, *constants}, inputs, outer, where)
        known = {*inputs, *constants, *(name for step in steps for name in step.outputs)}
        for name in outputs:
            if name not in known and name not in outer:
                raise LoweringError(f"{where} has the output {name!r}, which nothing computes")
        _infinities(constants, steps)
        return OnnxGraph(tuple(inputs), tuple(outputs), constants, steps)

    def function(self, proto: Any) -> OnnxFunction:
        """A local function, or the body of one that the standard defines."""
        where = f"function {proto.name!r}"
        defaults = {a.name: self._value(a, where, ChainMap()) for a in proto.attribute_proto}
        steps = self._ordered(proto.node, set(proto.input), list(proto.input), ChainMap(), where)
        return OnnxFunction(OnnxGraph(tuple(proto.input), tuple(proto.output), {}, steps), defaults)

    def _ordered(
        self, protos: Iterable[Any], known: set[str], inputs: list[str], outer: Names, where: str
    ) -> tuple[OnnxStep, ...]:
        """Steps, each after those whose outputs it reads (also in its subgraphs)."""
        nodes = list(protos)
        if len(set(inputs)) != len(inputs):
            raise LoweringError(f"{where} has two inputs of one name")
        maker: dict[str, int] = {}
        for number, node in enumerate(nodes):
            for name in node.output:
                if name and (name in maker or name in known):
                    raise LoweringError(f"{where}: {_label(node, number)} computes {name!r}, which exists already")
                if name:
                    maker[name] = number
        reads = [_reads(node) for node in nodes]
        for number, names in enumerate(reads):
            for name in sorted(names):
                if name not in known and name not in maker and name not in outer:
                    raise LoweringError(
                        f"{where}: {_label(nodes[number], number)} reads {name!r}, which nothing computes"
                    )
        order = _sorted(nodes, [{maker[name] for name in names if name in maker} for names in reads], where)
        scope = outer.new_child(dict.fromkeys((*known, *maker), True))
        return tuple(self._step(nodes[number], number, scope) for number in order)

    def _step(self, node: Any, number: int, scope: Names) -> OnnxStep:
        domain = domain_of(node.domain)
        label = _label(node, number)
        opset = self.opsets.get(domain)
        if opset is None:
            raise LoweringError(f"node {label!r} is of domain {domain!r}, for which the file imports no opset")
        schema = None if (domain, node.op_type) in self.functions else schema_of(node.op_type, opset, domain)
        where = f"node {label!r} ({node.op_type}, opset {opset})"
        if (domain, node.op_type) in OUT_OF_SCOPE:
            return OnnxStep(node.op_type, domain, opset, label, tuple(node.input), tuple(node.output), {}, b"")
        if schema is not None and opset < OLDEST_OPSET and not domain:
            later = schema_of(node.op_type, OLDEST_OPSET, domain)
            if later is None or later.since_version != schema.since_version:
                raise UnsupportedError(f"{where}: it has changed since; opsets from {OLDEST_OPSET} on are supported")
        attributes: dict[str, Any] = {}
        for attribute in node.attribute:
            if attribute.name in attributes:
                raise LoweringError(f"{where} has the attribute {attribute.name!r} twice")
            if schema is not None:
                _check_type(attribute, schema, where)
            attributes[attribute.name] = self._value(attribute, where, scope)
        if schema is not None:
            _check_counts(node, schema, attributes, where)
        raw = b""
        if schema is not None and schema.has_context_dependent_function:
            raw = node.SerializeToString()
        return OnnxStep(node.op_type, domain, opset, label, tuple(node.input), tuple(node.output), attributes, raw)

    def _value(self, attribute: Any, where: str, scope: Names) -> Any:
        """A Python value: int, float, str, a tuple of them, an array, an OnnxGraph, or an AttributeReference."""
        kind, name = attribute.type, attribute.name
        if attribute.ref_attr_name:
            return AttributeReference(attribute.ref_attr_name)
        if kind == AttributeProto.INT:
            return int(attribute.i)
        if kind == AttributeProto.FLOAT:
            return float(attribute.f)
        if kind == AttributeProto.STRING:
            return attribute.s.decode("utf-8", "replace")
        if kind == AttributeProto.INTS:
            return tuple(attribute.ints)
        if kind == AttributeProto.FLOATS:
            return tuple(attribute.floats)
        if kind == AttributeProto.STRINGS:
            return tuple(s.decode("utf-8", "replace") for s in attribute.strings)
        if kind == AttributeProto.TENSOR:
            return self.reader.read(attribute.t, f"attribute {name!r} of {where}", name in WITH_NAN)
        if kind == AttributeProto.GRAPH:
            return self.graph(attribute.g, scope, f"subgraph {name!r} of {where}")
        label = AttributeProto.AttributeType.Name(kind)
        raise UnsupportedError(f"{where} has the attribute {name!r} of type {label}, which is out of scope")


def _label(node: Any, number: int) -> str:
    """A node's name, or else what it computes first."""
    return str(node.name or next((name for name in node.output if name), f"{node.op_type} {number}"))[:200]


def _reads(node: Any) -> set[str]:
    """Names that a node takes from its own graph or further out, by its subgraphs, too."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            own |= {name for inner in graph.node for name in inner.output}
            inside = {name for inner in graph.node for name in _reads(inner)} | {value.name for value in graph.output}
            names |= inside - own
    return names


def _sorted(nodes: list[Any], needs: list[set[int]], where: str) -> list[int]:
    """Kahn's algorithm; the file's order where it is one already."""
    if all(all(need < number for need in own) for number, own in enumerate(needs)):
        return list(range(len(nodes)))
    users: list[list[int]] = [[] for _ in nodes]
    for number, own in enumerate(needs):
        for need in own:
            users[need].append(number)
    left = [len(own) for own in needs]
    order = [number for number, count in enumerate(left) if not count]
    for number in order:
        for user in users[number]:
            left[user] -= 1
            if not left[user]:
                order.append(user)
    if len(order) < len(nodes):
        stuck = next(number for number, count in enumerate(left) if count)
        raise LoweringError(f"{where} has a cycle: {_label(nodes[stuck], stuck)} needs, in the end, its own output")
    return order


def _check_type(attribute: Any, schema: Any, where: str) -> None:
    declared = schema.attributes.get(attribute.name)
    if declared is None:
        raise LoweringError(f"{where} has the attribute {attribute.name!r}, which this op does not have")
    if int(declared.type.value) != attribute.type:
        raise LoweringError(
            f"{where} has the attribute {attribute.name!r} of a wrong type; {declared.type.name} is expected"
        )


def _check_counts(node: Any, schema: Any, attributes: Mapping[str, Any], where: str) -> None:
    if not schema.min_input <= len(node.input) <= schema.max_input:
        raise LoweringError(
            f"{where} has {len(node.input)} inputs; {schema.min_input} to {schema.max_input} are expected"
        )
    if not len(node.output) <= schema.max_output:
        raise LoweringError(f"{where} has {len(node.output)} outputs; at most {schema.max_output} are expected")
    for name, declared in schema.attributes.items():
        if declared.required and name not in attributes:
            raise LoweringError(f"{where} lacks the attribute {name!r}")
    for number, name in enumerate(node.input):
        formal = schema.inputs[min(number, len(schema.inputs) - 1)]
        if not name and formal.option == onnx.defs.OpSchema.FormalParameterOption.Single:
            raise LoweringError(f"{where} lacks its input {formal.name!r}")


def _infinities(constants: Mapping[str, Array], steps: Iterable[OnnxStep]) -> None:
    """Infinite masks, bounds and entries of tables have a meaning, infinite weights have none."""
    infinite = {
        name: array for name, array in constants.items() if array.dtype.kind not in "iub" and np.isinf(array).any()
    }
    if not infinite:
        return
    steps = list(steps)
    for name, array in infinite.items():
        readers = [step for step in steps if name in step.inputs]
        chosen = bool(readers) and all(step.op in GATHERS and name not in step.inputs[1:] for step in readers)
        if array.size > 1 and np.any(array == np.inf) and not chosen:
            raise LoweringError(f"initialiser {name!r} contains infinity; a model with such weights has no meaning")
    for step in steps:
        for name in step.inputs:
            if step.op in MULTIPLIED and name in infinite:
                raise LoweringError(
                    f"initialiser {name!r}, a weight of {step}, contains infinity; export the model again"
                )


def port_of(value: Any, zipped: bool = False) -> OnnxPort:
    """An input or output as the file declares it; ``zipped``: an output of ZipMap. Raises UnsupportedError for what is no tensor."""
    what = f"{value.name!r}"
    if zipped:
        return OnnxPort(value.name, None, None)
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        raise UnsupportedError(
            f"{what} is no tensor but of {kind}; sequences, maps and optional types are out of scope"
        )
    tensor = value.type.tensor_type
    dtype = dtype_of(tensor.elem_type, what) if kind is not None and tensor.elem_type else None
    if not tensor.HasField("shape"):
        return OnnxPort(value.name, dtype, None)
    shape: list[int | str] = []
    for dim in tensor.shape.dim:
        fixed = dim.HasField("dim_value") and dim.dim_value >= 0
        shape.append(int(dim.dim_value) if fixed else dim.dim_param or "?")
    return OnnxPort(value.name, dtype, tuple(shape))
