"""Views: what an op under construction reads, and the tensors behind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prover.lowering.graph import Var
from rollup.audit.ranges import Range
from rollup.form.affine import stays_inside
from rollup.form.ops import ITERATION, Term
from rollup.types import DType, Root

SELF = -1
"""Index access of a view that only ``gather`` reads: the register is added to its indirect coordinate."""


@dataclass(eq=False)
class ProgramTensor:
    """An integer tensor that a program holds, with certified bounds. One of: an input, a constant, an op's output, a carry.

    An op is placed by its segment and its position in that segment's body; a carry by its init and, once the body is
    known, the op that updates it. ``ends``: where reals were cut to its format (``Format.ends``); None: nothing was. ``stands``: the
    float array that it holds as it is, if that is known.
    """

    dtype: DType
    elements: int
    low: int
    high: int
    input: int | None = None
    root: Root | None = None
    segment: int | None = None
    position: int | None = None
    init: ProgramTensor | None = None
    update: ProgramTensor | None = None
    ends: tuple[int, int] | None = None
    stands: Stands | None = None


@dataclass(frozen=True)
class Stands:
    """What a tensor in memory stands for: an array of the float graph, its dimensions in the order in which they lie."""

    var: Var
    order: tuple[int, ...]


@dataclass(frozen=True)
class StridedView:
    """An access of the lazy op: a tensor seen under ``shape`` at affine coordinates; see ``rollup.form.ops.Access``.

    ``stacked``: dimension 0 selects the iteration of the tensor's segment.
    """

    tensor: ProgramTensor
    shape: tuple[int, ...]
    offsets: tuple[int, ...]
    terms: tuple[Term, ...]
    fill: int = 0
    stacked: bool = False
    indirect: tuple[int, int] | None = None

    def renamed(self, variables: Mapping[int, tuple[int, Sequence[tuple[int, int]]]]) -> StridedView:
        """The view with variables replaced by affine maps: old -> (offset, ((new, coef), ...))."""
        offsets, terms = list(self.offsets), []
        for term in self.terms:
            offset, parts = variables.get(term.var, (0, ((term.var, 1),)))
            offsets[term.dimension] += term.coef * offset
            terms += [Term(term.dimension, var, term.coef * coef) for var, coef in parts]
        merged: dict[tuple[int, int], int] = {}
        for term in terms:
            merged[term.dimension, term.var] = merged.get((term.dimension, term.var), 0) + term.coef
        kept = tuple(Term(d, var, coef) for (d, var), coef in sorted(merged.items()) if coef)
        return replace(self, offsets=tuple(offsets), terms=kept)

    def strides(self) -> dict[int, int]:
        """Elements between neighbours along each variable, in the tensor's memory."""
        found: dict[int, int] = {}
        for term in self.terms:
            step = math.prod(self.shape[term.dimension + 1 :]) if not (self.stacked and term.dimension == 0) else 0
            found[term.var] = found.get(term.var, 0) + term.coef * step
        return found

    def order(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The dimensions of an output space by the distance of their neighbours in memory, the farthest first."""
        strides = self.strides()
        return tuple(sorted(range(len(shape)), key=lambda d: (shape[d] > 1, -abs(strides.get(d, 0)))))

    def row_major(self, shape: Sequence[int]) -> bool:
        """Whether an output space of this shape reads one tensor's whole memory, front to back."""
        if self.stacked or self.indirect is not None or any(self.offsets) or self.tensor.elements != math.prod(shape):
            return False
        return self._dense(shape, range(len(shape)))

    def permutes(self, shape: Sequence[int]) -> bool:
        """Whether an output space of this shape reads one tensor's whole memory, its dimensions in some order."""
        if self.stacked or self.indirect is not None or any(self.offsets) or self.tensor.elements != math.prod(shape):
            return False
        return self._dense(shape, self.order(shape))

    def _dense(self, shape: Sequence[int], order: Sequence[int]) -> bool:
        strides, expected = self.strides(), 1
        for d in reversed(order):
            if shape[d] > 1 and strides.get(d, 0) != expected:
                return False
            expected *= shape[d]
        return ITERATION not in strides

    @property
    def range(self) -> Range:
        """What it can read, wherever that is."""
        return Range(self.tensor.low, self.tensor.high).hull(Range(self.fill, self.fill))

    def read(self, stored: Range, sizes: Mapping[int, int]) -> Range:
        """What it can read of a tensor that holds ``stored``, the variables running over ``sizes``."""
        if self.indirect is None and self.inside({**sizes, ITERATION: 1}):
            return stored
        return stored.hull(Range(self.fill, self.fill))

    def inside(self, sizes: Mapping[int, int]) -> bool:
        """Whether every coordinate certainly lies inside its dimension."""
        return stays_inside(self, sizes)
