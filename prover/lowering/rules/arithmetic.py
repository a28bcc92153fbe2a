"""Arithmetic, element by element: sums, products, quotients, powers, signs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import WORD, Const
from prover.lowering.formats import MARGIN, ROW_BITS, SCALE_LIMIT, quantize, scale_for
from prover.lowering.graph import FloatNode
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.infinity import DEEP, HUGE
from prover.lowering.rules.context import Context, Fix, rule
from prover.lowering.rules.elementwise import align, constant, elementwise, fixed
from prover.lowering.rules.multipliers import Multipliers
from prover.lowering.rules.words import integer_product, integer_sum, truncated

SPREAD = 64.0
"""Elements of a constant that differ by more than this factor get a multiplier with a shift of its own each."""

MULTIPLIER_BITS = 24


@rule("add", "add_any")
@elementwise(ring=True)
def _add(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    (a, b), scale = align(ctx, emitter, operands, observed=ctx.range(node))
    return Fix(_sum(emitter, a, b, node, subtract=False), scale, ctx.range(node))


def _sum(emitter: CodeEmitter, a: int, b: int, node: FloatNode, subtract: bool) -> int:
    if node.outputs[0].dtype.kind in "iu":
        return integer_sum(emitter, a, b, node.outputs[0].dtype, subtract)
    return emitter.sub(a, b) if subtract else emitter.add(a, b)


@rule("sub")
@elementwise(ring=True)
def _sub(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    (a, b), scale = align(ctx, emitter, operands, observed=ctx.range(node))
    return Fix(_sum(emitter, a, b, node, subtract=True), scale, ctx.range(node))


@rule("neg")
@elementwise(ring=True)
def _neg(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = fixed(operands[0])
    return Fix(_sum(emitter, emitter.const(0), x.register, node, subtract=True), x.scale, x.range)


def times_const(ctx: Context, emitter: CodeEmitter, x: Fix, const: Const, observed: RealRange) -> Fix:
    """x times a real constant: an integer multiplier of up to 24 bits; powers of two only move the scale.

    A constant that is as good as infinite (``HUGE``) gives an end of the result's format for every x but 0.
    """
    huge = ~(np.abs(const.array.astype(np.float64)) < HUGE)
    if huge.any():
        return _times_huge(ctx, emitter, x, const, huge, observed)
    value = const.scalar
    if value is not None and float(value) == 0.0:
        return Fix(emitter.const(0), 0, observed)
    if value is not None and math.frexp(abs(float(value)))[0] == 0.5:
        register = x.register if value > 0 else emitter.neg(x.register)
        return Fix(register, x.scale - (math.frexp(abs(float(value)))[1] - 1), observed)
    if value is None and _spread(const) > SPREAD:
        return _times_each(ctx, emitter, x, const, observed)
    x = ctx.fit(emitter, x, WORD - 1 - 16)
    bits = min(24, WORD - 1 - emitter.bits(x.register))
    finite = const.finite
    scale = scale_for(float(np.abs(finite).max()), bits)
    integers = quantize(finite, scale, -(1 << bits), 1 << bits)
    common = int(np.gcd.reduce(integers.reshape(-1)))
    spare = (common & -common).bit_length() - 1 if common else 0
    return Fix(emitter.mul(x.register, ctx.constant(emitter, const, scale - spare)), x.scale + scale - spare, observed)


def _spread(const: Const) -> float:
    """How far the largest magnitude of a constant exceeds the least that is not 0."""
    magnitudes = np.abs(const.finite)
    return float(magnitudes.max() / magnitudes[magnitudes > 0].min()) if magnitudes.any() else 1.0


def _times_each(ctx: Context, emitter: CodeEmitter, x: Fix, const: Const, observed: RealRange) -> Fix:
    """x times a constant whose elements keep ``MULTIPLIER_BITS`` bits each, however much they differ."""
    exponent = math.frexp(float(np.abs(const.finite).max()))[1]
    room = min(WORD - 1 - emitter.bits(x.register), MULTIPLIER_BITS) - exponent
    out = min(x.scale + room, 40 - math.frexp(max(observed.magnitude, 1e-30))[1], SCALE_LIMIT)
    m = Multipliers.of(const.finite * 2.0 ** (out - x.scale), MULTIPLIER_BITS)
    mantissa, shift = (
        ctx.builder.load_integers(emitter, Const(array, const.stacked)) for array in (m.mantissas, m.shifts)
    )
    return Fix(m.multiplied(emitter, x.register, mantissa, shift, *emitter.bounds[x.register]), out, observed)


def _times_huge(ctx: Context, emitter: CodeEmitter, x: Fix, const: Const, huge: np.ndarray, observed: RealRange) -> Fix:
    """x times a constant that is ``huge`` here and there: a mask times the least float, say."""
    reach = observed.magnitude * MARGIN + max(observed.room, DEEP)
    scale = scale_for(reach, ROW_BITS)
    zero = emitter.const(0)
    sign = emitter.less(zero, x.register)
    if emitter.bounds[x.register][0] < 0:
        sign = emitter.sub(sign, emitter.less(x.register, zero))
    ends = Const(np.where(huge, np.sign(const.array), 0) * math.floor(reach * 2.0**scale), const.stacked)
    far = emitter.mul(sign, ctx.constant(emitter, ends, 0))
    if huge.all():
        return Fix(far, scale, observed)
    near = times_const(ctx, emitter, x, Const(np.where(huge, 0, const.array), const.stacked), observed)
    (a, b), common = align(ctx, emitter, [Fix(far, scale, observed), near])
    return Fix(emitter.add(a, b), common, observed)


@rule("mul")
@elementwise(ring=True)
def _mul(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    a, b = operands
    if node.outputs[0].dtype.kind in "iub":
        (ra, rb), _ = align(ctx, emitter, operands, exact=True)
        return Fix(integer_product(emitter, ra, rb, node.outputs[0].dtype), 0, ctx.range(node))
    if isinstance(a, Const):
        a, b = b, a
    if isinstance(b, Const):
        return times_const(ctx, emitter, fixed(a), b, ctx.range(node))
    return product(ctx, emitter, fixed(a), b, ctx.range(node))


def product(ctx: Context, emitter: CodeEmitter, a: Fix, b: Fix, observed: RealRange) -> Fix:
    """a times b; if the exact product could need more than 61 bits, the larger operand gives up low bits first."""
    room = WORD - 1
    if emitter.bits(a.register) + emitter.bits(b.register) > room:
        a, b = ctx.fit(emitter, a, max(31, room - emitter.bits(b.register))), b
        b = ctx.fit(emitter, b, room - emitter.bits(a.register))
    return Fix(emitter.mul(a.register, b.register), a.scale + b.scale, observed)


@rule("square")
@elementwise()
def _square(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    if node.outputs[0].dtype.kind in "iu":
        own, register = node.outputs[0].dtype, fixed(operands[0]).register
        return Fix(integer_product(emitter, register, register, own), 0, ctx.range(node))
    x = ctx.fit(emitter, fixed(operands[0]), (WORD - 1) // 2)
    return Fix(emitter.mul(x.register, x.register), 2 * x.scale, ctx.range(node))


@rule("div")
@elementwise(smooth=False)
def _div(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    a, b = operands
    if node.outputs[0].dtype.kind in "iu":
        (ra, rb), _ = align(ctx, emitter, operands, exact=True)
        return Fix(truncated(emitter, ra, rb), 0, ctx.range(node))
    if isinstance(b, Const):
        with np.errstate(divide="ignore"):
            inverse = np.where(b.array == 0, 0, 1.0 / b.array.astype(np.float64))
        return times_const(ctx, emitter, fixed(a), Const(inverse, b.stacked), ctx.range(node))
    return quotient(ctx, emitter, a, fixed(b), ctx.range(node))


def quotient(ctx: Context, emitter: CodeEmitter, a: Fix | Const, b: Fix, observed: RealRange) -> Fix:
    """a / b rounded to nearest, with some 30 fraction bits more than the result's magnitude needs; 0 where b is 0."""
    b = ctx.fit(emitter, b, 31)
    if isinstance(a, Const):
        finite = a.finite
        scale = scale_for(float(np.abs(finite).max()), WORD - 3)
        a = Fix(ctx.constant(emitter, a, scale), scale, observed)
        numerator, scale = a.register, a.scale
    else:
        a = ctx.fit(emitter, a, 33)
        left = WORD - 3 - emitter.bits(a.register)
        numerator, scale = emitter.shift(a.register, left), a.scale + left
    half = emitter.div(b.register, emitter.const(2))
    result = Fix(emitter.div(emitter.add(numerator, half), b.register), scale - b.scale, observed)
    wanted = scale_for(observed.magnitude * MARGIN * 2, 40)
    if result.scale > wanted:
        result = Fix(emitter.shift(result.register, wanted - result.scale), wanted, observed)
    return ctx.fit(emitter, result, 42)


@rule("rem")
@elementwise()
def _rem(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    (a, b), scale = align(ctx, emitter, operands, exact=True)
    own = node.outputs[0].dtype
    if own.kind in "iu":
        rest = integer_sum(emitter, a, integer_product(emitter, truncated(emitter, a, b), b, own), own, subtract=True)
        return Fix(rest, scale, ctx.range(node))
    whole = truncated(emitter, a, b)
    if emitter.bits(whole) + emitter.bits(b) < WORD:
        return Fix(emitter.sub(a, emitter.mul(whole, b)), scale, ctx.range(node))
    # The product is no larger than the operand, but its factors' bounds don't show it: it may wrap, and comes back in the difference.
    words, reach = np.dtype(np.int64), max(map(abs, emitter.bounds[b]))
    rest = integer_sum(emitter, a, integer_product(emitter, whole, b, words), words, subtract=True)
    return Fix(emitter.clamp(rest, -reach, reach), scale, ctx.range(node))


@rule("integer_pow")
@elementwise()
def _integer_pow(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    exponent = int(node.params["y"])
    base = fixed(operands[0])
    if exponent == 0:
        return Fix(emitter.const(1), 0, ctx.range(node))
    if node.outputs[0].dtype.kind in "iu":
        own, register = node.outputs[0].dtype, emitter.const(1)
        for bit in bin(exponent)[2:]:
            register = integer_product(emitter, register, register, own)
            if bit == "1":
                register = integer_product(emitter, register, base.register, own)
        return Fix(register, 0, ctx.range(node))
    result: Fix | None = None
    power, left = base, abs(exponent)
    while left:
        if left & 1:
            result = (
                power if result is None else product(ctx, emitter, result, power, powered(base.range, abs(exponent)))
            )
        left >>= 1
        if left:
            power = product(ctx, emitter, power, power, powered(power.range, 2))
    assert result is not None
    if exponent < 0:
        return quotient(ctx, emitter, constant(1.0), result, ctx.range(node))
    return replace(result, range=ctx.range(node))


def powered(observed: RealRange, exponent: int) -> RealRange:
    magnitude = observed.magnitude**exponent
    return RealRange(-magnitude, magnitude, magnitude)


@rule("abs")
@elementwise()
def _abs(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = fixed(operands[0])
    return Fix(emitter.abs(x.register), x.scale, ctx.range(node))


@rule("sign")
@elementwise()
def _sign(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = fixed(operands[0])
    zero = emitter.const(0)
    return Fix(emitter.sub(emitter.less(zero, x.register), emitter.less(x.register, zero)), 0, ctx.range(node))
