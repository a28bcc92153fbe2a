"""Shifts and counts of bits."""

from __future__ import annotations

import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import Const
from prover.lowering.graph import FloatNode
from prover.lowering.rules.context import Context, Fix, rule, unsupported
from prover.lowering.rules.elementwise import Emit, align, elementwise, fixed
from prover.lowering.rules.words import integer_product
from rollup.form.ops import Opcode


def _width(node: FloatNode) -> int:
    return 8 * np.dtype(node.outputs[0].dtype).itemsize


def _narrow(node: FloatNode) -> int:
    if _width(node) > 32:
        raise unsupported(node, "it counts the bits of 64-bit integers", "use integers of up to 32 bits")
    return _width(node)


def _unsigned(emitter: CodeEmitter, register: int, width: int) -> int:
    return emitter.bitwise(Opcode.AND, register, emitter.const((1 << width) - 1))


def _shift(name: str) -> Emit:
    """Amounts count as unsigned; from the dtype's width on nothing but the sign is left."""

    def emit(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
        width = _width(node)
        (x, by), _ = align(ctx, emitter, operands, exact=True)
        if width > 32:
            return Fix(_long_shift(emitter, x, by, name, node), 0, ctx.range(node))
        by = _unsigned(emitter, by, width)
        inside = emitter.less(by, emitter.const(width))
        by = emitter.minimum(by, emitter.const(width - 1))
        if name == "shift_left":
            shifted = emitter.shl(x, by)
            return Fix(emitter.select(inside, shifted, emitter.const(0)), 0, ctx.range(node))
        power = emitter.shl(emitter.const(1), by)
        if name == "shift_right_arithmetic":
            return Fix(emitter.div(x, power), 0, ctx.range(node))
        shifted = emitter.div(_unsigned(emitter, x, width), power)
        return Fix(emitter.select(inside, shifted, emitter.const(0)), 0, ctx.range(node))

    return emit


def _long_shift(emitter: CodeEmitter, x: int, by: int, name: str, node: FloatNode) -> int:
    """Of 64 bits, in two steps of at most 32, so that neither passes a register."""
    zero, own = emitter.const(0), node.outputs[0].dtype
    inside = emitter.bitwise(Opcode.AND, emitter.less(emitter.const(-1), by), emitter.less(by, emitter.const(64)))
    amount = emitter.select(inside, emitter.clamp(by, 0, 63), emitter.const(63))
    if name == "shift_right_logical":
        # Shifted by one it has no sign any more.
        halved = emitter.bitwise(Opcode.AND, emitter.div(x, emitter.const(2)), emitter.const((1 << 63) - 1))
        shifted = _halved(emitter, halved, emitter.maximum(emitter.sub(amount, emitter.const(1)), zero))
        return emitter.select(inside, emitter.select(emitter.equal(amount, zero), x, shifted), zero)
    if name == "shift_right_arithmetic":
        low, high = emitter.bounds[amount]
        return emitter.div(x, emitter.const(1 << low)) if low == high < 63 else _halved(emitter, x, amount)
    for power in _powers(emitter, amount):
        x = integer_product(emitter, x, power, own)
    return emitter.select(inside, x, zero)


def _powers(emitter: CodeEmitter, amount: int) -> list[int]:
    """Two powers of two whose exponents add up to ``amount``, 0 to 63."""
    first = emitter.minimum(amount, emitter.const(32))
    second = emitter.sub(amount, first)
    return [emitter.shl(emitter.const(1), exponent) for exponent in (first, emitter.clamp(second, 0, 31))]


def _halved(emitter: CodeEmitter, x: int, amount: int) -> int:
    """floor(x / 2^amount)."""
    for power in _powers(emitter, amount):
        x = emitter.div(x, power)
    return x


for _name in ("shift_left", "shift_right_arithmetic", "shift_right_logical"):
    rule(_name)(elementwise()(_shift(_name)))


@rule("clz")
@elementwise()
def _leading_zeros(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    width = _narrow(node)
    length = emitter.bitlen(_unsigned(emitter, fixed(operands[0]).register, width))
    return Fix(emitter.sub(emitter.const(width), length), 0, ctx.range(node))


@rule("population_count")
@elementwise()
def _population(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    """Counts of pairs of bits, of fours, of bytes, and their sum."""
    x = _unsigned(emitter, fixed(operands[0]).register, _narrow(node))

    def part(register: int, shift: int, mask: int) -> int:
        return emitter.bitwise(Opcode.AND, emitter.div(register, emitter.const(1 << shift)), emitter.const(mask))

    x = emitter.sub(x, part(x, 1, 0x55555555))
    x = emitter.add(part(x, 0, 0x33333333), part(x, 2, 0x33333333))
    x = part(emitter.add(x, part(x, 4, 0x0FFFFFFF)), 0, 0x0F0F0F0F)
    return Fix(part(emitter.mul(x, emitter.const(0x01010101)), 24, 0xFF), 0, ctx.range(node))
