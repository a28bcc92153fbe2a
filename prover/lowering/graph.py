"""The float graph: a JAX function as primitive applications in order, and how it is run with JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np


@dataclass(frozen=True, eq=False)
class Var:
    """One array of the float graph."""

    shape: tuple[int, ...]
    dtype: np.dtype


Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Stacked:
    """A constant per iteration of the enclosing scan: ``array[t]``."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape[1:])


Operand = Var | Array | Stacked
"""A variable, or a constant (weights, literals)."""


@dataclass(frozen=True, eq=False)
class FloatNode:
    """One primitive application. A scan's body is ``body``; its params keep length, reverse and the operand counts."""

    primitive: Any
    params: Mapping[str, Any]
    inputs: tuple[Operand, ...]
    outputs: tuple[Var, ...]
    where: str
    body: FloatGraph | None = None

    @property
    def name(self) -> str:
        return str(self.primitive.name)


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """Nodes in order. ``outputs`` may be variables or constants."""

    inputs: tuple[Var, ...]
    nodes: tuple[FloatNode, ...]
    outputs: tuple[Operand, ...]

    def uses(self) -> dict[Var, int]:
        """How often each variable is read, by nodes and as an output."""
        count: dict[Var, int] = {}
        for operand in [*(x for node in self.nodes for x in node.inputs), *self.outputs]:
            if isinstance(operand, Var):
                count[operand] = count.get(operand, 0) + 1
        return count

    def variables(self) -> list[tuple[Var, FloatNode | None]]:
        """All arrays in order, those of loops' bodies behind the loop's own, each with the node that gives it."""
        found: list[tuple[Var, FloatNode | None]] = [(var, None) for var in self.inputs]
        for node in self.nodes:
            found += [(var, node) for var in node.outputs]
            if node.body is not None:
                found += node.body.variables()
        return found

    def pruned(self) -> FloatGraph:
        """Without nodes that no output needs."""
        needed = {x for x in self.outputs if isinstance(x, Var)}
        kept: list[FloatNode] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(x for x in node.inputs if isinstance(x, Var))
        return FloatGraph(self.inputs, tuple(reversed(kept)), self.outputs)


def long_words(*dtypes: Any) -> AbstractContextManager[Any]:
    """JAX's 64-bit mode if any of the dtypes has 64 bits: a function may use it for a part of itself."""
    # Typed keys have dtypes that NumPy does not know.
    long = any(isinstance(dtype, np.dtype) and dtype.kind in "iuf" and dtype.itemsize == 8 for dtype in dtypes)
    return jax.enable_x64(True) if long else contextlib.nullcontext()


def node_words(node: FloatNode) -> AbstractContextManager[Any]:
    """``long_words`` of a node's operands and results."""
    arrays = [x.array if isinstance(x, Stacked) else x for x in node.inputs]
    return long_words(*(x.dtype for x in [*arrays, *node.outputs]))


def bind(node: FloatNode, inputs: Sequence[Any]) -> list[Any]:
    """Apply a node to arrays with JAX itself; a scan runs its (possibly rewritten) body."""
    if node.body is None:
        with node_words(node):
            result = node.primitive.bind(*inputs, **node.params)
        return list(result) if node.primitive.multiple_results else [result]
    return scan(node, inputs, lambda body, arguments: (evaluate(body, arguments), ()))[0]


def scan(
    node: FloatNode, inputs: Sequence[Any], run: Callable[[FloatGraph, Sequence[Any]], tuple[list[Any], Any]]
) -> tuple[list[Any], Any]:
    """Run a scan node; ``run(body, arguments)`` gives the body's results and anything else to stack over iterations."""
    assert node.body is not None
    body, fixed, carried = node.body, node.params["num_consts"], node.params["num_carry"]

    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        results, extra = run(body, [*inputs[:fixed], *carry, *x])
        return tuple(results[:carried]), (tuple(results[carried:]), extra)

    init = tuple(jax.numpy.asarray(x) for x in inputs[fixed : fixed + carried])
    carry, (stacked, extra) = jax.lax.scan(
        step, init, tuple(inputs[fixed + carried :]), length=node.params["length"], reverse=node.params["reverse"]
    )
    return [*carry, *stacked], extra


def evaluate(
    graph: FloatGraph, inputs: Sequence[Any], watch: Callable[[FloatNode, list[Any]], None] | None = None
) -> list[Any]:
    """Run the float graph with JAX; ``watch`` sees every node's results."""
    env: dict[Var, Any] = dict(zip(graph.inputs, inputs, strict=True))

    def read(operand: Operand) -> Any:
        return env[operand] if isinstance(operand, Var) else operand

    for node in graph.nodes:
        outputs = bind(node, [read(x) for x in node.inputs])
        if watch is not None:
            watch(node, outputs)
        env.update(zip(node.outputs, outputs, strict=True))
    return [read(x) for x in graph.outputs]


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """A local 64-bit context on the CPU; nothing outside it changes."""
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        yield


def unfolded(fn: Callable[..., Any]) -> Any:
    """``fn`` compiled, without what XLA does to constants: its compiler computes them one element at a time, for minutes."""
    return jax.jit(fn, compiler_options={"xla_disable_hlo_passes": "constant_folding"})
