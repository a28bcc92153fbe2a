"""Capture: a JAX function becomes a flat graph of primitive applications, each knowing its source line.

Calls are inlined, constants computed, branches become selections, loops of static length scans, random keys their data
(``prover.lowering.keys``), and primitives that JAX itself can write with simpler ones are expanded (``prover.lowering.expansions``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.extend import core

from prover.lowering import keys
from prover.lowering.expansions import EXPANSIONS
from prover.lowering.graph import FloatGraph, FloatNode, Operand, Stacked, Var, long_words
from prover.lowering.source import source_of
from prover.lowering.tracing import traced
from prover.lowering.trips import trip_count
from rollup.errors import LoweringError, UnsupportedError

INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_lin": "call_jaxpr",
    "composite": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}
"""Call primitives that are replaced by their body, and the parameter that holds it."""


LOOPS = ("scan", "while")


KNOWN_BYTES = 1 << 20
"""Constants up to this size are computed at once, so that they decide branches, trip counts and positions; others are folded later."""


@dataclass(frozen=True)
class _Place:
    """Where equations are flattened to: the nodes so far, and the source line of those that know none of their own.

    ``expanding``: the primitives whose expansion this is; inside it they stay themselves, and the line is the user's.
    """

    nodes: list[FloatNode]
    where: str
    expanding: frozenset[str] = frozenset()

    def at(self, eqn: Any) -> _Place:
        return self if self.expanding else replace(self, where=source_of(eqn) or self.where)

    def refused(self, name: str, why: str) -> UnsupportedError:
        return UnsupportedError(f"{name}{f' at {self.where}' if self.where else ''}: {why}")


def _flatten(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Operand], place: _Place) -> list[Operand]:
    env: dict[Any, Operand] = dict(zip(jaxpr.invars, arguments, strict=True))
    env.update(zip(jaxpr.constvars, map(keys.data, constants), strict=True))

    def read(atom: Any) -> Operand:
        if not isinstance(atom, core.Literal):
            return env[atom]
        aval: Any = atom.aval
        return np.asarray(atom.val, dtype=aval.dtype)

    for eqn in jaxpr.eqns:
        results = _applied(eqn, [read(atom) for atom in eqn.invars], place.at(eqn))
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _inlined(inner: Any, arguments: Sequence[Operand], place: _Place) -> list[Operand]:
    closed = isinstance(inner, core.ClosedJaxpr)
    return _flatten(inner.jaxpr if closed else inner, inner.consts if closed else (), arguments, place)


def _applied(eqn: Any, inputs: list[Operand], place: _Place) -> list[Operand]:
    """The results of one equation; what is not known now becomes nodes."""
    name, params = eqn.primitive.name, eqn.params
    if name in INLINED:
        return _inlined(params[INLINED[name]], inputs, place)
    avals = [v.aval for v in (*eqn.invars, *eqn.outvars)]
    keyed = any(keys.is_key(aval) for aval in avals)
    known = not any(isinstance(x, Var) for x in inputs)
    if known and (keyed or max(map(_bytes, avals)) <= KNOWN_BYTES):
        with long_words(*(aval.dtype for aval in avals)):
            computed = eqn.primitive.bind(
                *(keys.typed(x, v.aval) for x, v in zip(inputs, eqn.invars, strict=True)), **params
            )
        return [keys.data(x) for x in (computed if eqn.primitive.multiple_results else [computed])]
    for aval in filter(keys.is_key, avals):
        try:
            keys.check(aval)
        except UnsupportedError as error:
            raise place.refused(name, str(error)) from None
    if name == "cond":
        return _selected(params["branches"], inputs[0], inputs[1:], place)
    if name in EXPANSIONS and name not in place.expanding:
        return _expanded(name, lambda *operands: EXPANSIONS[name](*operands, **params), inputs, place)
    if keyed and name not in LOOPS:
        return _moved(eqn, inputs, place)
    primitive, body = eqn.primitive, None
    if name == "scan":
        body = _graph(params["jaxpr"].jaxpr, params["jaxpr"].consts, place)
    elif name == "while":
        primitive, params, body = _loop(params, inputs, place)
        inputs = inputs[eqn.params["cond_nconsts"] :]
        if params["length"] == 0:
            return inputs[params["num_consts"] :]
    results = tuple(_variable(v.aval) for v in eqn.outvars)
    place.nodes.append(FloatNode(primitive, params, tuple(inputs), results, place.where, body))
    return list(results)


def _variable(aval: Any) -> Var:
    return Var(*keys.stored(aval))


def _bytes(aval: Any) -> int:
    """Size of a constant or of a result, which is no key."""
    return int(np.prod(aval.shape)) * int(np.dtype(aval.dtype).itemsize)


def _moved(eqn: Any, inputs: Sequence[Operand], place: _Place) -> list[Operand]:
    """What takes keys elsewhere takes every number of their data there; what draws by itself (``random_gamma``) is refused."""
    if not any(keys.is_key(v.aval) for v in eqn.outvars):
        why = "it draws until a number is accepted, and a program has a fixed number of steps (so do beta, dirichlet, t and ball)"
        raise place.refused(
            eqn.primitive.name,
            f"{why}; draw uniform, normal, exponential or Gumbel numbers, or make what was drawn an input",
        )
    given = [-1 if keys.is_key(v.aval) else None for v in eqn.invars]

    def each(*operands: Any) -> Any:
        return eqn.primitive.bind(*operands, **eqn.params)

    return _expanded(eqn.primitive.name, jax.vmap(each, in_axes=given, out_axes=-1), inputs, place)


def _selected(branches: Sequence[Any], index: Operand, inputs: Sequence[Operand], place: _Place) -> list[Operand]:
    """One branch if its index is known, else the results of all branches, selected."""
    last = len(branches) - 1
    if not isinstance(index, Var):
        return _inlined(branches[int(np.clip(index, 0, last))], inputs, place)  # type: ignore[arg-type]
    (clamped,) = _expanded("cond", lambda i: jax.numpy.clip(i, 0, last), [index], place)
    results = [_inlined(branch, inputs, place) for branch in branches]
    return [
        cases[0]
        if all(x is cases[0] for x in cases)
        else _expanded("cond", jax.lax.select_n, [clamped, *cases], place)[0]
        for cases in zip(*results, strict=True)
    ]


def _expanded(name: str, fn: Callable[..., Any], inputs: Sequence[Operand], place: _Place) -> list[Operand]:
    """The nodes of ``fn``, a JAX function of the operands, in place of a primitive; constants reach it as NumPy arrays."""
    variables = [x for x in inputs if isinstance(x, Var)]

    def called(*tracers: Any) -> Any:
        given = iter(tracers)
        return fn(*(next(given) if isinstance(x, Var) else x for x in inputs))

    try:
        with long_words(*(x.dtype for x in inputs if not isinstance(x, Stacked))):
            closed = jax.make_jaxpr(called)(*variables)
    except UnsupportedError as error:
        raise place.refused(name, str(error)) from None
    inside = replace(place, expanding=place.expanding | {name})
    return _flatten(closed.jaxpr, closed.consts, variables, inside)


def _loop(
    params: Mapping[str, Any], inputs: Sequence[Operand], place: _Place
) -> tuple[Any, dict[str, Any], FloatGraph]:
    """A while loop as a scan of the trip count that its constants determine: primitive, parameters, body."""
    split, fixed = params["cond_nconsts"], params["body_nconsts"]
    bodies = [*params["cond_jaxpr"].jaxpr.invars[:split], *params["body_jaxpr"].jaxpr.invars]
    given = [None if isinstance(x, Var) else keys.typed(x, v.aval) for x, v in zip(inputs, bodies, strict=True)]
    length = trip_count(
        params["cond_jaxpr"], params["body_jaxpr"], given[:split], given[split : split + fixed], given[split + fixed :]
    )
    if length is None:
        why = "its trip count depends on the input; loop a fixed number of times and select what counts"
        raise place.refused("while", why)
    inner = params["body_jaxpr"]
    carried = len(inputs) - split - fixed
    counts = {"length": length, "num_consts": fixed, "num_carry": carried, "reverse": False}
    return jax.lax.scan_p, counts, _graph(inner.jaxpr, inner.consts, place)


def _graph(jaxpr: Any, constants: Sequence[Any], place: _Place) -> FloatGraph:
    inputs = tuple(_variable(v.aval) for v in jaxpr.invars)
    nodes: list[FloatNode] = []
    outputs = _flatten(jaxpr, constants, inputs, replace(place, nodes=nodes))
    nodes = [_without_empty(node) for node in nodes]
    graph = FloatGraph(inputs, tuple(nodes), tuple(outputs)).pruned()
    for var in [*graph.inputs, *(v for node in graph.nodes for v in node.outputs)]:
        if 0 in var.shape:
            raise LoweringError(f"an array of shape {var.shape} has no elements; give every dimension a positive size")
    return graph


def _without_empty(node: FloatNode) -> FloatNode:
    """A concatenation (a roll by nothing, a split at an end) without its operands of no elements."""
    if node.name != "concatenate" or 0 in node.outputs[0].shape:
        return node
    return replace(node, inputs=tuple(x for x in node.inputs if 0 not in x.shape))


def capture(fn: Callable[..., Any], example_inputs: Sequence[Any]) -> tuple[FloatGraph, Any, Any]:
    """(graph, tree structure of the inputs, tree structure of the outputs) of ``fn``, traced under the caller's JAX settings.

    Example inputs become the graph's inputs, arrays that ``fn`` closes over its constants.
    """
    closed, shape = traced(fn, example_inputs)
    for effect in closed.effects:
        raise LoweringError(f"the function has a side effect ({effect}); return its result instead, a program is pure")
    graph = _graph(closed.jaxpr, closed.consts, _Place([], ""))
    return graph, jax.tree.structure(tuple(example_inputs)), jax.tree.structure(shape)
