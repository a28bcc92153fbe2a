"""How the reduction domain of a long op is cut into parts, each small enough for one proof (docs/contracts.md, *Inside an element*).

The twin of Parts.sol. A part is a range of one axis of the domain, at one position of the axes before it, over all of the
axes after it: so the parts in order are consecutive ranges of row-major positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rollup.form.ops import FAN_OUT, Op


@dataclass(frozen=True)
class Partition:
    """``axis``: the domain axis that is cut; ``step``: positions of it in a part, the last part of a row may have fewer."""

    domain: tuple[int, ...]
    axis: int
    step: int

    @classmethod
    def of(cls, domain: Sequence[int], part: int) -> Partition:
        """The partition into parts of at most ``part`` positions; 0: one part."""
        axis, inner = len(domain), 1
        if part:
            while axis and inner * domain[axis - 1] <= part:
                axis -= 1
                inner *= domain[axis]
        if not part or not axis:
            return cls(tuple(domain), 0, domain[0] if domain else 1)
        return cls(tuple(domain), axis - 1, part // inner)

    @property
    def _each_row(self) -> int:
        return -(-self.domain[self.axis] // self.step) if self.domain else 1

    @property
    def size(self) -> int:
        """Positions of the largest part."""
        return self.step * math.prod(self.domain[self.axis + 1 :])

    @property
    def count(self) -> int:
        """Number of parts."""
        return math.prod(self.domain[: self.axis]) * self._each_row

    @property
    def levels(self) -> int:
        """Answers that lead from the whole domain to a single part: each has ``FAN_OUT`` partial results at most."""
        return levels(self.count)

    def ranges(self, number: int) -> tuple[tuple[int, int], ...]:
        """(from, to) along every domain axis of one part."""
        if not self.domain:
            return ()
        row, column = divmod(number, self._each_row)
        before = []
        for size in reversed(self.domain[: self.axis]):
            row, at = divmod(row, size)
            before.append((at, at + 1))
        start = column * self.step
        middle = (start, min(start + self.step, self.domain[self.axis]))
        return (*reversed(before), middle, *((0, size) for size in self.domain[self.axis + 1 :]))


def partition(op: Op) -> Partition:
    """How the op's domain is cut."""
    return Partition.of(op.domain, op.part)


def is_canonical(op: Op) -> bool:
    """Whether no other ``part`` means the same: 0 where one part is all, else exactly the largest part's positions."""
    cut = partition(op)
    return op.part == (0 if cut.count == 1 else cut.size)


def levels(count: int) -> int:
    """Answers that lead from all of ``count`` parts to a single one; at least one."""
    found = 1
    while FAN_OUT**found < count:
        found += 1
    return found


def children(count: int, level: int, index: int) -> int:
    """Number of partial results in the answer to node ``index`` of level ``level`` over ``count`` parts (level 0: the
    whole domain); 0 for a node that does not exist, or that is a single part.
    """
    below = levels(count) - level - 1
    if below < 0:
        return 0
    each: int = FAN_OUT**below
    first, last = index * each * FAN_OUT, min((index + 1) * each * FAN_OUT, count)
    return max(0, -(-(last - first) // each))
