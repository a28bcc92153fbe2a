"""Row ops as compiled stages: new rows in, new rows out, what later rows look back at kept in caches that are updated in place.

A stage computes new rows of several *lanes* at once, each at a place of its own: rows and caches have a leading axis of lanes, where
whole passes have one of claims.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.executor.executor import Executor
from prover.executor.kernels.kernel import Kernel
from prover.executor.lanes import put_rows, run_lanes
from prover.executor.rows import CACHED, CONSTANT, FRESH, RowPlan
from prover.executor.segments import Constants, Immediates
from prover.executor.sharing import signature
from prover.executor.stages import Kernels, Stage, constant_names, share, work
from rollup.form.ops import Constant
from rollup.form.program import Program

ROW_STAGE_WORK = 1 << 21
"""Terms of reductions after which a stage of row ops may end: few rows have little work, and every stage costs a call."""

MOST_ROW_STAGE_WORK = 1 << 23
"""Terms after which it ends in any case."""

Arrays = list[jax.Array]


@dataclass(eq=False)
class RowStage(Stage):
    """Consecutive row ops as one compiled function.

    Values by name: ``fresh`` rows that it needs from before, ``updates`` caches that it writes (and may read), ``held`` caches and
    values without rows that it only reads, ``gives`` the fresh rows that are needed later.
    """

    plan: RowPlan
    fresh: tuple[int, ...]
    updates: tuple[int, ...]
    held: tuple[int, ...]
    gives: tuple[int, ...]

    donated = (2,)

    def __call__(self, t: jax.Array, rows: dict[int, jax.Array], kept: dict[int, jax.Array]) -> None:
        """Compute rows t[lane] .. of this stage's ops: new rows are added to ``rows``, caches in ``kept`` are replaced."""
        found, caches = self.compute(
            t, [rows[v] for v in self.fresh], [kept[v] for v in self.updates], [kept[v] for v in self.held]
        )
        rows.update(zip(self.gives, found, strict=True))
        kept.update(zip(self.updates, caches, strict=True))

    def trace(
        self, kernels: Kernels, constants: Constants, immediates: Immediates, *arrays: Any
    ) -> tuple[Arrays, Arrays]:
        t, fresh, updates, held = arrays
        rows: dict[int, jax.Array] = dict(zip(self.fresh, fresh, strict=True))
        caches: dict[int, jax.Array] = dict(zip(self.updates, updates, strict=True))
        kept: dict[int, jax.Array] = dict(zip(self.held, held, strict=True))

        for j in self.descriptors:
            kernel, op = kernels[j], self.plan.program.ops[j]
            operands: dict[int, jax.Array] = {}
            for number, access in enumerate(op.accesses):
                if isinstance(access.source, Constant):
                    continue
                value = access.source.base
                if self.plan.route(op, access) == FRESH:
                    operands[number] = rows[value]
                else:
                    operands[number] = caches[value] if value in caches else kept[value]
            name = op.first
            rows[name] = run_lanes(j, kernel, constants, operands, t, immediates)
            if name in caches:
                caches[name] = put_rows(caches[name], rows[name], t, 1 + self.plan.dimension[name])
        return [rows[v] for v in self.gives], [caches[v] for v in self.updates]

    def signature(self, kernels: Kernels) -> Hashable:
        own = {kernels[j].op.first: at for at, j in enumerate(self.descriptors)}
        parts: list[Hashable] = [tuple(own[v] for v in self.gives), tuple(own[v] for v in self.updates)]
        for j in self.descriptors:
            op, kernel = self.plan.program.ops[j], kernels[j]
            sources: list[Hashable] = []
            for access in op.accesses:
                if isinstance(access.source, Constant):
                    key = Program.seen_key(access)
                    sources.append(self.names.index(key) if key in kernel.raw else None)
                    continue
                value, route = access.source.base, self.plan.route(op, access)
                places = (self.fresh if route == FRESH else self.held, self.updates if route == CACHED else ())
                at = own.get(value) if route != CACHED else None
                where = [place.index(value) if value in place else None for place in places]
                sources.append((route, at, *where))
            parts.append((signature(kernel), self.plan.dimension[op.first], tuple(sources)))
        return tuple(parts)


@dataclass
class RowMachine:
    """The plan's ops for ``count`` rows at a time, compiled when they are first run."""

    plan: RowPlan
    count: int
    kernels: dict[int, Kernel]
    constants: dict[str, jax.Array]
    stages: list[RowStage]

    @classmethod
    def of(cls, executor: Executor, plan: RowPlan, count: int) -> RowMachine:
        """The machine, with the executor's weights where both want them in the same form."""
        program = executor.program
        kernels: dict[int, Kernel] = {}
        constants: dict[str, jax.Array] = {}
        for j in plan.order:
            reach = plan.intervals(j, count, executor.intervals[j])
            kernels[j] = kernel = Kernel.of(
                program, plan.restricted(j, count), reach, executor.kernels[j], executor.compact
            )
            with jax.enable_x64(True):
                for name, prepared in kernel.prepared.items():
                    key = f"{j}/{name}"
                    constants[key] = executor.constants[key] if name in kernel.borrowed else jnp.asarray(prepared.array)
                for name, access in kernel.raw.items():
                    if name not in constants:
                        own = executor.constants.get(name)
                        constants[name] = jnp.asarray(np.asarray(program.seen(access))) if own is None else own
            kernel.release()
        stages = _cut(plan, kernels)
        share(stages, kernels, constants)
        for number, stage in enumerate(stages):
            if stage.body is not None and not stage.body.name:
                # With the program's id this says all: kernels and stages follow from it.
                what = (executor.compact, "rows", plan.rows_input, plan.output, count, number)
                stage.body.name = " ".join(map(str, (program.id.hex(), *what)))
                stage.body.code = executor.code
        return cls(plan, count, kernels, constants, stages)

    def run(self, t: np.ndarray, rows: dict[int, jax.Array], kept: dict[int, jax.Array]) -> jax.Array:
        """Rows t[lane] .. t[lane] + count - 1 of the output [lanes, *shape with count rows].

        ``t``: int64 [lanes]; ``rows`` has those of the input.
        """
        at = jnp.asarray(t)
        given = self.plan.rows_input
        if given in kept:
            kept[given] = _put_input(kept[given], rows[given], at)
        for stage in self.stages:
            stage(at, rows, kept)
        return rows[self.plan.output]


@partial(jax.jit, donate_argnums=0)
def _put_input(cache: jax.Array, rows: jax.Array, t: jax.Array) -> jax.Array:
    return put_rows(cache, rows, t, 1)


def _cut(plan: RowPlan, kernels: Kernels) -> list[RowStage]:
    """Stages end where few rows are alive: at the same places in every layer of a deep model, so that stages are equal."""
    alive = _alive(plan)
    waist = min(alive[:-1], default=0)
    groups: list[list[int]] = [[]]
    done = 0
    for j, count in zip(plan.order, alive, strict=True):
        groups[-1].append(j)
        done += work(kernels[j].op, 1) // kernels[j].op.repeat
        if done >= (ROW_STAGE_WORK if count == waist else MOST_ROW_STAGE_WORK):
            groups.append([])
            done = 0
    later = {plan.output}
    found = []
    for group in reversed([group for group in groups if group]):
        stage = _stage(plan, kernels, group, later)
        later |= set(stage.fresh)
        found.append(stage)
    return found[::-1]


def _alive(plan: RowPlan) -> list[int]:
    """After each op of the order: how many values' fresh rows are still needed."""
    last: dict[int, int] = {plan.output: len(plan.order)}
    for at, j in enumerate(plan.order):
        op = plan.program.ops[j]
        for access in op.accesses:
            if not isinstance(access.source, Constant) and plan.route(op, access) == FRESH:
                last[access.source.base] = max(at, last.get(access.source.base, 0))
    alive: set[int] = set()
    counts = []
    for at, j in enumerate(plan.order):
        alive.add(plan.program.ops[j].first)
        alive = {value for value in alive if last.get(value, -1) > at}
        counts.append(len(alive))
    return counts


def _stage(plan: RowPlan, kernels: Kernels, group: list[int], later: set[int]) -> RowStage:
    mine = [kernels[j].op.first for j in group]
    updates = tuple(value for value in mine if value in plan.cached)
    fresh: dict[int, None] = {}
    held: dict[int, None] = {}
    for j in group:
        op = plan.program.ops[j]
        for access in op.accesses:
            match plan.route(op, access):
                case route if route == CONSTANT or isinstance(access.source, Constant):
                    continue
                case route if route == FRESH:
                    if access.source.base not in mine:
                        fresh[access.source.base] = None
                case _:
                    if access.source.base not in updates:
                        held[access.source.base] = None
    names = constant_names(group, kernels)
    gives = tuple(value for value in mine if value in later)
    return RowStage(tuple(group), names, plan, tuple(fresh), updates, tuple(held), gives)
