"""Row ops as compiled stages: new rows in, new rows out, what later rows look back at kept in caches that are updated in place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.executor import Executor
from prover.executor.kernel import Kernel
from prover.executor.rows import CACHED, CONSTANT, FRESH, RowPlan
from prover.executor.sharing import differing, joint, signature
from prover.executor.stages import constant_names, work
from rollup.form.ops import Constant
from rollup.form.program import Program

ROW_STAGE_WORK = 1 << 19
"""Terms of reductions after which a stage of row ops may end: few rows have little work, and every stage costs a call."""

MOST_ROW_STAGE_WORK = 1 << 23
"""Terms after which it ends in any case."""

Arrays = list[jax.Array]


@dataclass
class RowStage:
    """Consecutive row ops as one compiled function.

    Values by name: ``fresh`` rows that it needs from before, ``updates`` caches that it writes (and may read), ``held`` caches and
    values without rows that it only reads, ``gives`` the fresh rows that are needed later.
    """

    descriptors: tuple[int, ...]
    fresh: tuple[int, ...]
    updates: tuple[int, ...]
    held: tuple[int, ...]
    gives: tuple[int, ...]
    names: tuple[str, ...]
    body: RowBody | None = None
    immediates: np.ndarray | None = None
    constants: Arrays = field(default_factory=list)

    def __call__(self, t: np.int64, rows: dict[int, jax.Array], kept: dict[int, jax.Array]) -> None:
        """Compute rows t .. of this stage's ops: new rows are added to ``rows``, caches in ``kept`` are replaced."""
        assert self.body is not None
        found, caches = self.body.compiled(
            self.constants,
            self.immediates,
            t,
            [rows[v] for v in self.fresh],
            [kept[v] for v in self.updates],
            [kept[v] for v in self.held],
        )
        rows.update(zip(self.gives, found, strict=True))
        kept.update(zip(self.updates, caches, strict=True))


@dataclass
class RowBody:
    """What equal stages share: the function of the first of them, with kernels that hold for all."""

    plan: RowPlan
    stage: RowStage
    kernels: dict[int, Kernel]
    differing: tuple[tuple[int, int], ...]

    @cached_property
    def compiled(self) -> Any:
        return jax.jit(self._trace, donate_argnums=(4,))

    def _trace(
        self, constants: Arrays, immediates: jax.Array, t: jax.Array, fresh: Arrays, updates: Arrays, held: Arrays
    ) -> tuple[Arrays, Arrays]:
        stage, plan = self.stage, self.plan
        rows = dict(zip(stage.fresh, fresh, strict=True))
        caches = dict(zip(stage.updates, updates, strict=True))
        kept = dict(zip(stage.held, held, strict=True))
        named = dict(zip(stage.names, constants, strict=True))
        given: dict[int, dict[int, jax.Array]] = {}
        for at, (j, register) in enumerate(self.differing):
            given.setdefault(j, {})[register] = immediates[at]
        for j in stage.descriptors:
            kernel = self.kernels[j]

            def operand(number: int, j: int = j, kernel: Kernel = kernel) -> jax.Array:
                access = kernel.op.accesses[number]
                if isinstance(access.source, Constant):
                    return named[Program.seen_key(access)].reshape([1, *access.shape])
                value = access.source.base
                if plan.route(plan.program.ops[j], plan.program.ops[j].accesses[number]) == FRESH:
                    return rows[value].reshape([1, *access.shape])
                return (caches[value] if value in caches else kept[value]).reshape([1, *access.shape])

            mine = {
                name: named[f"{j}/{name}"][t] if prepared.iterated else named[f"{j}/{name}"]
                for name, prepared in kernel.prepared.items()
            }
            value = kernel.op.first
            rows[value] = kernel(t, operand, mine, 1, given.get(j))
            if value in caches:
                start = [jnp.int64(0)] * (1 + len(kernel.op.shape))
                start[1 + plan.dimension[value]] = t
                caches[value] = lax.dynamic_update_slice(caches[value], rows[value], start)
        return [rows[v] for v in stage.gives], [caches[v] for v in stage.updates]


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
        _share(plan, kernels, stages)
        for stage in stages:
            stage.constants = [constants[name] for name in stage.names]
        return cls(plan, count, kernels, constants, stages)

    def run(self, t: int, rows: dict[int, jax.Array], kept: dict[int, jax.Array]) -> jax.Array:
        """Rows t .. t + count - 1 of the output [1, *shape with count rows]; ``rows`` has those of the input."""
        at = np.int64(t)
        plan = self.plan
        if plan.rows_input in kept:
            kept[plan.rows_input] = _put(kept[plan.rows_input], rows[plan.rows_input], at)
        for stage in self.stages:
            stage(at, rows, kept)
        return rows[plan.output]


@jax.jit
def _put(cache: jax.Array, rows: jax.Array, t: jax.Array) -> jax.Array:
    return lax.dynamic_update_slice(cache, rows, [jnp.int64(0), t, *[jnp.int64(0)] * (cache.ndim - 2)])


def _cut(plan: RowPlan, kernels: Mapping[int, Kernel]) -> list[RowStage]:
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


def _stage(plan: RowPlan, kernels: Mapping[int, Kernel], group: list[int], later: set[int]) -> RowStage:
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
    names = dict.fromkeys(name for j in group for name in constant_names(j, kernels[j]))
    gives = tuple(value for value in mine if value in later)
    return RowStage(tuple(group), tuple(fresh), updates, tuple(held), gives, tuple(names))


def _share(plan: RowPlan, kernels: Mapping[int, Kernel], stages: Sequence[RowStage]) -> None:
    groups: dict[Hashable, list[RowStage]] = {}
    for stage in stages:
        groups.setdefault(_signature(plan, kernels, stage), []).append(stage)
    for members in groups.values():
        first = members[0]
        columns = {j: [kernels[m.descriptors[at]] for m in members] for at, j in enumerate(first.descriptors)}
        arguments = [(at, r) for at, j in enumerate(first.descriptors) for r in differing(columns[j])]
        joined = {j: joint(column) for j, column in columns.items()}
        body = RowBody(plan, first, joined, tuple((first.descriptors[at], r) for at, r in arguments))
        for stage in members:
            codes = [kernels[j].op.code for j in stage.descriptors]
            stage.body = body
            stage.immediates = np.array([codes[at][r - 1].imm for at, r in arguments], np.int64)


def _signature(plan: RowPlan, kernels: Mapping[int, Kernel], stage: RowStage) -> Hashable:
    own = {kernels[j].op.first: at for at, j in enumerate(stage.descriptors)}
    parts: list[Hashable] = [tuple(own[v] for v in stage.gives), tuple(own[v] for v in stage.updates)]
    for j in stage.descriptors:
        op, kernel = plan.program.ops[j], kernels[j]
        sources: list[Hashable] = []
        for access in op.accesses:
            if isinstance(access.source, Constant):
                key = Program.seen_key(access)
                sources.append(stage.names.index(key) if key in kernel.raw else None)
                continue
            value, route = access.source.base, plan.route(op, access)
            places = (stage.fresh if route == FRESH else stage.held, stage.updates if route == CACHED else ())
            at = own.get(value) if route != CACHED else None
            where = [place.index(value) if value in place else None for place in places]
            sources.append((route, at, *where))
        parts.append((signature(kernel), plan.dimension[op.first], tuple(sources)))
    return tuple(parts)
