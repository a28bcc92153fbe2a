"""Gathers, dynamic slices and updates: the index is computed in code, one indirect coordinate does the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from prover.lowering.capture import Node
from prover.lowering.emit.draft import SELF, Coder, Const, Draft, View
from prover.lowering.rules.context import Context, Fix, Item, rule
from prover.lowering.rules.elementwise import align
from prover.lowering.rules.embedding import embedded, embeds
from prover.lowering.rules.movement import Affine, copied
from rollup.form.ops import ITERATION, Instr, Opcode, Term


def storage(ctx: Context, item: Item) -> tuple[Draft, View]:
    """An operand whose logical row-major order is affine in memory: (draft, view without fill)."""
    draft = ctx.tensor(item)
    view = ctx.builder.view(draft)
    if view.stacked or not view.inside({**draft.sizes, ITERATION: 1}):
        draft = copied(ctx, draft)
        view = ctx.builder.view(draft)
    return draft, view


def looked_up(coder: Coder, operand: tuple[Draft, View], linear: int, along: dict[int, int]) -> int:
    """Read the operand at memory offset ``linear`` (a register) plus its strides along ``along``: dimension -> output variable."""
    draft, view = operand
    strides = view.strides()
    base = sum(offset * math.prod(view.shape[d + 1 :]) for d, offset in enumerate(view.offsets))
    terms = [Term(0, var, strides.get(d, 0)) for d, var in along.items() if strides.get(d, 0)]
    if ITERATION in strides:
        terms.append(Term(0, ITERATION, strides[ITERATION]))
    flat = View(view.tensor, (view.tensor.elements,), (base,), tuple(terms), 0, False, (0, SELF))
    return coder.put(Instr(Opcode.LOOK, (coder.view(flat), linear)), (min(draft.low, 0), max(draft.high, 0)))


def _linear(
    coder: Coder, operand: tuple[Draft, View], indices: Sequence[tuple[int, int, int]]
) -> tuple[int, list[int]]:
    """(memory offset register, clamped index registers) for indices (dimension, register, largest start)."""
    strides = operand[1].strides()
    total, clamped = coder.const(0), []
    for dimension, register, largest in indices:
        register = coder.clamp(register, 0, largest)
        clamped.append(register)
        if strides.get(dimension, 0):
            step = coder.mul(register, coder.const(strides[dimension]))
            total = step if total == coder.const(0) else coder.add(total, step)
    return total, clamped


def _included(ctx: Context, coder: Coder, item: Item, shape: tuple[int, ...], variables: Sequence[Affine]) -> int:
    """Register of an index operand, seen over the output space."""
    draft = ctx.drafted(item)
    if draft.reduces or (math.prod(shape) > math.prod(draft.shape) and len(draft.code) > 1 and draft.views):
        draft = ctx.builder.materialised(draft)
    draft = ctx.builder.realised(draft)
    return coder.wrapped(coder.include(draft.reindexed(shape, variables)), draft.dtype)


@rule("gather")
def _gather(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    numbers, sizes = node.params["dimension_numbers"], node.params["slice_sizes"]
    if isinstance(items[0], Const) and embeds(node, items[0]):
        return _embedding(ctx, node, items[0], items[1])
    operand = storage(ctx, items[0])
    indices, out = items[1], node.outputs[0].shape
    batch_dims = [d for d in range(len(out)) if d not in numbers.offset_dims]
    window = [d for d in range(len(sizes)) if d not in (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)]
    along = {d: numbers.offset_dims[j] for j, d in enumerate(window)}
    coder = Coder(replace(ctx.blank(node), range=operand[0].range))
    # The index vector lies in the last dimension of the indices, the others are the batch dimensions of the output.
    starts = []
    for j, d in enumerate(numbers.start_index_map):
        variables: list[Affine] = [(0, ((batch_dims[e], 1),)) for e in range(len(indices.shape) - 1)]
        register = _included(ctx, coder, indices, out, [*variables, (j, ())])
        starts.append((d, register, operand[0].shape[d] - sizes[d]))
    for d, e in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        along[d] = batch_dims[e]
    linear, clamped = _linear(coder, operand, starts)
    register = looked_up(coder, operand, linear, along)
    if node.params["mode"] in (jax.lax.GatherScatterMode.FILL_OR_DROP,):
        fill = _fill(node, operand[0])
        for (_, start, _), inside in zip(starts, clamped, strict=True):
            if start != inside:
                register = coder.select(coder.equal(start, inside), register, coder.const(fill))
    return coder.done(register, operand[0].scale, range=ctx.range(node))


def _embedding(ctx: Context, node: Node, rows: Const, indices: Item) -> Draft:
    """Rows of a large constant; an index out of range reads zero where the gather fills, else the nearest row."""
    offsets, out = node.params["dimension_numbers"].offset_dims, node.outputs[0].shape
    batch = [d for d in range(len(out)) if d not in offsets]
    coder = Coder(ctx.blank(node))
    start = _included(ctx, coder, indices, out, [*((0, ((d, 1),)) for d in batch), (0, ())])
    index = coder.clamp(start, 0, rows.shape[0] - 1)
    register, scale = embedded(ctx, coder, rows, index, {d: offsets[d - 1] for d in range(1, len(rows.shape))})
    if node.params["mode"] is jax.lax.GatherScatterMode.FILL_OR_DROP and start != index:
        register = coder.select(coder.equal(start, index), register, coder.const(0))
    return coder.done(register, scale)


def _fill(node: Node, operand: Draft) -> int:
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
def _dynamic_slice(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    operand = storage(ctx, items[0])
    out = node.outputs[0].shape
    coder = Coder(replace(ctx.blank(node), range=operand[0].range))
    starts, fixed = [], 0
    for d, start in enumerate(items[1:]):
        largest = operand[0].shape[d] - out[d]
        if largest == 0:
            continue
        if isinstance(start, Const) and start.scalar is not None and not start.stacked:
            fixed += max(0, min(int(start.scalar), largest)) * operand[1].strides().get(d, 0)
            continue
        starts.append((d, _included(ctx, coder, start, out, []), largest))
    linear, _ = _linear(coder, operand, starts)
    if fixed:
        linear = coder.add(linear, coder.const(fixed))
    register = looked_up(coder, operand, linear, {d: d for d in range(len(out))})
    return coder.done(register, operand[0].scale, range=ctx.range(node))


@rule("dynamic_update_slice")
def _dynamic_update_slice(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    """Every position reads what was there and the update's element that may lie there, and selects."""
    whole, update = items[0], storage(ctx, items[1])
    shape = node.outputs[0].shape
    base = ctx.tensor(whole)
    coder = Coder(replace(ctx.blank(node), order=base.order))
    old = Fix(coder.load(ctx.builder.view(base)), base.scale, base.range)
    linear, along, inside = coder.const(0), {}, None
    for d, start in enumerate(items[2:]):
        size = update[0].shape[d]
        if size == shape[d]:
            along[d] = d
            continue
        if isinstance(start, Const) and start.scalar is not None and not start.stacked:
            first = coder.const(max(0, min(int(start.scalar), shape[d] - size)))
        else:
            first = coder.clamp(_included(ctx, coder, start, shape, []), 0, shape[d] - size)
        relative = coder.sub(coder.index(d, shape[d]), first)
        within = coder.clamp(relative, 0, size - 1)
        hit = coder.equal(relative, within)
        inside = hit if inside is None else coder.bitwise(Opcode.AND, inside, hit)
        step = update[1].strides().get(d, 0)
        if step:
            linear = coder.add(linear, coder.mul(within, coder.const(step)))
    new = Fix(looked_up(coder, update, linear, along), update[0].scale, update[0].range)
    if inside is None:
        return coder.done(new.register, new.scale)
    (kept, changed), scale = align(ctx, coder, [old, new])
    return coder.done(coder.select(inside, changed, kept), scale)
