"""Primitives that move elements: they change how a lazy op is indexed and emit nothing where that is possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prover.lowering.emit.emitter import CodeEmitter, reindexed
from prover.lowering.emit.lazy import Const, LazyOp
from prover.lowering.emit.views import StridedView
from prover.lowering.formats import uncut
from prover.lowering.graph import FloatNode
from prover.lowering.rules.context import LONGEST_CODE, Context, Fix, Item, rule, unsupported
from prover.lowering.rules.elementwise import align
from rollup.form.ops import ITERATION, Term
from rollup.types import DType

Affine = tuple[int, Sequence[tuple[int, int]]]


def moved(lazy: LazyOp, node: FloatNode, shape: Sequence[int], variables: Sequence[Affine], ctx: Context) -> LazyOp:
    """The lazy op under another output space. What would be computed several times over is stored first."""
    if math.prod(shape) > math.prod(lazy.shape) and (lazy.reduces or len(lazy.code) > 1):
        lazy = ctx.builder.materialised(lazy)
    return replace(reindexed(lazy, shape, variables), range=ctx.range(node))


def straight(shape: Sequence[int]) -> list[Affine]:
    """Every old dimension is the new one of the same number."""
    return [(0, ((d, 1),)) for d in range(len(shape))]


@rule("transpose")
def _transpose(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    lazy = _draft(items[0])
    order = node.params["permutation"]
    back = {old: new for new, old in enumerate(order)}
    return moved(lazy, node, node.outputs[0].shape, [(0, ((back[d], 1),)) for d in range(len(order))], ctx)


def _draft(item: Item) -> LazyOp:
    assert isinstance(item, LazyOp)
    return item


@rule("broadcast_in_dim")
def _broadcast(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    lazy = _draft(items[0])
    shape, dims = node.params["shape"], node.params["broadcast_dimensions"]
    variables: list[Affine] = [
        (0, ()) if lazy.shape[d] == 1 and shape[at] > 1 else (0, ((at, 1),)) for d, at in enumerate(dims)
    ]
    return moved(lazy, node, shape, variables, ctx)


@rule("squeeze", "expand_dims")
def _squeeze(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    return reshaped(ctx, node, _draft(items[0]), node.outputs[0].shape)


@rule("reshape")
def _reshape(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
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


def reshaped(ctx: Context, node: FloatNode, lazy: LazyOp, shape: Sequence[int]) -> LazyOp:
    """Splitting a dimension is affine; merging dimensions goes through memory, where it is free."""
    groups = _groups(lazy.shape, shape)
    if any(len(old) > 1 for old, _ in groups):
        return _merged(ctx, node, lazy, shape)
    variables: list[Affine] = [(0, ()) for _ in lazy.shape]
    for (old,), new in groups:
        parts, stride = [], 1
        for d in reversed(new):
            parts.append((d, stride))
            stride *= shape[d]
        variables[old] = (0, tuple(reversed(parts)))
    return moved(lazy, node, shape, variables, ctx)


def _merged(ctx: Context, node: FloatNode, lazy: LazyOp, shape: Sequence[int]) -> LazyOp:
    """Store the lazy op row-major, then see the same memory under the new shape."""
    view = lazy.as_view()
    if view is None:
        lazy = ctx.builder.materialised(replace(lazy, order=None))
        view = ctx.builder.view(lazy)
    if not view.row_major(lazy.shape):
        lazy = copied(ctx, lazy)
        view = ctx.builder.view(lazy)
    terms = tuple(Term(d, d, 1) for d in range(len(shape)))
    flat = StridedView(view.tensor, tuple(shape), (0,) * len(shape), terms)
    return ctx.builder.loaded(flat, tuple(shape), lazy.dtype, lazy.scale, ctx.range(node))


def copied(ctx: Context, lazy: LazyOp, order: tuple[int, ...] | None = None) -> LazyOp:
    """A copy in memory, in the given order of dimensions."""
    lazy = replace(ctx.builder.realised(lazy), order=order, memo={})
    view = lazy.as_view()
    if view is None:
        return ctx.builder.materialised(lazy)
    low, high = lazy.low, lazy.high
    dtype = (
        view.tensor.dtype
        if view.tensor.dtype.min <= low and high <= view.tensor.dtype.max
        else DType.holding(low, high)
    )
    ends = view.tensor.ends
    if ends is not None:
        # An infinity was not cut.
        kept = [sign in lazy.range.signs for sign in (-1, 1)]
        low, high = (free if keeps else end for free, end, keeps in zip(uncut(dtype), ends, kept, strict=True))
        ends = low, high
    return ctx.builder.read(ctx.builder.emit(lazy, dtype, ends), lazy)


@rule("rev")
def _reverse(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    lazy, axes = _draft(items[0]), node.params["dimensions"]
    variables: list[Affine] = [(n - 1, ((d, -1),)) if d in axes else (0, ((d, 1),)) for d, n in enumerate(lazy.shape)]
    return moved(lazy, node, lazy.shape, variables, ctx)


@rule("slice")
def _slice(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    lazy, params = _draft(items[0]), node.params
    strides = params["strides"] or (1,) * len(lazy.shape)
    variables: list[Affine] = [
        (start, ((d, stride),)) for d, (start, stride) in enumerate(zip(params["start_indices"], strides, strict=True))
    ]
    return moved(lazy, node, node.outputs[0].shape, variables, ctx)


@rule("pad")
def _pad(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    lazy = ctx.tensor(items[0])
    if not isinstance(items[1], Const) or items[1].scalar is None:
        raise unsupported(
            node, "the padding value is not a constant", "pad with a constant, or add the padding by concatenation"
        )
    return padded(ctx, node, lazy, float(items[1].scalar), node.params["padding_config"])


def padded(ctx: Context, node: FloatNode, lazy: LazyOp, value: float, config: Sequence[tuple[int, int, int]]) -> LazyOp:
    """Padding is a fill outside the operand. Interior padding sees the output split into (position, gap)."""
    for d, (_, _, interior) in enumerate(config):
        if interior and lazy.shape[d] > 1:
            lazy = _spread(ctx, node, lazy, d, interior + 1, value)
    config = [(int(low), int(high), int(interior)) for low, high, interior in config]
    shape = tuple(n + low + high for n, (low, high, _) in zip(lazy.shape, config, strict=True))
    if math.isinf(value) and ctx.range(node).deep and not lazy.range.deep:
        lazy = ctx.builder.stored(lazy, ctx.builder.formats.value(ctx.range(node)))
    view = bounded(ctx, lazy, [(-low, n - low) for (low, _, _), n in zip(config, shape, strict=True)])
    offsets: list[Affine] = [(-low, ((d, 1),)) for d, (low, _, _) in enumerate(config)]
    view = replace(view.renamed(dict(enumerate(offsets))), fill=fill_of(lazy, value, view))
    return ctx.builder.loaded(
        view, shape, lazy.dtype, lazy.scale, ctx.range(node) if shape == node.outputs[0].shape else lazy.range
    )


def fill_of(lazy: LazyOp, value: float, view: StridedView) -> int:
    """A padding value on the lazy op's grid; infinities become the ends of the tensor's dtype."""
    dtype = view.tensor.dtype
    if math.isinf(value):
        return dtype.max if value > 0 else dtype.min
    if math.isnan(value):
        return 0
    scaled = round(value * 2.0**lazy.scale)
    return max(-(1 << 62), min(scaled, 1 << 62))


def bounded(ctx: Context, lazy: LazyOp, reach: Sequence[tuple[int, int]]) -> StridedView:
    """A view whose coordinates leave their dimensions exactly when an index of the lazy op leaves the lazy op.

    ``reach``: for every dimension the indices [from, to) that will be asked for.
    """
    view = ctx.builder.view(lazy)
    if not _tight(view, lazy.shape, reach):
        view = ctx.builder.view(copied(ctx, lazy))
    return view


def _tight(view: StridedView, shape: Sequence[int], reach: Sequence[tuple[int, int]]) -> bool:
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


def _spread(ctx: Context, node: FloatNode, lazy: LazyOp, d: int, step: int, value: float) -> LazyOp:
    """Put step - 1 elements of padding after every element along dimension d but the last; emits one op."""
    view = ctx.builder.view(copied(ctx, lazy)) if lazy.as_view() is None else ctx.builder.view(lazy)
    view = bounded(ctx, lazy, [(0, n) for n in lazy.shape])
    rank, n = len(lazy.shape), lazy.shape[d]
    # Output space: (..., position, gap, ...); the gap is the coordinate of a dimension of size one.
    shape = (*lazy.shape[: d + 1], step, *lazy.shape[d + 1 :])
    variables: dict[int, Affine] = {e: (0, ((e if e <= d else e + 1, 1),)) for e in range(rank)}
    seen = view.renamed(variables)
    gap = StridedView(
        seen.tensor,
        (*seen.shape, 1),
        (*seen.offsets, 0),
        (*seen.terms, Term(len(seen.shape), d + 1, 1)),
        fill_of(lazy, value, view),
        seen.stacked,
    )
    wide = copied(ctx, ctx.builder.loaded(gap, shape, lazy.dtype, lazy.scale, lazy.range))
    flat = ctx.builder.view(wide)
    merged = (*lazy.shape[:d], n * step, *lazy.shape[d + 1 :])
    whole = StridedView(flat.tensor, merged, (0,) * rank, tuple(Term(e, e, 1) for e in range(rank)))
    cut = (*lazy.shape[:d], (n - 1) * step + 1, *lazy.shape[d + 1 :])
    return ctx.builder.loaded(whole, cut, lazy.dtype, lazy.scale, lazy.range)


@rule("concatenate")
def _concatenate(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    return concatenated(ctx, node, items, int(node.params["dimension"]))


CHOSEN_PARTS = 4
"""Parts up to which a concatenation computes all of them everywhere and chooses; more are stored and read."""


def concatenated(ctx: Context, node: FloatNode, items: Sequence[Item], axis: int) -> LazyOp:
    """Few parts that are element-wise code are computed where they are read; others are a sum of views that are zero outside."""
    ops = [ctx.lazy_op(item) for item in items]
    observed = ctx.range(node)
    computed = len(ops) <= CHOSEN_PARTS and any(d.as_view() is None for d in ops)
    if computed and sum(len(d.code) for d in ops) <= LONGEST_CODE // 2:
        return _chosen(ctx, node, ops, axis)
    shape = node.outputs[0].shape
    emitter = CodeEmitter(ctx.blank(node))
    parts: list[Fix | Const] = []
    at = 0
    for lazy in ops:
        lazy = ctx.tensor(lazy)
        n = lazy.shape[axis]
        view = bounded(
            ctx, lazy, [(-at, shape[axis] - at) if d == axis else (0, size) for d, size in enumerate(lazy.shape)]
        )
        view = view.renamed({axis: (-at, ((axis, 1),))})
        parts.append(Fix(emitter.load(view), lazy.scale, lazy.range))
        at += n
    registers, scale = align(ctx, emitter, parts)
    total = registers[0]
    for register in registers[1:]:
        total = emitter.add(total, register)
    return emitter.done(total, scale, range=observed)


def _chosen(ctx: Context, node: FloatNode, ops: Sequence[LazyOp], axis: int) -> LazyOp:
    """All parts computed at every position, and the one that lies there chosen by the index."""
    shape = node.outputs[0].shape
    emitter = CodeEmitter(ctx.blank(node))
    parts: list[Fix | Const] = []
    ends: list[int] = []
    for lazy in ops:
        lazy = ctx.builder.materialised(lazy) if lazy.reduces else ctx.builder.realised(lazy)
        start = ends[-1] if ends else 0
        variables = straight(lazy.shape)
        variables[axis] = (-start, ((axis, 1),)) if lazy.shape[axis] > 1 else (0, ())
        ends.append(start + lazy.shape[axis])
        parts.append(Fix(emitter.include(reindexed(lazy, shape, variables)), lazy.scale, lazy.range))
    registers, scale = align(ctx, emitter, parts)
    index = emitter.index(axis, shape[axis])
    chosen = registers[-1]
    for register, end in reversed(list(zip(registers[:-1], ends, strict=False))):
        chosen = emitter.select(emitter.less(index, emitter.const(end)), register, chosen)
    return emitter.done(chosen, scale)


@rule("stack")
def _stack(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    axis = int(node.params["axis"])
    parts = []
    for item in items:
        lazy = ctx.lazy_op(item)
        lazy = ctx.tensor(lazy) if lazy.reduces or len(items) > CHOSEN_PARTS else ctx.builder.realised(lazy)
        shape = (*lazy.shape[:axis], 1, *lazy.shape[axis:])
        parts.append(reindexed(lazy, shape, [(0, ((d if d < axis else d + 1, 1),)) for d in range(len(lazy.shape))]))
    return concatenated(ctx, node, parts, axis)


@rule("tile")
def _tile(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    """Repetitions are a dimension of their own, merged with the tiled one in memory."""
    lazy, reps = ctx.tensor(items[0]), node.params["reps"]
    shape = tuple(n for pair in zip(reps, lazy.shape, strict=True) for n in pair)
    repeated = reindexed(lazy, shape, [(0, ((2 * d + 1, 1),)) for d in range(len(lazy.shape))])
    return reshaped(ctx, node, repeated, node.outputs[0].shape)


@rule("device_put")
def _same(ctx: Context, node: FloatNode, items: Sequence[Item]) -> Any:
    return list(items)


@rule("unstack")
def _unstack(ctx: Context, node: FloatNode, items: Sequence[Item]) -> list[Item]:
    lazy, axis = ctx.tensor(items[0]), int(node.params["axis"])
    parts: list[Item] = []
    for number, var in enumerate(node.outputs):
        variables: list[Affine] = [(0, ((d if d < axis else d - 1, 1),)) for d in range(len(lazy.shape))]
        variables[axis] = (number, ())
        parts.append(replace(reindexed(lazy, var.shape, variables), range=ctx.range(node, number)))
    return parts


@rule("split")
def _split(ctx: Context, node: FloatNode, items: Sequence[Item]) -> list[Item]:
    lazy, axis = ctx.tensor(items[0]), int(node.params["axis"])
    parts: list[Item] = []
    at = 0
    for number, size in enumerate(node.params["sizes"]):
        variables = straight(lazy.shape)
        variables[axis] = (at, ((axis, 1),))
        part = reindexed(lazy, node.outputs[number].shape, variables)
        parts.append(replace(part, range=ctx.range(node, number)))
        at += int(size)
    return parts
