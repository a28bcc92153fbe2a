"""Stages: the pieces of a program that are compiled together.

One compilation for everything would let XLA fuse an op into the index arithmetic of the next one's view, which costs
more than it saves where ops are large; a call for every op costs a dispatch each. So a stage ends when it has enough
work to be worth a call of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from prover.executor.kernel import Kernel
from prover.executor.segments import Values, run_segment
from prover.executor.sharing import differing, joint, signature
from rollup.form.affine import producers, reads
from rollup.form.ops import Carried, Constant, Op
from rollup.form.program import Program, Segment

STAGE_WORK = 1 << 18
"""Terms of reductions, over all claims, after which a stage ends."""

STAGE_OPS = 24
"""Most ops of a stage when all values are wanted: its values are held at the same time."""

LEAST_STAGE_OPS = 4
"""Ops after which such a stage may end."""


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
    """Stages for all values: one segment each, long ones without repetition in pieces.

    Pieces end where few values are still needed: at the same places in every layer of a deep model, so that they are equal.
    """
    found: list[tuple[Segment, ...]] = []
    needed = alive(program)
    for segment in program.segments:
        start = segment.start
        waist = min(needed[segment.start : segment.stop - 1], default=0)
        for stop in range(segment.start + 1, segment.stop + 1):
            length = stop - start
            narrow = length >= LEAST_STAGE_OPS and needed[stop - 1] == waist
            if stop == segment.stop or (segment.repeat == 1 and (narrow or length == STAGE_OPS)):
                found.append((Segment(start, stop, segment.first + start - segment.start, segment.repeat),))
                start = stop
    return tuple(found)


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


@dataclass
class Body:
    """What equal stages share: one compiled function, traced from the first of them.

    ``kernels`` by descriptor of that first stage, joined with those of the others; ``differing``: (descriptor, register) of the
    immediates that are arguments.
    """

    segments: tuple[Segment, ...]
    kernels: dict[int, Kernel]
    differing: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    needs: tuple[int, ...]
    gives: tuple[int, ...]
    stacks: Mapping[int, int]

    @cached_property
    def compiled(self) -> Any:
        return jax.jit(self._trace)

    def _trace(
        self, constants: Sequence[jax.Array], immediates: jax.Array, known: Sequence[jax.Array]
    ) -> list[jax.Array]:
        values = dict(zip(self.needs, known, strict=True))
        claims = next((a.shape[1 if v in self.stacks else 0] for v, a in values.items()), 1)
        here = Values(claims, {v: a for v, a in values.items() if v not in self.stacks})
        here.stacked = [(v, self.stacks[v], a) for v, a in values.items() if v in self.stacks]
        given: dict[int, dict[int, jax.Array]] = {}
        for at, (j, register) in enumerate(self.differing):
            given.setdefault(j, {})[register] = immediates[at]
        named = dict(zip(self.names, constants, strict=True))
        found: dict[int, jax.Array] = {}
        for segment in self.segments:
            outputs = run_segment(segment, self.kernels, named, here, given)
            for q, array in enumerate(outputs):
                value = segment.first + q
                found[value] = array
                if segment.repeat == 1:
                    here.single[value] = array
                else:
                    here.stacked.append((value, segment.stop - segment.start, array))
        return [found[value] for value in self.gives]


@dataclass
class Stage:
    """Consecutive segments as one compiled function of the values that they need.

    Values are named by their first trace index: an input's or op's own, or that of iteration 0 for a repeated op.
    ``needs``: what it reads, in order of first use; ``gives``: what it returns, in trace order; ``keeps``: what later stages
    and the outputs need; ``names``: the constants that it reads. ``body`` is shared by equal stages.
    """

    segments: tuple[Segment, ...]
    needs: tuple[int, ...]
    gives: tuple[int, ...]
    keeps: frozenset[int]
    names: tuple[str, ...]
    body: Body | None = None
    immediates: np.ndarray | None = None
    _constants: list[jax.Array] | None = None

    @property
    def descriptors(self) -> list[int]:
        return [j for segment in self.segments for j in range(segment.start, segment.stop)]

    def __call__(self, constants: Mapping[str, jax.Array], known: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        """The wanted values, stacked [iteration, claims, *shape] where the op repeats, from (a superset of) those
        needed.
        """
        assert self.body is not None
        if self._constants is None:
            self._constants = [constants[name] for name in self.names]
        found = self.body.compiled(self._constants, self.immediates, [known[value] for value in self.needs])
        return dict(zip(self.gives, found, strict=True))

    def following(self, known: Mapping[int, jax.Array], found: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
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
    found: list[Stage] = []
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
        names = dict.fromkeys(name for j in descriptors for name in constant_names(j, kernels[j]))
        found.append(Stage(group, tuple(needs), tuple(gives), frozenset(later), tuple(names)))
        later |= set(needs)
    found.reverse()
    share(program, kernels, found)
    return found


def constant_names(j: int, kernel: Kernel) -> list[str]:
    """The constants that a kernel reads, by name, in an order that equal kernels share."""
    return [*(f"{j}/{name}" for name in sorted(kernel.prepared)), *kernel.raw]


def share(program: Program, kernels: Sequence[Kernel], found: Sequence[Stage]) -> None:
    """Give equal stages one body."""
    groups: dict[Hashable, list[Stage]] = {}
    for stage in found:
        groups.setdefault(_stage_signature(program, kernels, stage), []).append(stage)
    stacks = {op.first: op.body for op in program.ops if op.repeat > 1}
    for members in groups.values():
        first = members[0]
        columns = {j: [kernels[m.descriptors[at]] for m in members] for at, j in enumerate(first.descriptors)}
        arguments = [(at, r) for at, j in enumerate(first.descriptors) for r in differing(columns[j])]
        body = Body(
            first.segments,
            {j: joint(column) for j, column in columns.items()},
            tuple((first.descriptors[at], r) for at, r in arguments),
            first.names,
            first.needs,
            first.gives,
            stacks,
        )
        for stage in members:
            ops = [program.ops[j] for j in stage.descriptors]
            stage.body = body
            stage.immediates = np.array([ops[at].code[r - 1].imm for at, r in arguments], np.int64)


def _stage_signature(program: Program, kernels: Sequence[Kernel], stage: Stage) -> Hashable:
    """Equal for stages that one function computes, given their own constants, immediates and values in order."""
    if any(segment.repeat > 1 for segment in stage.segments):
        return stage.segments
    own = {program.ops[j].first: at for at, j in enumerate(stage.descriptors)}
    parts: list[Hashable] = [tuple(own[value] for value in stage.gives), len(stage.needs)]
    for j in stage.descriptors:
        op, kernel = program.ops[j], kernels[j]
        sources: list[Hashable] = []
        for access in op.accesses:
            if isinstance(access.source, Constant):
                key = program.seen_key(access)
                sources.append(stage.names.index(key) if key in kernel.raw else None)
            elif access.stack or isinstance(access.source, Carried):
                return stage.segments
            else:
                value = access.source.base
                if value not in own and value not in stage.needs:
                    return stage.segments
                sources.append(("own", own[value]) if value in own else ("given", stage.needs.index(value)))
        parts.append((signature(kernel), tuple(sources)))
    return tuple(parts)
