"""Comparisons, extremes, selection and logic, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import Const
from prover.lowering.formats import horizon, is_real
from prover.lowering.graph import FloatNode
from prover.lowering.rules.context import Context, Fix, Item, rule
from prover.lowering.rules.elementwise import Emit, align, elementwise, finest, fixed, wanted
from rollup.form.ops import Opcode


def _infinite(operand: Fix | Const) -> float | None:
    if isinstance(operand, Const) and operand.scalar is not None and math.isinf(float(operand.scalar)):
        return float(operand.scalar)
    return None


def _extreme(largest: bool) -> Emit:
    def emit(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
        for x, other in ((operands[0], operands[1]), (operands[1], operands[0])):
            infinite = _infinite(x)
            if infinite is not None and (infinite < 0) == largest:
                return fixed(other)
        (a, b), scale = align(ctx, emitter, operands, observed=ctx.range(node))
        return Fix(emitter.maximum(a, b) if largest else emitter.minimum(a, b), scale, ctx.range(node))

    return emit


rule("max")(elementwise()(_extreme(True)))
rule("min")(elementwise()(_extreme(False)))


@rule("clamp")
@elementwise()
def _clamp(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    (low, x, high), scale = align(ctx, emitter, operands, observed=ctx.range(node))
    return Fix(emitter.minimum(emitter.maximum(x, low), high), scale, ctx.range(node))


MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
"""What holds between b and a where the key holds between a and b."""


def _against_infinity(name: str, emitter: CodeEmitter, x: Fix, positive: bool) -> int:
    """Register that tells whether ``x`` is (equal to, not equal to, less than, ...) an infinity."""
    always, never = ("le", "gt") if positive else ("ge", "lt")
    if name in (always, never):
        return emitter.const(int(name == always))
    reached = _reaches(emitter, x, positive)
    return reached if name in ("eq", "le", "ge") else emitter.equal(reached, emitter.const(0))


def _reaches(emitter: CodeEmitter, x: Fix, positive: bool) -> int:
    """Register that tells whether a value is an infinity of this sign: whether it lies beyond its horizon."""
    if not x.range.deep:
        return emitter.const(0)
    bound = round(horizon(x.range) * 2.0**x.scale)
    return (
        emitter.less(emitter.const(bound), x.register) if positive else emitter.less(x.register, emitter.const(-bound))
    )


def _sides(ctx: Context, emitter: CodeEmitter, operands: list[Fix | Const], name: str) -> tuple[int, int]:
    """Registers that compare as the operands do. A real constant moves to the grid of what it is compared with, to the side that
    changes no decision: which integers are less than 2.5 is which are less than 3.
    """
    at, const = next(((j, x) for j, x in enumerate(operands) if isinstance(x, Const)), (0, None))
    if const is None or not is_real(const.array.dtype):
        (a, b), _ = align(ctx, emitter, operands)
        return a, b
    x = fixed(operands[1 - at])
    # With the constant on the right, x < c and x >= c ask for the least integer that is not below it, the others for the greatest below.
    up = (MIRRORED[name] if at == 0 else name) in ("lt", "ge")
    with np.errstate(over="ignore"):
        exact = const.array.astype(np.float64) * 2.0**x.scale
    if name in ("eq", "ne"):
        # What is not on the grid equals nothing there.
        exact = np.where(exact == np.rint(exact), exact, 2.0**62)
    ends = np.clip((np.ceil if up else np.floor)(exact), -(2.0**62), 2.0**62).astype(np.int64)
    register = ctx.builder.load_integers(emitter, Const(ends, const.stacked))
    return (register, x.register) if at == 0 else (x.register, register)


def _comparison(name: str) -> Emit:
    def emit(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
        for x, other, mirrored in ((operands[1], operands[0], name), (operands[0], operands[1], MIRRORED[name])):
            infinite = _infinite(x)
            if infinite is not None and isinstance(other, Fix):
                return Fix(_against_infinity(mirrored, emitter, other, infinite > 0), 0, ctx.range(node))
        a, b = _sides(ctx, emitter, operands, name)
        match name:
            case "eq" | "ne":
                result = emitter.equal(a, b)
            case "lt" | "ge":
                result = emitter.less(a, b)
            case _:
                result = emitter.less(b, a)
        if name in ("ne", "ge", "le"):
            result = emitter.equal(result, emitter.const(0))
        return Fix(result, 0, ctx.range(node))

    return emit


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    rule(_name)(elementwise()(_comparison(_name)))
# Without NaN and a zero of its own sign, the total order of floats is the usual one.
for _name in ("lt", "le"):
    rule(f"{_name}_to")(elementwise()(_comparison(_name)))


@rule("select_n")
@elementwise()
def _select(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    which, cases = operands[0], operands[1:]
    if all(isinstance(x, Const) for x in cases):
        scale = 0
        if is_real(node.outputs[0].dtype):
            scale = min(max(wanted(x) for x in cases if isinstance(x, Const)), finest(cases, ctx.range(node)))
        registers = [ctx.constant(emitter, x, scale) for x in cases if isinstance(x, Const)]
    else:
        registers, scale = align(ctx, emitter, cases, observed=ctx.range(node))
    selector = ctx.constant(emitter, which, 0) if isinstance(which, Const) else which.register
    result = registers[0]
    if len(registers) == 2:
        result = emitter.select(selector, registers[1], registers[0])
    else:
        for number, register in enumerate(registers[1:], start=1):
            result = emitter.select(emitter.equal(selector, emitter.const(number)), register, result)
    return Fix(result, scale, ctx.range(node))


def _logic(op: Opcode) -> Emit:
    def emit(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
        (a, b), _ = align(ctx, emitter, operands, exact=True)
        return Fix(emitter.bitwise(op, a, b), 0, ctx.range(node))

    return emit


rule("and")(elementwise(ring=True)(_logic(Opcode.AND)))
rule("or")(elementwise(ring=True)(_logic(Opcode.OR)))
rule("xor")(elementwise(ring=True)(_logic(Opcode.XOR)))


@rule("not")
@elementwise(ring=True)
def _not(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    x = fixed(operands[0])
    if node.outputs[0].dtype == np.bool_:
        return Fix(emitter.equal(x.register, emitter.const(0)), 0, ctx.range(node))
    return Fix(emitter.sub(emitter.const(-1), x.register), 0, ctx.range(node))


@elementwise()
def _within(ctx: Context, node: FloatNode, emitter: CodeEmitter, operands: list[Fix | Const]) -> Fix:
    beyond = [_reaches(emitter, fixed(operands[0]), positive) for positive in (False, True)]
    return Fix(emitter.equal(emitter.bitwise(Opcode.OR, *beyond), emitter.const(0)), 0, ctx.range(node))


@rule("is_finite")
def _is_finite(ctx: Context, node: FloatNode, items: Sequence[Item]) -> Item:
    (x,) = items
    if isinstance(x, Const) or not x.range.deep:
        return Const(np.ones(node.outputs[0].shape, dtype=np.bool_))
    return _within(ctx, node, items)
