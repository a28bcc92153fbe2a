"""Calibrate: what every array of the float graph really holds, on sample inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.capture import Graph, Node, Var, bind, scan
from prover.memory import give_back
from prover.passes.infinity import HUGE, MASK, MASK_ROOM
from prover.passes.plan import PLAIN, Plan, Wish
from rollup.errors import LoweringError

PART = 1 << 20
"""Elements that statistics are taken of at a time."""

COMPILED_BYTES = 1 << 24
"""Constants of a graph up to which it is compiled as a whole to be calibrated."""


@dataclass(frozen=True)
class Range:
    """Smallest and largest finite value over all samples, and a typical magnitude that outliers hardly move.

    ``typical`` is (mean of sqrt |x| over the non-zero elements) squared; ``wish`` is what the plan wants of the value's format;
    ``infinite``: whether the value may hold infinities.
    """

    low: float
    high: float
    typical: float
    wish: Wish = PLAIN
    infinite: bool = False

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def room(self) -> float:
        """What a format has to reach beyond the magnitude, so that infinities stay apart from all else."""
        return self.wish.infinity if self.infinite else 0.0

    @property
    def deep(self) -> bool:
        """Whether the value may hold infinities that are computed with."""
        return self.room > MASK_ROOM

    @property
    def outlier(self) -> float:
        """How far the largest magnitude exceeds the typical one."""
        return self.magnitude / self.typical if self.typical > 0 else 1.0


def _statistics(x: Any, masked: bool = False) -> Any:
    """[low, high, mean of the root, any NaN, any infinity] of an array.

    By JAX while tracing, else by NumPy, which compiles nothing, part by part.
    """
    if isinstance(x, jax.core.Tracer):
        low, high, total, count, *flags = _part(jnp, x, masked)
        return jnp.stack([low, high, total / jnp.maximum(count, 1), *(flag.astype(low.dtype) for flag in flags)])
    flat = np.asarray(x).reshape(-1)
    parts = [_part(np, flat[at : at + PART], masked) for at in range(0, max(flat.size, 1), PART)]
    lows, highs, totals, counts, nans, infinities = (
        np.asarray(column, dtype=np.float64) for column in zip(*parts, strict=True)
    )
    return np.stack([lows.min(), highs.max(), totals.sum() / max(counts.sum(), 1), nans.max(), infinities.max()])


def _part(xp: Any, x: Any, masked: bool) -> tuple[Any, Any, Any, Any, Any, Any]:
    """(low, high, sum of the roots, how many, any NaN, any infinity) of the finite elements, of the non-zero ones among them."""
    x = x.astype(xp.float32) if x.dtype != np.float64 else x
    nan = xp.isnan(x)
    finite = xp.abs(x) < HUGE
    if masked:
        finite &= x > MASK
    counted = finite & (x != 0)
    low, high = xp.min(xp.where(finite, x, xp.inf)), xp.max(xp.where(finite, x, -xp.inf))
    return (
        low,
        high,
        xp.sum(xp.sqrt(xp.abs(xp.where(counted, x, 0)))),
        xp.sum(counted),
        xp.any(nan),
        xp.any(~finite & ~nan),
    )


def _observe(graph: Graph, inputs: Sequence[Any], plan: Plan) -> tuple[list[Any], dict[Var, Any]]:
    """(outputs, statistics of every variable); those of a scan's body are reduced over its iterations."""
    last = {x: number for number, node in enumerate(graph.nodes) for x in node.inputs if isinstance(x, Var)}
    last.update({x: len(graph.nodes) for x in graph.outputs if isinstance(x, Var)})
    env: dict[Var, Any] = dict(zip(graph.inputs, inputs, strict=True))
    seen = {var: _statistics(x, var in plan.masked) for var, x in env.items()}
    for number, node in enumerate(graph.nodes):
        arguments = [env[x] if isinstance(x, Var) else x for x in node.inputs]
        if node.body is None:
            outputs = bind(node, arguments)
        else:
            outputs, stacked = _observed_scan(node, arguments, plan)
            seen.update({var: _reduce(value) for var, value in stacked.items()})
        for var, x in zip(node.outputs, outputs, strict=True):
            env[var] = x
            seen[var] = _statistics(x, var in plan.masked)
        for x in {x for x in node.inputs if isinstance(x, Var) and last[x] == number}:
            del env[x]
    return [env[x] if isinstance(x, Var) else x for x in graph.outputs], seen


def _observed_scan(node: Node, arguments: Sequence[Any], plan: Plan) -> tuple[list[Any], dict[Var, Any]]:
    """A scan node's results and the statistics of its body's variables, one row per iteration."""
    found: list[Var] = []

    def run(body: Graph, inputs: Sequence[Any]) -> tuple[list[Any], Any]:
        results, seen = _observe(body, inputs, plan)
        found[:] = list(seen)
        return results, list(seen.values())

    outputs, stacked = scan(node, arguments, run)
    return outputs, dict(zip(found, stacked, strict=True))


def _reduce(stack: Any) -> Any:
    return jnp.stack([stack[..., 0].min(), *(stack[..., column].max() for column in range(1, stack.shape[-1]))])


def _variables(graph: Graph) -> list[tuple[Var, Node | None]]:
    found: list[tuple[Var, Node | None]] = [(var, None) for var in graph.inputs]
    for node in graph.nodes:
        found += [(var, node) for var in node.outputs]
        if node.body is not None:
            found += _variables(node.body)
    return found


def calibrate(graph: Graph, samples: Sequence[Sequence[Any]], plan: Plan) -> dict[Var, Range]:
    """Ranges of all variables, scan bodies included; raises LoweringError if the float function's result is NaN.

    A large graph is run primitive by primitive: compiling it as a whole would take longer, and hold its weights twice.
    """
    small = sum(x.nbytes for node in graph.nodes for x in node.inputs if isinstance(x, np.ndarray)) <= COMPILED_BYTES
    variables = [var for var, _ in _variables(graph)]

    def observe(inputs: list[Any]) -> list[Any]:
        seen = _observe(graph, inputs, plan)[1]
        return [seen[var] for var in variables]

    run = jax.jit(observe) if small else observe
    total: dict[Var, Any] = {}
    for sample in samples:
        for key, value in zip(variables, run(list(sample)), strict=True):
            new = np.asarray(value, dtype=np.float64)
            old = total.get(key)
            total[key] = new if old is None else np.r_[min(old[0], new[0]), np.maximum(old[1:], new[1:])]
    if not small:
        # Every primitive that was run is compiled for every shape, and will not be run again.
        jax.clear_caches()  # type: ignore[no-untyped-call]
        give_back()
    ranges: dict[Var, Range] = {}
    for var, node in _variables(graph):
        low, high, root, nan, infinite = total[var]
        if nan and any(var is x for x in graph.outputs):
            place = f"{node.name} at {node.where or 'an unknown place'}" if node is not None else "an input"
            raise LoweringError(
                f"{place} gives NaN on a calibration sample; a program has no NaN, keep the samples inside the function's domain"
            )
        low, high = (float(low), float(high)) if low <= high else (0.0, 0.0)
        ranges[var] = Range(low, high, float(root**2), plan.wish(var), bool(infinite) or var in plan.infinite)
    return ranges
