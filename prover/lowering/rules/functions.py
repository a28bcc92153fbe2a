"""Functions of one real: tables over a narrow operand, exact wide arithmetic for what has a wide range."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax import lax

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import WORD, Const, LazyOp
from prover.lowering.emit.views import SELF, StridedView
from prover.lowering.formats import MARGIN, scale_for
from prover.lowering.graph import FloatNode, double_precision
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.hints import Within
from prover.lowering.rules.arithmetic import quotient, times_const
from prover.lowering.rules.context import Context, Fix, Item, rule, unsupported
from prover.lowering.rules.elementwise import Emit, align, constant, elementwise, fixed
from rollup.form.ops import Opcode
from rollup.types import DType

BETWEEN = 12
"""Bits of the place between two entries of a table, where what is on the way to a result is read from one."""

COARSE = 2
"""Bits that a point may be coarser than the samples asked for."""


def _point(ctx: Context, emitter: CodeEmitter, x: Fix, scale: int, more: int = 0) -> int:
    """The operand rounded to 16 bits of this scale (and ``more``)."""
    if scale > x.scale:
        x = ctx.fit(emitter, x, WORD - 1 - (scale - x.scale))
    register = emitter.shift(x.register, scale - x.scale)
    return emitter.clamp(register, DType.I16.min << more, DType.I16.max << more)


def _between(emitter: CodeEmitter, first: int, rise: int, part: int, bits: int) -> int:
    """On the line from a table's entry to the next one, ``rise`` above it: at ``part`` of ``2^bits``."""
    return emitter.add(first, emitter.shift(emitter.mul(rise, part), -bits))


def tabled(limit: float, coarse: float | None = None) -> Emit:
    """A function that is flat (or a pole away) outside of +-limit: one table look-up of a 16-bit point; of what decides how exact
    a result is, and where a point would be coarse, two, and a line between them.

    The table covers all that the operand can be, up to ``limit``: nothing is cut that its own format does not cut. ``coarse``: where it is
    flat to the 15 bits of a bounded value.
    """

    def emit(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
        x, observed = fixed(operands[0]), ctx.range(node)
        hint = observed.hint
        exact = hint.last or hint.fine or hint.costly or x.range.hint.costly
        flat = coarse if coarse is not None and hint.within is Within.UNIT and not exact else limit
        reach = min(flat, max(map(abs, emitter.bounds[x.register])) * 2.0**-x.scale)
        scale = scale_for(reach, 15)
        seen = scale_for(min(x.range.magnitude * MARGIN, reach), 15)
        line = emitter.bits(x.register) > DType.I16.size * 8 and (exact or seen - scale >= COARSE)
        register = _point(ctx, emitter, x, scale + BETWEEN if line else scale, BETWEEN if line else 0)
        part = None
        if line:
            step = emitter.const(1 << BETWEEN)
            part = emitter.bitwise(Opcode.AND, register, emitter.const((1 << BETWEEN) - 1))
            register = emitter.div(register, step)
        low, high = emitter.bounds[register]
        fn, params = node.primitive.bind, dict(node.params)

        def entry(at: int) -> tuple[int, int]:
            return ctx.builder.table(emitter, at, low, high + line, scale, lambda r: fn(r, **params), ctx.blank(node))

        result, out = entry(register)
        if part is not None:
            after, _ = entry(emitter.add(register, emitter.const(1)))
            result = _between(emitter, result, emitter.sub(after, result), part, BETWEEN)
        return Fix(result, out, observed)

    return emit


INVERSE_BITS, INVERSE_SCALE = 8, 28
INVERSE_REACH = 22
"""Where -log(1 - x^2) ends: x closer to 1 than fixed-point numbers of 30 bits come."""


def _fine_inverse(ctx: Context, emitter: CodeEmitter, x: Fix, observed: RealRange) -> Fix:
    """erf_inv up to its poles: x times a function of w = -log(1 - x^2) that is nearly straight, interpolated in a table."""
    x = ctx.fit(emitter, x, 30)
    if x.scale > 30:
        x = Fix(emitter.shift(x.register, 30 - x.scale), 30, x.range)
    one, size = emitter.const(1 << x.scale), emitter.clamp(emitter.abs(x.register), 0, 1 << x.scale)
    below = Fix(emitter.mul(emitter.sub(one, size), emitter.add(one, size)), 2 * x.scale, x.range)
    w = emitter.neg(fine_logarithm(ctx, emitter, below, RealRange(-INVERSE_REACH, 0, 1)).register)
    w = emitter.clamp(w, 0, (INVERSE_REACH << FINE_SCALE) - 1)
    step = emitter.const(1 << (FINE_SCALE - INVERSE_BITS))
    place = emitter.div(w, step)
    part = emitter.sub(w, emitter.mul(place, step))
    points = np.arange((INVERSE_REACH << INVERSE_BITS) + 1) / (1 << INVERSE_BITS)
    arguments = np.sqrt(-np.expm1(-points[1:]))
    with double_precision():
        ratios = np.r_[math.sqrt(math.pi) / 2, np.asarray(lax.erf_inv(arguments)) / arguments]
    entries = np.rint(ratios * (1 << INVERSE_SCALE)).astype(np.int64)
    first = entry_of(ctx, emitter, entries, 0, place)
    slope = emitter.sub(entry_of(ctx, emitter, entries, -1, place), first)
    slope = emitter.clamp(slope, 0, int(np.diff(entries).max()))
    ratio = _between(emitter, first, slope, part, FINE_SCALE - INVERSE_BITS)
    return Fix(emitter.mul(x.register, ratio), x.scale + INVERSE_SCALE, observed)


_FLAT = {"tanh": (12.0, 6.0), "logistic": (24.0, 12.0), "erf": (6.0, 3.1), "erfc": (6.0, None), "asin": (1.0, None), "acos": (1.0, None),
         "atanh": (1.0, None)}  # fmt: skip
for _name, (_limit, _coarse) in _FLAT.items():
    rule(_name)(elementwise(smooth=True)(tabled(_limit, _coarse)))


def _unending(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    """A table of a function that goes on for ever ends where its operand's format does, so the operand is stored first."""
    stored = [
        ctx.tensor(x) if isinstance(x, LazyOp) and ctx.chain(x) is None and x.as_view() is None else x for x in items
    ]
    return elementwise(smooth=True)(tabled(math.inf))(ctx, node, stored)


rule(*("atan", "asinh", "sinh", "cosh", "tan", "acosh", "cbrt", "lgamma", "digamma", "bessel_i0e", "bessel_i1e"))(
    _unending
)


@rule("erf_inv")
@elementwise(smooth=True)
def _erf_inv(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = fixed(operands[0])
    return (
        _fine_inverse(ctx, emitter, x, ctx.range(node)) if x.range.drawn else tabled(1.0)(ctx, node, emitter, operands)
    )


EXP_BITS = 16
VANISHED = 128.0
"""A power of two with this exponent, or minus it, is beyond every format."""


ROOM_BITS = 58
"""Bits of an exponential that is not stored."""


def exponential(ctx: Context, emitter: CodeEmitter, x: Fix, rate: float, observed: RealRange) -> Fix:
    """2^(rate * x) over any range: the fraction of the exponent through a table of 2^16 entries, its floor as a shift."""
    if x.range.deep:
        # An infinity needs no more room than makes its exponential zero, or as large as the format goes.
        reach = round(max(VANISHED / abs(rate), 2 * MARGIN * x.range.magnitude) * 2.0**x.scale)
        x = Fix(emitter.clamp(x.register, -reach, reach), x.scale, replace(x.range, infinite=False))
    exponent = times_const(ctx, emitter, x, constant(rate), RealRange(0, abs(rate) * x.range.magnitude, 1))
    exponent = ctx.fit(emitter, exponent, WORD - 1)
    y = emitter.shift(exponent.register, EXP_BITS - exponent.scale) if exponent.scale >= EXP_BITS else None
    if y is None:
        exponent = ctx.fit(emitter, exponent, WORD - 1 - (EXP_BITS - exponent.scale))
        y = emitter.shift(exponent.register, EXP_BITS - exponent.scale)
    out = scale_for(max(ctx.builder.formats.reach(observed), 2.0**-30), 30)
    # It goes on beyond what is stored of it: where it is cut, whoever reads it here cuts it, or the format does, which is counted.
    y = emitter.clamp(y, -((out + 40) << EXP_BITS), ((ROOM_BITS - out) << EXP_BITS) - 1)
    whole = emitter.div(y, emitter.const(1 << EXP_BITS))
    part = emitter.bitwise(Opcode.AND, y, emitter.const((1 << EXP_BITS) - 1))
    entries = np.rint(2.0 ** (30 + np.arange(1 << EXP_BITS) / (1 << EXP_BITS))).astype(np.int64)
    power = entry_of(ctx, emitter, entries, 0, part)
    return Fix(emitter.shr(power, emitter.sub(emitter.const(30 - out), whole)), out, observed)


def entry_of(ctx: Context, emitter: CodeEmitter, entries: Any, first: int, register: int) -> int:
    tensor = ctx.builder.constant(entries)
    view = StridedView(tensor, (len(entries),), (-first,), (), indirect=(0, SELF))
    return emitter.gather(view, register, inside=True)


@rule("exp")
@elementwise(smooth=True)
def _exp(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    return exponential(ctx, emitter, fixed(operands[0]), math.log2(math.e), ctx.range(node))


@rule("exp2")
@elementwise(smooth=True)
def _exp2(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    return exponential(ctx, emitter, fixed(operands[0]), 1.0, ctx.range(node))


@rule("expm1")
@elementwise(smooth=True)
def _expm1(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    observed = ctx.range(node)
    reached = replace(observed, low=0.0, high=observed.magnitude + 1, typical=observed.typical + 1)
    power = exponential(ctx, emitter, fixed(operands[0]), math.log2(math.e), reached)
    return Fix(
        emitter.sub(power.register, emitter.const(1 << power.scale if power.scale > 0 else 1)), power.scale, observed
    )


LOG_BITS = 15


def logarithm(ctx: Context, emitter: CodeEmitter, x: Fix, observed: RealRange, base: float = math.e) -> Fix:
    """log of a positive real: its bit length, and a table of 2^15 entries over its leading 16 bits.

    Non-positive operands count as one grid step. Of what is drawn, or needs more than the table's bits, see ``fine_logarithm``.
    """
    if base == math.e and (x.range.drawn or (observed.hint.grid or 0) > LOG_BITS):
        return fine_logarithm(ctx, emitter, x, observed)
    unit = math.log(2.0) / math.log(base)
    x = ctx.fit(emitter, x, WORD - 1)
    positive = emitter.maximum(x.register, emitter.const(1))
    length = emitter.bitlen(positive)
    behind, lead = emitter.sub(length, emitter.const(LOG_BITS + 1)), positive
    if emitter.bits(positive) + LOG_BITS > WORD:
        # Long operands move right and short ones left, each by itself: bounds do not know that no long one moves left.
        lead = emitter.clamp(emitter.shr(lead, emitter.maximum(behind, emitter.const(0))), 0, 1 << (LOG_BITS + 1))
        behind = emitter.minimum(behind, emitter.const(0))
    lead = emitter.clamp(emitter.shr(lead, behind), 1 << LOG_BITS, 1 << (LOG_BITS + 1))
    scale = 24
    entries = np.rint(
        np.log2(np.arange(1 << LOG_BITS, (1 << (LOG_BITS + 1)) + 1) / (1 << LOG_BITS)) * unit * (1 << scale)
    ).astype(np.int64)
    mantissa = entry_of(ctx, emitter, entries, 1 << LOG_BITS, lead)
    exponent = emitter.sub(length, emitter.const(1 + x.scale))
    whole = emitter.mul(exponent, emitter.const(round(unit * (1 << scale))))
    return Fix(emitter.add(whole, mantissa), scale, observed)


FINE_BITS = 45
"""Bits of a fine logarithm's operand: moved left by 15, it has an entry of the table in front."""

FINE_SCALE, TABLE_SCALE = 40, 30


def fine_logarithm(ctx: Context, emitter: CodeEmitter, x: Fix, observed: RealRange) -> Fix:
    """Natural logarithm with an error of 2^-30, and of 2^-16 of itself beside 1: the table, and a quotient for the bits behind it.

    Rounding to the nearest entry makes the table's part exactly zero beside 1. What is no grid step counts as the lowest operand.
    """
    x = ctx.fit(emitter, x, FINE_BITS)
    most = max(1, emitter.bits(x.register))
    positive = emitter.shift(emitter.maximum(x.register, emitter.const(1)), LOG_BITS)
    length = emitter.bitlen(positive)
    behind = emitter.clamp(emitter.sub(length, emitter.const(LOG_BITS + 1)), 0, most - 1)
    lead = emitter.clamp(emitter.shr(positive, behind), 1 << LOG_BITS, 1 << (LOG_BITS + 1))

    def moved(register: int) -> int:
        return emitter.shl(register, behind)

    # The rest behind the entry is at most half a step of it, and has more bits the fewer the operand has.
    left, half = WORD - most, 1 << max(0, most - 2)
    rest = emitter.shift(emitter.clamp(emitter.sub(positive, moved(lead)), -half, half), left)
    rest = emitter.clamp(emitter.div(rest, moved(emitter.const(1))), -(1 << (left - 1)), 1 << (left - 1))
    part = emitter.div(emitter.shift(rest, FINE_SCALE - left), lead)
    unit = round(math.log(2.0) * (1 << TABLE_SCALE))
    points = np.arange(1 << LOG_BITS, (1 << (LOG_BITS + 1)) + 1) / (1 << LOG_BITS)
    entries = np.rint(np.log(points) * (1 << TABLE_SCALE)).astype(np.int64)
    mantissa = entry_of(ctx, emitter, entries, 1 << LOG_BITS, lead)
    exponent = emitter.sub(length, emitter.const(1 + LOG_BITS + x.scale))
    whole = emitter.add(emitter.mul(exponent, emitter.const(unit)), mantissa)
    result = emitter.add(emitter.shift(whole, FINE_SCALE - TABLE_SCALE), part)
    if emitter.bounds[x.register][0] <= 0:
        least = emitter.const(math.floor(observed.low * 2.0**FINE_SCALE))
        result = emitter.select(emitter.less(x.register, emitter.const(1)), least, result)
    return Fix(result, FINE_SCALE, observed)


@rule("log")
@elementwise(smooth=True)
def _log(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    return logarithm(ctx, emitter, fixed(operands[0]), ctx.range(node))


@rule("log1p")
@elementwise(smooth=True)
def _log1p(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = fixed(operands[0])
    (one, register), scale = align(ctx, emitter, [constant(1.0), x])
    return logarithm(ctx, emitter, Fix(emitter.add(one, register), scale, x.range), ctx.range(node))


def root(ctx: Context, emitter: CodeEmitter, x: Fix, observed: RealRange) -> Fix:
    """Square root with 30 bits: the integer square root of the operand shifted as far left as it goes."""
    x = ctx.fit(emitter, x, WORD - 2)
    left = WORD - 1 - emitter.bits(x.register)
    left -= (x.scale + left) % 2
    return Fix(emitter.isqrt(emitter.shift(x.register, left)), (x.scale + left) // 2, observed)


@rule("sqrt")
@elementwise(smooth=True)
def _sqrt(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    return root(ctx, emitter, fixed(operands[0]), ctx.range(node))


@rule("rsqrt")
@elementwise(smooth=True)
def _rsqrt(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = fixed(operands[0])
    below = root(ctx, emitter, x, RealRange(0, math.sqrt(max(x.range.high, 0.0)), 1))
    return quotient(ctx, emitter, constant(1.0), below, ctx.range(node))


@rule("pow")
def _pow(ctx: Context, node: FloatNode, items: Sequence[Item]) -> LazyOp:
    base, exponent = items
    if not isinstance(exponent, Const) or exponent.scalar is None:
        raise unsupported(node, "the exponent is not one constant", "write it as exp(y * log(x))")
    value = float(exponent.scalar)

    @elementwise(smooth=True)
    def power(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
        x = fixed(operands[0])
        log = logarithm(ctx, emitter, x, RealRange(-64, 64, 8), base=2.0)
        return exponential(ctx, emitter, log, value, ctx.range(node))

    return power(ctx, node, [base, exponent])


def _periodic(fn: Callable[[Any], Any]) -> Emit:
    """sin and cos: the angle in turns, its fraction through a table of 2^16 entries at scale 2^-30."""

    def emit(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
        x = fixed(operands[0])
        turns = times_const(ctx, emitter, x, constant(1 / (2 * math.pi)), RealRange(0, x.range.magnitude / 6, 1))
        turns = ctx.fit(emitter, turns, WORD - 1 - max(0, 16 - turns.scale))
        y = emitter.shift(turns.register, 16 - turns.scale)
        part = emitter.bitwise(Opcode.AND, y, emitter.const((1 << 16) - 1))
        entries = np.rint(fn(np.arange(1 << 16) * (2 * math.pi / (1 << 16))) * (1 << 30)).astype(np.int64)
        return Fix(entry_of(ctx, emitter, entries, 0, part), 30, ctx.range(node))

    return emit


rule("sin")(elementwise(smooth=True)(_periodic(np.sin)))
rule("cos")(elementwise(smooth=True)(_periodic(np.cos)))
