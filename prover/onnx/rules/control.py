"""Control flow: a known condition takes one branch; a loop of a known count is unrolled, or a scan where it is long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.ir import OnnxGraph
from prover.onnx.node import NeedsConstant, OnnxNode, Value, canonical, is_static, rule

UNROLLED = 16
"""Iterations up to which a loop is unrolled though it could be a scan."""


def _graph(node: OnnxNode, name: str) -> OnnxGraph:
    graph = node.attribute(name)
    if not isinstance(graph, OnnxGraph):
        raise node.error(f"the subgraph {name!r} is missing")
    return graph


def _arrays(node: OnnxNode, values: Sequence[Value]) -> tuple[Any, ...]:
    return tuple(jnp.asarray(node.computed(value)) for value in values)


@rule("If")
def _if(node: OnnxNode) -> Any:
    """A condition that depends on inputs computes both branches, which must then agree in shape and dtype."""
    condition = node.operands[0]
    branches = _graph(node, "then_branch"), _graph(node, "else_branch")
    if is_static(condition):
        if condition.size != 1:  # type: ignore[union-attr]
            raise node.error("its condition is no single value")
        return node.walk.branch(branches[0] if bool(condition.reshape(())) else branches[1], [])  # type: ignore[union-attr]
    try:
        results = lax.cond(
            condition.reshape(()),  # type: ignore[union-attr]
            lambda: _arrays(node, node.walk.branch(branches[0], [])),
            lambda: _arrays(node, node.walk.branch(branches[1], [])),
        )
    except TypeError as error:
        needed = node.walk.needs_constant(node.step, node.step.inputs[0])
        raise NeedsConstant(f"{needed} (its branches give different shapes)", needed.inputs) from error
    return list(results)


@rule("Loop")
def _loop(node: OnnxNode) -> Any:
    body = _graph(node, "body")
    count = int(node.constant(0).reshape(())) if node.has(0) else None
    carried = list(node.operands[2:])
    if len(body.inputs) != len(carried) + 2 or len(body.outputs) <= len(carried):
        raise node.error(
            f"its body has {len(body.inputs)} inputs and {len(body.outputs)} outputs for {len(carried)} values"
        )
    going = node.operands[1] if node.has(1) else np.asarray(True)
    if not is_static(going):
        raise node.walk.needs_constant(node.step, node.step.inputs[1])
    if count is not None and count > UNROLLED and bool(going.reshape(())):  # type: ignore[union-attr]
        found = _as_scan(node, body, count, carried)
        if found is not None:
            return found
    return _unrolled(node, body, count, bool(going.reshape(())), carried)  # type: ignore[union-attr]


def _unrolled(
    node: OnnxNode, body: OnnxGraph, count: int | None, going: bool, carried: list[Value | None]
) -> list[Value]:
    """Iteration by iteration, while the condition is known; the walk's budget bounds it."""
    if going and count is not None and _counted(body):
        node.walk.ask(node.step, count * max(1, len(body.steps)))
    stacked: list[list[Value]] = [[] for _ in body.outputs[len(carried) + 1 :]]
    iteration = 0
    while going and (count is None or iteration < count):
        node.walk.spend(node.step, 1)
        results = node.walk.branch(body, [np.asarray(iteration, np.int64), np.asarray(True), *carried])
        if not is_static(results[0]):
            raise NeedsConstant(
                f"{node.step}: whether iteration {iteration + 1} runs depends on the inputs; a program's loops have a fixed "
                "count, give the condition a constant"
            )
        going = bool(results[0].reshape(()))
        carried = results[1 : len(carried) + 1]
        for own, value in zip(stacked, results[len(carried) + 1 :], strict=True):
            own.append(value)
        iteration += 1
    if not iteration and stacked:
        raise node.unsupported("it runs no iteration, so its stacked outputs have no elements")
    return [*carried, *(_stack(node, own) for own in stacked)]


def _counted(body: OnnxGraph) -> bool:
    """Whether the body hands its condition on, so that the count alone decides."""
    names = {step.outputs[0]: step.inputs[0] for step in body.steps if step.op == "Identity"}
    return names.get(body.outputs[0], body.outputs[0]) == body.inputs[1]


def _stack(node: OnnxNode, values: list[Value]) -> Value:
    node.sized((len(values), *values[0].shape))
    if all(is_static(value) for value in values):
        return np.stack(values)
    return jnp.stack(_arrays(node, values))


def _as_scan(node: OnnxNode, body: OnnxGraph, count: int, carried: list[Value | None]) -> list[Value] | None:
    """A scan, if the carried values keep their shapes and the body goes on whatever happens; else None."""
    if all(is_static(x) for x in carried):
        return None

    def step(carry: Any, t: Any) -> Any:
        results = node.walk.branch(body, [t, np.asarray(True), *carry])
        if not (is_static(results[0]) and bool(results[0].reshape(()))):
            raise NeedsConstant(f"{node.step}: its condition is not constant")
        return _arrays(node, results[1 : len(carry) + 1]), _arrays(node, results[len(carry) + 1 :])

    dtype = canonical(np.int64)
    if count > np.iinfo(dtype).max:
        raise node.error(f"{count} iterations are too many")
    try:
        final, stacked = lax.scan(step, _arrays(node, carried), np.arange(count, dtype=dtype))
    except (NeedsConstant, TypeError):
        return None
    return [*final, *stacked]


@rule("Scan", since=9)
def _scan(node: OnnxNode) -> Any:
    body, scanned = _graph(node, "body"), int(node.attribute("num_scan_inputs"))
    carried = len(node) - scanned
    if scanned < 1 or carried < 0 or len(body.inputs) != len(node) or len(body.outputs) < carried:
        raise node.error(f"{scanned} of {len(node)} operands are scanned by a body with {len(body.inputs)} inputs")
    made = len(body.outputs) - carried
    axes_in, back_in = _per(node, "scan_input_axes", scanned), _per(node, "scan_input_directions", scanned)
    axes_out, back_out = _per(node, "scan_output_axes", made), _per(node, "scan_output_directions", made)
    inputs = []
    for x, axis, back in zip(_arrays(node, node.operands[carried:]), axes_in, back_in, strict=True):
        x = jnp.moveaxis(x, node.axis(axis, x.ndim), 0)
        inputs.append(jnp.flip(x, 0) if back else x)
    if len({x.shape[0] for x in inputs}) != 1:
        raise node.error("its scanned inputs have different lengths")

    def step(carry: Any, x: Any) -> Any:
        results = _arrays(node, node.walk.branch(body, [*carry, *x]))
        return results[:carried], results[carried:]

    final, stacked = lax.scan(step, _arrays(node, node.operands[:carried]), tuple(inputs))
    outputs = []
    for y, axis, back in zip(stacked, axes_out, back_out, strict=True):
        y = jnp.flip(y, 0) if back else y
        outputs.append(jnp.moveaxis(y, 0, node.axis(axis, y.ndim)))
    return [*final, *outputs]


@rule("Scan", since=8)
def _scan_8(node: OnnxNode) -> Any:
    """A batch of sequences in front of everything; all of one length."""
    body, scanned = _graph(node, "body"), int(node.attribute("num_scan_inputs"))
    if node.has(0):
        raise node.unsupported("its sequences have lengths of their own; export the model for opset 9 or later")
    operands = node.operands[1:]
    carried = len(operands) - scanned
    if scanned < 1 or carried < 0 or len(body.inputs) != len(operands) or len(body.outputs) < carried:
        raise node.error(f"{scanned} of {len(operands)} operands are scanned by a body with {len(body.inputs)} inputs")
    backwards = _per(node, "directions", scanned)

    def step(carry: Any, x: Any) -> Any:
        results = _arrays(node, node.walk.branch(body, [*carry, *x]))
        return results[:carried], results[carried:]

    def one(states: Any, sequences: Any) -> Any:
        return lax.scan(step, states, sequences)

    arrays = _arrays(node, operands)
    if any(x.ndim < 1 for x in arrays) or any(x.ndim < 2 for x in arrays[carried:]):
        raise node.error("its operands lack a batch or a sequence dimension")
    sequences = tuple(jnp.flip(x, 1) if back else x for x, back in zip(arrays[carried:], backwards, strict=True))
    final, stacked = jax.vmap(one)(arrays[:carried], sequences)
    return [*final, *stacked]


def _per(node: OnnxNode, name: str, count: int) -> tuple[int, ...]:
    values = node.attribute(name) or (0,) * count
    if len(values) != count:
        raise node.error(f"{name} has {len(values)} entries for {count}")
    return tuple(values)
