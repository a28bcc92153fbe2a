"""Calibrate: what every array of the float graph really holds, on sample inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.capture import Graph, Node, Var, bind, scan
from rollup.errors import LoweringError


@dataclass(frozen=True)
class Range:
    """Smallest and largest finite value over all samples, and a typical magnitude that outliers hardly move.

    ``typical`` is (mean of sqrt |x| over the non-zero elements) squared.
    """

    low: float
    high: float
    typical: float

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))


def _statistics(x: Any) -> Any:
    x = jnp.asarray(x)
    x = x.astype(jnp.float32) if x.dtype != jnp.float64 else x
    finite = jnp.isfinite(x)
    low = jnp.min(jnp.where(finite, x, jnp.inf))
    high = jnp.max(jnp.where(finite, x, -jnp.inf))
    counted = finite & (x != 0)
    root = jnp.sum(jnp.sqrt(jnp.abs(jnp.where(counted, x, 0)))) / jnp.maximum(jnp.sum(counted), 1)
    return jnp.stack([low, high, root, jnp.any(jnp.isnan(x)).astype(low.dtype)])


def _observe(graph: Graph, inputs: Sequence[Any]) -> tuple[list[Any], dict[int, Any]]:
    """(outputs, statistics by the identity of the variable); those of a scan's body are reduced over its iterations."""
    env: dict[Var, Any] = dict(zip(graph.inputs, inputs, strict=True))
    seen = {id(var): _statistics(x) for var, x in env.items()}
    for node in graph.nodes:
        arguments = [env[x] if isinstance(x, Var) else x for x in node.inputs]
        if node.body is None:
            outputs = bind(node, arguments)
        else:
            outputs, stacked = scan(node, arguments, _observe)
            seen.update({key: _reduce(value) for key, value in stacked.items()})
        env.update(zip(node.outputs, outputs, strict=True))
        seen.update({id(var): _statistics(x) for var, x in zip(node.outputs, outputs, strict=True)})
    return [env[x] if isinstance(x, Var) else x for x in graph.outputs], seen


def _reduce(stack: Any) -> Any:
    return jnp.stack([stack[..., 0].min(), stack[..., 1].max(), stack[..., 2].max(), stack[..., 3].max()])


def _variables(graph: Graph) -> list[tuple[Var, Node | None]]:
    found: list[tuple[Var, Node | None]] = [(var, None) for var in graph.inputs]
    for node in graph.nodes:
        found += [(var, node) for var in node.outputs]
        if node.body is not None:
            found += _variables(node.body)
    return found


def calibrate(graph: Graph, samples: Sequence[Sequence[Any]]) -> dict[Var, Range]:
    """Ranges of all variables, scan bodies included; raises LoweringError if the float function's result is NaN."""
    observe = jax.jit(lambda inputs: _observe(graph, inputs)[1])
    total: dict[int, Any] = {}
    for sample in samples:
        for key, value in observe(list(sample)).items():
            new = np.asarray(value, dtype=np.float64)
            old = total.get(key)
            total[key] = (
                new
                if old is None
                else np.array([min(old[0], new[0]), max(old[1], new[1]), max(old[2], new[2]), max(old[3], new[3])])
            )
    ranges: dict[Var, Range] = {}
    for var, node in _variables(graph):
        low, high, root, nan = total[id(var)]
        if nan and var in graph.outputs:
            place = f"{node.name} at {node.where or 'an unknown place'}" if node is not None else "an input"
            raise LoweringError(
                f"{place} gives NaN on a calibration sample; a program has no NaN, keep the samples inside the function's domain"
            )
        low, high = (float(low), float(high)) if low <= high else (0.0, 0.0)
        ranges[var] = Range(low, high, float(root**2))
    return ranges
