"""How many leaves one element, or one part of its domain, can read at most.

The descriptor alone decides: for the worst output element, iteration, part and index values. A bound counts leaves that lie between
those that are read, too: to leave out a leaf saves more than the sibling and the run that it may add.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rollup.form.affine import coefficients, extents
from rollup.form.ops import Access, Constant, Op, Opcode, Source
from rollup.form.parts import Partition
from rollup.hashing import leaf_count
from rollup.types import LEAF_BYTES, Root


@dataclass(frozen=True)
class Touched:
    """At most so many leaves, in at most so many runs."""

    leaves: int
    runs: int


@dataclass(frozen=True)
class PartDomain:
    """The domain variables of one part: ``counts`` positions along each at most, ``grid`` between the starts of two parts."""

    counts: Mapping[int, int]
    grid: Mapping[int, int]

    @classmethod
    def of(cls, op: Op, cut: Partition) -> PartDomain:
        outer = len(op.shape)
        counts = {
            outer + v: 1 if v < cut.axis else min(cut.step, size) if v == cut.axis else size
            for v, size in enumerate(op.domain)
        }
        return cls(counts, {outer + v: counts[outer + v] for v in range(min(cut.axis + 1, len(op.domain)))})

    @property
    def positions(self) -> int:
        return math.prod(self.counts.values())

    @property
    def rows(self) -> int:
        """Positions of the part without its last axis."""
        return math.prod(list(self.counts.values())[:-1])


def strides(access: Access, sizes: Mapping[int, int]) -> tuple[dict[int, int], int]:
    """(elements between neighbours along every variable, element at the origin), within one tensor."""
    found: dict[int, int] = {}
    origin, weight = 0, 1
    table = coefficients(access, sizes)
    for d in reversed(range(1 if access.stack else 0, len(access.shape))):
        for var, coef in table[d].items():
            found[var] = found.get(var, 0) + coef * weight
        origin += access.offsets[d] * weight
        weight *= access.shape[d]
    return found, origin


def chain(op: Op, number: int) -> list[int]:
    """The accesses that index a factor, the nearest first; empty for an access of the code."""
    found: list[int] = []
    indirect = op.accesses[number].indirect
    while indirect is not None and indirect[1] not in (number, *found):
        found.append(indirect[1])
        indirect = op.accesses[indirect[1]].indirect
    return found


def moving(op: Op, number: int, sizes: Mapping[int, int], counts: Mapping[int, int]) -> set[int]:
    """Domain variables of a part along which an access's own coordinates change."""
    return {var for row in coefficients(op.accesses[number], sizes) for var, _ in row.items() if counts.get(var, 1) > 1}


def _indirect_stride(access: Access) -> int:
    """Elements between the neighbours along the dimension to which an index is added; 0 if it selects a value."""
    assert access.indirect is not None
    d = access.indirect[0]
    return 0 if access.stack and d == 0 else math.prod(access.shape[d + 1 :])


def touched(op: Op, number: int, cut: PartDomain) -> Touched:
    """Leaves that access ``number`` reads over one part of the domain at most, a factor or one of its indices."""
    access, sizes = op.accesses[number], extents(op)
    per_leaf = LEAF_BYTES // access.dtype.size
    steps, origin = strides(access, sizes)
    mine = moving(op, number, sizes, cut.counts)
    # Along these, consecutive elements may lie anywhere: what an index depends on, and what selects the value.
    scattering: set[int] = set()
    for index in chain(op, number):
        scattering |= moving(op, index, sizes, cut.counts)
    if access.stack:
        scattering |= {var for var in coefficients(access, sizes)[0] if cut.counts.get(var, 1) > 1}
    walked = sorted((var for var in mine - scattering if steps.get(var)), key=lambda var: abs(steps[var]))
    # From part to part a walked variable moves by its grid; one that scatters takes single steps inside a part.
    shifts = [
        step * (cut.grid.get(var, 1) if var in walked else 1)
        for var, step in steps.items()
        if var not in walked or var in cut.grid
    ]
    if access.indirect is not None:
        shifts.append(_indirect_stride(access))
    jumps = math.prod(cut.counts[var] for var in scattering)
    most = leaf_count(access.elements * access.dtype.size) * (access.shape[0] if access.stack else 1)
    best: Touched | None = None
    length = 1
    for inner in range(len(walked) + 1):
        if inner:
            length += abs(steps[walked[inner - 1]]) * (cut.counts[walked[inner - 1]] - 1)
        runs = jumps * math.prod(cut.counts[var] for var in walked[inner:])
        grid = math.gcd(per_leaf, *shifts, *(steps[var] for var in walked[inner:]))
        low = origin + sum(min(0, steps[var]) * (cut.counts[var] - 1) for var in walked[:inner])
        start = per_leaf - grid + low % grid
        leaves = runs * ((start + length - 1) // per_leaf + 1)
        if best is None or leaves < best.leaves:
            best = Touched(leaves, runs)
    assert best is not None
    leaves = min(best.leaves, most)
    return Touched(leaves, min(best.runs, leaves))


def siblings(groups: list[Touched], depth: int) -> int:
    """Most siblings of one multi-proof: two a run and level, no more than the leaves below, or than a level has pairs."""
    each = sum(min(2 * reach.runs, reach.leaves) for reach in groups)
    return sum(min(each, 1 << (level - 1)) for level in range(1, depth + 1))


def code_reads(op: Op) -> list[tuple[int, Touched]]:
    """What the code reads: one leaf a load, the same one for the same access; one a look, wherever its register says."""
    one = Touched(1, 1)
    loads = dict.fromkeys(instr.args[0] for instr in op.code if instr.op is Opcode.LOAD)
    return [(number, one) for number in loads] + [
        (instr.args[0], one) for instr in op.code if instr.op is Opcode.GATHER
    ]


def factor_reads(op: Op, cut: PartDomain) -> list[tuple[int, Touched]]:
    """What the factors and their indices read over one part. Equal accesses read the same."""
    numbers = list(range(op.factors))
    for number in range(op.factors):
        numbers += [index for index in chain(op, number) if index not in numbers]
    first = {op.accesses[number]: number for number in reversed(numbers)}
    return [(number, touched(op, number, cut)) for number in numbers if first[op.accesses[number]] == number]


def by_tree(op: Op, reads: list[tuple[int, Touched]]) -> tuple[list[Touched], dict[Root, tuple[int, list[Touched]]]]:
    """What is read from the trace, and from each constant with one of the accesses that see it. Of one tensor no more
    than all of its leaves are read.
    """
    by_source: dict[tuple[Source, int], list[tuple[int, Touched]]] = {}
    for number, reach in reads:
        access = op.accesses[number]
        # A stack's values are others in every access; they are counted for themselves.
        by_source.setdefault((access.source, number if access.stack else -1), []).append((number, reach))
    in_trace: list[Touched] = []
    in_constants: dict[Root, tuple[int, list[Touched]]] = {}
    for found in by_source.values():
        number = found[0][0]
        access = op.accesses[number]
        reaches = [reach for _, reach in found]
        most = max(leaf_count(op.accesses[n].elements * op.accesses[n].dtype.size) for n, _ in found)
        if not access.stack and sum(reach.leaves for reach in reaches) > most:
            reaches = [Touched(most, min(most, sum(reach.runs for reach in reaches)))]
        if isinstance(access.source, Constant):
            in_constants[access.source.root] = (number, reaches)
        else:
            in_trace += reaches
    return in_trace, in_constants
