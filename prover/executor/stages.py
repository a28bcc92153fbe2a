"""Stages: the pieces of a program that are compiled together.

One compilation for everything would let XLA fuse an op into the index arithmetic of the next one's view, which costs
more than it saves where ops are large; a call for every op costs a dispatch each. So a stage ends when it has enough
work to be worth a call of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax

from prover.executor.kernel import Kernel
from prover.executor.segments import Values, run_segment
from rollup.affine import producers, reads
from rollup.ops import Constant, Op
from rollup.program import Program, Segment

STAGE_WORK = 1 << 18
"""Terms of reductions, over all claims, after which a stage ends."""

STAGE_OPS = 24
"""Most ops of a stage when all values are wanted: its values are held at the same time."""


def work(op: Op, claims: int) -> int:
    """Terms that an op reduces, over all elements, iterations and claims."""
    return op.elements * op.box_elements * op.repeat * claims


def cut(program: Program, claims: int) -> tuple[tuple[Segment, ...], ...]:
    """Stages for the outputs alone: groups of consecutive segments, those without repetition cut where they have
    enough work.
    """
    stages: list[tuple[Segment, ...]] = []
    group: list[Segment] = []
    done = 0
    for segment in program.segments:
        start = segment.start
        for j in range(segment.start, segment.stop):
            done += work(program.ops[j], claims)
            if j + 1 == segment.stop or (segment.repeat == 1 and done >= STAGE_WORK):
                group.append(Segment(start, j + 1, segment.first + start - segment.start, segment.repeat))
                start = j + 1
            if done >= STAGE_WORK and start == j + 1:
                stages.append(tuple(group))
                group, done = [], 0
    return (*stages, tuple(group)) if group else tuple(stages)


def pieces(program: Program) -> tuple[tuple[Segment, ...], ...]:
    """Stages for all values: one segment each, long ones without repetition in pieces."""
    found: list[tuple[Segment, ...]] = []
    for segment in program.segments:
        step = STAGE_OPS if segment.repeat == 1 else segment.stop - segment.start
        for start in range(segment.start, segment.stop, step):
            stop = min(start + step, segment.stop)
            found.append((Segment(start, stop, segment.first + start - segment.start, segment.repeat),))
    return tuple(found)


@dataclass
class Stage:
    """Consecutive segments as one compiled function of the values that they need.

    Values are named by their first trace index: an input's or op's own, or that of iteration 0 for a repeated op.
    ``needs``: what it reads; ``gives``: what it returns; ``keeps``: what later stages and the outputs need.
    """

    segments: tuple[Segment, ...]
    kernels: Sequence[Kernel]
    gives: frozenset[int]
    needs: frozenset[int]
    keeps: frozenset[int]
    _stacks: dict[int, int] = field(default_factory=dict)

    @cached_property
    def _descriptors(self) -> list[int]:
        return [j for segment in self.segments for j in range(segment.start, segment.stop)]

    @cached_property
    def _constants(self) -> list[str]:
        names = {f"{j}/{name}" for j in self._descriptors for name in self.kernels[j].prepared}
        return sorted(names | {name for j in self._descriptors for name in self.kernels[j].raw})

    @cached_property
    def _compiled(self) -> Any:
        return jax.jit(self._trace)

    def _trace(self, constants: dict[str, jax.Array], known: dict[int, jax.Array]) -> dict[int, jax.Array]:
        claims = next((a.shape[1 if v in self._stacks else 0] for v, a in known.items()), 1)
        here = Values(claims, {v: a for v, a in known.items() if v not in self._stacks})
        here.stacked = [(v, self._stacks[v], a) for v, a in known.items() if v in self._stacks]
        found: dict[int, jax.Array] = {}
        for segment in self.segments:
            outputs = run_segment(segment, self.kernels, constants, here)
            for q, array in enumerate(outputs):
                value = segment.first + q
                found[value] = array
                if segment.repeat == 1:
                    here.single[value] = array
                else:
                    here.stacked.append((value, segment.stop - segment.start, array))
        return {value: array for value, array in found.items() if value in self.gives}

    def __call__(self, constants: dict[str, jax.Array], known: dict[int, jax.Array]) -> dict[int, jax.Array]:
        """The wanted values, stacked [iteration, claims, *shape] where the op repeats, from (a superset of) those
        needed.
        """
        mine = {name: constants[name] for name in self._constants}
        found: dict[int, jax.Array] = self._compiled(mine, {v: a for v, a in known.items() if v in self.needs})
        return found

    def following(self, known: dict[int, jax.Array], found: dict[int, jax.Array]) -> dict[int, jax.Array]:
        """What is still needed after this stage."""
        return {value: array for value, array in {**known, **found}.items() if value in self.keeps}


def first_index(program: Program, producer: int) -> int:
    """The name of a producer's values: input v or the first trace index of an op."""
    return -1 - producer if producer < 0 else program.ops[producer].first


def stages(
    program: Program, kernels: Sequence[Kernel], groups: Sequence[tuple[Segment, ...]], everything: bool
) -> list[Stage]:
    """The compiled pieces in order; each gives all of its values, or those that later stages and the outputs need."""
    outputs = {first_index(program, p) for p in producers(program, [value for value, _ in program.header.outputs])}
    stacks = {op.first: op.body for op in program.ops if op.repeat > 1}
    found: list[Stage] = []
    later = set(outputs)
    for group in reversed(groups):
        descriptors = [j for segment in group for j in range(segment.start, segment.stop)]
        mine = {program.ops[j].first for j in descriptors}
        read = {
            first_index(program, producer)
            for j in descriptors
            for access in program.ops[j].accesses
            if not isinstance(access.source, Constant)
            for producer in producers(program, reads(program.ops[j], access).reshape(-1))
        }
        needs = read - mine
        if not needs:
            # Whatever a stage computes, it does for as many claims as there are: some value must say so.
            needs = {0} if program.header.inputs else set()
        found.append(
            Stage(
                group,
                kernels,
                frozenset(mine if everything else mine & later),
                frozenset(needs),
                frozenset(later),
                stacks,
            )
        )
        later |= needs
    return found[::-1]
