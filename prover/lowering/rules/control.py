"""Loops: a scan of static length becomes a segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from prover.lowering.emit.emitter import reindexed
from prover.lowering.emit.lazy import Const, LazyOp
from prover.lowering.emit.views import ProgramTensor, StridedView
from prover.lowering.formats import Format, Formats, integer_dtype, integer_range
from prover.lowering.graph import FloatGraph, FloatNode, Var
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.rules.context import Context, Item, rule, unsupported
from prover.lowering.rules.movement import concatenated, copied
from rollup.form.ops import ITERATION, Term

UNROLL_LIMIT = 64
"""Iterations up to which a scan inside a scan is unrolled: segments do not nest."""


def _spanned(ranges: Sequence[RealRange]) -> RealRange:
    return RealRange(
        min(r.low for r in ranges),
        max(r.high for r in ranges),
        max(r.typical for r in ranges),
        ranges[0].hint,
        any(r.infinite for r in ranges),
        frozenset().union(*(r.signs for r in ranges)),
    )


def carry_format(formats: Formats, dtype: Any, observed: RealRange) -> Format:
    """Of a value that is carried: integers keep their own dtype."""
    if np.dtype(dtype).kind in "iub":
        own = integer_dtype(np.dtype(dtype))
        return Format(own, 0, *integer_range(dtype))
    return formats.value(observed)


@rule("scan")
def _scan(ctx: Context, node: FloatNode, items: Sequence[Item]) -> list[Item]:
    body, params = node.body, node.params
    assert body is not None
    fixed, carried, length = params["num_consts"], params["num_carry"], int(params["length"])
    if ctx.builder.segment.repeat > 1 or length == 1:
        if length > UNROLL_LIMIT:
            raise unsupported(
                node,
                f"a scan of {length} iterations inside a scan",
                f"segments do not nest; unroll it, or keep it to {UNROLL_LIMIT} iterations",
            )
        return _unrolled(ctx, node, items)
    where = ctx.builder.where
    # Everything that the body reads from outside is in memory before the segment begins.
    outer = [_outer(ctx, item) for item in items]
    forms = []
    for j in range(carried):
        var = body.inputs[fixed + j]
        observed = _spanned([ctx.ranges[var], ctx.ranges[node.outputs[j]]])
        result = body.outputs[j]
        if isinstance(result, Var):
            # One format for the carry and for the value that updates it, so that the update needs no copy.
            ctx.ranges[result] = observed
        forms.append((carry_format(ctx.builder.formats, var.dtype, observed), observed))
    inits = [_init(ctx, outer[fixed + j], *forms[j]) for j in range(carried)]
    segment = ctx.builder.open_segment(length)
    arguments: list[Item] = list(outer[:fixed])
    carries: list[ProgramTensor] = []
    for j in range(carried):
        form, observed = forms[j]
        var = body.inputs[fixed + j]
        carry = ProgramTensor(form.dtype, math.prod(var.shape), form.low, form.high, init=inits[j])
        carries.append(carry)
        view = StridedView(carry, var.shape, (0,) * len(var.shape), tuple(Term(d, d, 1) for d in range(len(var.shape))))
        arguments.append(ctx.builder.loaded(view, var.shape, var.dtype, form.scale, observed))
    for j, item in enumerate(outer[fixed + carried :], start=fixed + carried):
        arguments.append(_sliced(item, body, j, length, params["reverse"], ctx))
    results = ctx.run(body, arguments)
    outputs: list[Item] = []
    for j in range(carried):
        form, observed = forms[j]
        ctx.builder.where = f"carry {j} of {where}"
        lazy = replace(ctx.lazy_op(results[j], body.inputs[fixed + j].dtype), range=observed, order=None, memo={})
        carries[j].update = _updated(ctx, lazy, form, segment)
    stacks = []
    for j, item in enumerate(results[carried:], start=carried):
        ctx.builder.where = f"output {j - carried} of {where}"
        lazy = ctx.lazy_op(item, node.outputs[j].dtype)
        lazy = replace(lazy, order=None, memo={})
        seen = lazy.as_view()
        if (
            seen is None
            or seen.tensor.segment != segment
            or seen.tensor.init is not None
            or not seen.row_major(lazy.shape)
        ):
            lazy = ctx.builder.materialised(lazy) if seen is None else copied(ctx, lazy)
        stacks.append(lazy)
    ctx.builder.open_segment(1)
    ctx.builder.where = where
    for j in range(carried):
        form, observed = forms[j]
        var = node.outputs[j]
        update = carries[j].update
        assert update is not None
        view = StridedView(
            update, var.shape, (0,) * len(var.shape), tuple(Term(d, d, 1) for d in range(len(var.shape)))
        )
        outputs.append(ctx.builder.loaded(view, var.shape, var.dtype, form.scale, ctx.range(node, j)))
    for j, lazy in enumerate(stacks, start=carried):
        outputs.append(_stack(ctx, node, j, lazy, length, params["reverse"]))
    return outputs


def _outer(ctx: Context, item: Item) -> Item:
    return item if isinstance(item, Const) else ctx.builder.materialised(item)


def _init(ctx: Context, item: Item, form: Format, observed: RealRange) -> ProgramTensor:
    """The carry's first value, as an op's output in the carry's format."""
    lazy = replace(ctx.lazy_op(item), range=observed, order=None, memo={})
    view = ctx.builder.stored(lazy, form).as_view()
    assert view is not None
    return view.tensor


def _updated(ctx: Context, lazy: LazyOp, form: Format, segment: int) -> ProgramTensor:
    """The op of the body whose output is the next carry."""
    stored = ctx.builder.materialised(lazy) if lazy.as_view() is None and not lazy.exact else lazy
    view = stored.as_view()
    fits = view is not None and (view.tensor.dtype, stored.scale) == (form.dtype, form.scale)
    if fits and view is not None and view.tensor.segment == segment and view.row_major(stored.shape):
        return view.tensor
    view = ctx.builder.stored(stored, form).as_view()
    assert view is not None
    return view.tensor


def _sliced(item: Item, body: FloatGraph, j: int, length: int, reverse: bool, ctx: Context) -> Item:
    """An operand's slice of the iteration: dimension 0 at t (from the end in reverse)."""
    if isinstance(item, Const):
        return Const(item.array[::-1] if reverse else item.array, stacked=True)
    var = body.inputs[j]
    first = (length - 1, ((ITERATION, -1),)) if reverse else (0, ((ITERATION, 1),))
    lazy = reindexed(item, var.shape, [first, *((0, ((d, 1),)) for d in range(len(var.shape)))])
    return replace(lazy, range=ctx.ranges[var], chain=None)


def _stack(ctx: Context, node: FloatNode, j: int, lazy: LazyOp, length: int, reverse: bool) -> LazyOp:
    """All iterations' outputs of one body op as one array, the iteration in front."""
    view = lazy.as_view()
    assert view is not None
    var = node.outputs[j]
    inner = lazy.shape
    shape = (length, *inner)
    first = Term(0, 0, -1 if reverse else 1)
    terms = (first, *(Term(d + 1, d + 1, 1) for d in range(len(inner))))
    offsets = (length - 1 if reverse else 0, *([0] * len(inner)))
    stacked = StridedView(view.tensor, shape, offsets, terms, 0, stacked=True)
    return ctx.builder.loaded(stacked, shape, var.dtype, lazy.scale, ctx.range(node, j))


def _unrolled(ctx: Context, node: FloatNode, items: Sequence[Item]) -> list[Item]:
    """Lower the body once per iteration, inside the segment that is being built."""
    body, params = node.body, node.params
    assert body is not None
    fixed, carried, length = params["num_consts"], params["num_carry"], int(params["length"])
    carry = list(items[fixed : fixed + carried])
    slices = [x if isinstance(x, Const) else ctx.builder.materialised(x) for x in items[fixed + carried :]]
    rows: list[list[Item]] = [[] for _ in node.outputs[carried:]]
    order = reversed(range(length)) if params["reverse"] else range(length)
    for t in order:
        arguments: list[Item] = [*items[:fixed], *carry]
        for j, item in enumerate(slices, start=fixed + carried):
            var = body.inputs[j]
            if isinstance(item, Const):
                arguments.append(Const(item.array[:, t], True) if item.stacked else Const(item.array[t]))
            else:
                lazy = reindexed(item, var.shape, [(t, ()), *((0, ((d, 1),)) for d in range(len(var.shape)))])
                arguments.append(replace(lazy, range=ctx.ranges[var]))
        results = ctx.run(body, arguments)
        carry = [x if isinstance(x, Const) else ctx.builder.materialised(x) for x in results[:carried]]
        for row, item in zip(rows, results[carried:], strict=True):
            row.append(item)
    outputs: list[Item] = list(carry)
    for j, row in enumerate(rows, start=carried):
        ordered = row[::-1] if params["reverse"] else row
        outputs.append(_concatenated(ctx, node, j, ordered))
    return outputs


def _concatenated(ctx: Context, node: FloatNode, j: int, row: Sequence[Item]) -> Item:
    var = node.outputs[j]
    parts: list[Item] = []
    for item in row:
        lazy = ctx.lazy_op(item, var.dtype)
        lazy = lazy if not lazy.reduces else ctx.builder.materialised(lazy)
        parts.append(reindexed(lazy, (1, *lazy.shape), [(0, ((d + 1, 1),)) for d in range(len(lazy.shape))]))
    return concatenated(ctx, replace(node, outputs=(var,)), parts, 0)
