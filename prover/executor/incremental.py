"""Incremental evaluation: one more row of every op of a program, earlier rows being the cache.

A text that is generated token by token so, and the same text checked in one pass, agree bit for bit, because both run the same ops.
That a row depends on no later one is the program's own doing (its masks); nothing here proves it, and nothing has to: a claim is
about one pass, which decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from prover.executor import Executor
from prover.executor.rows import RowPlan, plan_rows
from prover.executor.rowstages import RowMachine
from prover.executor.segments import Values, run_segment
from prover.executor.selftest import check_kernels
from rollup.errors import ExecutionError
from rollup.form.ops import Constant
from rollup.form.program import Program, Segment

Array = np.ndarray

BLOCK = 32
"""Rows that are computed at a time where many are known already."""


@dataclass
class RowState:
    """What later rows look back at. A step consumes it (its buffers are updated in place) and gives the next one."""

    kept: dict[int, jax.Array]
    consumed: bool = False

    def take(self) -> dict[int, jax.Array]:
        if self.consumed:
            raise ExecutionError(
                "this state was consumed by an earlier step; go on from the state that the step returned"
            )
        self.consumed = True
        return dict(self.kept)


class Incremental:
    """Row-wise evaluation of one output of a program.

    ``rows_input``: the input whose first dimension are the rows; ``output``: number of the output whose rows are wanted, unless they
    are those of ``value``, inside of the program. All of it runs on one claim at a time. Raises UnsupportedError for a program that
    can't be evaluated so, InexactMachine if the self-test finds a kernel that is not exact here.
    """

    def __init__(
        self,
        program: Program | Executor,
        rows_input: int = 0,
        output: int = 0,
        block: int = BLOCK,
        self_test: bool = True,
        value: int | None = None,
    ) -> None:
        self.executor = program if isinstance(program, Executor) else Executor(program, self_test)
        self.plan: RowPlan = plan_rows(self.executor.program, rows_input, output, value)
        self.block = max(1, min(block, self.plan.rows))
        self.output = output
        self._self_test = self_test

    @property
    def rows(self) -> int:
        return self.plan.rows

    def _machine(self, count: int) -> RowMachine:
        machine = RowMachine.of(self.executor, self.plan, count)
        if self._self_test:
            check_kernels(self.executor.program, machine.kernels, machine.constants)
        return machine

    @cached_property
    def _one(self) -> RowMachine:
        return self._machine(1)

    @cached_property
    def _many(self) -> RowMachine:
        return self._one if self.block == 1 else self._machine(self.block)

    def start(self, inputs: Sequence[Array], rows: int) -> tuple[RowState, Array]:
        """Evaluate rows 0 .. rows - 1: (state after them, those rows of the output).

        ``inputs``: the program's, in header order; rows of the row input from ``rows`` on are of no consequence. Raises
        ExecutionError for inputs that don't fit the program.
        """
        arrays = self.executor.check_inputs(inputs)
        if not 1 <= rows <= self.rows:
            raise ExecutionError(f"the program has {self.rows} rows, {rows} can't be evaluated; give 1 to {self.rows}")
        machine, count = self._many, self._many.count
        with jax.enable_x64(True):
            kept = self._blank(arrays)
            found = []
            for start in range(0, rows, count):
                t = min(start, self.rows - count)
                part = arrays[self.plan.rows_input][t : t + count]
                fresh = {self.plan.rows_input: jnp.asarray(part[None])}
                result = self._leading(machine.run(t, fresh, kept))
                found.append(result[start - t : rows - t])
        return RowState(kept), np.concatenate(found)

    def step(self, state: RowState, t: int, row: Array | int) -> tuple[RowState, Array]:
        """Evaluate row ``t`` of the input's new row: (next state, that row of the output). Consumes ``state``.

        Rows come in order: row t looks back at what was computed for the rows before it.
        """
        tensor = self.executor.program.header.inputs[self.plan.rows_input]
        given = np.asarray(row, dtype=tensor.dtype.numpy)
        if given.shape != tensor.shape[1:] or not 0 <= t < self.rows:
            raise ExecutionError(
                f"row {t} of shape {given.shape} does not fit input {self.plan.rows_input} of shape {tensor.shape}; give "
                "one row inside of it"
            )
        kept = state.take()
        with jax.enable_x64(True):
            fresh = {self.plan.rows_input: jnp.asarray(given[None, None])}
            result = self._leading(self._one.run(t, fresh, kept))
        return RowState(kept), result[0]

    def _leading(self, array: jax.Array) -> Array:
        """[rows, *rest of the output's shape]."""
        value, plan = np.asarray(array)[0], self.plan
        wanted, tensor = self.executor.program.header.outputs[self.output]
        moved = np.moveaxis(value, plan.dimension[plan.output], 0)
        rows: Array = moved if plan.output != wanted else moved.reshape([moved.shape[0], *tensor.shape[1:]])
        return rows

    def _blank(self, arrays: Sequence[Array]) -> dict[int, jax.Array]:
        """Caches without rows, and the values that have none."""
        program, plan = self.executor.program, self.plan
        kept = {v: jnp.asarray(array[None]) for v, array in enumerate(arrays) if v != plan.rows_input}
        if plan.static:
            here = Values(1, dict(kept))
            ops = [program.ops[j] for j in plan.static]
            for j, op in zip(plan.static, ops, strict=True):
                segment = Segment(j, j + 1, op.first, 1)
                (here.single[op.first],) = run_segment(
                    segment, dict(enumerate(self.executor.kernels)), self._constants_of(j), here
                )
            kept = here.single
        for value in plan.cached:
            if value == plan.rows_input:
                kept[value] = jnp.asarray(arrays[value][None])
                continue
            j, _ = program.locate(value)
            op, reach = program.ops[j], self.executor.intervals[j].output
            # Rows that are not computed yet hold a number that such a row could hold: kernels rely on what is proven.
            resting = min(max(0, reach.low), reach.high)
            kept[value] = jnp.full([1, *op.shape], resting, op.dtype.numpy)
        return kept

    def _constants_of(self, j: int) -> dict[str, jax.Array]:
        kernel = self.executor.kernels[j]
        names = [f"{j}/{name}" for name in kernel.prepared]
        names += [Program.seen_key(a) for a in kernel.op.accesses if isinstance(a.source, Constant)]
        return {name: self.executor.constants[name] for name in names if name in self.executor.constants}
