"""Calibrate: what every array of the float graph really holds, on sample inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover import progress
from prover.lowering.channels.magnitudes import Magnitudes
from prover.lowering.graph import FloatGraph, FloatNode, Var, bind, node_words, scan, unfolded
from prover.lowering.memory import give_back
from prover.lowering.passes.hints import PLAIN, FormatHint, FormatPlan
from prover.lowering.passes.infinity import HUGE, MASK, MASK_ROOM
from rollup.errors import LoweringError

PART = 1 << 20
"""Elements that statistics are taken of at a time."""

TOGETHER = 64
TOGETHER_BYTES = 1 << 26
"""Most samples that are run together, and bytes of all that is computed for them; one sample may have more."""

LARGE_BYTES = 1 << 24
"""Constants of a graph from which on what was compiled to calibrate it is let go of."""

STATISTICS = 6
"""Numbers that are taken of an array: minus low, high, mean of the root, any NaN, any infinity below, any above; of several arrays the
largest each."""

BEYOND = (MASK / 2, MASK * 1e3)
"""From here downwards something may be a mask, to which a score was added; if it is none, from there downwards."""

APART = 4.0
"""A mask exceeds all that is none so many times: else it is a number like others."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class RealRange:
    """Smallest and largest finite value over all samples, and a typical magnitude that outliers hardly move.

    ``typical`` is (mean of sqrt |x| over the non-zero elements) squared; ``hint`` is what the plan wants of the value's format;
    ``infinite``: whether the value may hold infinities; ``signs``: theirs.
    """

    low: float
    high: float
    typical: float
    hint: FormatHint = PLAIN
    infinite: bool = False
    signs: frozenset[int] = frozenset()

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def drawn(self) -> bool:
        """Whether it is computed from random bits alone, so that low and high are certain."""
        return self.hint.reach is not None

    @property
    def room(self) -> float:
        """What a format has to reach beyond the magnitude, so that infinities stay apart from all else."""
        return self.hint.infinity if self.infinite else 0.0

    @property
    def deep(self) -> bool:
        """Whether the value may hold infinities that are computed with."""
        return self.room > MASK_ROOM

    @property
    def outlier(self) -> float:
        """How far the largest magnitude exceeds the typical one."""
        return self.magnitude / self.typical if self.typical > 0 else 1.0


def _statistics(x: Any, masked: int = 0) -> Any:
    """The ``STATISTICS`` of an array, while tracing; of integers the ends.

    ``masked``: the sign of masks; for each of ``BEYOND``, those of what lies nearer follow, and the nearest that does not.
    Words count as any: rounds of a hash would be computed again for the statistics of each of them.
    """
    if x.dtype in (np.uint32, np.uint64):
        return jnp.array([0, np.iinfo(x.dtype).max, *[0] * (STATISTICS - 2)], jnp.float32)
    if x.dtype.kind in "iub":
        ends = jnp.stack([-jnp.min(x).astype(jnp.float32), jnp.max(x).astype(jnp.float32)])
        return jnp.concatenate([ends, jnp.zeros(STATISTICS - 2, ends.dtype)])
    rows = []
    for low, high, total, count, *others in _parts(jnp, x, masked, None):
        rows += [-low, high, total / jnp.maximum(count, 1), *others]
    return jnp.stack([row.astype(rows[0].dtype) for row in rows])


def _largest(x: Any, masked: int) -> Array:
    """The same of an array that is at hand, sample by sample along its first axis, the largest of them; part by part."""
    rows = np.asarray(x).reshape(len(x), -1)
    if rows.dtype.kind in "iub":
        return np.array([-float(rows.min()), rows.max(), *[0] * (STATISTICS - 2)], dtype=np.float64)
    if rows.dtype.kind == "c":
        # Lowering refuses what gives them, by name.
        return np.zeros(STATISTICS)
    width = max(1, PART // len(rows))
    cut = [rows[:, at : at + width] for at in range(0, rows.shape[1], width)]
    found: list[float] = []
    for parts in zip(*(_parts(np, part, masked, 1) for part in cut), strict=True):
        lows, highs, totals, counts, *others = (
            np.asarray(column, dtype=np.float64) for column in zip(*parts, strict=True)
        )
        roots = totals.sum(0) / np.maximum(counts.sum(0), 1)
        found += [-lows.min(), highs.max(), roots.max(), *(other.max() for other in others)]
    return np.array(found)


def _parts(xp: Any, x: Any, masked: int, axis: int | None) -> list[tuple[Any, ...]]:
    """(low, high, sum of the roots, how many, any NaN, any infinity below, any above) of the finite elements, counts of the non-zero ones.

    ``masked``: the sign of masks; for each of ``BEYOND`` once more of the elements nearer, and minus the magnitude of the nearest other.
    """
    x = x.astype(xp.float32) if x.dtype != np.float64 else x
    nan = xp.isnan(x)
    finite = xp.abs(x) < HUGE
    parts = [_part(xp, x, nan, finite, axis)]
    for limit in BEYOND if masked else ():
        side = x * -masked
        nearest = xp.max(xp.where(side <= limit, side, -xp.inf), axis=axis)
        parts.append((*_part(xp, x, nan, finite & (side > limit), axis), nearest))
    return parts


def _part(xp: Any, x: Any, nan: Any, finite: Any, axis: int | None) -> tuple[Any, ...]:
    counted = finite & (x != 0)
    low, high = xp.min(xp.where(finite, x, xp.inf), axis=axis), xp.max(xp.where(finite, x, -xp.inf), axis=axis)
    return (
        low,
        high,
        xp.sum(xp.sqrt(xp.abs(xp.where(counted, x, 0))), axis=axis),
        xp.sum(counted, axis=axis),
        xp.any(nan, axis=axis),
        xp.any(~finite & (x < 0), axis=axis),
        xp.any(~finite & (x > 0), axis=axis),
    )


def _unmasked(seen: Array) -> Array:
    """The ``STATISTICS`` that count: without what a mask has hidden, if it stands apart from all else."""
    for *kept, nearest in seen[STATISTICS:].reshape(-1, STATISTICS + 1):
        least, most = -kept[0], kept[1]
        if least <= most and -nearest > APART * max(-least, most):
            return np.array(kept)
    return seen[:STATISTICS]


Extremes = dict[Var, tuple[Array, Array]]
"""The least and the greatest value of every element of an array, over the samples."""

Axes = tuple[int | None, ...]
"""By operand: 0 where it has the samples in front, None for a constant."""


def _each(fn: Callable[..., Any], axes: Axes, count: int) -> Callable[..., Any]:
    """``fn`` of every one of ``count`` samples; of a single one it is computed as ``fn`` says, not as a batch of one."""
    if count > 1 and 0 in axes:
        return jax.vmap(fn, in_axes=axes)

    def called(*given: Any) -> Any:
        one = fn(*(x if axis is None else x[0] for x, axis in zip(given, axes, strict=True)))
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *np.shape(x))), one)

    return called


class Primitives:
    """Nodes on several samples at once: equal primitives of equal shapes are compiled once."""

    def __init__(self, count: int) -> None:
        """``count``: samples that are given at once, along the first axis."""
        self.count = count
        self.compiled: dict[Any, Callable[..., Any]] = {}

    def __call__(self, node: FloatNode, arguments: Sequence[Any]) -> list[Any]:
        """The node's results for every sample; variables have the samples in front."""
        axes = tuple(0 if isinstance(x, Var) else None for x in node.inputs)
        key: Any
        try:
            # What a loop computes stands in its body, not in its parameters.
            key = node if node.body is not None else (node.primitive, frozenset(node.params.items()), axes)
            hash(key)
        except TypeError:
            # A parameter that can't be compared: a node of its own.
            key = node
        if key not in self.compiled:
            self.compiled[key] = unfolded(_each(lambda *given: bind(node, given), axes, self.count))
        with node_words(node):
            results: list[Any] = self.compiled[key](*arguments)
        return results


def let_go(graph: FloatGraph) -> None:
    """Forget what was compiled for primitives of a large graph: it is compiled for every shape, and will not be run again."""
    if sum(x.nbytes for node in graph.nodes for x in node.inputs if isinstance(x, np.ndarray)) > LARGE_BYTES:
        jax.clear_caches()  # type: ignore[no-untyped-call]
        give_back()


class _Observer:
    """Runs a graph primitive by primitive on several samples at once, and takes statistics of every array.

    Nothing but loops is compiled as a whole: a compiler that sees an array used by its statistics, too, computes it again for them,
    and for those of all that follows. Primitives are compiled one by one, equal ones of equal shapes once.
    """

    def __init__(
        self, graph: FloatGraph, plan: FormatPlan, count: int, extremes: Extremes, channels: Magnitudes
    ) -> None:
        """``count``: samples that are given at once; ``extremes``, ``channels``: see ``calibrate``."""
        self.graph, self.plan, self.count, self.extremes, self.channels = graph, plan, count, extremes, channels
        self.last = {x: number for number, node in enumerate(graph.nodes) for x in node.inputs if isinstance(x, Var)}
        self._loops: dict[FloatNode, tuple[Callable[..., Any], list[Var]]] = {}
        self._primitives = Primitives(count)

    def __call__(self, inputs: Sequence[Any]) -> dict[Var, Array]:
        """``inputs``: one array an input, the samples along the first axis."""
        env: dict[Var, Any] = dict(zip(self.graph.inputs, inputs, strict=True))
        seen = {var: _largest(x, self.plan.masked.get(var, 0)) for var, x in env.items()}
        for var in self.channels.keys() & env.keys():
            self.channels[var].add(np.asarray(env[var]))
        for number, node in enumerate(self.graph.nodes):
            progress.at("calibrate", number + 1, len(self.graph.nodes), f"{node.name} {node.where}")
            arguments = [env[x] if isinstance(x, Var) else x for x in node.inputs]
            if node.body is not None:
                outputs, inside = self._loop(node, arguments)
                seen.update(inside)
            else:
                outputs = self._primitives(node, arguments)
            for var, x in zip(node.outputs, outputs, strict=True):
                seen[var] = _largest(x, self.plan.masked.get(var, 0))
                if var in self.extremes:
                    every, (low, high) = np.asarray(x, np.float64), self.extremes[var]
                    self.extremes[var] = np.minimum(low, every.min(0)), np.maximum(high, every.max(0))
                if var in self.channels:
                    self.channels[var].add(np.asarray(x))
                env[var] = x
            for x in {x for x in node.inputs if isinstance(x, Var) and self.last[x] == number}:
                del env[x]
        return seen

    def _loop(self, node: FloatNode, arguments: Sequence[Any]) -> tuple[list[Any], dict[Var, Array]]:
        """A scan node's results and the statistics of its body's variables over all iterations."""
        if node not in self._loops:
            axes = tuple(0 if isinstance(x, Var) else None for x in node.inputs)
            found: list[Var] = []

            def run(*given: Any) -> tuple[list[Any], list[Any]]:
                outputs, seen = _observed_scan(node, given, self.plan)
                found[:] = list(seen)
                return outputs, list(seen.values())

            self._loops[node] = unfolded(_each(run, axes, self.count)), found
        compiled, variables = self._loops[node]
        outputs, rows = compiled(*arguments)
        stacks = [np.asarray(row, dtype=np.float64) for row in rows]
        inside = [stack.reshape(-1, stack.shape[-1]).max(0) for stack in stacks]
        return outputs, dict(zip(variables, inside, strict=True))


def _observed_scan(node: FloatNode, arguments: Sequence[Any], plan: FormatPlan) -> tuple[list[Any], dict[Var, Any]]:
    """A scan node's results and the statistics of its body's variables, one row per iteration, while tracing."""
    found: list[Var] = []

    def run(body: FloatGraph, inputs: Sequence[Any]) -> tuple[list[Any], Any]:
        results, seen = _observe(body, inputs, plan)
        found[:] = list(seen)
        return results, list(seen.values())

    outputs, stacked = scan(node, arguments, run)
    return outputs, dict(zip(found, stacked, strict=True))


def _observe(graph: FloatGraph, inputs: Sequence[Any], plan: FormatPlan) -> tuple[list[Any], dict[Var, Any]]:
    """(outputs, statistics of every variable) of a loop's body, while tracing; of a loop inside it, over its iterations."""
    env: dict[Var, Any] = dict(zip(graph.inputs, inputs, strict=True))
    seen = {var: _statistics(jnp.asarray(x), plan.masked.get(var, 0)) for var, x in env.items()}
    for node in graph.nodes:
        arguments = [env[x] if isinstance(x, Var) else x for x in node.inputs]
        if node.body is None:
            outputs = bind(node, arguments)
        else:
            outputs, stacked = _observed_scan(node, arguments, plan)
            seen.update({var: _reduce(value) for var, value in stacked.items()})
        for var, x in zip(node.outputs, outputs, strict=True):
            env[var] = x
            seen[var] = _statistics(jnp.asarray(x), plan.masked.get(var, 0))
    return [env[x] if isinstance(x, Var) else x for x in graph.outputs], seen


def _reduce(stack: Any) -> Any:
    return stack.reshape(-1, stack.shape[-1]).max(0)


def calibrate(
    graph: FloatGraph,
    samples: Sequence[Sequence[Any]],
    plan: FormatPlan,
    extremes: Extremes | None = None,
    channels: Magnitudes | None = None,
) -> dict[Var, RealRange]:
    """Ranges of all variables, scan bodies included; raises LoweringError if the float function's result is NaN.

    ``extremes``: variables, none of a loop's body, of which every element's least and greatest value are wanted; put there in place.
    ``channels``: others, of which each channel's magnitudes are wanted; added there.
    Samples are run together, as many as fit into ``TOGETHER_BYTES``.
    """
    variables = [var for var, _ in graph.variables()]
    # All that is computed, as if nothing was let go of on the way.
    size = sum(int(np.prod(var.shape, dtype=np.int64)) * var.dtype.itemsize for var in variables)
    batch = max(1, min(TOGETHER, len(samples), TOGETHER_BYTES // max(size, 1)))
    observe = _Observer(graph, plan, batch, {} if extremes is None else extremes, {} if channels is None else channels)
    total = dict[Var, Array]()
    for at in range(0, len(samples), batch):
        part = list(samples[at : at + batch])
        # The last part is as large as the others: another size would be compiled anew.
        part += part[-1:] * (batch - len(part))
        for var, new in observe([np.stack(column) for column in zip(*part, strict=True)]).items():
            old = total.get(var)
            total[var] = new if old is None else np.maximum(old, new)
    let_go(graph)
    ranges: dict[Var, RealRange] = {}
    for var, node in graph.variables():
        least, high, root, nan, below, above = _unmasked(total[var])
        low = -least
        if nan and any(var is x for x in graph.outputs):
            place = f"{node.name} at {node.where or 'an unknown place'}" if node is not None else "an input"
            raise LoweringError(
                f"{place} gives NaN on a calibration sample; a program has no NaN, keep the samples inside the function's domain"
            )
        low, high = (float(low), float(high)) if low <= high else (0.0, 0.0)
        hint = plan.hint(var)
        low, high = hint.reach or (low, high)
        shown = {sign for sign, found in ((-1, below), (1, above)) if found}
        signs = plan.infinite.get(var, frozenset()) | shown
        ranges[var] = RealRange(low, high, float(root**2), hint, bool(signs), signs)
    return ranges
