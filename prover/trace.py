"""Traces: the commitment to all values of one execution, and the bytes behind it on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from prover.executor import Executor
from prover.saturation import Saturated, run_counted_batch
from rollup.forest import Forest, little_endian, split_roots, trace_roots
from rollup.form.affine import reads
from rollup.form.constants import pack, stored_bytes
from rollup.form.ops import Constant
from rollup.form.program import POLICY_LIMIT_BYTES, Program
from rollup.merkle import TraceTree, join_root
from rollup.types import Root

Array = np.ndarray

RECENT_BYTES = 16 << 20
"""Of operands that a trace holds beside the value that it derived last: a proof about this value reads them next."""


ALIGNMENT = 8
"""Bytes of which a kept value's first one is a multiple."""


class KeptValues:
    """All values of one execution in one piece of memory of its own; read-only.

    ``places``: dtype, shape and first byte of each in trace order, which the traces of a batch share; ``packed``: uint8.
    """

    def __init__(self, places: Sequence[tuple[np.dtype[Any], tuple[int, ...], int]], packed: Array) -> None:
        self._places, self._packed = places, packed
        packed.flags.writeable = False

    def __getitem__(self, index: int) -> Array:
        dtype, shape, start = self._places[index]
        return np.ndarray(shape, dtype, self._packed.data, start)

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(len(self._places)))

    @classmethod
    def each(cls, values: Sequence[Array]) -> list[KeptValues]:
        """Of every execution of a batch; ``values`` [executions, *shape] each, in trace order."""
        rows = [little_endian(array) for array in values]
        starts = [0, *accumulate(row.shape[1] + -row.shape[1] % ALIGNMENT for row in rows)]
        packed = np.zeros([len(rows[0]), starts[-1]], np.uint8)
        for row, start in zip(rows, starts[:-1], strict=True):
            packed[:, start : start + row.shape[1]] = row
        places = [(one.dtype.newbyteorder("<"), one.shape[1:], at) for one, at in zip(values, starts[:-1], strict=True)]
        # A part of a batch would hold all of it in memory.
        return [cls(places, own.copy()) for own in packed]


class ExecutionTrace:
    """One execution: entry roots, and values that are kept or derived again when somebody asks for their bytes.

    ``root`` is the trace root, ``tree`` the trace tree; ``roots[v]`` the tensor root of value v, extended to the tensor
    depth. ``inside``: the ops whose values, outputs apart, reach an end of their format.
    """

    def __init__(
        self,
        executor: Executor,
        inputs: list[Array],
        roots: bytes,
        outputs: list[Array],
        kept: list[Array] | KeptValues | None,
        inside: tuple[Saturated, ...] = (),
        root: Root | None = None,
    ) -> None:
        """``roots``: one behind the other; ``root``: what is above them, if it is known already."""
        self.executor, self.inputs, self.outputs, self.inside = executor, inputs, outputs, inside
        self._roots, self._root, self._kept = roots, root, kept
        self._recent: dict[int, Array] = {}

    @classmethod
    def of(cls, program: Program | Executor, inputs: Sequence[Array], keep: bool | None = None) -> ExecutionTrace:
        """Execute and hash, a few values at a time.

        ``keep``: hold all values in memory; by default if the trace is small (up to ``POLICY_LIMIT_BYTES``). Otherwise
        only roots, inputs and outputs stay. Raises ExecutionError if the inputs do not fit the program.
        """
        executor = program if isinstance(program, Executor) else Executor(program)
        return cls.many(executor, [inputs], keep)[0]

    @classmethod
    def many(
        cls, executor: Executor, claims: Sequence[Sequence[Array]], keep: bool | None = None
    ) -> list[ExecutionTrace]:
        """``of`` for the inputs of several claims, in their order: few executions, each with a trace of its own."""
        arrays = [executor.check_inputs(inputs) for inputs in claims]
        if keep is None:
            keep = trace_bytes(executor.program) <= POLICY_LIMIT_BYTES
        found: list[ExecutionTrace] = []
        for start, stop in executor.batches(len(arrays)):
            found += cls._batch(executor, arrays[start:stop], keep)
        return found

    @classmethod
    def _batch(cls, executor: Executor, inputs: Sequence[list[Array]], keep: bool) -> list[ExecutionTrace]:
        header = executor.program.header
        forest = Forest(header.tensor_depth)
        values: list[Array] = []

        def each(value: Array) -> None:
            forest.add(value)
            if keep:
                values.append(value)

        counted = run_counted_batch(executor, inputs, each)
        roots = forest.roots()
        tops = trace_roots(roots, header.trace_depth, header.tensor_depth)
        kept: Sequence[list[Array] | KeptValues | None] = [None] * len(inputs)
        if keep:
            alone = len(inputs) == 1
            kept = [[array.reshape(array.shape[1:]) for array in values]] if alone else KeptValues.each(values)
        return [
            cls(executor, inputs[claim], roots[claim].tobytes(), outputs, kept[claim], inside, tops[claim])
            for claim, (outputs, inside) in enumerate(counted)
        ]

    @cached_property
    def roots(self) -> tuple[Root, ...]:
        return tuple(split_roots(self._roots))

    @cached_property
    def tree(self) -> TraceTree:
        header = self.executor.program.header
        return TraceTree(self.roots, header.trace_depth, header.tensor_depth, self.value_bytes)

    @property
    def root(self) -> Root:
        return self.tree.root if self._root is None else self._root

    @property
    def input_root(self) -> Root:
        count, depth = len(self.inputs), self.executor.program.header.tensor_depth
        return join_root(self.roots[:count], depth)

    @property
    def output_root(self) -> Root:
        header = self.executor.program.header
        return join_root([self.roots[value] for value, _ in header.outputs], header.tensor_depth)

    @property
    def input_bytes(self) -> list[bytes]:
        """Little-endian bytes of every input, as they travel with the claim."""
        return [
            pack(array, tensor) for array, tensor in zip(self.inputs, self.executor.program.header.inputs, strict=True)
        ]

    @property
    def output_bytes(self) -> list[bytes]:
        header = self.executor.program.header
        return [pack(array, tensor) for array, (_, tensor) in zip(self.outputs, header.outputs, strict=True)]

    def values(self) -> Iterator[Array]:
        """Every value in trace order: the kept ones, or one more execution."""
        return iter(self._kept) if self._kept is not None else self.executor.stream(self.inputs)

    def value(self, index: int) -> Array:
        """Trace value ``index``; unless values are kept, executes again as far as it takes, and then has the values that
        it was computed from, too. Raises IndexError outside the trace.
        """
        if not 0 <= index < len(self.roots):
            raise IndexError(f"the trace has values 0 to {len(self.roots) - 1}, not {index}")
        if self._kept is not None:
            return self._kept[index]
        if index < len(self.inputs):
            return self.inputs[index]
        recent = self._recent
        if index not in recent:
            self._recent = recent = self._derive(index)
        return recent[index]

    def _derive(self, index: int) -> dict[int, Array]:
        """Value ``index``, and of its operands the first that are no more than ``RECENT_BYTES`` together."""
        wanted, left = operand_values(self.executor.program, index), RECENT_BYTES
        found: dict[int, Array] = {}
        for at, array in enumerate(self.executor.stream(self.inputs)):
            if at == index:
                return {**found, at: array}
            if at in wanted and array.nbytes <= left:
                found[at] = array
                left -= array.nbytes
        raise AssertionError(f"the execution has no value {index}")

    def value_bytes(self, index: int) -> memoryview:
        """Little-endian bytes of trace value ``index``."""
        return stored_bytes(self.value(index))

    @property
    def memory(self) -> int:
        """About the bytes that this trace occupies: its tree of entries, and the values that are kept or looked at."""
        program = self.executor.program
        held = sum(array.nbytes for array in (*self.inputs, *self.outputs))
        # Of the value that was last asked for there are its bytes, the hashes of its tree, and its operands.
        shown = min(RECENT_BYTES, trace_bytes(program)) + 2 * max(
            [tensor.bytes for tensor in program.header.inputs] + [op.bytes for op in program.ops]
        )
        return 200 * len(self.roots) + held + shown + (0 if self._kept is None else trace_bytes(program))

    def drop(self) -> None:
        """Forget the kept values; they are derived again on demand."""
        self._kept = None


def operand_values(program: Program, index: int) -> set[int]:
    """The trace values that value ``index``, an op's, is computed from."""
    j, t = program.locate(index)
    op = program.ops[j]
    read = (reads(op, access)[t] for access in op.accesses if not isinstance(access.source, Constant))
    return {int(value) for values in read for value in values}


def trace_bytes(program: Program) -> int:
    """Bytes of all values of one execution."""
    return sum(tensor.bytes for tensor in program.header.inputs) + sum(op.bytes * op.repeat for op in program.ops)
