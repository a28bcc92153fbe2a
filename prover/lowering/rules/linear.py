"""Products: dot_general with any dimension numbers; quantised weights and what turns their accumulators into reals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prover.lowering.channels.operands import Raised
from prover.lowering.emit.builder import Quantised
from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import BOX, WORD, Const, LazyOp
from prover.lowering.emit.views import StridedView
from prover.lowering.formats import WeightFormat, quantize, weight_steps
from prover.lowering.graph import FloatNode
from prover.lowering.rules.context import Context, Item, rule
from prover.lowering.rules.movement import Affine
from prover.lowering.rules.multipliers import Multipliers
from prover.lowering.rules.reduction import innermost, reduced
from prover.lowering.rules.rows import by_row, shifted_back
from rollup.audit.intervals import SHARP_LIMIT
from rollup.errors import LoweringError
from rollup.form.ops import ITERATION, Monoid, Term

QUANTISED_ELEMENTS = 1 << 20
"""Elements of a weight that are held in double precision at a time."""


@dataclass(frozen=True)
class ChannelWeights:
    """Quantised weights: a view, and what turns an accumulator into reals: ``real = acc * factor[channel]``.

    ``sum``: the largest of the sums of magnitudes over a channel.
    """

    view: StridedView
    factor: np.ndarray
    stacked: bool
    sum: int


def weights(
    ctx: Context,
    const: Const,
    kept: Sequence[int],
    summed: Sequence[int],
    fine: bool = False,
    chosen: np.ndarray | None = None,
    raised: Raised | None = None,
) -> ChannelWeights:
    """Quantise per output channel (``kept`` axes), stored with the ``summed`` axes last, in their given order.

    ``fine``: with 15 or 16 bits, whatever the formats say. ``chosen``: the integers, if a pass chose them (``passes.compensate``),
    in the constant's shape; without, each is the nearest. ``raised``: exponents of what the operand was divided by, channel by channel.

    The view's variables are numbered like the constant's axes. ``factor`` has the shape of the kept axes (t in front if stacked).
    """
    lead = 1 if const.stacked else 0
    axes = (*range(lead), *(a + lead for a in kept), *(a + lead for a in summed))
    moved = np.transpose(const.array, axes)
    count, outer = lead + len(kept), moved.shape[: lead + len(kept)]
    form = ctx.builder.formats.weights(fine)
    factor = 1.0 if raised is None else np.transpose(raised.factors(const.shape), [*kept, *summed])[(0,) * len(kept)]
    if chosen is None and raised is None:
        found = ctx.builder.quantised(moved, count, form, lambda: _quantised(ctx, moved, count, form))
    else:
        found = _quantised(ctx, moved, count, form, factor, None if chosen is None else np.transpose(chosen, axes))
    names = (*((ITERATION,) if lead else ()), *kept, *summed)
    view = StridedView(
        found.tensor, moved.shape, (0,) * moved.ndim, tuple(Term(d, var, 1) for d, var in enumerate(names))
    )
    return ChannelWeights(view, found.factors.reshape(outer), const.stacked, found.sum)


def _quantised(
    ctx: Context,
    moved: np.ndarray,
    count: int,
    form: WeightFormat,
    raised: float | np.ndarray = 1.0,
    chosen: np.ndarray | None = None,
) -> Quantised:
    """Weights whose first ``count`` axes are channels, multiplied by ``raised``; ``chosen``: their integers, if a pass chose them."""
    # Channel by channel, some at a time: a large weight is never held in double precision as a whole.
    rows = moved.reshape(-1, *moved.shape[count:])
    integers = np.empty(rows.shape, dtype=form.dtype.numpy)
    factors = np.empty(len(rows))
    known = None if chosen is None else chosen.reshape(rows.shape)
    most, inner = 0, tuple(range(1, rows.ndim))
    step = max(1, QUANTISED_ELEMENTS // max(1, math.prod(rows.shape[1:])))
    for start in range(0, len(rows), step):
        part = rows[start : start + step].astype(np.float64) * raised
        if not np.all(np.isfinite(part)):
            raise LoweringError(
                f"{ctx.builder.where}: a weight is not finite; a program has finite weights only, repair the model"
            )
        factor = weight_steps(part, 1, form.most)
        found = quantize(part / factor, 0, -form.most, form.most) if known is None else known[start : start + step]
        integers[start : start + step] = found
        most = max(most, int(np.abs(found).sum(axis=inner, dtype=np.int64).max()))
        factors[start : start + step] = factor.reshape(-1)
    return Quantised(ctx.builder.constant(integers.reshape(moved.shape), form.dtype), factors, most)


def rescaled(ctx: Context, lazy: LazyOp, w: ChannelWeights, channels: Sequence[int]) -> LazyOp:
    """Turn accumulators (the lazy op's last register) into reals: per channel a multiplier and a shift, packed in one constant.

    ``channels``: the output dimensions that the axes of ``w.factor`` correspond to.
    """
    emitter, own, scale = CodeEmitter(lazy), len(lazy.code), lazy.scale
    excess = emitter.bits(own) - (WORD - 1 - 15) if lazy.code else _sum_bits(lazy, w) - (WORD + 1 - 15)
    if excess > 0:
        # Rows that were shifted back, and long sums, have more bits than a multiplier leaves room for; the lowest are far below any
        # format.
        own, scale = emitter.shift(own, -excess), scale - excess
    acc = emitter.bits(own)
    bits = max(15, min(24, WORD - 1 - acc))
    # As fine a grid as leaves 22 bits of headroom over calibration, and no finer than the accumulator's own.
    finest = scale - int(np.floor(np.log2(w.factor.max())))
    out = max(-60, min(60, finest, 40 - math.frexp(max(lazy.range.magnitude, 1e-30))[1]))
    m = Multipliers.of(w.factor * 2.0 ** (out - scale), bits)
    if np.all(m.packed == m.packed.flat[0]):
        register = emitter.mulshift(own, emitter.const(int(m.mantissas.flat[0])), emitter.const(int(m.shifts.flat[0])))
    else:
        view = ctx.builder.const_view(m.packed, Const(m.packed, w.stacked))
        names: dict[int, Affine] = {axis: (0, ((channel, 1),)) for axis, channel in enumerate(channels)}
        register = m.applied(emitter, own, emitter.load(view.renamed(names)), *emitter.bounds[own])
    return emitter.done(register, out)


def _sum_bits(lazy: LazyOp, w: ChannelWeights) -> int:
    """Bits of magnitude that a sum over weights certainly has at most, as the audit will find it: of very large ones it adds up none."""
    if w.view.tensor.elements > SHARP_LIMIT:
        return lazy.bits
    other = next(view for view in lazy.views if view.tensor is not w.view.tensor)
    reach = max(abs(other.tensor.low), abs(other.tensor.high), abs(other.fill))
    return min((reach * w.sum).bit_length(), lazy.bits)


def stored(ctx: Context, item: Item, axes: Sequence[int]) -> LazyOp:
    lazy = item if isinstance(item, LazyOp) else ctx.lazy_op(item)
    return innermost(ctx, lazy, axes)


@rule("dot_general")
def _dot_general(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    (lhs_sum, rhs_sum), (lhs_batch, rhs_batch) = node.params["dimension_numbers"]
    left, right = items
    shape = node.outputs[0].shape
    nb = len(lhs_batch)
    lhs_free = [d for d in range(len(left.shape)) if d not in (*lhs_sum, *lhs_batch)]
    rhs_free = [d for d in range(len(right.shape)) if d not in (*rhs_sum, *rhs_batch)]
    out_of: list[Mapping[int, int]] = [
        {d: at for at, d in enumerate(lhs_batch)} | {d: nb + at for at, d in enumerate(lhs_free)},
        {d: at for at, d in enumerate(rhs_batch)} | {d: nb + len(lhs_free) + at for at, d in enumerate(rhs_free)},
    ]
    sums = [tuple(lhs_sum), tuple(rhs_sum)]
    domain = tuple(left.shape[d] for d in lhs_sum)
    const = next((j for j, x in enumerate(items) if isinstance(x, Const)), None)
    active = [j for j in (0, 1) if j != const]
    ops = {j: stored(ctx, items[j], sums[j]) for j in active}
    rows = {j: by_row(ctx, d, sums[j]) for j, d in ops.items() if ctx.builder.formats.by_row(d.range)}
    ops.update({j: found.mantissa for j, found in rows.items()})
    views = {j: _placed(ctx.builder.view(d), out_of[j], sums[j]) for j, d in ops.items()}

    def back(lazy: LazyOp) -> LazyOp:
        """The accumulator with the shifts of its operands' rows undone."""
        emitter = CodeEmitter(lazy)
        register, scale = 0, lazy.scale
        for j, found in rows.items():
            amount = found.amount(emitter, out_of[j])
            excess = max(0, emitter.bits(register) + emitter.bounds[amount][1] - (WORD - 1))
            register, scale = shifted_back(emitter, emitter.shift(register, -excess), amount), scale - excess
        return emitter.done(register, scale) if rows else lazy

    if const is None:
        scale = ops[0].scale + ops[1].scale
        pair = [views[0], views[1]]
        return back(reduced(ctx, Monoid.SUM, pair, shape, domain, scale, node.outputs[0].dtype, ctx.range(node)))
    item, other = items[const], 1 - const
    assert isinstance(item, Const)
    if ops[other].exact and node.outputs[0].dtype.kind in "iub":
        exact = ctx.tensor(item)
        view = _placed(ctx.builder.view(exact), out_of[const], sums[const])
        return reduced(ctx, Monoid.SUM, [views[other], view], shape, domain, 0, node.outputs[0].dtype, ctx.range(node))
    strides = views[other].strides()
    inner = sorted(range(len(domain)), key=lambda j: -abs(strides.get(BOX + j, 0)))
    kept = [d for d in range(len(item.shape)) if d not in sums[const]]
    summed = [sums[const][j] for j in inner]
    out = node.outputs[0]
    w = weights(ctx, item, kept, summed, ctx.range(node).hint.fine, ctx.rounded.get(out), ctx.raised.get(out))
    view = _placed(w.view, out_of[const], sums[const])
    lazy = reduced(
        ctx, Monoid.SUM, [views[other], view], shape, domain, ops[other].scale, node.outputs[0].dtype, ctx.range(node)
    )
    return rescaled(ctx, back(lazy), w, [out_of[const][d] for d in kept])


def _placed(view: StridedView, outputs: Mapping[int, int], sums: Sequence[int]) -> StridedView:
    names: dict[int, Affine] = {d: (0, ((at, 1),)) for d, at in outputs.items()}
    names.update({d: (0, ((BOX + j, 1),)) for j, d in enumerate(sums)})
    return view.renamed(names)
