"""The walk: steps are evaluated in order, in numpy while everything they read is static, else by JAX under the caller's trace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from prover.onnx.functions import bound, standard_body
from prover.onnx.ir import OnnxFunction, OnnxGraph, OnnxStep
from prover.onnx.node import MOST_ELEMENTS, NeedsConstant, OnnxNode, Value, is_static, rule_of
from prover.onnx.scope import OUT_OF_SCOPE
from prover.onnx.tensors import FAILURES
from rollup.errors import LoweringError, TouchstoneError, UnsupportedError

MOST_STEPS = 50_000
"""Applications of ops in one trace, in unrolled loops and inlined functions, too."""

MOST_FOLDED_BYTES = 1 << 31
"""Of all static results of one trace together, beside eight times the file's own weights."""

DEEPEST = 64
"""Functions inside functions."""

CONTROL = frozenset({"If", "Loop", "Scan"})
"""Ops with subgraphs: whether anything is static is their own matter."""


@dataclass
class Scope:
    """Names of one graph; looks further out for the others."""

    values: dict[str, Value]
    outer: Scope | None = None

    def find(self, name: str) -> Value:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        raise LoweringError(f"{name!r} is read, but nothing computes it")


@dataclass
class Walk:
    """One trace of a model. ``sources``: for every value of the main graph, the inputs that it depends on."""

    functions: Mapping[tuple[str, str], OnnxFunction]
    weights: int
    """Bytes."""
    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    steps: int = 0
    folded: int = 0
    depth: int = 0
    scope: Scope = field(default_factory=lambda: Scope({}))
    current: frozenset[str] = frozenset()

    def run(self, graph: OnnxGraph, inputs: Sequence[Value | None], outer: Scope | None = None) -> list[Value]:
        """Evaluate a graph on its inputs; subgraphs see the names of ``outer``."""
        if len(inputs) > len(graph.inputs):
            raise LoweringError(f"a body with {len(graph.inputs)} inputs is given {len(inputs)}")
        # An input that is left out is absent, or has the initialiser of its name as its default.
        scope = Scope({**dict.fromkeys(graph.inputs), **graph.constants}, outer)
        given = zip(graph.inputs, inputs, strict=False)
        scope.values.update((name, value) for name, value in given if value is not None)
        scope.values[""] = None
        before = self.scope
        self.scope = scope
        try:
            for step in graph.steps:
                self._step(step, scope)
            return [scope.find(name) for name in graph.outputs]
        finally:
            self.scope = before

    def _step(self, step: OnnxStep, scope: Scope) -> None:
        self.spend(step, 1)
        operands = tuple(scope.find(name) for name in step.inputs)
        if self.depth == 0:
            names = self.sources if step.op in CONTROL else step.inputs
            self.current = frozenset().union(*(self.sources.get(name, frozenset()) for name in names))
            self.sources.update(dict.fromkeys(step.outputs, self.current))
        try:
            results = self.apply(step, operands)
        except TouchstoneError:
            raise
        except FAILURES as error:
            told = " ".join(str(error).split())[:300]
            raise LoweringError(f"{step} does not fit its inputs: {told or type(error).__name__}") from error
        for name, value in zip(step.outputs, results, strict=False):
            if name:
                scope.values[name] = value
                shape = np.shape(value) if value is not None else ()
                if math.prod(shape) > MOST_ELEMENTS:
                    raise LoweringError(
                        f"{step} gives a value of shape {list(shape)}; a value has at most {MOST_ELEMENTS} elements"
                    )

    def spend(self, step: OnnxStep, count: int) -> None:
        """Raise LoweringError when a trace applies too many ops: loops in loops and functions in functions multiply."""
        self.ask(step, count)
        self.steps += count

    def ask(self, step: OnnxStep, count: int) -> None:
        """Raise LoweringError if so many more would be too many."""
        if self.steps + count > MOST_STEPS:
            raise LoweringError(f"{step}: more than {MOST_STEPS} ops are applied; loops of this length are refused")

    def apply(self, step: OnnxStep, operands: tuple[Value | None, ...]) -> list[Value]:
        """The outputs of a step: by its rule, or by the body that the file or the standard gives."""
        local = self.functions.get((step.domain, step.op))
        if local is not None:
            return self.call(step, local, operands)
        present = [x for x in operands if x is not None]
        node = OnnxNode(step, operands, all(is_static(x) for x in present) and _small(step, present), self)
        found = rule_of(step.domain, step.op, step.opset)
        reason = OUT_OF_SCOPE.get((step.domain, step.op))
        if reason is not None:
            raise UnsupportedError(f"{step}: {reason}")
        if found is None:
            body = standard_body(step, operands)
            if body is None:
                raise UnsupportedError(f"{step}: there is no rule for this op; rewrite it with other ops")
            return self.call(step, body, operands)
        if not node.static or step.op in CONTROL:
            with jax.named_scope(step.label):
                return _listed(found(node))
        with np.errstate(all="ignore"), jax.enable_x64(True), jax.ensure_compile_time_eval():
            results = [x if x is None else np.asarray(x) for x in _listed(found(node))]
        self.folded += sum(x.nbytes for x in results if x is not None and x.base is None and _new(x, operands))
        if self.folded > MOST_FOLDED_BYTES + 8 * self.weights:
            raise LoweringError(f"{step}: the constants of the file fold to {self.folded} bytes, which is too much")
        return results

    def call(self, step: OnnxStep, function: OnnxFunction, operands: tuple[Value | None, ...]) -> list[Value]:
        """Inline a function: its own scope, its attributes bound to the caller's."""
        if self.depth >= DEEPEST:
            raise LoweringError(f"{step}: functions call each other more than {DEEPEST} deep")
        self.depth += 1
        try:
            attributes = {**function.defaults, **step.attributes}
            body = bound(function.body, attributes)
            return self.run(replace(body, outputs=body.outputs[: len(step.outputs)]), operands)
        finally:
            self.depth -= 1

    def branch(self, graph: OnnxGraph, inputs: Sequence[Value | None]) -> list[Value]:
        """Evaluate a subgraph of the step at hand."""
        self.depth += 1
        try:
            return self.run(graph, inputs, self.scope)
        finally:
            self.depth -= 1

    def needs_constant(self, step: OnnxStep, name: str) -> NeedsConstant:
        """The error about an operand that must be known while tracing."""
        inputs = tuple(sorted(self.sources.get(name, frozenset()) if self.depth == 0 else self.current))
        told = ", ".join(repr(x) for x in inputs) or "the inputs"
        return NeedsConstant(
            f"{step}: {name!r} must be known while tracing, since a program's shapes and loops are fixed, but depends on "
            f"{told}; fix such an input with OnnxModel.fixed(...)",
            inputs,
        )


def _small(step: OnnxStep, operands: Sequence[Value]) -> bool:
    """Whether folding is bounded: no op that does not ask first makes more than all pairs of its operands' elements."""
    sizes = [max(1, x.size) for x in operands]
    return bool((sum(sizes) if step.op == "Concat" else math.prod(sizes)) <= MOST_ELEMENTS)


def _new(value: Value, operands: Sequence[Value]) -> bool:
    return all(value is not x for x in operands)


def _listed(results: Any) -> list[Value]:
    return list(results) if isinstance(results, (tuple, list)) else [results]
