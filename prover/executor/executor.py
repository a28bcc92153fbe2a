"""``Executor``: a loaded program, ready to run on claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.executor.kernel import Kernel
from prover.executor.segments import Values, run_segment
from rollup.affine import producers, reads
from rollup.audit.form import check_form
from rollup.audit.intervals import intervals
from rollup.errors import ExecutionError
from rollup.ops import Constant
from rollup.program import Program, Segment

Array = np.ndarray

CLAIM_BLOCK_ELEMENTS = 1 << 26
"""A batch runs in blocks of claims, so that no array has many more elements than this."""

STAGE_OPS = 24
"""Ops that are compiled together when all values are wanted."""


class Executor:
    """Runs one program.

    Raises AuditError if the program is not well-formed, InexactMachine if the self-test finds a kernel that is not
    exact here.
    """

    def __init__(self, program: Program, self_test: bool = True) -> None:
        check_form(program)
        self.program = program
        self.intervals = intervals(program)
        self.kernels = [Kernel.of(program, op, reach) for op, reach in zip(program.ops, self.intervals, strict=True)]
        with jax.enable_x64(True):
            self.constants = self._constants()
        self._stages = _stages(program)
        self._outputs: Any = jax.jit(self._trace_outputs)
        self._stage_runs: dict[int, Any] = {}
        if self_test:
            from prover.selftest import self_test as test

            test(self)

    def _constants(self) -> dict[str, jax.Array]:
        """Every constant on the device, in kernel form, once."""
        found = {
            root.hex(): jnp.asarray(np.asarray(self.program.constant(root)))
            for kernel in self.kernels
            for root in kernel.raw
        }
        for j, kernel in enumerate(self.kernels):
            for name, prepared in kernel.prepared.items():
                found[f"{j}/{name}"] = jnp.asarray(prepared.array)
            kernel.prepared = {name: type(p)(np.empty(0), p.iterated) for name, p in kernel.prepared.items()}
        return found

    def _trace_outputs(self, constants: dict[str, jax.Array], inputs: list[jax.Array]) -> list[jax.Array]:
        known = Values(inputs[0].shape[0] if inputs else 1, dict(enumerate(inputs)))
        for segment in self.program.segments:
            _remember(known, segment, run_segment(segment, self.kernels, constants, known))
        return [
            known.get(value).reshape([known.claims, *tensor.shape]) for value, tensor in self.program.header.outputs
        ]

    def check_inputs(self, inputs: Sequence[Array], batched: bool = False) -> list[Array]:
        """The inputs as arrays; raises ExecutionError naming the one whose dtype or shape is not the header's."""
        wanted = self.program.header.inputs
        if len(inputs) != len(wanted):
            raise ExecutionError(
                f"the program takes {len(wanted)} inputs, {len(inputs)} were given; pass one array for each"
            )
        arrays = [np.asarray(array) for array in inputs]
        for number, (array, tensor) in enumerate(zip(arrays, wanted, strict=True)):
            shape = array.shape[1:] if batched else array.shape
            if array.dtype != tensor.dtype.numpy or shape != tensor.shape or (batched and array.ndim == 0):
                claims = "a batch of " if batched else ""
                raise ExecutionError(
                    f"input {number} has dtype {array.dtype} and shape {array.shape}; the program takes {claims}"
                    f"{tensor.dtype.numpy.name} {tensor.shape}: quantize the input as the model says"
                )
        if batched and len({array.shape[0] for array in arrays}) > 1:
            raise ExecutionError(
                f"the inputs have batches of {[array.shape[0] for array in arrays]} claims; "
                "give every input the same number"
            )
        return arrays

    def outputs(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs of one claim, in header order, with the header's shapes and dtypes."""
        arrays = self.check_inputs(inputs)
        return [output[0] for output in self.outputs_batch([array[None] for array in arrays])]

    def outputs_batch(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs of several claims: every input and every output has a leading axis of claims."""
        arrays = self.check_inputs(inputs, batched=True)
        claims = arrays[0].shape[0] if arrays else 1
        if claims == 0:
            return [np.zeros([0, *tensor.shape], tensor.dtype.numpy) for _, tensor in self.program.header.outputs]
        block = max(1, min(claims, CLAIM_BLOCK_ELEMENTS // max([1, *(kernel.block for kernel in self.kernels)])))
        parts = []
        with jax.enable_x64(True):
            for start in range(0, claims, block):
                part = [array[start : start + block] for array in arrays]
                short = block - min(block, claims - start)
                if short:
                    part = [np.concatenate([array, np.zeros([short, *array.shape[1:]], array.dtype)]) for array in part]
                found = self._outputs(self.constants, [jnp.asarray(array) for array in part])
                parts.append([np.asarray(output)[: block - short] for output in found])
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    def stream(self, inputs: Sequence[Array]) -> Iterator[Array]:
        """Every trace value of one claim in trace order; values are dropped as soon as nothing later reads them."""
        arrays = self.check_inputs(inputs)
        yield from arrays
        with jax.enable_x64(True):
            known = Values(1, {v: jnp.asarray(array[None]) for v, array in enumerate(arrays)})
        for number, (segment, last) in enumerate(self._stages):
            with jax.enable_x64(True):
                found = self._run_stage(number, segment, known)
                _remember(known, segment, found)
                host = [np.asarray(array) for array in found]
            if segment.repeat == 1:
                yield from (array[0] for array in host)
            else:
                yield from (array[t, 0] for t in range(segment.repeat) for array in host)
            _forget(known, number, last)

    def _run_stage(self, number: int, segment: Segment, known: Values) -> list[jax.Array]:
        if number not in self._stage_runs:

            def run(
                constants: dict[str, jax.Array], single: dict[int, jax.Array], stacked: dict[int, jax.Array]
            ) -> list[jax.Array]:
                bodies = dict(layout)
                here = Values(1, single, [(first, bodies[first], array) for first, array in stacked.items()])
                return run_segment(segment, self.kernels, constants, here)

            layout = [(first, body) for first, body, _ in known.stacked]
            self._stage_runs[number] = jax.jit(run)
        names = {f"{j}/{name}" for j in range(segment.start, segment.stop) for name in self.kernels[j].prepared}
        names |= {root.hex() for j in range(segment.start, segment.stop) for root in self.kernels[j].raw}
        constants = {name: self.constants[name] for name in names}
        found: list[jax.Array] = self._stage_runs[number](
            constants, known.single, {first: array for first, _, array in known.stacked}
        )
        return found

    def values(self, inputs: Sequence[Array]) -> list[Array]:
        """Every trace value of one claim, in trace order."""
        return list(self.stream(inputs))


def _remember(known: Values, segment: Segment, outputs: list[jax.Array]) -> None:
    body = segment.stop - segment.start
    for q, array in enumerate(outputs):
        if segment.repeat == 1:
            known.single[segment.first + q] = array
        else:
            known.stacked.append((segment.first + q, body, array))


def _forget(known: Values, stage: int, last: dict[int, int]) -> None:
    """Drop what no later stage reads; ``last`` says which stage reads a value last, by the first value of its stack."""
    known.single = {v: array for v, array in known.single.items() if last.get(v, -1) > stage}
    known.stacked = [(first, body, array) for first, body, array in known.stacked if last.get(first, -1) > stage]


def _stages(program: Program) -> list[tuple[Segment, dict[int, int]]]:
    """Segments, long ones without repetition cut into pieces, each with the table of which stage reads a value last."""
    pieces: list[Segment] = []
    for segment in program.segments:
        step = STAGE_OPS if segment.repeat == 1 else segment.stop - segment.start
        for start in range(segment.start, segment.stop, step):
            stop = min(start + step, segment.stop)
            pieces.append(Segment(start, stop, segment.first + start - segment.start, segment.repeat))
    last: dict[int, int] = {}
    for number, piece in enumerate(pieces):
        for j in range(piece.start, piece.stop):
            op = program.ops[j]
            for access in op.accesses:
                if isinstance(access.source, Constant):
                    continue
                for producer in producers(program, reads(op, access).reshape(-1)):
                    last[-1 - producer if producer < 0 else program.ops[producer].first] = number
    return [(piece, last) for piece in pieces]
