"""No element and no part reads more leaves than the audit counts: every part of every element of small ops is looked at."""

from __future__ import annotations

import random
from itertools import product

import pytest

import rollup.audit.leaves
import rollup.hashing
from rollup.audit.leaves import PartDomain, Touched, siblings, touched
from rollup.form.ops import ITERATION, Access, Monoid, Op, Term, Value
from rollup.form.parts import Partition, partition
from rollup.machine.reference import Step, unravel
from rollup.machine.witness import runs
from rollup.merkle import depth_for
from rollup.types import DType

LEAF = 32
"""Bytes of a leaf here, so that small tensors have many."""


@pytest.fixture(autouse=True)
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup.audit.leaves, "LEAF_BYTES", LEAF)
    monkeypatch.setattr(rollup.hashing, "LEAF_BYTES", LEAF)


def _access(rng: random.Random, sizes: dict[int, int], free: list[int], stack: int) -> Access:
    rank = rng.randint(1, 3)
    shape = tuple(rng.choice((1, 2, 3, 4, 8, 12, 40)) for _ in range(rank))
    if stack:
        shape = (rng.randint(2, 4), *shape)
    terms = []
    for d in range(len(shape)):
        for var in sorted(free):
            if sizes[var] > 1 and rng.random() < 0.45:
                terms.append(Term(d, var, rng.choice((1, 1, 1, -1, 2, 3, 4, -4, 8, 16, -16, 40))))
    offsets = tuple(rng.choice((0, 0, 1, 4, 8, size // 2, size - 1, -3)) for size in shape)
    return Access(Value(0), rng.choice(list(DType)), shape, offsets, tuple(terms), 0, None, stack)


def _line(rng: random.Random) -> Op:
    """A long row, cut into parts, forwards or backwards: where its parts begin decides what they read."""
    size, step = rng.randint(8, 48), rng.choice((1, -1, -1, 2, -2, 3, -3, 4))
    wide = rng.choice((1, 2, 4, 16, 32))
    terms = (Term(0, 0, wide), Term(0, 1, step)) if wide else (Term(0, 1, step),)
    origin = rng.choice((0, 1, 4, 16, 17)) - min(0, step) * (size - 1)
    elements = origin + 2 * wide + max(0, step) * (size - 1) + 9
    access = Access(Value(0), rng.choice(list(DType)), (elements,), (origin,), terms)
    cut = Partition.of((size,), rng.choice((3, 4, 5, 7, 8, 16, 32)))
    return Op(9, 1, 1, Monoid.SUM, DType.I64, 1, (3,), (size,), (access,), (), 0 if cut.count == 1 else cut.size)


def _draw(rng: random.Random) -> Op:
    if rng.random() < 0.3:
        return _line(rng)
    shape = tuple(rng.choice((1, 2, 3)) for _ in range(rng.randint(0, 2)))
    domain = tuple(rng.choice((2, 3, 4, 5, 9)) for _ in range(rng.randint(1, 3)))
    repeat = rng.choice((1, 1, 3))
    sizes = {**dict(enumerate((*shape, *domain))), ITERATION: repeat}
    inner = list(range(len(shape), len(shape) + len(domain)))
    outer = [*range(len(shape)), ITERATION]
    accesses = [_access(rng, sizes, [*outer, *inner], rng.choice((0, 0, 0, 1)))]
    if rng.random() < 0.6:
        index = _access(rng, sizes, [*outer, *(v for v in inner if rng.random() < 0.4)], 0)
        accesses[0] = Access(**{**accesses[0].__dict__, "indirect": (rng.randrange(len(accesses[0].shape)), 1)})
        accesses.append(index)
    op = Op(9, 1, repeat, Monoid.SUM, DType.I64, 1, shape, domain, tuple(accesses), ())
    cut = Partition.of(domain, rng.choice((0, 1, 2, 3, 4, 6, 8, 12)))
    return Op(**{**op.__dict__, "part": 0 if cut.count == 1 else cut.size})


def _worst(rng: random.Random, op: Op, most: int) -> tuple[list[tuple[int, int]], int]:
    """The leaves (value, leaf) of the factor for the part that reads most of them, and how many parts were looked at."""
    cut = partition(op)
    found: list[tuple[int, int]] = []
    looked = 0
    for t, position in product(range(op.repeat), range(op.elements)):
        for number in range(cut.count):
            if looked == most:
                return found, looked
            looked += 1
            read: set[tuple[int, int]] = set()
            salt = rng.randrange(1 << 30)
            reach = max(op.accesses[0].shape)

            def spy(number: int, value: int, element: int, salt: int = salt, reach: int = reach) -> int:
                access = op.accesses[number]
                if number == 0:
                    read.add((value, element * access.dtype.size // LEAF))  # noqa: B023 read within this turn
                return random.Random(salt * 7919 + element).randrange(-reach, reach + 1)

            Step(op, t, unravel(position, op.shape), spy).partial(number)
            if len(read) > len(found):
                found = sorted(read)
    return found, looked


def _siblings(leaves: set[int], depth: int) -> int:
    """Of a real multi-proof."""
    count, level = 0, set(leaves)
    for _ in range(depth):
        count += sum(leaf ^ 1 not in level for leaf in level)
        level = {leaf >> 1 for leaf in level}
    return count


@pytest.mark.parametrize("seed", range(40))
def test_no_part_of_any_element_reads_more_leaves_than_its_bound(seed: int) -> None:
    rng = random.Random(seed)
    tight = 0
    for _ in range(40):
        op = _draw(rng)
        bound = touched(op, 0, PartDomain.of(op, partition(op)))
        found, _ = _worst(rng, op, 250)
        assert len(found) <= bound.leaves, op
        tight += len(found) == bound.leaves
        access = op.accesses[0]
        depth = depth_for(rollup.merkle.leaf_count(access.elements * access.dtype.size)) + 4
        leaves = {(value << (depth - 4)) + leaf for value, leaf in found}
        if not leaves:
            continue
        # What is bound is the witness: a hole in a run takes the leaf out of it, and puts a sibling and a run in.
        given = 1024 * len(leaves) + 32 * _siblings(leaves, depth) + 10 * len(runs(leaves))
        assert given <= 1024 * bound.leaves + 32 * siblings([bound], depth) + 10 * bound.runs, op
    assert tight >= 2, "a bound that nothing comes near to says little"


@pytest.mark.parametrize("seed", range(20))
def test_no_set_of_leaves_has_more_siblings_than_the_bound(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        depth = rng.choice((1, 2, 3, 4, 9))
        leaves: set[int] = set()
        groups = []
        for _ in range(rng.randint(1, 12)):
            start, count = rng.randrange(1 << depth), rng.choice((1, 1, 1, 2, 3, 6))
            mine = {leaf for leaf in range(start, start + count) if leaf < 1 << depth}
            groups.append(Touched(len(mine), 1))
            leaves |= mine
        assert _siblings(leaves, depth) <= siblings(groups, depth)
