"""Element-wise primitives: what all of them share. Arithmetic becomes code, functions become tables (or exact wide arithmetic)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import WORD, Const, LazyOp, TabledFunction
from prover.lowering.formats import is_real, scale_for
from prover.lowering.graph import FloatNode
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.infinity import HUGE
from prover.lowering.rules.context import KEPT_BITS, TABLE_CHAIN, Context, Fix, Item, stretch

FINE = 20
"""Fraction bits that an operand gains when it meets a finer constant."""

DRAWN = 25
"""The same of an operand that is drawn: every float32 constant is exact beside it."""

UNLIMITED = 1 << 16
"""A scale beyond all that operands have."""


def _composed(ctx: Context, node: FloatNode, items: Sequence[Item], smooth: bool) -> TabledFunction | None:
    """The chain of the result: the node's own function after the operands' functions of one and the same narrow integer."""
    if any(isinstance(x, Const) and (x.stacked or x.scalar is None) for x in items):
        return None
    shape = node.outputs[0].shape
    pieces: list[TabledFunction | float] = []
    for item in items:
        if isinstance(item, Const):
            scalar = item.scalar
            assert scalar is not None
            pieces.append(scalar)
            continue
        chain = ctx.chain(item)
        if chain is None:
            return None
        if item.shape != shape:
            chain = replace(chain, view=chain.view.renamed(dict(enumerate(stretch(item.shape, shape)))))
        pieces.append(chain)
    chains = [piece for piece in pieces if isinstance(piece, TabledFunction)]
    base = chains[0]
    if any(chain.view != base.view for chain in chains):
        return None
    primitive, params = node.primitive, _double(node.params)
    dtypes = [x.dtype if isinstance(x, LazyOp) else x.array.dtype for x in items]

    def fn(x: Any) -> Any:
        arguments = []
        for piece, dtype in zip(pieces, dtypes, strict=True):
            value = piece.fn(x) if isinstance(piece, TabledFunction) else jnp.full(x.shape, piece)
            arguments.append(jnp.asarray(value).astype(jnp.float64 if is_real(dtype) else dtype))
        return primitive.bind(*arguments, **params)

    length = 1 + max(chain.length for chain in chains)
    return TabledFunction(
        base.view, base.scale, fn, length, smooth or length >= TABLE_CHAIN or any(chain.pending for chain in chains)
    )


def _double(params: Any) -> dict[str, Any]:
    """Parameters for evaluation in double precision."""
    changed = dict(params)
    if "new_dtype" in changed and is_real(changed["new_dtype"]):
        changed["new_dtype"] = np.dtype(np.float64)
    return changed


Emit = Callable[[Context, FloatNode, CodeEmitter, "list[Fix | Const]"], Fix]


def elementwise(
    smooth: bool = False, ring: bool = False
) -> Callable[[Emit], Callable[[Context, FloatNode, Sequence[Item]], LazyOp]]:
    """A rule from the code that it emits; ``smooth`` functions of one narrow integer become tables instead.

    Integer registers stand for their value modulo 2^bits of their dtype. That is enough for a ``ring`` operation; any other
    one gets its integer operands wrapped into their dtype first.
    """

    def make(emit: Emit) -> Callable[[Context, FloatNode, Sequence[Item]], LazyOp]:
        def lower(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
            chain = _composed(ctx, node, items, smooth)
            if chain is not None and chain.pending and len(node.outputs) == 1:
                return replace(ctx.blank(node), chain=chain, order=_order(items))
            emitter, operands = ctx.merged(node, items)
            operands = [
                _wrapped(ctx, emitter, x, item, RING_BITS if ring else 0)
                for x, item in zip(operands, items, strict=True)
            ]
            return ctx.finish(node, emitter, emit(ctx, node, emitter, operands), chain)

        return lower

    return make


RING_BITS = 40
"""Integers below this magnitude stay unwrapped between ring operations, so that a sum of some of them cannot pass 64 bits."""


def _wrapped(ctx: Context, emitter: CodeEmitter, operand: Fix | Const, item: Item, bits: int) -> Fix | Const:
    """An integer operand reduced into its own dtype if its register may have more than ``bits`` bits; a real one fits a word."""
    if isinstance(operand, Const) or isinstance(item, Const):
        return operand
    if item.dtype.kind not in "iu":
        return operand if item.exact else ctx.fit(emitter, operand, WORD - 1)
    if emitter.bits(operand.register) <= bits:
        return operand
    return replace(operand, register=emitter.wrapped(operand.register, item.dtype))


def _order(items: Sequence[Item]) -> tuple[int, ...] | None:
    return next((x.order for x in items if isinstance(x, LazyOp) and x.order is not None), None)


def align(
    ctx: Context,
    emitter: CodeEmitter,
    operands: Sequence[Fix | Const],
    exact: bool = False,
    observed: RealRange | None = None,
) -> tuple[list[int], int]:
    """Registers of all operands at one scale, and that scale; no register exceeds 61 bits.

    ``exact``: operands keep their grid, whatever a constant needs. ``observed``: the result's range, if it bounds what counts.
    """
    fixes = [x for x in operands if isinstance(x, Fix)]
    scale = max(x.scale for x in fixes)
    bits = DRAWN if any(x.range.drawn for x in fixes) else FINE
    for const in operands:
        if isinstance(const, Const) and not exact:
            scale = max(scale, min(wanted(const, bits), scale + bits))
    room = min(WORD - 1 - emitter.bits(x.register) + x.scale for x in fixes)
    scale = min(scale, max(room, min(x.scale for x in fixes)))
    if not exact:
        scale = min(scale, finest(operands, observed))
    registers = []
    for x in operands:
        if isinstance(x, Const):
            registers.append(ctx.constant(emitter, x, scale))
        else:
            x = ctx.fit(emitter, x, WORD - 1 - max(0, scale - x.scale)) if scale > x.scale else x
            registers.append(emitter.shift(x.register, scale - x.scale))
    return registers, scale


def finest(operands: Sequence[Fix | Const], observed: RealRange | None = None) -> int:
    """The largest scale at which a register holds every real constant. Infinities take what room there is, and so does what is so far
    beyond the result that this would lose ``KEPT_BITS``: a mask, a bound.
    """
    reals = [np.abs(x.finite) for x in operands if isinstance(x, Const) and is_real(x.array.dtype)]
    largest = max((float(x.max(initial=0.0, where=x < HUGE)) for x in reals), default=0.0)
    if not largest:
        return UNLIMITED
    scale = WORD - 2 - math.frexp(largest)[1]
    return scale if observed is None else max(scale, KEPT_BITS - math.frexp(observed.magnitude)[1])


def wanted(const: Const, bits: int = FINE) -> int:
    """The scale that represents a constant exactly, or with as many bits."""
    finite = const.finite
    magnitude = float(np.abs(finite).max())
    best = scale_for(magnitude, bits) if magnitude else 0
    for scale in range(min(best, 40)):
        scaled = finite * 2.0**scale
        if np.array_equal(scaled, np.rint(scaled)):
            return scale
    return best


def constant(value: float) -> Const:
    """A real number as an operand."""
    return Const(np.array(value, dtype=np.float64))


def fixed(operand: Fix | Const) -> Fix:
    assert isinstance(operand, Fix)
    return operand
