"""Long reductions are split, so that the witness of one element stays small enough for one transaction (DESIGN D2)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from prover.draft import BOX, Coder, Draft, View
from prover.passes.calibrate import Range
from rollup.ops import Monoid, Opcode, Term
from rollup.types import DType

if TYPE_CHECKING:
    from prover.builder import Builder

LONGEST_BYTES = 1 << 16
"""Most operand bytes that one element of an op reads through its factors."""

UNKNOWN = Range(0.0, 0.0, 0.0)
INTEGER = np.dtype(np.int64)


def split(builder: Builder, draft: Draft) -> Draft:
    """The draft itself, or one that reduces the results of shorter reductions, which are emitted."""
    width = sum(view.tensor.dtype.size for view in draft.views[: draft.factors])
    if not draft.box or math.prod(draft.box) * width <= LONGEST_BYTES:
        return draft
    longest = max(range(len(draft.box)), key=lambda j: draft.box[j])
    others = math.prod(draft.box) // draft.box[longest]
    most = max(1, LONGEST_BYTES // (width * others))
    if draft.monoid in (Monoid.ARGMAX, Monoid.ARGMIN):
        return _split_argument(builder, draft, most)
    return _split_blocks(builder, draft, longest, most)


def _neutral(monoid: Monoid, view: View) -> int:
    """What a position past the end reads, so that it does not count: an argument prefers the lower position among equals."""
    if monoid is Monoid.SUM:
        return 0
    return view.tensor.low if monoid in (Monoid.MAX, Monoid.ARGMAX) else view.tensor.high


def _direct(view: View, dimension: int, size: int) -> bool:
    """Whether a coordinate leaves its dimension exactly where the box variable passes its end."""
    along = [term for term in view.terms if term.var == BOX + dimension]
    if len(along) != 1 or along[0].coef != 1:
        return False
    at = along[0].dimension
    alone = all(term is along[0] for term in view.terms if term.dimension == at)
    return alone and view.shape[at] == size and view.offsets[at] == 0 and not (view.stacked and at == 0)


def _unpacked(builder: Builder, draft: Draft) -> Draft:
    """The draft with its first factor copied, so that every box variable has a dimension of its own."""
    view, rank = draft.views[0], len(draft.shape)
    shape = (*draft.shape, *draft.box)
    names = {BOX + j: (0, ((rank + j, 1),)) for j in range(len(draft.box))}
    low, high = min(view.tensor.low, view.fill), max(view.tensor.high, view.fill)
    coder = Coder(Draft(shape, INTEGER, UNKNOWN, where=draft.where))
    copy = coder.done(coder.load(view.renamed(names)), 0)
    tensor = builder.emit(copy, DType.holding(low, high))
    terms = tuple(Term(d, d if d < rank else BOX + d - rank, 1) for d in range(len(shape)))
    plain = View(tensor, shape, (0,) * len(shape), terms)
    return replace(draft, views=(plain, *draft.views[1:]), memo={})


def _split_blocks(builder: Builder, draft: Draft, dimension: int, most: int) -> Draft:
    """Reduce blocks of one box dimension, then the blocks."""
    size = draft.box[dimension]
    count = -(-size // most)
    block = -(-size // count)
    views, exact = draft.views[: draft.factors], block * count == size
    if not exact and not any(_direct(view, dimension, size) for view in views):
        draft = _unpacked(builder, draft)
        views = draft.views[: draft.factors]
    rank = len(draft.shape)
    if not exact:
        views = tuple(
            replace(view, fill=_neutral(draft.monoid, view)) if _direct(view, dimension, size) else view
            for view in views
        )
    renamed = {BOX + dimension: (0, ((rank, block), (BOX + dimension, 1)))}
    acc = draft.bounds[0]
    part = replace(
        draft,
        shape=(*draft.shape, count),
        box=tuple(block if j == dimension else n for j, n in enumerate(draft.box)),
        views=tuple(view.renamed(renamed) for view in views),
        code=(),
        bounds=(acc,),
        scale=0,
        dtype=INTEGER,
        order=None if draft.order is None else (*draft.order, rank),
        memo={},
    )
    read = builder.view(builder.read(builder.emit(part, DType.holding(*acc)), part))
    outer = read.renamed({rank: (0, ((BOX, 1),))})
    shift = 1 - draft.factors
    code = tuple(
        replace(instr, args=(instr.args[0] + shift, *instr.args[1:]))
        if instr.op in (Opcode.LOAD, Opcode.LOOK)
        else instr
        for instr in draft.code
    )
    return replace(draft, factors=1, box=(count,), views=(outer, *draft.views[draft.factors :]), code=code, memo={})


def _split_argument(builder: Builder, draft: Draft, most: int) -> Draft:
    """Block extremes, the best block, then the argument inside it through an indirect coordinate."""
    assert draft.factors == 1 and len(draft.box) == 1, "an argument is taken along one dimension"
    size, rank = draft.box[0], len(draft.shape)
    count = -(-size // most)
    block = -(-size // count)
    if not _direct(draft.views[0], 0, size):
        draft = _unpacked(builder, draft)
    view = draft.views[0]
    at = next(term.dimension for term in view.terms if term.var == BOX)
    if block * count != size:
        view = _lengthened(builder, replace(view, fill=_neutral(draft.monoid, view)), draft, at, block * count)
        at = rank
    extreme = Monoid.MAX if draft.monoid is Monoid.ARGMAX else Monoid.MIN
    bounds = (view.tensor.low, view.tensor.high)
    blocks = view.renamed({BOX: (0, ((rank, block), (BOX, 1)))})
    part = Draft(
        (*draft.shape, count), INTEGER, UNKNOWN, extreme, (block,), 1, (blocks,), (), (bounds,), where=draft.where
    )
    read = builder.view(builder.read(builder.emit(part, DType.holding(*bounds)), part)).renamed(
        {rank: (0, ((BOX, 1),))}
    )
    best = Draft(
        draft.shape, INTEGER, UNKNOWN, draft.monoid, (count,), 1, (read,), (), ((0, count - 1),), where=draft.where
    )
    chosen = builder.view(builder.read(builder.emit(best, DType.holding(0, count - 1)), best))
    # The split dimension as (block, position): the chosen block is the indirect coordinate.
    terms = tuple(
        replace(term, dimension=term.dimension + (term.dimension > at or term.var == BOX)) for term in view.terms
    )
    inner = View(
        view.tensor,
        (*view.shape[:at], count, block, *view.shape[at + 1 :]),
        (*view.offsets[: at + 1], *view.offsets[at:]),
        terms,
        0,
        view.stacked,
        indirect=(at, 1),
    )
    coder = Coder(replace(draft, box=(block,), views=(inner, chosen), code=(), bounds=((0, block - 1),), memo={}))
    position = coder.add(0, coder.mul(coder.load(chosen), coder.const(block)))
    place = {0: position}
    for number, instr in enumerate(draft.code, start=1):
        place[number] = coder.copy(instr, place, {}, draft.bounds[number])
    return coder.done(place[len(draft.code)], draft.scale)


def _lengthened(builder: Builder, view: View, draft: Draft, at: int, size: int) -> View:
    """A copy of the factor whose split dimension, now the last one, has ``size`` positions."""
    rank = len(draft.shape)
    low, high = min(view.tensor.low, view.fill), max(view.tensor.high, view.fill)
    coder = Coder(Draft((*draft.shape, size), INTEGER, UNKNOWN, where=draft.where))
    tensor = builder.emit(coder.done(coder.load(view.renamed({BOX: (0, ((rank, 1),))})), 0), DType.holding(low, high))
    terms = (*(Term(d, d, 1) for d in range(rank)), Term(rank, BOX, 1))
    return View(tensor, (*draft.shape, size), (0,) * (rank + 1), terms)
