"""Capture: a JAX function becomes a flat graph of primitive applications, calls inlined, each knowing its source line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.extend import core

from prover.source import source_of
from rollup.errors import LoweringError

INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_lin": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}
"""Call primitives that are replaced by their body, and the parameter that holds it."""


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
class Node:
    """One primitive application. A scan's body is ``body``; its params keep length, reverse and the operand counts."""

    primitive: Any
    params: Mapping[str, Any]
    inputs: tuple[Operand, ...]
    outputs: tuple[Var, ...]
    where: str
    body: Graph | None = None

    @property
    def name(self) -> str:
        return str(self.primitive.name)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in order. ``outputs`` may be variables or constants."""

    inputs: tuple[Var, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Operand, ...]

    def uses(self) -> dict[Var, int]:
        """How often each variable is read, by nodes and as an output."""
        count: dict[Var, int] = {}
        for operand in [*(x for node in self.nodes for x in node.inputs), *self.outputs]:
            if isinstance(operand, Var):
                count[operand] = count.get(operand, 0) + 1
        return count


def _flatten(
    jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Operand], nodes: list[Node], outer: str
) -> list[Operand]:
    env: dict[Any, Operand] = dict(zip(jaxpr.invars, arguments, strict=True))
    env.update(zip(jaxpr.constvars, (np.asarray(c) for c in constants), strict=True))

    def read(atom: Any) -> Operand:
        if not isinstance(atom, core.Literal):
            return env[atom]
        aval: Any = atom.aval
        return np.asarray(atom.val, dtype=aval.dtype)

    for eqn in jaxpr.eqns:
        name = eqn.primitive.name
        inputs = [read(atom) for atom in eqn.invars]
        where = source_of(eqn) or outer
        if name in INLINED:
            inner = eqn.params[INLINED[name]]
            inner_jaxpr, inner_constants = (
                (inner.jaxpr, inner.consts) if isinstance(inner, core.ClosedJaxpr) else (inner, ())
            )
            outputs = _flatten(inner_jaxpr, inner_constants, inputs, nodes, where)
            env.update(zip(eqn.outvars, outputs, strict=True))
            continue
        body = None
        if name == "scan":
            inner = eqn.params["jaxpr"]
            body = _graph(inner.jaxpr, inner.consts, where)
        results = tuple(Var(tuple(v.aval.shape), np.dtype(v.aval.dtype)) for v in eqn.outvars)
        nodes.append(Node(eqn.primitive, eqn.params, tuple(inputs), results, where, body))
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _graph(jaxpr: Any, constants: Sequence[Any], outer: str) -> Graph:
    inputs = tuple(Var(tuple(v.aval.shape), np.dtype(v.aval.dtype)) for v in jaxpr.invars)
    nodes: list[Node] = []
    outputs = _flatten(jaxpr, constants, inputs, nodes, outer)
    nodes = [_without_empty(node) for node in nodes]
    graph = _pruned(Graph(inputs, tuple(nodes), tuple(outputs)))
    for var in [*graph.inputs, *(v for node in graph.nodes for v in node.outputs)]:
        if 0 in var.shape:
            raise LoweringError(f"an array of shape {var.shape} has no elements; give every dimension a positive size")
    return graph


def _without_empty(node: Node) -> Node:
    """A concatenation (a roll by nothing, a split at an end) without its operands of no elements."""
    if node.name != "concatenate" or 0 in node.outputs[0].shape:
        return node
    return replace(node, inputs=tuple(x for x in node.inputs if 0 not in x.shape))


def _pruned(graph: Graph) -> Graph:
    """Without nodes that no output needs."""
    needed = {x for x in graph.outputs if isinstance(x, Var)}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(x for x in node.inputs if isinstance(x, Var))
    return Graph(graph.inputs, tuple(reversed(kept)), graph.outputs)


def capture(fn: Callable[..., Any], example_inputs: Sequence[Any]) -> tuple[Graph, Any, Any]:
    """(graph, tree structure of the inputs, tree structure of the outputs) of ``fn``, traced under the caller's JAX settings.

    Example inputs become the graph's inputs, arrays that ``fn`` closes over its constants.
    """
    closed, shape = jax.make_jaxpr(fn, return_shape=True)(*example_inputs)
    for effect in closed.effects:
        raise LoweringError(f"the function has a side effect ({effect}); return its result instead, a program is pure")
    graph = _graph(closed.jaxpr, closed.consts, "")
    return graph, jax.tree.structure(tuple(example_inputs)), jax.tree.structure(shape)


def bind(node: Node, inputs: Sequence[Any]) -> list[Any]:
    """Apply a node to arrays with JAX itself; a scan runs its (possibly rewritten) body."""
    if node.body is None:
        result = node.primitive.bind(*inputs, **node.params)
        return list(result) if node.primitive.multiple_results else [result]
    return scan(node, inputs, lambda body, arguments: (evaluate(body, arguments), ()))[0]


def scan(
    node: Node, inputs: Sequence[Any], run: Callable[[Graph, Sequence[Any]], tuple[list[Any], Any]]
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


def evaluate(graph: Graph, inputs: Sequence[Any], watch: Callable[[Node, list[Any]], None] | None = None) -> list[Any]:
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
