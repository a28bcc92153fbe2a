"""``Executor``: a loaded program, ready to run on claims."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import jax
import numpy as np

from prover.executor import batches
from prover.executor.kernels.kernel import Kernel
from prover.executor.kernels.prepare import WeightStore
from prover.executor.schedule import SegmentStage, cut, pieces, stages
from prover.executor.selftest import check_kernels
from prover.executor.stages import CodeStore
from prover.saturation import Ends
from rollup.audit.form import check_form
from rollup.audit.intervals import OpIntervals, intervals
from rollup.errors import ExecutionError
from rollup.form.ops import Op
from rollup.form.program import Program, Segment

Array = np.ndarray

CLAIM_BLOCK_ELEMENTS = 1 << 26
"""A batch runs in blocks of claims, so that no array has many more elements than this."""

COMPACT_BLOCK_ELEMENTS = 1 << 22
"""The same for a compact executor."""

THREADED_BYTES = 1 << 24
"""Constants from which on several threads bring them into the kernels' form."""

THREADS = 4


class Executor:
    """Runs one program. ``compact``: weights take a quarter of the memory, and a pass somewhat longer. ``code``, ``weights``: where what is
    compiled, and weights in the kernels' order, are kept for the next start.

    Raises AuditError if the program is not well-formed, InexactMachine if the self-test finds a kernel that is not
    exact here.
    """

    def __init__(
        self,
        program: Program,
        self_test: bool = True,
        compact: bool = False,
        code: CodeStore | None = None,
        weights: WeightStore | None = None,
    ) -> None:
        check_form(program)
        self.program = program
        self.compact = compact
        self.code, self._weights = code, weights
        self.intervals = intervals(program)
        # All of the weights were read by now, and few are read again if they were kept packed.
        self._let_go()
        self.kernels: list[Kernel] = []
        self.constants: dict[str, jax.Array] = {}
        for kernel in self._prepared():
            self._add(kernel)
        self._let_go()
        self._plans: dict[object, list[SegmentStage]] = {}
        self._tested = 1
        if self_test:
            self.self_test()

    def self_test(self, seed: int = 0) -> int:
        """Compare the kernels with an independent path; how many elements were compared. Raises InexactMachine."""
        compared = check_kernels(self.program, dict(enumerate(self.kernels)), self.constants, seed)
        self._let_go()
        return compared

    def _let_go(self) -> None:
        # Kernels have weights in a form of their own; a compact executor uses the program's.
        if not self.compact:
            self.program.let_go()

    @cached_property
    def most_claims(self) -> int:
        """Claims that ``stream_batch`` takes at once."""
        return batches.most_claims(self.program, self.kernels)

    def batches(self, count: int) -> list[tuple[int, int]]:
        """The batches that ``count`` claims are run in: (first claim, claim behind the last) each."""
        return [(start, stop) for start, stop, _ in batches.batches(count, self.most_claims)]

    def test_batches(self, seed: int = 0, stopping: Callable[[], bool] = lambda: False) -> int:
        """Compile batches of every size, and compare all values with those of the claims alone; gives ``most_claims``.

        Raises InexactMachine. What was tested once is not tested again. ``stopping``: whether to give up; then it gives 1.
        """
        for size in batches.SIZES:
            if self._tested < size <= self.most_claims:
                inputs = batches.samples(self.program, size, seed)
                alone = [self.stream([array[claim] for array in inputs]) for claim in range(size)]
                if not batches.compare(self.program, self.stream_batch(inputs), alone, stopping):
                    return 1
                self._tested = size
        return self.most_claims

    @cached_property
    def ends(self) -> Ends:
        """Counts values at an end of their format."""
        return Ends(self.program)

    def _prepared(self) -> Iterator[Kernel]:
        """The kernels in order, with their constants; those of a large program by several threads, a few ahead of what is taken."""

        def kernel(op: Op, reach: OpIntervals) -> Kernel:
            return Kernel.of(self.program, op, reach, compact=self.compact, weights=self._weights)

        pairs = zip(self.program.ops, self.intervals, strict=True)
        held = sum(array.nbytes for array in self.program.constants.values())
        if self.compact or held < THREADED_BYTES:
            yield from (kernel(*pair) for pair in pairs)
            return
        threads = min(THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool:
            ahead: deque[Future[Kernel]] = deque()
            for pair in pairs:
                ahead.append(pool.submit(kernel, *pair))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _add(self, kernel: Kernel) -> None:
        """One more kernel; its constants go to the device in kernel form, once, and are not held elsewhere."""
        # A device of the host uses the memory that they lie in, be it a mapped file's, if that begins where vectors may.
        with jax.enable_x64(True):
            for name, access in kernel.raw.items():
                if name not in self.constants:
                    self.constants[name] = jax.device_put(np.asarray(self.program.seen(access)))
            for name, prepared in kernel.prepared.items():
                self.constants[f"{len(self.kernels)}/{name}"] = jax.device_put(np.asarray(prepared.array))
        kernel.release()
        self.kernels.append(kernel)

    @cached_property
    def _pieces(self) -> tuple[tuple[Segment, ...], ...]:
        return pieces(self.program, dict(enumerate(self.kernels)))

    def _stages(self, claims: int, everything: bool) -> list[SegmentStage]:
        groups = self._pieces if everything else cut(self.program, claims)
        if (groups, everything) not in self._plans:
            found = stages(self.program, dict(enumerate(self.kernels)), self.constants, groups, everything)
            for number, stage in enumerate(found):
                if stage.body is not None and not stage.body.name:
                    # With the program's id this says all: kernels and stages follow from it.
                    stage.body.name = f"{self.program.id.hex()} {self.compact} {everything} {groups} {number}"
                    stage.body.code = self.code
            self._plans[groups, everything] = found
        return self._plans[groups, everything]

    def _run(self, inputs: list[Array]) -> list[Array]:
        """The outputs of a block of claims."""
        program = self.program
        known = {v: jax.device_put(array, may_alias=False) for v, array in enumerate(inputs)}
        for stage in self._stages(inputs[0].shape[0] if inputs else 1, False):
            known = stage.following(known, stage(known))
        return [
            np.asarray(self._pick(known, value)).reshape([-1, *tensor.shape])
            for value, tensor in program.header.outputs
        ]

    def _pick(self, known: dict[int, jax.Array], value: int) -> jax.Array:
        if value < len(self.program.header.inputs):
            return known[value]
        j, t = self.program.locate(value)
        op = self.program.ops[j]
        return known[op.first] if op.repeat == 1 else known[op.first][t]

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
        most = COMPACT_BLOCK_ELEMENTS if self.compact else CLAIM_BLOCK_ELEMENTS
        block = max(1, min(claims, most // max([1, *(kernel.block for kernel in self.kernels)])))
        parts = []
        with jax.enable_x64(True):
            for start in range(0, claims, block):
                part = [array[start : start + block] for array in arrays]
                short = block - min(block, claims - start)
                if short:
                    part = [np.concatenate([array, np.zeros([short, *array.shape[1:]], array.dtype)]) for array in part]
                parts.append([output[: block - short] for output in self._run(part)])
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    def stream(self, inputs: Sequence[Array]) -> Iterator[Array]:
        """Every trace value of one claim in trace order; values are dropped as soon as nothing later reads them."""
        arrays = self.check_inputs(inputs)
        yield from arrays
        yield from (array[0] for array in self._stream([array[None] for array in arrays]))

    def stream_batch(self, inputs: Sequence[Array]) -> Iterator[Array]:
        """As ``stream``, of up to ``most_claims`` claims: every input and every value has a leading axis of claims."""
        arrays = self.check_inputs(inputs, batched=True)
        ((_, claims, size),) = batches.batches(len(arrays[0]), self.most_claims)
        yield from arrays
        yield from (array[:claims] for array in self._stream(batches.padded(arrays, size)))

    def _stream(self, arrays: list[Array]) -> Iterator[Array]:
        """The values of all ops [claims, *shape], in trace order. While they are looked at, the next stage is computed."""
        with jax.enable_x64(True):
            known = {v: jax.device_put(array, may_alias=False) for v, array in enumerate(arrays)}
        before: tuple[SegmentStage, dict[int, jax.Array]] | None = None
        for stage in self._stages(1, True):
            with jax.enable_x64(True):
                found = stage(known)
            known = stage.following(known, found)
            if before is not None:
                yield from _values(*before)
            before = stage, found
        if before is not None:
            yield from _values(*before)

    def values(self, inputs: Sequence[Array]) -> list[Array]:
        """Every trace value of one claim, in trace order."""
        return list(self.stream(inputs))


def _values(stage: SegmentStage, found: dict[int, jax.Array]) -> Iterator[Array]:
    """What a stage found, in trace order."""
    host = {value: np.asarray(array) for value, array in found.items()}
    for segment in stage.segments:
        outputs = [host[segment.first + q] for q in range(segment.stop - segment.start)]
        if segment.repeat == 1:
            yield from outputs
        else:
            yield from (array[t] for t in range(segment.repeat) for array in outputs)
