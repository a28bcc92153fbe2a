"""Gathers, dynamic slices and updates: the index is computed in code, one indirect coordinate does the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from prover.lowering.emit.emitter import CodeEmitter, reindexed
from prover.lowering.emit.lazy import Const, LazyOp
from prover.lowering.emit.views import SELF, StridedView
from prover.lowering.graph import FloatNode
from prover.lowering.rules.context import Context, Fix, Item, rule
from prover.lowering.rules.elementwise import align
from prover.lowering.rules.embedding import embedded, embeds
from prover.lowering.rules.movement import Affine, copied
from rollup.form.ops import ITERATION, Opcode, Term


def storage(ctx: Context, item: Item) -> tuple[LazyOp, StridedView]:
    """An operand whose logical row-major order is affine in memory: (lazy op, view without fill)."""
    lazy = ctx.tensor(item)
    view = ctx.builder.view(lazy)
    if view.stacked or not view.inside({**lazy.sizes, ITERATION: 1}):
        lazy = copied(ctx, lazy)
        view = ctx.builder.view(lazy)
    return lazy, view


def looked_up(emitter: CodeEmitter, operand: tuple[LazyOp, StridedView], linear: int, along: dict[int, int]) -> int:
    """Read the operand at memory offset ``linear`` (a register) plus its strides along ``along``: dimension -> output variable."""
    _, view = operand
    strides = view.strides()
    base = sum(offset * math.prod(view.shape[d + 1 :]) for d, offset in enumerate(view.offsets))
    terms = [Term(0, var, strides.get(d, 0)) for d, var in along.items() if strides.get(d, 0)]
    if ITERATION in strides:
        terms.append(Term(0, ITERATION, strides[ITERATION]))
    flat = StridedView(view.tensor, (view.tensor.elements,), (base,), tuple(terms), 0, False, (0, SELF))
    return emitter.gather(flat, linear)


def _linear(
    emitter: CodeEmitter, operand: tuple[LazyOp, StridedView], indices: Sequence[tuple[int, int, int]]
) -> tuple[int, list[int]]:
    """(memory offset register, clamped index registers) for indices (dimension, register, largest start)."""
    strides = operand[1].strides()
    total, clamped = emitter.const(0), []
    for dimension, register, largest in indices:
        register = emitter.clamp(register, 0, largest)
        clamped.append(register)
        if strides.get(dimension, 0):
            step = emitter.mul(register, emitter.const(strides[dimension]))
            total = step if total == emitter.const(0) else emitter.add(total, step)
    return total, clamped


def _included(
    ctx: Context, emitter: CodeEmitter, item: Item, shape: tuple[int, ...], variables: Sequence[Affine]
) -> int:
    """Register of an index operand, seen over the output space."""
    lazy = ctx.lazy_op(item)
    if lazy.reduces or (math.prod(shape) > math.prod(lazy.shape) and len(lazy.code) > 1 and lazy.views):
        lazy = ctx.builder.materialised(lazy)
    lazy = ctx.builder.realised(lazy)
    return emitter.wrapped(emitter.include(reindexed(lazy, shape, variables)), lazy.dtype)


@rule("gather")
def _gather(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    numbers, sizes = node.params["dimension_numbers"], node.params["slice_sizes"]
    if isinstance(items[0], Const) and embeds(node, items[0]):
        return _embedding(ctx, node, items[0], items[1])
    operand = storage(ctx, items[0])
    indices, out = items[1], node.outputs[0].shape
    batch_dims = [d for d in range(len(out)) if d not in numbers.offset_dims]
    window = [d for d in range(len(sizes)) if d not in (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)]
    along = {d: numbers.offset_dims[j] for j, d in enumerate(window)}
    emitter = CodeEmitter(replace(ctx.blank(node), range=operand[0].range))
    # The index vector lies in the last dimension of the indices, the others are the batch dimensions of the output.
    starts = []
    for j, d in enumerate(numbers.start_index_map):
        variables: list[Affine] = [(0, ((batch_dims[e], 1),)) for e in range(len(indices.shape) - 1)]
        register = _included(ctx, emitter, indices, out, [*variables, (j, ())])
        starts.append((d, register, operand[0].shape[d] - sizes[d]))
    for d, e in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        along[d] = batch_dims[e]
    linear, clamped = _linear(emitter, operand, starts)
    register = looked_up(emitter, operand, linear, along)
    if node.params["mode"] in (jax.lax.GatherScatterMode.FILL_OR_DROP,):
        fill = _fill(node, operand[0])
        for (_, start, _), inside in zip(starts, clamped, strict=True):
            if start != inside:
                register = emitter.select(emitter.equal(start, inside), register, emitter.const(fill))
    return emitter.done(register, operand[0].scale, range=ctx.range(node))


def _embedding(ctx: Context, node: FloatNode, rows: Const, indices: Item) -> LazyOp:
    """Rows of a large constant; an index out of range reads zero where the gather fills, else the nearest row."""
    offsets, out = node.params["dimension_numbers"].offset_dims, node.outputs[0].shape
    batch = [d for d in range(len(out)) if d not in offsets]
    emitter = CodeEmitter(ctx.blank(node))
    start = _included(ctx, emitter, indices, out, [*((0, ((d, 1),)) for d in batch), (0, ())])
    index = emitter.clamp(start, 0, rows.shape[0] - 1)
    register, scale = embedded(ctx, emitter, rows, index, {d: offsets[d - 1] for d in range(1, len(rows.shape))})
    if node.params["mode"] is jax.lax.GatherScatterMode.FILL_OR_DROP and start != index:
        register = emitter.select(emitter.equal(start, index), register, emitter.const(0))
    return emitter.done(register, scale)


def _fill(node: FloatNode, operand: LazyOp) -> int:
    """What an index out of range reads: the gather's own fill for integers; 0 for floats, whose NaN has no integer."""
    value = node.params.get("fill_value")
    if operand.exact:
        if value is None:
            return (
                1
                if operand.dtype == np.bool_
                else int(np.iinfo(operand.dtype).min if operand.dtype.kind == "i" else np.iinfo(operand.dtype).max)
            )
        return int(value)
    return 0 if value is None or not math.isfinite(float(value)) else round(float(value) * 2.0**operand.scale)


@rule("dynamic_slice")
def _dynamic_slice(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    operand = storage(ctx, items[0])
    out = node.outputs[0].shape
    emitter = CodeEmitter(replace(ctx.blank(node), range=operand[0].range))
    starts, fixed = [], 0
    for d, start in enumerate(items[1:]):
        largest = operand[0].shape[d] - out[d]
        if largest == 0:
            continue
        if isinstance(start, Const) and start.scalar is not None and not start.stacked:
            fixed += max(0, min(int(start.scalar), largest)) * operand[1].strides().get(d, 0)
            continue
        starts.append((d, _included(ctx, emitter, start, out, []), largest))
    linear, _ = _linear(emitter, operand, starts)
    if fixed:
        linear = emitter.add(linear, emitter.const(fixed))
    register = looked_up(emitter, operand, linear, {d: d for d in range(len(out))})
    return emitter.done(register, operand[0].scale, range=ctx.range(node))


@rule("dynamic_update_slice")
def _dynamic_update_slice(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    """Every position reads what was there and the update's element that may lie there, and selects."""
    whole, update = items[0], storage(ctx, items[1])
    shape = node.outputs[0].shape
    base = ctx.tensor(whole)
    emitter = CodeEmitter(replace(ctx.blank(node), order=base.order))
    old = Fix(emitter.load(ctx.builder.view(base)), base.scale, base.range)
    linear, along, inside = emitter.const(0), {}, None
    for d, start in enumerate(items[2:]):
        size = update[0].shape[d]
        if size == shape[d]:
            along[d] = d
            continue
        if isinstance(start, Const) and start.scalar is not None and not start.stacked:
            first = emitter.const(max(0, min(int(start.scalar), shape[d] - size)))
        else:
            first = emitter.clamp(_included(ctx, emitter, start, shape, []), 0, shape[d] - size)
        relative = emitter.sub(emitter.index(d, shape[d]), first)
        within = emitter.clamp(relative, 0, size - 1)
        hit = emitter.equal(relative, within)
        inside = hit if inside is None else emitter.bitwise(Opcode.AND, inside, hit)
        step = update[1].strides().get(d, 0)
        if step:
            linear = emitter.add(linear, emitter.mul(within, emitter.const(step)))
    new = Fix(looked_up(emitter, update, linear, along), update[0].scale, update[0].range)
    if inside is None:
        return emitter.done(new.register, new.scale)
    (kept, changed), scale = align(ctx, emitter, [old, new])
    return emitter.done(emitter.select(inside, changed, kept), scale)
