"""What the importer keeps of a model file: graphs of steps in an order in which they can be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.onnx.tensors import Array


@dataclass(frozen=True)
class OnnxPort:
    """An input or output of a model: ``shape`` has sizes, and names (str) of dimensions that take the arrays' sizes; None: any rank."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True)
class AttributeReference:
    """An attribute inside a function's body that takes the value of the caller's attribute ``name``."""

    name: str


@dataclass(frozen=True, eq=False)
class OnnxStep:
    """One application of an op. ``opset``: version of its domain; ``raw``: the serialised node if its body depends on it."""

    op: str
    domain: str
    opset: int
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    raw: bytes

    def __str__(self) -> str:
        return f"node {self.label!r} ({self.op}, opset {self.opset})"


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """Steps in topological order; ``constants`` are its initialisers."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    steps: tuple[OnnxStep, ...]


@dataclass(frozen=True, eq=False)
class OnnxFunction:
    """A body that is used like an op. ``defaults``: of its attributes."""

    body: OnnxGraph
    defaults: Mapping[str, Any]
