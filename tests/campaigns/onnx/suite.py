"""The node tests of the installed ``onnx`` package, and its modules that PyTorch converted."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

EXPANDED = re.compile(r"_expanded(_ver\d+)?$")
"""Ends the name of a test whose operator is replaced by the operators that define it."""


CONVERTED = "converted_"
"""Begins the name of a module that PyTorch converted; its operator is said to be ``MODULE``."""

MODULE = "(converted modules)"


@dataclass(frozen=True, eq=False)
class Case:
    """A node test: a model, what goes in (in the graph's order of inputs) and what has to come out."""

    name: str
    op: str
    model: onnx.ModelProto
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


@functools.cache
def suite() -> Mapping[str, Case]:
    """All node tests and converted modules by name. The package makes the former with NumPy, which takes some seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = load_model_tests(kind="node")
        modules = load_model_tests(kind="pytorch-converted")
    cases: dict[str, Case] = {}
    for test in tests:
        assert test.model is not None and test.data_sets is not None
        ((inputs, outputs),) = test.data_sets
        op = test.model.graph.node[0].op_type
        cases[test.name] = Case(test.name, op, test.model, _arrays(inputs), _arrays(outputs))
    for name, case in cases.items():
        defined = cases.get(EXPANDED.sub("", name))
        if defined is not None:
            cases[name] = replace(case, op=defined.op)
    for module in modules:
        name = CONVERTED + module.name.removeprefix("test_")
        cases[name] = _module(name, Path(str(module.model_dir)))
    return cases


def _module(name: str, folder: Path) -> Case:
    """A model in a file, with its first set of tensors."""
    model = onnx.load(folder / "model.onnx")

    def arrays(side: str) -> tuple[Any, ...]:
        found = []
        while (path := folder / "test_data_set_0" / f"{side}_{len(found)}.pb").exists():
            found.append(numpy_helper.to_array(onnx.load_tensor(path)))
        return tuple(found)

    return Case(name, MODULE, model, arrays("input"), arrays("output"))


def _arrays(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else x for x in values)


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all graphs inside its nodes' attributes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from graphs(inner)


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes of a model, nested ones included."""
    for graph in graphs(model.graph):
        yield from graph.node


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    for found in node.attribute:
        if found.name == name:
            return onnx.helper.get_attribute_value(found)
    return default


def chosen(pattern: str | None, cases: Sequence[str]) -> list[str]:
    """The names that a regular expression finds something in; all without one."""
    return [name for name in cases if pattern is None or re.search(pattern, name)]
