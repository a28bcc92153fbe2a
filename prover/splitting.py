"""Long reductions are split, so that the witness of one element stays small enough for one transaction (DESIGN D2)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from prover.draft import BOX, Coder, Draft, View
from prover.passes.calibrate import Range
from rollup.ops import Instr, Monoid, Opcode, Term
from rollup.types import DType

if TYPE_CHECKING:
    from prover.builder import Builder

LONGEST_BYTES = 1 << 16
"""Most operand bytes that one element of an op reads through its factors."""


def split(builder: Builder, draft: Draft) -> Draft:
    """The draft itself, or one that reduces the results of shorter reductions, which are emitted."""
    width = sum(view.tensor.dtype.size for view in draft.views[: draft.factors])
    if not draft.box or math.prod(draft.box) * width <= LONGEST_BYTES:
        return draft
    if draft.monoid in (Monoid.SUM, Monoid.MAX, Monoid.MIN):
        return _split_blocks(builder, draft, width)
    return _split_argument(builder, draft, width)


def _blocks(size: int, most: int) -> int:
    """Length of the blocks that a dimension is cut into: its largest divisor up to ``most``, or ``most`` if that is far smaller."""
    best = max(block for block in range(1, most + 1) if size % block == 0)
    return best if 4 * best >= most else most


def _blocked(draft: Draft, most: int) -> tuple[tuple[View, ...], int, int, int]:
    """(factors over one more output dimension that numbers the blocks, split box dimension, block length, blocks)."""
    dimension = max(range(len(draft.box)), key=lambda j: draft.box[j])
    others = math.prod(draft.box) // draft.box[dimension]
    block = _blocks(draft.box[dimension], max(1, most // others))
    count = -(-draft.box[dimension] // block)
    rank = len(draft.shape)
    mapping = {BOX + dimension: (0, ((rank, block), (BOX + dimension, 1)))}
    return tuple(view.renamed(mapping) for view in draft.views[: draft.factors]), dimension, block, count


def _bounded(views: tuple[View, ...], draft: Draft, dimension: int, block: int, count: int) -> tuple[View, ...]:
    """Make positions past the end of the split dimension read the fill: the neutral element of the monoid."""
    if block * count == draft.box[dimension]:
        return views
    neutral = {Monoid.SUM: 0, Monoid.MAX: DType.I64.min, Monoid.MIN: DType.I64.max, Monoid.ARGMAX: DType.I64.min, Monoid.ARGMIN: DType.I64.max}
    guarded = []
    for view in views:
        # A guard dimension of the split dimension's own length: its coordinate leaves it exactly past the end.
        alone = [t for t in view.terms if t.var == BOX + dimension]
        direct = len(alone) == 1 and view.shape[alone[0].dimension] == draft.box[dimension] and view.offsets[alone[0].dimension] == 0
        if not direct or alone[0].coef != 1:
            raise AssertionError("a strided reduction is copied before it is split")
        guarded.append(replace(view, fill=neutral[draft.monoid]))
    return tuple(guarded)


def _split_blocks(builder: Builder, draft: Draft, width: int) -> Draft:
    views, dimension, block, count = _blocked(draft, LONGEST_BYTES // width)
    views = _bounded(views, draft, dimension, block, count)
    rank = len(draft.shape)
    box = tuple(block if j == dimension else n for j, n in enumerate(draft.box))
    acc = draft.bounds[0]
    order = None if draft.order is None else (*draft.order, rank)
    part = replace(
        draft, shape=(*draft.shape, count), box=box, views=views, code=(), bounds=(acc,), scale=0, dtype=np.dtype(np.int64), order=order, memo={}
    )
    partial = builder.emit(part, DType.holding(*acc))
    read = builder.view(builder.read(partial, part))
    outer = {rank: (0, ((BOX, 1),))}
    return replace(draft, factors=1, box=(count,), views=(read.renamed(outer), *draft.views[draft.factors :]), code=_moved(draft), memo={})


def _moved(draft: Draft) -> tuple[Instr, ...]:
    """The code with accesses renumbered for a draft that has one factor instead of ``draft.factors``."""
    shift = 1 - draft.factors
    return tuple(
        replace(instr, args=(instr.args[0] + shift, *instr.args[1:])) if instr.op in (Opcode.LOAD, Opcode.LOOK) else instr
        for instr in draft.code
    )


def _split_argument(builder: Builder, draft: Draft, width: int) -> Draft:
    """Block extremes, the argument among the blocks, then the argument inside that block through an indirect coordinate."""
    assert len(draft.box) == 1 and draft.factors == 1, "an argument reduction runs along one dimension"
    views, dimension, block, count = _blocked(draft, LONGEST_BYTES // width)
    views = _bounded(views, draft, dimension, block, count)
    rank = len(draft.shape)
    extreme = Monoid.MAX if draft.monoid is Monoid.ARGMAX else Monoid.MIN
    tensor = views[0].tensor
    low, high = min(tensor.low, views[0].fill), max(tensor.high, views[0].fill)
    part = Draft(
        (*draft.shape, count), np.dtype(np.int64), Range(0, 0, 0), extreme, (block,), 1, views, (), ((low, high),), memo={}
    )
    read = builder.view(builder.read(builder.emit(part, DType.holding(low, high)), part))
    which = Draft(
        draft.shape, np.dtype(np.int64), Range(0, 0, 0), draft.monoid, (count,), 1, (read.renamed({rank: (0, ((BOX, 1),))}),), (), ((0, count - 1),), memo={}
    )
    chosen = builder.view(builder.read(builder.emit(which, DType.holding(0, count - 1)), which))
    view = views[0]
    place = next(term for term in view.terms if term.var == rank)
    if place.coef != block:
        raise AssertionError("blocks lie along one dimension")
    # (block, position) as two dimensions: the block is chosen by the indirect coordinate.
    inner = draft.views[0]
    along = next(term for term in inner.terms if term.var == BOX)
    shape = (*inner.shape[: along.dimension], count, block, *inner.shape[along.dimension + 1 :])
    if block * count != inner.shape[along.dimension]:
        raise AssertionError("an argument reduction is padded before it is split")
    moved = tuple(
        Term(t.dimension + (1 if t.dimension > along.dimension or t is along else 0), t.var, t.coef) for t in inner.terms
    )
    offsets = (*inner.offsets[: along.dimension], 0, *inner.offsets[along.dimension :])
    factor = View(inner.tensor, shape, offsets, moved, inner.fill, inner.stacked, indirect=(along.dimension, 1))
    coder = Coder(Draft(draft.shape, draft.dtype, draft.range, draft.monoid, (block,), 1, (factor, chosen), (), ((0, block - 1),), memo={}))
    first = coder.mul(coder.load(chosen), coder.const(block))
    position = coder.add(0, first)
    rest = draft.code
    assert not rest or all(instr.op not in (Opcode.LOAD, Opcode.LOOK) for instr in rest), "an argument is stored before it is used"
    return coder.done(position, 0, order=draft.order)
