"""Incremental evaluation: one more row of every op of a program, earlier rows being the cache; of several texts at once.

A text that is generated token by token so, and the same text checked in one pass, agree bit for bit, because both run the same ops.
That a row depends on no later one is the program's own doing (its masks); nothing here proves it, and nothing has to: a claim is
about one pass, which decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor import Executor
from prover.executor.kernels.kernel import Kernel
from prover.executor.rows import RowPlan, plan_rows
from prover.executor.rowstages import RowMachine
from prover.executor.segments import Values, run_segment
from prover.executor.selftest import check_kernels
from rollup.errors import ExecutionError
from rollup.form.affine import producers
from rollup.form.ops import Constant
from rollup.form.program import Program, Segment

Array = np.ndarray

BLOCK = 32
"""Rows that are computed at a time where many are known already."""


@dataclass
class RowState:
    """What later rows of a text look back at, or of several, one a lane. A step consumes it (its buffers are updated in place) and gives
    the next one. ``kept``: by value, [lanes, *shape].
    """

    kept: dict[int, jax.Array]
    lanes: int = 1
    consumed: bool = False

    def take(self) -> dict[int, jax.Array]:
        if self.consumed:
            raise ExecutionError(
                "this state was consumed by an earlier step; go on from the state that the step returned"
            )
        self.consumed = True
        return dict(self.kept)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.kept.values())

    def put(self, lane: int, one: RowState) -> RowState:
        """The state with a text of one lane copied into ``lane``. Consumes itself, not the other."""
        kept = self.take()
        with jax.enable_x64(True):
            return RowState(
                {value: _put_lane(array, one.kept[value], lane) for value, array in kept.items()}, self.lanes
            )

    def picked(self, lanes: Sequence[int]) -> RowState:
        """A copy of some lanes, in that order."""
        with jax.enable_x64(True):
            at = np.array(lanes, np.int32)
            return RowState({value: _picked(array, at) for value, array in self.kept.items()}, len(lanes))


@dataclass(frozen=True)
class Prefix:
    """The first rows of what a text's later rows look back at, by value, each without lanes and as long as its rows."""

    kept: dict[int, Array]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.kept.values())


class Incremental:
    """Row-wise evaluation of one output of a program.

    ``rows_input``: the input whose first dimension are the rows; ``output``: number of the output whose rows are wanted, unless they
    are those of ``value``, inside of the program; ``block``: rows of a text that are computed at once where they are known. Raises
    UnsupportedError for a program that can't be evaluated so, InexactMachine if the self-test finds a kernel that is not exact here.
    One thread at a time.
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

    @property
    def step_kernels(self) -> Mapping[int, Kernel]:
        """How a step computes the ops, by descriptor."""
        return self._one.kernels

    @cached_property
    def _many(self) -> RowMachine:
        return self._one if self.block == 1 else self._machine(self.block)

    def begin(self, inputs: Sequence[Array]) -> RowState:
        """The state before any row. ``inputs``: the program's, in header order; raises ExecutionError for others."""
        with jax.enable_x64(True):
            return RowState(self._blank(self.executor.check_inputs(inputs)))

    def extend(self, state: RowState, rows: Array, start: int, stop: int) -> tuple[RowState, Array]:
        """Evaluate rows start .. stop - 1, at most ``block`` of them: (next state, those rows of the output). Consumes ``state``.

        ``rows``: the whole row input; those before ``start`` are in the state. Rows from ``stop`` on are of no consequence.
        """
        tensor = self.executor.program.header.inputs[self.plan.rows_input]
        if not 0 <= start < stop <= min(self.rows, start + self.block) or rows.shape != tensor.shape:
            raise ExecutionError(
                f"rows {start} to {stop} of an input of shape {rows.shape} do not fit; the program's has shape {tensor.shape}, "
                f"and {self.block} rows are evaluated at once"
            )
        kept = state.take()
        t = min(start, self.rows - self._many.count)
        with jax.enable_x64(True):
            part = jnp.asarray(np.asarray(rows[t : t + self._many.count], tensor.dtype.numpy)[None])
            at = np.array([t], np.int64)
            (found,) = self._leading(self._many.run(at, {self.plan.rows_input: part}, kept))
        return RowState(kept), found[start - t : stop - t]

    def start(self, inputs: Sequence[Array], rows: int) -> tuple[RowState, Array]:
        """Evaluate rows 0 .. rows - 1: (state after them, those rows of the output).

        ``inputs``: the program's, in header order; rows of the row input from ``rows`` on are of no consequence. Raises
        ExecutionError for inputs that don't fit the program.
        """
        state = self.begin(inputs)
        if not 1 <= rows <= self.rows:
            raise ExecutionError(f"the program has {self.rows} rows, {rows} can't be evaluated; give 1 to {self.rows}")
        found, given = [], np.asarray(inputs[self.plan.rows_input])
        for start in range(0, rows, self.block):
            state, part = self.extend(state, given, start, min(rows, start + self.block))
            found.append(part)
        return state, np.concatenate(found)

    def step(self, state: RowState, t: int, row: Array | int) -> tuple[RowState, Array]:
        """Evaluate row ``t`` of the input's new row: (next state, that row of the output). Consumes ``state``.

        Rows come in order: row t looks back at what was computed for the rows before it.
        """
        state, rows = self.step_lanes(state, {0: (t, row)})
        return state, rows[0]

    def step_lanes(
        self, state: RowState, rows: Mapping[int, tuple[int, Array | int]]
    ) -> tuple[RowState, dict[int, Array]]:
        """``step`` for several texts at once, to the same bits as each alone: (next state, by lane that row of the output).

        ``rows``: by lane of the state, the row's number and the input's new row; what other lanes hold is lost. Consumes ``state``.
        """
        tensor = self.executor.program.header.inputs[self.plan.rows_input]
        places = np.zeros(state.lanes, np.int64)
        given = np.zeros([state.lanes, 1, *tensor.shape[1:]], tensor.dtype.numpy)
        for lane, (t, row) in rows.items():
            one = np.asarray(row, dtype=tensor.dtype.numpy)
            if one.shape != tensor.shape[1:] or not 0 <= t < self.rows or not 0 <= lane < state.lanes:
                raise ExecutionError(
                    f"row {t} of shape {one.shape}, for lane {lane} of {state.lanes}, does not fit input {self.plan.rows_input} of "
                    f"shape {tensor.shape}; give one row inside of it, for a lane of the state"
                )
            places[lane], given[lane, 0] = t, one
        kept = state.take()
        with jax.enable_x64(True):
            found = self._leading(self._one.run(places, {self.plan.rows_input: jnp.asarray(given)}, kept))
        return RowState(kept, state.lanes), {lane: found[lane, 0] for lane in rows}

    @cached_property
    def cache_inputs(self) -> tuple[int, ...]:
        """The inputs, beside the rows, that what is looked back at depends on: texts of other values of them share no rows."""
        program, found = self.executor.program, set[int]()
        pending, seen = [value for value in self.plan.cached if value != self.plan.rows_input], set[int]()
        while pending:
            for j in producers(program, [pending.pop()]):
                if j < 0:
                    found.add(-1 - j)
                elif j not in seen:
                    seen.add(j)
                    pending += [a.source.base for a in program.ops[j].accesses if not isinstance(a.source, Constant)]
        return tuple(sorted(found - {self.plan.rows_input}))

    def prefix(self, state: RowState, rows: int, lane: int = 0) -> Prefix:
        """A copy of what a lane keeps of its first ``rows`` rows, for ``resumed``."""
        # NumPy must not look at buffers that a later step updates in place.
        alone = state.picked([lane])
        return Prefix(
            {
                value: np.array(array[0][self._first(value, rows)])
                for value, array in alone.kept.items()
                if value in self.plan.cached
            }
        )

    def resumed(self, inputs: Sequence[Array], prefix: Prefix, rows: int) -> RowState:
        """The state after the first ``rows`` rows of a text, from a prefix of at least as many whose input is the same there.

        Raises ExecutionError for inputs that don't fit the program.
        """
        state = self.begin(inputs)
        for value, known in prefix.kept.items():
            whole = np.array(state.kept[value])
            whole[0][self._first(value, rows)] = known[self._first(value, rows)]
            with jax.enable_x64(True):
                state.kept[value] = jnp.asarray(whole)
        return state

    def _first(self, value: int, rows: int) -> tuple[slice, ...]:
        """The first rows of a value."""
        return (*[slice(None)] * self.plan.dimension[value], slice(0, rows))

    def stacked(self, lanes: int) -> RowState:
        """A state of several lanes, of no text each."""
        inputs = [np.zeros(tensor.shape, tensor.dtype.numpy) for tensor in self.executor.program.header.inputs]
        with jax.enable_x64(True):
            one = self._blank(inputs)
            return RowState({value: jnp.repeat(array, lanes, axis=0) for value, array in one.items()}, lanes)

    def _leading(self, array: jax.Array) -> Array:
        """[lanes, rows, *rest of the output's shape]."""
        plan = self.plan
        wanted, tensor = self.executor.program.header.outputs[self.output]
        moved = np.moveaxis(np.asarray(array), 1 + plan.dimension[plan.output], 1)
        rows: Array = moved if plan.output != wanted else moved.reshape([*moved.shape[:2], *tensor.shape[1:]])
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
                # A copy, which steps write into.
                kept[value] = jnp.array(arrays[value][None])
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


@partial(jax.jit, donate_argnums=0)
def _put_lane(stack: jax.Array, one: jax.Array, lane: int) -> jax.Array:
    return lax.dynamic_update_slice_in_dim(stack, one, lane, axis=0)


@jax.jit
def _picked(stack: jax.Array, lanes: jax.Array) -> jax.Array:
    return jnp.take(stack, lanes, axis=0)
