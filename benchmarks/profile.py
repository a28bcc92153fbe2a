"""Where the time of a pass over one claim goes: every op alone, compiled by itself, summed up by kind.

The ops' sum is not the pass: compiled together, ops are fused, and a call of each costs a dispatch. What is measured is which kinds
are worth work. The epilogue of a product is what it takes longer than the same product without code behind it, which gives its sums
as 64-bit integers; of equal ops one is measured so, for all. The floor is what the machine allows: all products at the rate of the
fastest one, all bytes at the memory's.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.kinds import EPILOGUES, KINDS, PRODUCTS, is_product, kind
from prover import Model
from prover.executor import Executor
from prover.executor.kernels.kernel import Kernel
from prover.executor.schedule import SegmentStage, stages
from prover.executor.stages import work
from rollup.form.program import Program, Segment
from rollup.types import DType

MEMORY_BYTES, MEMORY_ROUNDS = 256 << 20, 7
"""Of what the memory's rate is measured with: more than caches hold."""

Groups = tuple[tuple[Segment, ...], ...]


def profiled(model: Model, inputs: Sequence[np.ndarray], rounds: int) -> dict[str, Any]:
    """{"pass_seconds": a pass for its outputs alone; "kinds": rows of kind, ops, seconds; "floor": see ``floor``}; medians of ``rounds``
    runs.
    """
    executor, program = model.executor, model.program
    executor.outputs(inputs)
    whole = statistics.median(_seconds(lambda: executor.outputs(inputs)) for _ in range(rounds))
    alone = stages(program, dict(enumerate(executor.kernels)), executor.constants, singly(program), True)
    spent: dict[str, list[float]] = {name: [] for name in KINDS}
    bare: dict[int, float] = {}
    rate = 0.0
    with jax.enable_x64(True):
        known = {value: jnp.asarray(array[None]) for value, array in enumerate(inputs)}
        for stage in alone:
            seconds = _median(stage, known, rounds)
            j = stage.descriptors[0]
            found = kind(program, j)
            epilogue = _epilogue(executor, stage, known, rounds, seconds, bare) if found == PRODUCTS else 0.0
            spent[found].append(seconds - epilogue)
            if found == PRODUCTS:
                rate = max(rate, work(program.ops[j], 1) / seconds)
            if epilogue:
                spent[EPILOGUES].append(epilogue)
            known = stage.following(known, stage(known))
    rows = [[name, len(times), float(f"{sum(times):.4g}")] for name, times in spent.items() if times]
    return {"pass_seconds": float(f"{whole:.4g}"), "kinds": rows, "floor": floor(program, rate)}


def floor(program: Program, rate: float) -> dict[str, float]:
    """{"multiplications": of the pass; "multiplications_per_second": ``rate``, that of the program's fastest product; "bytes": of its
    constants, read once, and of its values, written once and read once; "bytes_per_second": the memory's; "seconds": both, one after
    the other}.
    """
    count = sum(work(op, 1) for op in program.ops if is_product(op))
    values = sum(op.elements * op.repeat * op.dtype.numpy.itemsize for op in program.ops)
    moved = sum(constant.nbytes for constant in program.constants.values()) + 2 * values
    memory = memory_rate()
    seconds = count / rate + moved / memory if rate else moved / memory
    found = {
        "multiplications": count,
        "multiplications_per_second": rate,
        "bytes": moved,
        "bytes_per_second": memory,
        "seconds": seconds,
    }
    return {name: float(f"{number:.4g}") for name, number in found.items()}


def memory_rate() -> float:
    """Bytes a second that all cores together read from memory, at best."""
    large = np.ones(MEMORY_BYTES // 8)
    parts = np.array_split(large, os.cpu_count() or 1)
    with ThreadPoolExecutor(len(parts)) as pool:
        best = min(_seconds(lambda: list(pool.map(np.sum, parts))) for _ in range(MEMORY_ROUNDS))
    return MEMORY_BYTES / best


def singly(program: Program) -> Groups:
    """Every op by itself, but for loops."""
    found = []
    for segment in program.segments:
        if segment.repeat > 1:
            found.append((segment,))
            continue
        for at, j in enumerate(range(segment.start, segment.stop)):
            found.append((Segment(j, j + 1, segment.first + at, 1),))
    return tuple(found)


def _epilogue(
    executor: Executor,
    stage: SegmentStage,
    known: dict[int, jax.Array],
    rounds: int,
    seconds: float,
    bare: dict[int, float],
) -> float:
    """Seconds of a product's code. ``bare``: those of products without it, by the body that equal ops share."""
    body, j = id(stage.body), stage.descriptors[0]
    if not executor.program.ops[j].code:
        return 0.0
    if body not in bare:
        bare[body] = _median(without_code(executor, j, stage.segments), known, rounds)
    return max(0.0, seconds - bare[body])


def without_code(executor: Executor, descriptor: int, segments: tuple[Segment, ...]) -> SegmentStage:
    """A product that gives its 64-bit sums as they are."""
    op, reach = executor.program.ops[descriptor], executor.intervals[descriptor]
    assert is_product(op)
    sums = replace(op, code=(), dtype=DType.I64)
    shorter = replace(reach, registers=reach.registers[:1], exact=reach.exact[:1], output=reach.acc)
    kernel = Kernel.of(executor.program, sums, shorter, compact=executor.compact)
    own = {f"{descriptor}/{name}": jnp.asarray(prepared.array) for name, prepared in kernel.prepared.items()}
    (stage,) = stages(executor.program, {descriptor: kernel}, {**executor.constants, **own}, (segments,), True)
    return stage


def _median(stage: SegmentStage, known: dict[int, jax.Array], rounds: int) -> float:
    needed = [known[value] for value in stage.needs]

    def run() -> None:
        jax.block_until_ready(stage.compute(needed))  # type: ignore[no-untyped-call]

    run()
    return statistics.median(_seconds(run) for _ in range(rounds))


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
