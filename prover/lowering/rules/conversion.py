"""Rounding and conversion between dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import WORD, Const
from prover.lowering.formats import integer_range, is_real
from prover.lowering.graph import FloatNode, Var
from prover.lowering.rules.context import Context, Fix, Item, rule, unsupported
from prover.lowering.rules.elementwise import elementwise, fixed
from rollup.form.ops import Opcode


def floored(emitter: CodeEmitter, x: Fix) -> int:
    """floor of the real, as an integer of scale 0."""
    if x.scale <= 0:
        return emitter.shift(x.register, -x.scale)
    return emitter.div(x.register, emitter.const(1 << x.scale)) if x.scale < 63 else emitter.const(0)


@rule("floor")
@elementwise()
def _floor(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    return Fix(floored(emitter, ctx.fit(emitter, fixed(operands[0]), WORD - 1)), 0, ctx.range(node))


@rule("ceil")
@elementwise()
def _ceil(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = ctx.fit(emitter, fixed(operands[0]), WORD - 1)
    return Fix(emitter.neg(floored(emitter, replace(x, register=emitter.neg(x.register)))), 0, ctx.range(node))


@rule("round")
@elementwise()
def _round(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = ctx.fit(emitter, fixed(operands[0]), WORD - 2)
    if x.scale <= 0:
        return Fix(floored(emitter, x), 0, ctx.range(node))
    half = emitter.const(1 << (x.scale - 1))
    if int(node.params["rounding_method"]) == 0:  # away from zero
        magnitude = floored(emitter, replace(x, register=emitter.add(emitter.abs(x.register), half)))
        return Fix(
            emitter.select(emitter.less(x.register, emitter.const(0)), emitter.neg(magnitude), magnitude),
            0,
            ctx.range(node),
        )
    up = emitter.add(x.register, half)
    rounded = floored(emitter, replace(x, register=up))
    tie = emitter.equal(emitter.bitwise(Opcode.AND, up, emitter.const((1 << x.scale) - 1)), emitter.const(0))
    odd = emitter.bitwise(Opcode.AND, rounded, emitter.const(1))
    return Fix(emitter.sub(rounded, emitter.bitwise(Opcode.AND, tie, odd)), 0, ctx.range(node))


@rule("convert_element_type")
@elementwise()
def _convert(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x, source, target = fixed(operands[0]), node.inputs[0], node.outputs[0].dtype
    assert isinstance(source, Var)
    if target == np.bool_:
        return Fix(emitter.equal(emitter.equal(x.register, emitter.const(0)), emitter.const(0)), 0, ctx.range(node))
    if target.kind in "iu" and is_real(source.dtype):
        (least, most), register = integer_range(target), x.register
        if x.scale != 0:
            magnitude = floored(emitter, replace(x, register=emitter.abs(x.register)))
            register = emitter.select(emitter.less(x.register, emitter.const(0)), emitter.neg(magnitude), magnitude)
        # A real beyond the integers of the target saturates, as XLA converts it.
        return Fix(emitter.clamp(register, least, most), 0, ctx.range(node))
    return replace(x, range=ctx.range(node))


@elementwise(ring=True)
def _same_bits(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    """Integers of one width: the same value modulo 2^bits."""
    return replace(fixed(operands[0]), range=ctx.range(node))


@rule("bitcast_convert_type")
def _bitcast(ctx: Context, node: FloatNode, items: Sequence[Item]) -> Item:
    var, target = node.inputs[0], node.outputs[0].dtype
    assert isinstance(var, Var)
    if (
        var.dtype.kind not in "iu"
        or var.dtype.itemsize != target.itemsize
        or not (is_real(target) or target.kind in "iu")
    ):
        raise unsupported(node, f"it takes the bits of {var.dtype} for {target}", "convert the numbers instead")
    return _of_one_exponent(ctx, node, items) if is_real(target) else _same_bits(ctx, node, items)


def _of_one_exponent(ctx: Context, node: FloatNode, items: Sequence[Item]) -> Item:
    """Integers as bits of floats, if all of them certainly have one sign and one exponent: the rest is a fixed-point number.

    This is how random bits become uniform: below the exponent of 1.0 they are a float in [1, 2).
    """
    emitter, operands = ctx.merged(node, items)
    register, dtype = fixed(operands[0]).register, node.outputs[0].dtype
    info = jnp.finfo(dtype)  # type: ignore[no-untyped-call]
    low, high = emitter.bounds[register]
    exponent = low >> info.nmant
    if low < 0 or exponent != high >> info.nmant or not 0 < exponent < (1 << info.nexp) - 1:
        raise unsupported(
            node,
            f"it takes integers from {low} to {high} for bits of {dtype}, whose exponents differ: such floats have no common grid",
            f"join the bits of the fraction with one exponent (for [1, 2) shift them right to {info.nmant} bits, and or them with "
            f"{((1 << (info.nexp - 1)) - 1) << info.nmant:#x}), or use jax.random.uniform",
        )
    fraction = emitter.sub(register, emitter.const((exponent - 1) << info.nmant))
    scale = info.nmant - (exponent - ((1 << (info.nexp - 1)) - 1))
    return ctx.finish(node, emitter, Fix(fraction, scale, ctx.range(node)))


@rule("stop_gradient", "copy", "copy_p", "reduce_precision", "optimization_barrier", "name")
def _same(ctx: Context, node: FloatNode, items: Sequence[Item]) -> Sequence[Item]:
    return items
