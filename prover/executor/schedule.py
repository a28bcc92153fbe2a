"""The stages of a whole pass: of the outputs alone, or of all values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax

from prover.executor.segments import Constants, Immediates, Values, run_segment
from prover.executor.sharing import signature
from prover.executor.stages import Kernels, Stage, constant_names, share, work
from rollup.form.affine import producers, reads
from rollup.form.ops import Carried, Constant
from rollup.form.program import Program, Segment

STAGE_WORK = 1 << 18
"""Terms of reductions, over all claims, after which a stage ends."""

STAGE_OPS = 24
"""Most ops of a stage when all values are wanted: its values are held at the same time."""

LEAST_STAGE_OPS = 4
"""Ops after which such a stage may end."""

USUAL, USUAL_OF = 9, 10
"""So many of so many ops of a kind have a neighbour of one kind: then they are compiled together."""


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


def pieces(program: Program, kernels: Kernels) -> tuple[tuple[Segment, ...], ...]:
    """Stages for all values: one segment each, long ones without repetition in pieces.

    Pieces end where few values are still needed: at the same places in every layer of a deep model, so that they are equal. They also
    end between ops that are seldom neighbours: layers that differ in an op or two still share what is compiled of all others.
    """
    found: list[tuple[Segment, ...]] = []
    needed, parted = alive(program), seldom(kernels)
    for segment in program.segments:
        start = segment.start
        waist = min(needed[segment.start : segment.stop - 1], default=0)
        for stop in range(segment.start + 1, segment.stop + 1):
            length = stop - start
            narrow = length >= LEAST_STAGE_OPS and needed[stop - 1] == waist
            ends = narrow or length == STAGE_OPS or stop - 1 in parted
            if stop == segment.stop or (segment.repeat == 1 and ends):
                found.append((Segment(start, stop, segment.first + start - segment.start, segment.repeat),))
                start = stop
    return tuple(found)


def seldom(kernels: Kernels) -> frozenset[int]:
    """Descriptors after which comes one that is not what usually comes after such a kernel, or not what such a one usually comes after."""
    known: dict[Hashable, int] = {}
    kinds = [known.setdefault(signature(kernels[j]), len(known)) for j in sorted(kernels)]
    alone, pairs = Counter(kinds), Counter(pairwise(kinds))
    return frozenset(
        j for j, (a, b) in enumerate(pairwise(kinds)) if pairs[a, b] * USUAL_OF < max(alone[a], alone[b]) * USUAL
    )


def alive(program: Program) -> list[int]:
    """After each descriptor: how many ops' values are read later on. (Outputs that nothing reads don't count.)"""
    last: dict[int, int] = {}
    for j, op in enumerate(program.ops):
        for access in op.accesses:
            if not isinstance(access.source, Constant):
                last.update(dict.fromkeys(producers(program, reads(op, access).reshape(-1)), j))
    counts, now = [], 0
    ends: dict[int, int] = {}
    for j in range(len(program.ops)):
        if last.get(j, j) > j:
            now += 1
            ends[last[j]] = ends.get(last[j], 0) + 1
        now -= ends.pop(j, 0)
        counts.append(now)
    return counts


@dataclass(eq=False)
class SegmentStage(Stage):
    """Consecutive segments as one compiled function of the values that they need.

    Values are named by their first trace index: an input's or op's own, or that of iteration 0 for a repeated op.
    ``needs``: what it reads, in order of first use; ``gives``: what it returns, in trace order; ``keeps``: what later stages
    and the outputs need.
    """

    program: Program
    segments: tuple[Segment, ...]
    needs: tuple[int, ...]
    gives: tuple[int, ...]
    keeps: frozenset[int]

    def __call__(self, known: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        """The wanted values, stacked [iteration, claims, *shape] where the op repeats, from (a superset of) those
        needed.
        """
        return dict(zip(self.gives, self.compute([known[value] for value in self.needs]), strict=True))

    def following(self, known: Mapping[int, jax.Array], found: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        """What is still needed after this stage."""
        return {value: array for value, array in {**known, **found}.items() if value in self.keeps}

    def trace(
        self, kernels: Kernels, constants: Constants, immediates: Immediates, *arrays: Sequence[jax.Array]
    ) -> list[jax.Array]:
        stacks = {op.first: op.body for op in self.program.ops if op.repeat > 1}
        values = dict(zip(self.needs, arrays[0], strict=True))
        claims = next((a.shape[1 if v in stacks else 0] for v, a in values.items()), 1)
        here = Values(claims, {v: a for v, a in values.items() if v not in stacks})
        here.stacked = [(v, stacks[v], a) for v, a in values.items() if v in stacks]
        found: dict[int, jax.Array] = {}
        for segment in self.segments:
            outputs = run_segment(segment, kernels, constants, here, immediates)
            for q, array in enumerate(outputs):
                value = segment.first + q
                found[value] = array
                if segment.repeat == 1:
                    here.single[value] = array
                else:
                    here.stacked.append((value, segment.stop - segment.start, array))
        return [found[value] for value in self.gives]

    def signature(self, kernels: Kernels) -> Hashable:
        if any(segment.repeat > 1 for segment in self.segments):
            return self.segments
        own = {self.program.ops[j].first: at for at, j in enumerate(self.descriptors)}
        parts: list[Hashable] = [tuple(own[value] for value in self.gives), len(self.needs)]
        for j in self.descriptors:
            op, kernel = self.program.ops[j], kernels[j]
            sources: list[Hashable] = []
            for access in op.accesses:
                if isinstance(access.source, Constant):
                    key = Program.seen_key(access)
                    sources.append(self.names.index(key) if key in kernel.raw else None)
                elif access.stack or isinstance(access.source, Carried):
                    return self.segments
                else:
                    value = access.source.base
                    if value not in own and value not in self.needs:
                        return self.segments
                    sources.append(("own", own[value]) if value in own else ("given", self.needs.index(value)))
            parts.append((signature(kernel), tuple(sources)))
        return tuple(parts)


def first_index(program: Program, producer: int) -> int:
    """The name of a producer's values: input v or the first trace index of an op."""
    return -1 - producer if producer < 0 else program.ops[producer].first


def stages(
    program: Program, kernels: Kernels, constants: Constants, groups: Sequence[tuple[Segment, ...]], everything: bool
) -> list[SegmentStage]:
    """The compiled pieces in order; each gives all of its values, or those that later stages and the outputs need."""
    outputs = {first_index(program, p) for p in producers(program, [value for value, _ in program.header.outputs])}
    found: list[SegmentStage] = []
    later = set(outputs)
    for group in reversed(groups):
        descriptors = [j for segment in group for j in range(segment.start, segment.stop)]
        mine = {program.ops[j].first: j for j in descriptors}
        read: dict[int, None] = {}
        for j in descriptors:
            for access in program.ops[j].accesses:
                if not isinstance(access.source, Constant):
                    who = producers(program, reads(program.ops[j], access).reshape(-1))
                    read.update(dict.fromkeys(sorted(first_index(program, producer) for producer in who)))
        needs = [value for value in read if value not in mine]
        if not needs and program.header.inputs:
            # Whatever a stage computes, it does for as many claims as there are: some value must say so.
            needs = [0]
        gives = [value for value in mine if everything or value in later]
        names = constant_names(descriptors, kernels)
        found.append(
            SegmentStage(tuple(descriptors), names, program, group, tuple(needs), tuple(gives), frozenset(later))
        )
        later |= set(needs)
    found.reverse()
    share(found, kernels, constants)
    return found
