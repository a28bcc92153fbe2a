"""Primitives that move elements: they change how a draft is indexed and emit nothing where that is possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prover.lowering.capture import Node
from prover.lowering.emit.draft import Coder, Const, Draft, View
from prover.lowering.formats import uncut
from prover.lowering.rules.context import LONGEST_CODE, Context, Fix, Item, rule, unsupported
from prover.lowering.rules.elementwise import align
from rollup.form.ops import ITERATION, Term
from rollup.types import DType

Affine = tuple[int, Sequence[tuple[int, int]]]


def moved(draft: Draft, node: Node, shape: Sequence[int], variables: Sequence[Affine], ctx: Context) -> Draft:
    """The draft under another output space. What would be computed several times over is stored first."""
    if math.prod(shape) > math.prod(draft.shape) and (draft.reduces or len(draft.code) > 1):
        draft = ctx.builder.materialised(draft)
    return replace(draft.reindexed(shape, variables), range=ctx.range(node))


def straight(shape: Sequence[int]) -> list[Affine]:
    """Every old dimension is the new one of the same number."""
    return [(0, ((d, 1),)) for d in range(len(shape))]


@rule("transpose")
def _transpose(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    draft = _draft(items[0])
    order = node.params["permutation"]
    back = {old: new for new, old in enumerate(order)}
    return moved(draft, node, node.outputs[0].shape, [(0, ((back[d], 1),)) for d in range(len(order))], ctx)


def _draft(item: Item) -> Draft:
    assert isinstance(item, Draft)
    return item


@rule("broadcast_in_dim")
def _broadcast(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    draft = _draft(items[0])
    shape, dims = node.params["shape"], node.params["broadcast_dimensions"]
    variables: list[Affine] = [
        (0, ()) if draft.shape[d] == 1 and shape[at] > 1 else (0, ((at, 1),)) for d, at in enumerate(dims)
    ]
    return moved(draft, node, shape, variables, ctx)


@rule("squeeze", "expand_dims")
def _squeeze(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    return reshaped(ctx, node, _draft(items[0]), node.outputs[0].shape)


@rule("reshape")
def _reshape(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    if node.params.get("dimensions") is not None:
        raise unsupported(node, "it permutes dimensions", "transpose first, then reshape")
    return reshaped(ctx, node, _draft(items[0]), node.outputs[0].shape)


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Runs of old and of new dimensions (size 1 left out) with equal element counts, as short as possible."""
    left = [d for d, n in enumerate(old) if n != 1]
    right = [d for d, n in enumerate(new) if n != 1]
    groups, i, j = [], 0, 0
    while i < len(left):
        a, b = [left[i]], [right[j]]
        p, q, i, j = old[left[i]], new[right[j]], i + 1, j + 1
        while p != q:
            if p < q:
                a, p, i = [*a, left[i]], p * old[left[i]], i + 1
            else:
                b, q, j = [*b, right[j]], q * new[right[j]], j + 1
        groups.append((a, b))
    return groups


def reshaped(ctx: Context, node: Node, draft: Draft, shape: Sequence[int]) -> Draft:
    """Splitting a dimension is affine; merging dimensions goes through memory, where it is free."""
    groups = _groups(draft.shape, shape)
    if any(len(old) > 1 for old, _ in groups):
        return _merged(ctx, node, draft, shape)
    variables: list[Affine] = [(0, ()) for _ in draft.shape]
    for (old,), new in groups:
        parts, stride = [], 1
        for d in reversed(new):
            parts.append((d, stride))
            stride *= shape[d]
        variables[old] = (0, tuple(reversed(parts)))
    return moved(draft, node, shape, variables, ctx)


def _merged(ctx: Context, node: Node, draft: Draft, shape: Sequence[int]) -> Draft:
    """Store the draft row-major, then see the same memory under the new shape."""
    view = draft.as_view()
    if view is None:
        draft = ctx.builder.materialised(replace(draft, order=None))
        view = ctx.builder.view(draft)
    if not view.row_major(draft.shape):
        draft = copied(ctx, draft)
        view = ctx.builder.view(draft)
    terms = tuple(Term(d, d, 1) for d in range(len(shape)))
    flat = View(view.tensor, tuple(shape), (0,) * len(shape), terms)
    return ctx.builder.loaded(flat, tuple(shape), draft.dtype, draft.scale, ctx.range(node))


def copied(ctx: Context, draft: Draft, order: tuple[int, ...] | None = None) -> Draft:
    """A copy in memory, in the given order of dimensions."""
    draft = replace(ctx.builder.realised(draft), order=order, memo={})
    view = draft.as_view()
    if view is None:
        return ctx.builder.materialised(draft)
    low, high = draft.low, draft.high
    dtype = (
        view.tensor.dtype
        if view.tensor.dtype.min <= low and high <= view.tensor.dtype.max
        else DType.holding(low, high)
    )
    ends = view.tensor.ends
    if ends is not None:
        # An infinity was not cut.
        kept = [sign in draft.range.signs for sign in (-1, 1)]
        low, high = (free if keeps else end for free, end, keeps in zip(uncut(dtype), ends, kept, strict=True))
        ends = low, high
    return ctx.builder.read(ctx.builder.emit(draft, dtype, ends), draft)


@rule("rev")
def _reverse(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    draft, axes = _draft(items[0]), node.params["dimensions"]
    variables: list[Affine] = [(n - 1, ((d, -1),)) if d in axes else (0, ((d, 1),)) for d, n in enumerate(draft.shape)]
    return moved(draft, node, draft.shape, variables, ctx)


@rule("slice")
def _slice(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    draft, params = _draft(items[0]), node.params
    strides = params["strides"] or (1,) * len(draft.shape)
    variables: list[Affine] = [
        (start, ((d, stride),)) for d, (start, stride) in enumerate(zip(params["start_indices"], strides, strict=True))
    ]
    return moved(draft, node, node.outputs[0].shape, variables, ctx)


@rule("pad")
def _pad(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    draft = ctx.tensor(items[0])
    if not isinstance(items[1], Const) or items[1].scalar is None:
        raise unsupported(
            node, "the padding value is not a constant", "pad with a constant, or add the padding by concatenation"
        )
    return padded(ctx, node, draft, float(items[1].scalar), node.params["padding_config"])


def padded(ctx: Context, node: Node, draft: Draft, value: float, config: Sequence[tuple[int, int, int]]) -> Draft:
    """Padding is a fill outside the operand. Interior padding sees the output split into (position, gap)."""
    for d, (_, _, interior) in enumerate(config):
        if interior and draft.shape[d] > 1:
            draft = _spread(ctx, node, draft, d, interior + 1, value)
    config = [(int(low), int(high), int(interior)) for low, high, interior in config]
    shape = tuple(n + low + high for n, (low, high, _) in zip(draft.shape, config, strict=True))
    if math.isinf(value) and ctx.range(node).deep and not draft.range.deep:
        draft = ctx.builder.stored(draft, ctx.builder.formats.value(ctx.range(node)))
    view = bounded(ctx, draft, [(-low, n - low) for (low, _, _), n in zip(config, shape, strict=True)])
    offsets: list[Affine] = [(-low, ((d, 1),)) for d, (low, _, _) in enumerate(config)]
    view = replace(view.renamed(dict(enumerate(offsets))), fill=fill_of(draft, value, view))
    return ctx.builder.loaded(
        view, shape, draft.dtype, draft.scale, ctx.range(node) if shape == node.outputs[0].shape else draft.range
    )


def fill_of(draft: Draft, value: float, view: View) -> int:
    """A padding value on the draft's grid; infinities become the ends of the tensor's dtype."""
    dtype = view.tensor.dtype
    if math.isinf(value):
        return dtype.max if value > 0 else dtype.min
    if math.isnan(value):
        return 0
    scaled = round(value * 2.0**draft.scale)
    return max(-(1 << 62), min(scaled, 1 << 62))


def bounded(ctx: Context, draft: Draft, reach: Sequence[tuple[int, int]]) -> View:
    """A view whose coordinates leave their dimensions exactly when an index of the draft leaves the draft.

    ``reach``: for every dimension the indices [from, to) that will be asked for.
    """
    view = ctx.builder.view(draft)
    if not _tight(view, draft.shape, reach):
        view = ctx.builder.view(copied(ctx, draft))
    return view


def _tight(view: View, shape: Sequence[int], reach: Sequence[tuple[int, int]]) -> bool:
    for d, (low, high) in enumerate(reach):
        if low >= 0 and high <= shape[d]:
            continue
        terms = [t for t in view.terms if t.var == d]
        if len(terms) != 1:
            return False
        term = terms[0]
        shared = [t for t in view.terms if t.dimension == term.dimension and t.var != d]
        first, last = view.offsets[term.dimension], view.offsets[term.dimension] + term.coef * (shape[d] - 1)
        if shared or {first, last} != {0, view.shape[term.dimension] - 1} or abs(term.coef) != 1 or view.fill:
            return False
    return view.inside({**dict(enumerate(shape)), ITERATION: 1})


def _spread(ctx: Context, node: Node, draft: Draft, d: int, step: int, value: float) -> Draft:
    """Put step - 1 elements of padding after every element along dimension d but the last; emits one op."""
    view = ctx.builder.view(copied(ctx, draft)) if draft.as_view() is None else ctx.builder.view(draft)
    view = bounded(ctx, draft, [(0, n) for n in draft.shape])
    rank, n = len(draft.shape), draft.shape[d]
    # Output space: (..., position, gap, ...); the gap is the coordinate of a dimension of size one.
    shape = (*draft.shape[: d + 1], step, *draft.shape[d + 1 :])
    variables: dict[int, Affine] = {e: (0, ((e if e <= d else e + 1, 1),)) for e in range(rank)}
    seen = view.renamed(variables)
    gap = View(
        seen.tensor,
        (*seen.shape, 1),
        (*seen.offsets, 0),
        (*seen.terms, Term(len(seen.shape), d + 1, 1)),
        fill_of(draft, value, view),
        seen.stacked,
    )
    wide = copied(ctx, ctx.builder.loaded(gap, shape, draft.dtype, draft.scale, draft.range))
    flat = ctx.builder.view(wide)
    merged = (*draft.shape[:d], n * step, *draft.shape[d + 1 :])
    whole = View(flat.tensor, merged, (0,) * rank, tuple(Term(e, e, 1) for e in range(rank)))
    cut = (*draft.shape[:d], (n - 1) * step + 1, *draft.shape[d + 1 :])
    return ctx.builder.loaded(whole, cut, draft.dtype, draft.scale, draft.range)


@rule("concatenate")
def _concatenate(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    return concatenated(ctx, node, items, int(node.params["dimension"]))


CHOSEN_PARTS = 4
"""Parts up to which a concatenation computes all of them everywhere and chooses; more are stored and read."""


def concatenated(ctx: Context, node: Node, items: Sequence[Item], axis: int) -> Draft:
    """Few parts that are element-wise code are computed where they are read; others are a sum of views that are zero outside."""
    drafts = [ctx.drafted(item) for item in items]
    observed = ctx.range(node)
    computed = len(drafts) <= CHOSEN_PARTS and any(d.as_view() is None for d in drafts)
    if computed and sum(len(d.code) for d in drafts) <= LONGEST_CODE // 2:
        return _chosen(ctx, node, drafts, axis)
    shape = node.outputs[0].shape
    coder = Coder(ctx.blank(node))
    parts: list[Fix | Const] = []
    at = 0
    for draft in drafts:
        draft = ctx.tensor(draft)
        n = draft.shape[axis]
        view = bounded(
            ctx, draft, [(-at, shape[axis] - at) if d == axis else (0, size) for d, size in enumerate(draft.shape)]
        )
        view = view.renamed({axis: (-at, ((axis, 1),))})
        parts.append(Fix(coder.load(view), draft.scale, draft.range))
        at += n
    registers, scale = align(ctx, coder, parts)
    total = registers[0]
    for register in registers[1:]:
        total = coder.add(total, register)
    return coder.done(total, scale, range=observed)


def _chosen(ctx: Context, node: Node, drafts: Sequence[Draft], axis: int) -> Draft:
    """All parts computed at every position, and the one that lies there chosen by the index."""
    shape = node.outputs[0].shape
    coder = Coder(ctx.blank(node))
    parts: list[Fix | Const] = []
    ends: list[int] = []
    for draft in drafts:
        draft = ctx.builder.materialised(draft) if draft.reduces else ctx.builder.realised(draft)
        start = ends[-1] if ends else 0
        variables = straight(draft.shape)
        variables[axis] = (-start, ((axis, 1),)) if draft.shape[axis] > 1 else (0, ())
        ends.append(start + draft.shape[axis])
        parts.append(Fix(coder.include(draft.reindexed(shape, variables)), draft.scale, draft.range))
    registers, scale = align(ctx, coder, parts)
    index = coder.index(axis, shape[axis])
    chosen = registers[-1]
    for register, end in reversed(list(zip(registers[:-1], ends, strict=False))):
        chosen = coder.select(coder.less(index, coder.const(end)), register, chosen)
    return coder.done(chosen, scale)


@rule("stack")
def _stack(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    axis = int(node.params["axis"])
    parts = []
    for item in items:
        draft = ctx.drafted(item)
        draft = ctx.tensor(draft) if draft.reduces or len(items) > CHOSEN_PARTS else ctx.builder.realised(draft)
        shape = (*draft.shape[:axis], 1, *draft.shape[axis:])
        parts.append(draft.reindexed(shape, [(0, ((d if d < axis else d + 1, 1),)) for d in range(len(draft.shape))]))
    return concatenated(ctx, node, parts, axis)


@rule("tile")
def _tile(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    """Repetitions are a dimension of their own, merged with the tiled one in memory."""
    draft, reps = ctx.tensor(items[0]), node.params["reps"]
    shape = tuple(n for pair in zip(reps, draft.shape, strict=True) for n in pair)
    repeated = draft.reindexed(shape, [(0, ((2 * d + 1, 1),)) for d in range(len(draft.shape))])
    return reshaped(ctx, node, repeated, node.outputs[0].shape)


@rule("device_put")
def _same(ctx: Context, node: Node, items: Sequence[Item]) -> Any:
    return list(items)


@rule("unstack")
def _unstack(ctx: Context, node: Node, items: Sequence[Item]) -> list[Item]:
    draft, axis = ctx.tensor(items[0]), int(node.params["axis"])
    parts: list[Item] = []
    for number, var in enumerate(node.outputs):
        variables: list[Affine] = [(0, ((d if d < axis else d - 1, 1),)) for d in range(len(draft.shape))]
        variables[axis] = (number, ())
        parts.append(replace(draft.reindexed(var.shape, variables), range=ctx.range(node, number)))
    return parts


@rule("split")
def _split(ctx: Context, node: Node, items: Sequence[Item]) -> list[Item]:
    draft, axis = ctx.tensor(items[0]), int(node.params["axis"])
    parts: list[Item] = []
    at = 0
    for number, size in enumerate(node.params["sizes"]):
        variables = straight(draft.shape)
        variables[axis] = (at, ((axis, 1),))
        part = draft.reindexed(node.outputs[number].shape, variables)
        parts.append(replace(part, range=ctx.range(node, number)))
        at += int(size)
    return parts
