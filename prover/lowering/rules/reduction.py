"""Reductions, windows, arguments and running reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import BOX, WORD, LazyOp, magnitude_bits
from prover.lowering.emit.views import StridedView
from prover.lowering.formats import MARGIN, Format, scale_for
from prover.lowering.graph import FloatNode
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.rules.context import Context, Item, rule, unsupported
from prover.lowering.rules.movement import Affine, bounded, copied, padded
from rollup.audit.ranges import Range, product_of
from rollup.audit.ranges import reduced as reduced_range
from rollup.form.ops import ARGUMENTS, Monoid, Opcode
from rollup.types import LEAF_BYTES, DType

SMALL_BYTES = 4096
"""Operands larger than this are stored with the reduced dimension last, if they have to be stored before they are reduced."""

SCATTERED_LEAVES = 512
"""Most leaves of an operand that one element reads where it lies; of more of them, a copy brings the reduced dimension together.

One answer of 64 partial results leaves eight leaves to a part: that is proven as cheaply as a row of adjacent elements. More leaves
would cost a dispute another round.
"""


def reduced(
    ctx: Context,
    monoid: Monoid,
    views: Sequence[StridedView],
    shape: tuple[int, ...],
    domain: tuple[int, ...],
    scale: int,
    dtype: np.dtype,
    observed: RealRange,
) -> LazyOp:
    """A lazy op that is nothing but a reduction; the domain is put in the order of the first operand's memory."""
    strides = views[0].strides()
    order = sorted(range(len(domain)), key=lambda j: -abs(strides.get(BOX + j, 0)))
    if monoid in ARGUMENTS:
        order = list(range(len(domain)))
    rename: dict[int, Affine] = {BOX + old: (0, ((BOX + new, 1),)) for new, old in enumerate(order)}
    views = tuple(view.renamed(rename) for view in views)
    domain = tuple(domain[j] for j in order)
    return LazyOp(
        shape, np.dtype(dtype), observed, monoid, domain, len(views), views, (), (_range(monoid, views, domain),), scale
    )


def _range(monoid: Monoid, views: Sequence[StridedView], domain: Sequence[int]) -> Range:
    return reduced_range(monoid, product_of([view.range for view in views]), math.prod(domain))


def _axes(lazy: LazyOp, axes: Sequence[int]) -> tuple[dict[int, Affine], tuple[int, ...], tuple[int, ...]]:
    """(old variable -> new variable or domain, output shape, domain)."""
    kept = [d for d in range(len(lazy.shape)) if d not in axes]
    mapping: dict[int, Affine] = {d: (0, ((at, 1),)) for at, d in enumerate(kept)}
    mapping.update({d: (0, ((BOX + at, 1),)) for at, d in enumerate(axes)})
    return mapping, tuple(lazy.shape[d] for d in kept), tuple(lazy.shape[d] for d in axes)


def innermost(ctx: Context, lazy: LazyOp, axes: Sequence[int]) -> LazyOp:
    """The lazy op in memory, with the reduced axes last if it is written first, or lies scattered."""
    kept = [d for d in range(len(lazy.shape)) if d not in axes]
    lazy = ctx.narrowed(lazy)
    if lazy.as_view() is None and "read" not in lazy.memo and large(lazy):
        lazy = replace(lazy, order=(*kept, *axes), memo={})
    lazy = ctx.builder.materialised(lazy)
    if _near(ctx.builder.view(lazy), lazy.shape, axes):
        return lazy
    return copied(ctx, lazy, (*kept, *axes))


def _near(view: StridedView, shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether the elements along the axes lie in few leaves."""
    strides, size = view.strides(), view.tensor.dtype.size
    steps = [abs(strides.get(d, 0)) * size for d in axes if shape[d] > 1]
    # Iterations that are stacked lie in leaves of their own.
    apart = LEAF_BYTES if view.stacked else min(steps, default=0)
    return apart <= size or math.prod(shape[d] for d in axes) * min(apart, LEAF_BYTES) <= SCATTERED_LEAVES * LEAF_BYTES


def _gathered(
    ctx: Context, factors: tuple[StridedView, StridedView], lazy: LazyOp, axes: Sequence[int]
) -> tuple[StridedView, StridedView]:
    """The factors of a product over the lazy op's shape, copied where they are far apart along the axes."""
    order = (*(d for d in range(len(lazy.shape)) if d not in axes), *axes)
    found: dict[StridedView, StridedView] = {}
    for view in factors:
        if view not in found:
            far = view.tensor.root is None and not _near(view, lazy.shape, axes)
            one = ctx.builder.loaded(view, lazy.shape, lazy.dtype, 0, lazy.range)
            found[view] = ctx.builder.view(copied(ctx, one, order)) if far else view
    return found[factors[0]], found[factors[1]]


def large(lazy: LazyOp) -> bool:
    """Whether a lazy op that is not in memory yet will be large there."""
    return math.prod(lazy.shape) * 2 > SMALL_BYTES


def _reduce(monoid: Monoid) -> None:
    name = {Monoid.SUM: "reduce_sum", Monoid.MAX: "reduce_max", Monoid.MIN: "reduce_min"}[monoid]

    @rule(name)
    def lower(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
        lazy, axes = items[0], tuple(node.params["axes"])
        assert isinstance(lazy, LazyOp)
        factors = lazy.as_product() if monoid is Monoid.SUM else None
        if factors is None and monoid is Monoid.SUM and _squares(lazy):
            lazy, factors = _rooted(ctx, lazy, axes)
        if factors is not None and not _summable(factors, [lazy.shape[d] for d in axes]):
            lazy, factors = (lazy, None) if lazy.exact else _summed_coarser(ctx, lazy, factors, axes)
        if factors is None:
            lazy = innermost(ctx, lazy, axes)
            factors = (ctx.builder.view(lazy),)  # type: ignore[assignment]
        else:
            factors = _gathered(ctx, factors, lazy, axes)
        mapping, shape, domain = _axes(lazy, axes)
        views = [view.renamed(mapping) for view in factors]  # type: ignore[union-attr]
        return reduced(ctx, monoid, views, shape, domain, lazy.scale, node.outputs[0].dtype, ctx.range(node))


def _summable(factors: tuple[StridedView, StridedView], domain: Sequence[int]) -> bool:
    """Whether a sum of products certainly fits 64 bits; an input may hold any value of its dtype."""
    held = [view.tensor for view in factors]
    reaches = [-t.dtype.min if t.input is not None else max(abs(t.low), abs(t.high)) for t in held]
    return math.prod(reaches) * math.prod(domain) < 1 << 63


def _squares(lazy: LazyOp) -> bool:
    """Whether a real lazy op ends by squaring a register."""
    last = lazy.code[-1] if lazy.code and not lazy.pending and not lazy.exact else None
    return last is not None and last.op is Opcode.MUL and last.args[0] == last.args[1]


def _rooted(ctx: Context, lazy: LazyOp, axes: Sequence[int]) -> tuple[LazyOp, tuple[StridedView, StridedView]]:
    """A square whose root is stored, not it: a square needs twice the bits that its root does."""
    count = math.prod(lazy.shape[d] for d in axes)
    bits = min(30, (WORD - (count - 1).bit_length()) // 2)
    magnitude = math.sqrt(max(lazy.range.magnitude, 0.0))
    root = CodeEmitter(lazy).done(
        lazy.code[-1].args[0], lazy.scale // 2, range=RealRange(-magnitude, magnitude, magnitude)
    )
    form = Format(DType.I32, scale_for(magnitude * MARGIN, bits), -(1 << bits), (1 << bits) - 1)
    view = ctx.builder.view(ctx.builder.stored(root, form))
    return replace(lazy, scale=2 * form.scale), (view, view)


def _summed_coarser(
    ctx: Context, lazy: LazyOp, factors: tuple[StridedView, StridedView], axes: Sequence[int]
) -> tuple[LazyOp, tuple[StridedView, StridedView]]:
    """The product with its factors saturated to their formats and rounded to as many bits as a certified sum leaves them."""
    count = math.prod(lazy.shape[d] for d in axes)
    bits = (WORD - (count - 1).bit_length()) // 2
    found: dict[StridedView, tuple[StridedView, int]] = {}
    for view in factors:
        if view not in found:
            one = ctx.builder.loaded(view, lazy.shape, lazy.dtype, 0, lazy.range)
            low, high = view.tensor.low, view.tensor.high
            lost = max(0, magnitude_bits(low, high) - bits)
            emitter = CodeEmitter(one)
            # The bounds are the format's; an input may hold more, and instructions that seem to change nothing are left out.
            register = emitter.minimum(1, emitter.const(high))
            register = emitter.maximum(register, emitter.const(low))
            copy = emitter.done(emitter.shift(register, -lost), 0)
            dtype = DType.holding(copy.low, copy.high)
            found[view] = ctx.builder.view(ctx.builder.read(ctx.builder.emit(copy, dtype), copy)), lost
    pairs = [found[view] for view in factors]
    return replace(lazy, scale=lazy.scale - sum(lost for _, lost in pairs)), (pairs[0][0], pairs[1][0])


for _monoid in (Monoid.SUM, Monoid.MAX, Monoid.MIN):
    _reduce(_monoid)


def _logical(name: str, monoid: Monoid) -> None:
    @rule(name)
    def lower(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
        lazy = ctx.tensor(items[0])
        if node.outputs[0].dtype != np.bool_:
            raise unsupported(node, "it reduces integers bitwise", "reduce booleans, or use sums, maxima and minima")
        mapping, shape, domain = _axes(lazy, tuple(node.params["axes"]))
        return reduced(
            ctx,
            monoid,
            [ctx.builder.view(lazy).renamed(mapping)],
            shape,
            domain,
            0,
            np.dtype(np.bool_),
            ctx.range(node),
        )


_logical("reduce_and", Monoid.MIN)
_logical("reduce_or", Monoid.MAX)


def _argument(name: str, monoid: Monoid) -> None:
    @rule(name)
    def lower(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
        assert isinstance(items[0], LazyOp)
        lazy = innermost(ctx, items[0], tuple(node.params["axes"]))
        mapping, shape, domain = _axes(lazy, tuple(node.params["axes"]))
        return reduced(
            ctx,
            monoid,
            [ctx.builder.view(lazy).renamed(mapping)],
            shape,
            domain,
            0,
            node.outputs[0].dtype,
            ctx.range(node),
        )


_argument("argmax", Monoid.ARGMAX)
_argument("argmin", Monoid.ARGMIN)


def _window(name: str, monoid: Monoid, neutral: float) -> None:
    @rule(name)
    def lower(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
        params = node.params
        lazy = ctx.tensor(items[0])
        if any(n > 1 for n in params["base_dilation"]):
            lazy = padded(ctx, node, lazy, neutral, [(0, 0, n - 1) for n in params["base_dilation"]])
        return windowed(
            ctx,
            node,
            lazy,
            monoid,
            neutral,
            params["window_dimensions"],
            params["window_strides"],
            params["padding"],
            params["window_dilation"],
        )


def windowed(
    ctx: Context,
    node: FloatNode,
    lazy: LazyOp,
    monoid: Monoid,
    neutral: float,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
) -> LazyOp:
    """Reduce a window that slides over the lazy op; positions outside read the monoid's neutral element."""
    shape = node.outputs[0].shape
    reach = [
        (-low, (n - 1) * stride + (w - 1) * step - low + 1)
        for n, stride, w, step, (low, _) in zip(shape, strides, window, dilation, padding, strict=True)
    ]
    view = bounded(ctx, lazy, reach)
    axes = [d for d, w in enumerate(window) if w > 1]
    mapping: dict[int, Affine] = {}
    for d, (low, _) in enumerate(padding):
        parts = [(d, strides[d])] + ([(BOX + axes.index(d), dilation[d])] if d in axes else [])
        mapping[d] = (-low, tuple(parts))
    dtype = view.tensor.dtype
    fill = 0 if monoid is Monoid.SUM else dtype.min if neutral < 0 else dtype.max
    if all(low >= 0 and high <= n for (low, high), n in zip(reach, lazy.shape, strict=True)):
        fill = 0
    seen = replace(view.renamed(mapping), fill=fill)
    domain = tuple(window[d] for d in axes)
    result = reduced(ctx, monoid, [seen], shape, domain, lazy.scale, node.outputs[0].dtype, ctx.range(node))
    return replace(result, order=_channels_last(view, len(shape)))


def _channels_last(view: StridedView, rank: int) -> tuple[int, ...] | None:
    """The order of the operand's memory, kept for the result."""
    strides = view.strides()
    order = tuple(sorted(range(rank), key=lambda d: -abs(strides.get(d, 0))))
    return None if order == tuple(range(rank)) else order


_window("reduce_window_sum", Monoid.SUM, 0.0)
_window("reduce_window_max", Monoid.MAX, -np.inf)
_window("reduce_window_min", Monoid.MIN, np.inf)

RUN_LIMIT = 1024
"""Longest running extreme in one op, which executes it pair by pair; a running sum of any length is one."""


def _running(name: str, monoid: Monoid, neutral: float) -> None:
    @rule(name)
    def lower(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
        axis, reverse = int(node.params["axis"]), bool(node.params["reverse"])
        lazy = innermost(ctx, ctx.tensor(items[0]), [axis])
        n = lazy.shape[axis]
        step = 1
        # Logarithmic steps: after each, an element covers twice as many.
        while monoid is not Monoid.SUM and n // step > RUN_LIMIT:
            lazy = ctx.builder.materialised(_run(ctx, node, lazy, monoid, axis, reverse, neutral, 2, step))
            step *= 2
        count = -(-n // step)
        return _run(ctx, node, lazy, monoid, axis, reverse, neutral, count, step)


def _run(
    ctx: Context,
    node: FloatNode,
    lazy: LazyOp,
    monoid: Monoid,
    axis: int,
    reverse: bool,
    neutral: float,
    count: int,
    step: int,
) -> LazyOp:
    """out[i] = monoid over k < count of x[i - step k] (x[i + step k] in reverse), the neutral element outside."""
    n, reach = lazy.shape[axis], step * (count - 1)
    span = (0, n + reach) if reverse else (-reach, n)
    view = bounded(ctx, lazy, [span if d == axis else (0, size) for d, size in enumerate(lazy.shape)])
    dtype = view.tensor.dtype
    fill = 0 if monoid is Monoid.SUM else dtype.min if neutral < 0 else dtype.max
    seen = replace(view.renamed({axis: (0, ((axis, 1), (BOX, step if reverse else -step)))}), fill=fill)
    return reduced(ctx, monoid, [seen], lazy.shape, (count,), lazy.scale, node.outputs[0].dtype, ctx.range(node))


_running("cumsum", Monoid.SUM, 0.0)
_running("cummax", Monoid.MAX, -np.inf)
_running("cummin", Monoid.MIN, np.inf)
