"""Shifts and counts of bits."""

from __future__ import annotations

import numpy as np

from prover.lowering.capture import Node
from prover.lowering.emit.draft import Coder, Const
from prover.lowering.rules.context import Context, Fix, rule, unsupported
from prover.lowering.rules.elementwise import Emit, align, elementwise, fixed
from prover.lowering.rules.words import integer_product
from rollup.form.ops import Instr, Opcode


def _width(node: Node) -> int:
    return 8 * np.dtype(node.outputs[0].dtype).itemsize


def _narrow(node: Node) -> int:
    if _width(node) > 32:
        raise unsupported(node, "it counts the bits of 64-bit integers", "use integers of up to 32 bits")
    return _width(node)


def _unsigned(coder: Coder, register: int, width: int) -> int:
    return coder.bitwise(Opcode.AND, register, coder.const((1 << width) - 1))


def _shift(name: str) -> Emit:
    """Amounts count as unsigned; from the dtype's width on nothing but the sign is left."""

    def emit(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
        width = _width(node)
        (x, by), _ = align(ctx, coder, operands, exact=True)
        if width > 32:
            return Fix(_long_shift(coder, x, by, name, node), 0, ctx.range(node))
        by = _unsigned(coder, by, width)
        inside = coder.less(by, coder.const(width))
        by = coder.minimum(by, coder.const(width - 1))
        if name == "shift_left":
            shifted = coder.put(Instr(Opcode.SHL, (x, by)))
            return Fix(coder.select(inside, shifted, coder.const(0)), 0, ctx.range(node))
        power = coder.put(Instr(Opcode.SHL, (coder.const(1), by)))
        if name == "shift_right_arithmetic":
            return Fix(coder.div(x, power), 0, ctx.range(node))
        shifted = coder.div(_unsigned(coder, x, width), power)
        return Fix(coder.select(inside, shifted, coder.const(0)), 0, ctx.range(node))

    return emit


def _long_shift(coder: Coder, x: int, by: int, name: str, node: Node) -> int:
    """Of 64 bits, in two steps of at most 32, so that neither passes a register."""
    zero, own = coder.const(0), node.outputs[0].dtype
    inside = coder.bitwise(Opcode.AND, coder.less(coder.const(-1), by), coder.less(by, coder.const(64)))
    amount = coder.select(inside, coder.clamp(by, 0, 63), coder.const(63))
    if name == "shift_right_logical":
        # Shifted by one it has no sign any more.
        halved = coder.bitwise(Opcode.AND, coder.div(x, coder.const(2)), coder.const((1 << 63) - 1))
        shifted = _halved(coder, halved, coder.maximum(coder.sub(amount, coder.const(1)), zero))
        return coder.select(inside, coder.select(coder.equal(amount, zero), x, shifted), zero)
    if name == "shift_right_arithmetic":
        return _halved(coder, x, amount)
    for power in _powers(coder, amount):
        x = integer_product(coder, x, power, own)
    return coder.select(inside, x, zero)


def _powers(coder: Coder, amount: int) -> list[int]:
    """Two powers of two whose exponents add up to ``amount``, 0 to 63."""
    first = coder.minimum(amount, coder.const(32))
    second = coder.sub(amount, first)
    return [
        coder.put(Instr(Opcode.SHL, (coder.const(1), exponent))) for exponent in (first, coder.clamp(second, 0, 31))
    ]


def _halved(coder: Coder, x: int, amount: int) -> int:
    """floor(x / 2^amount)."""
    for power in _powers(coder, amount):
        x = coder.div(x, power)
    return x


for _name in ("shift_left", "shift_right_arithmetic", "shift_right_logical"):
    rule(_name)(elementwise()(_shift(_name)))


@rule("clz")
@elementwise()
def _leading_zeros(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    width = _narrow(node)
    length = coder.bitlen(_unsigned(coder, fixed(operands[0]).register, width))
    return Fix(coder.sub(coder.const(width), length), 0, ctx.range(node))


@rule("population_count")
@elementwise()
def _population(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    """Counts of pairs of bits, of fours, of bytes, and their sum."""
    x = _unsigned(coder, fixed(operands[0]).register, _narrow(node))

    def part(register: int, shift: int, mask: int) -> int:
        return coder.bitwise(Opcode.AND, coder.div(register, coder.const(1 << shift)), coder.const(mask))

    x = coder.sub(x, part(x, 1, 0x55555555))
    x = coder.add(part(x, 0, 0x33333333), part(x, 2, 0x33333333))
    x = part(coder.add(x, part(x, 4, 0x0FFFFFFF)), 0, 0x0F0F0F0F)
    return Fix(part(coder.mul(x, coder.const(0x01010101)), 24, 0xFF), 0, ctx.range(node))
