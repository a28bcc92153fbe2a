"""Convolutions of one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prover.lowering.emit.emitter import reindexed
from prover.lowering.emit.lazy import BOX, Const, LazyOp
from prover.lowering.emit.views import StridedView
from prover.lowering.graph import FloatNode
from prover.lowering.rules.context import Context, Item, rule
from prover.lowering.rules.linear import rescaled, stored, weights
from prover.lowering.rules.movement import Affine, bounded, padded
from prover.lowering.rules.reduction import innermost, reduced
from rollup.form.ops import Monoid, Term


@rule("conv_general_dilated")
def _convolution(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    params, numbers = node.params, node.params["dimension_numbers"]
    rank = len(numbers.lhs_spec) - 2
    x = ctx.tensor(items[0])
    xn, xc, xs = numbers.lhs_spec[0], numbers.lhs_spec[1], numbers.lhs_spec[2:]
    ko, ki, ks = numbers.rhs_spec[0], numbers.rhs_spec[1], numbers.rhs_spec[2:]
    kernel = items[1]
    batch_groups, per_group = params["batch_group_count"], kernel.shape[ki]
    groups = params["feature_group_count"] * batch_groups  # one of them is 1
    features = kernel.shape[ko]
    dilation = params["lhs_dilation"]
    x = ctx.narrowed(x)
    if any(n > 1 for n in dilation):
        config = [(0, 0, 0)] * (rank + 2)
        for d, n in zip(xs, dilation, strict=True):
            config[d] = (0, 0, n - 1)
        x = padded(ctx, node, x, 0.0, config)
    if per_group > 1:
        x = innermost(ctx, x, [xc])
    strides, steps, padding = params["window_strides"], params["rhs_dilation"], params["padding"]
    out = node.outputs[0].shape
    spec = numbers.out_spec
    reach = [(0, n) for n in x.shape]
    for j, d in enumerate(xs):
        extent = (out[spec[2 + j]] - 1) * strides[j] + (kernel.shape[ks[j]] - 1) * steps[j]
        reach[d] = (-padding[j][0], extent - padding[j][0] + 1)
    view = bounded(ctx, x, reach)
    # Output space while it is built: batch, spatial dimensions, group, feature inside its group.
    group_var, feature_var, batch_var = rank + 1, rank + 2, 0
    inside = features // groups
    mapping: dict[int, Affine] = {xn: (0, ((batch_var, 1),))}
    if batch_groups > 1:
        mapping[xn] = (0, ((group_var, x.shape[xn] // batch_groups), (batch_var, 1)))
    for j, d in enumerate(xs):
        mapping[d] = (-padding[j][0], ((1 + j, strides[j]), (BOX + j, steps[j])))
    mapping[xc] = (0, ((group_var, 0 if batch_groups > 1 else per_group), (BOX + rank, 1)))
    seen = view.renamed(mapping)
    shape = (out[spec[0]], *(out[spec[2 + j]] for j in range(rank)), groups, inside)
    domain = (*(kernel.shape[d] for d in ks), per_group)
    names: dict[int, Affine] = {
        ko: (0, ((group_var, inside), (feature_var, 1))),
        ki: (0, ((BOX + rank, 1),)),
        **{d: (0, ((BOX + j, 1),)) for j, d in enumerate(ks)},
    }
    if isinstance(kernel, Const):
        strides_of = seen.strides()
        order = sorted([*range(rank), rank], key=lambda j: -abs(strides_of.get(BOX + j, 0)))
        axes = [*ks, ki]
        result = node.outputs[0]
        inner = [axes[j] for j in order]
        w = weights(ctx, kernel, [ko], inner, chosen=ctx.rounded.get(result), raised=ctx.raised.get(result))
        lazy = reduced(
            ctx,
            Monoid.SUM,
            [seen, w.view.renamed(names)],
            shape,
            domain,
            x.scale,
            node.outputs[0].dtype,
            ctx.range(node),
        )
        split = replace(w, factor=w.factor.reshape((*w.factor.shape[:-1], groups, inside)))
        lazy = rescaled(ctx, lazy, split, [group_var, feature_var])
    else:
        k = stored(ctx, kernel, [ki])
        lazy = reduced(
            ctx,
            Monoid.SUM,
            [seen, ctx.builder.view(k).renamed(names)],
            shape,
            domain,
            x.scale + k.scale,
            node.outputs[0].dtype,
            ctx.range(node),
        )
    return _arranged(ctx, node, lazy, spec, rank, groups, inside)


def _arranged(
    ctx: Context, node: FloatNode, lazy: LazyOp, spec: Sequence[int], rank: int, groups: int, inside: int
) -> LazyOp:
    """From (batch, space, group, feature) to the output's own order of dimensions, memory staying channels-last."""
    if groups > 1 and inside > 1:
        merged = (*lazy.shape[: rank + 1], groups * inside)
        lazy = _join(ctx, lazy, merged)
    else:
        kept = rank + 1 if inside == 1 else rank + 2
        variables: list[Affine] = [(0, ((d, 1),)) for d in range(rank + 1)]
        variables += [(0, ((rank + 1, 1),)) if d == kept else (0, ()) for d in (rank + 1, rank + 2)]
        lazy = reindexed(lazy, (*lazy.shape[: rank + 1], groups * inside), variables)
    # Dimension e of (batch, space, channel) is dimension where[e] of the output.
    where = [spec[0], *spec[2:], spec[1]]
    out = node.outputs[0].shape
    back: list[Affine] = [(0, ((where[e], 1),)) for e in range(rank + 2)]
    result = reindexed(lazy, out, back)
    order = tuple(where)
    return replace(result, order=None if order == tuple(range(rank + 2)) else order, range=ctx.range(node))


def _join(ctx: Context, lazy: LazyOp, merged: tuple[int, ...]) -> LazyOp:
    stored = ctx.builder.materialised(lazy)
    view = ctx.builder.view(stored)
    flat = StridedView(view.tensor, merged, (0,) * len(merged), tuple(Term(d, d, 1) for d in range(len(merged))))
    return ctx.builder.loaded(flat, merged, stored.dtype, stored.scale, stored.range)
