"""Element-wise primitives: arithmetic becomes code, functions become tables (or exact wide arithmetic)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.capture import Node, Var
from prover.draft import SELF, WORD, Chain, Coder, Const, Draft, View
from prover.formats import MARGIN, integer_range, is_real, quantize, scale_for
from prover.passes.calibrate import Range
from prover.rules.context import TABLE_CHAIN, Context, Fix, Item, rule, stretch, unsupported
from rollup.ops import Instr, Opcode
from rollup.types import DType

FINE = 20
"""Fraction bits that an operand gains when it meets a finer constant."""


def _composed(ctx: Context, node: Node, items: Sequence[Item], smooth: bool) -> Chain | None:
    """The chain of the result: the node's own function after the operands' functions of one and the same narrow integer."""
    if any(isinstance(x, Const) and (x.stacked or x.scalar is None) for x in items):
        return None
    shape = node.outputs[0].shape
    pieces: list[Chain | float] = []
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
    chains = [piece for piece in pieces if isinstance(piece, Chain)]
    base = chains[0]
    if any(chain.view != base.view for chain in chains):
        return None
    primitive, params = node.primitive, _double(node.params)
    dtypes = [x.dtype if isinstance(x, Draft) else x.array.dtype for x in items]

    def fn(x: Any) -> Any:
        arguments = []
        for piece, dtype in zip(pieces, dtypes, strict=True):
            value = piece.fn(x) if isinstance(piece, Chain) else jnp.full(x.shape, piece)
            arguments.append(jnp.asarray(value).astype(jnp.float64 if is_real(dtype) else dtype))
        return primitive.bind(*arguments, **params)

    length = 1 + max(chain.length for chain in chains)
    return Chain(
        base.view, base.scale, fn, length, smooth or length >= TABLE_CHAIN or any(chain.pending for chain in chains)
    )


def _double(params: Any) -> dict[str, Any]:
    """Parameters for evaluation in double precision."""
    changed = dict(params)
    if "new_dtype" in changed and is_real(changed["new_dtype"]):
        changed["new_dtype"] = np.dtype(np.float64)
    return changed


Emit = Callable[[Context, Node, Coder, "list[Fix | Const]"], Fix]


def elementwise(
    smooth: bool = False, ring: bool = False
) -> Callable[[Emit], Callable[[Context, Node, Sequence[Item]], Draft]]:
    """A rule from the code that it emits; ``smooth`` functions of one narrow integer become tables instead.

    Integer registers stand for their value modulo 2^bits of their dtype. That is enough for a ``ring`` operation; any other
    one gets its integer operands wrapped into their dtype first.
    """

    def make(emit: Emit) -> Callable[[Context, Node, Sequence[Item]], Draft]:
        def lower(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
            chain = _composed(ctx, node, items, smooth)
            if chain is not None and chain.pending and len(node.outputs) == 1:
                return replace(ctx.blank(node), chain=chain, order=_order(items))
            coder, operands = ctx.merged(node, items)
            operands = [
                _wrapped(coder, x, item, RING_BITS if ring else 0) for x, item in zip(operands, items, strict=True)
            ]
            return ctx.finish(node, coder, emit(ctx, node, coder, operands), chain)

        return lower

    return make


RING_BITS = 40
"""Integers below this magnitude stay unwrapped between ring operations, so that a sum of some of them cannot pass 64 bits."""


def _wrapped(coder: Coder, operand: Fix | Const, item: Item, bits: int) -> Fix | Const:
    """An integer operand reduced into its own dtype if its register may have more than ``bits`` bits."""
    if isinstance(operand, Const) or isinstance(item, Const) or item.dtype.kind not in "iu":
        return operand
    if coder.bits(operand.register) <= bits:
        return operand
    return replace(operand, register=coder.wrapped(operand.register, item.dtype))


def _order(items: Sequence[Item]) -> tuple[int, ...] | None:
    return next((x.order for x in items if isinstance(x, Draft) and x.order is not None), None)


def align(ctx: Context, coder: Coder, operands: Sequence[Fix | Const], exact: bool = False) -> tuple[list[int], int]:
    """Registers of all operands at one scale, and that scale; no register exceeds 61 bits."""
    fixes = [x for x in operands if isinstance(x, Fix)]
    scale = max(x.scale for x in fixes)
    for const in operands:
        if isinstance(const, Const) and not exact:
            scale = max(scale, min(_wanted(const), scale + FINE))
    room = min(WORD - 1 - coder.bits(x.register) + x.scale for x in fixes)
    scale = min(scale, max(room, min(x.scale for x in fixes)))
    registers = []
    for x in operands:
        if isinstance(x, Const):
            registers.append(ctx.constant(coder, x, scale))
        else:
            x = ctx.fit(coder, x, WORD - 1 - max(0, scale - x.scale)) if scale > x.scale else x
            registers.append(coder.shift(x.register, scale - x.scale))
    return registers, scale


def _wanted(const: Const) -> int:
    finite = const.finite
    magnitude = float(np.abs(finite).max())
    best = scale_for(magnitude, FINE) if magnitude else 0
    for scale in range(min(best, 40)):
        scaled = finite * 2.0**scale
        if np.array_equal(scaled, np.rint(scaled)):
            return scale
    return best


def constant(value: float) -> Const:
    """A real number as an operand."""
    return Const(np.array(value, dtype=np.float64))


@rule("add", "add_any")
@elementwise(ring=True)
def _add(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    (a, b), scale = align(ctx, coder, operands)
    return Fix(coder.add(a, b), scale, ctx.range(node))


@rule("sub")
@elementwise(ring=True)
def _sub(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    (a, b), scale = align(ctx, coder, operands)
    return Fix(coder.sub(a, b), scale, ctx.range(node))


@rule("neg")
@elementwise(ring=True)
def _neg(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = _fix(operands[0])
    return Fix(coder.neg(x.register), x.scale, x.range)


def _fix(operand: Fix | Const) -> Fix:
    assert isinstance(operand, Fix)
    return operand


def times_const(ctx: Context, coder: Coder, x: Fix, const: Const, observed: Range) -> Fix:
    """x times a real constant: an integer multiplier of up to 24 bits; powers of two only move the scale."""
    value = const.scalar
    if value is not None and float(value) == 0.0:
        return Fix(coder.const(0), 0, observed)
    if value is not None and math.frexp(abs(float(value)))[0] == 0.5:
        register = x.register if value > 0 else coder.neg(x.register)
        return Fix(register, x.scale - (math.frexp(abs(float(value)))[1] - 1), observed)
    x = ctx.fit(coder, x, WORD - 1 - 16)
    bits = min(24, WORD - 1 - coder.bits(x.register))
    finite = const.finite
    scale = scale_for(float(np.abs(finite).max()), bits)
    integers = quantize(finite, scale, -(1 << bits), 1 << bits)
    common = int(np.gcd.reduce(integers.reshape(-1)))
    spare = (common & -common).bit_length() - 1 if common else 0
    return Fix(coder.mul(x.register, ctx.constant(coder, const, scale - spare)), x.scale + scale - spare, observed)


@rule("mul")
@elementwise(ring=True)
def _mul(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    a, b = operands
    if node.outputs[0].dtype.kind in "iub":
        (ra, rb), _ = align(ctx, coder, operands, exact=True)
        return Fix(_integer_product(coder, ra, rb, node.outputs[0].dtype), 0, ctx.range(node))
    if isinstance(a, Const):
        a, b = b, a
    if isinstance(b, Const):
        return times_const(ctx, coder, _fix(a), b, ctx.range(node))
    return product(ctx, coder, _fix(a), b, ctx.range(node))


def _integer_product(coder: Coder, a: int, b: int, own: np.dtype[Any]) -> int:
    """a times b modulo 2^bits of the dtype."""
    if coder.bits(a) + coder.bits(b) > WORD:
        a, b = coder.wrapped(a, own), coder.wrapped(b, own)
    return coder.mul(a, b)


def product(ctx: Context, coder: Coder, a: Fix, b: Fix, observed: Range) -> Fix:
    """a times b; if the exact product could need more than 61 bits, the larger operand gives up low bits first."""
    room = WORD - 1
    if coder.bits(a.register) + coder.bits(b.register) > room:
        a, b = ctx.fit(coder, a, max(31, room - coder.bits(b.register))), b
        b = ctx.fit(coder, b, room - coder.bits(a.register))
    return Fix(coder.mul(a.register, b.register), a.scale + b.scale, observed)


@rule("square")
@elementwise()
def _square(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    if node.outputs[0].dtype.kind in "iu":
        own, register = node.outputs[0].dtype, _fix(operands[0]).register
        return Fix(_integer_product(coder, register, register, own), 0, ctx.range(node))
    x = ctx.fit(coder, _fix(operands[0]), (WORD - 1) // 2)
    return Fix(coder.mul(x.register, x.register), 2 * x.scale, ctx.range(node))


@rule("div")
@elementwise(smooth=False)
def _div(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    a, b = operands
    if node.outputs[0].dtype.kind in "iu":
        (ra, rb), _ = align(ctx, coder, operands, exact=True)
        return Fix(_truncated(coder, ra, rb), 0, ctx.range(node))
    if isinstance(b, Const):
        with np.errstate(divide="ignore"):
            inverse = np.where(b.array == 0, 0, 1.0 / b.array.astype(np.float64))
        return times_const(ctx, coder, _fix(a), Const(inverse, b.stacked), ctx.range(node))
    return quotient(ctx, coder, a, _fix(b), ctx.range(node))


def quotient(ctx: Context, coder: Coder, a: Fix | Const, b: Fix, observed: Range) -> Fix:
    """a / b rounded to nearest, with some 30 fraction bits more than the result's magnitude needs; 0 where b is 0."""
    b = ctx.fit(coder, b, 31)
    if isinstance(a, Const):
        finite = a.finite
        scale = scale_for(float(np.abs(finite).max()), WORD - 3)
        a = Fix(ctx.constant(coder, a, scale), scale, observed)
        numerator, scale = a.register, a.scale
    else:
        left = WORD - 3 - coder.bits(a.register)
        numerator, scale = coder.shift(a.register, left), a.scale + left
    half = coder.div(b.register, coder.const(2))
    result = Fix(coder.div(coder.add(numerator, half), b.register), scale - b.scale, observed)
    wanted = scale_for(observed.magnitude * MARGIN * 2, 40)
    if result.scale > wanted:
        result = Fix(coder.shift(result.register, wanted - result.scale), wanted, observed)
    return ctx.fit(coder, result, 42)


def _truncated(coder: Coder, a: int, b: int) -> int:
    """Integer quotient towards zero, as JAX divides; 0 where b is 0."""
    magnitude = coder.div(coder.abs(a), coder.abs(b))
    zero = coder.const(0)
    differ = coder.bitwise(Opcode.XOR, coder.less(a, zero), coder.less(b, zero))
    return coder.select(differ, coder.neg(magnitude), magnitude)


@rule("rem")
@elementwise()
def _rem(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    (a, b), scale = align(ctx, coder, operands, exact=True)
    rest = coder.sub(a, coder.mul(_truncated(coder, a, b), b))
    return Fix(rest, scale, ctx.range(node))


def _infinite(operand: Fix | Const) -> float | None:
    if isinstance(operand, Const) and operand.scalar is not None and math.isinf(float(operand.scalar)):
        return float(operand.scalar)
    return None


def _extreme(largest: bool) -> Emit:
    def emit(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
        for x, other in ((operands[0], operands[1]), (operands[1], operands[0])):
            infinite = _infinite(x)
            if infinite is not None and (infinite < 0) == largest:
                return _fix(other)
        (a, b), scale = align(ctx, coder, operands)
        return Fix(coder.maximum(a, b) if largest else coder.minimum(a, b), scale, ctx.range(node))

    return emit


rule("max")(elementwise()(_extreme(True)))
rule("min")(elementwise()(_extreme(False)))


@rule("clamp")
@elementwise()
def _clamp(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    (low, x, high), scale = align(ctx, coder, operands)
    return Fix(coder.minimum(coder.maximum(x, low), high), scale, ctx.range(node))


@rule("abs")
@elementwise()
def _abs(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = _fix(operands[0])
    return Fix(coder.abs(x.register), x.scale, ctx.range(node))


@rule("sign")
@elementwise()
def _sign(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = _fix(operands[0])
    zero = coder.const(0)
    return Fix(coder.sub(coder.less(zero, x.register), coder.less(x.register, zero)), 0, ctx.range(node))


def _floored(coder: Coder, x: Fix) -> int:
    """floor of the real, as an integer of scale 0."""
    if x.scale <= 0:
        return coder.shift(x.register, -x.scale)
    return coder.div(x.register, coder.const(1 << x.scale)) if x.scale < 63 else coder.const(0)


@rule("floor")
@elementwise()
def _floor(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    return Fix(_floored(coder, ctx.fit(coder, _fix(operands[0]), WORD - 1)), 0, ctx.range(node))


@rule("ceil")
@elementwise()
def _ceil(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = ctx.fit(coder, _fix(operands[0]), WORD - 1)
    return Fix(coder.neg(_floored(coder, replace(x, register=coder.neg(x.register)))), 0, ctx.range(node))


@rule("round")
@elementwise()
def _round(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = ctx.fit(coder, _fix(operands[0]), WORD - 2)
    if x.scale <= 0:
        return Fix(_floored(coder, x), 0, ctx.range(node))
    half = coder.const(1 << (x.scale - 1))
    if int(node.params["rounding_method"]) == 0:  # away from zero
        magnitude = _floored(coder, replace(x, register=coder.add(coder.abs(x.register), half)))
        return Fix(
            coder.select(coder.less(x.register, coder.const(0)), coder.neg(magnitude), magnitude), 0, ctx.range(node)
        )
    up = coder.add(x.register, half)
    rounded = _floored(coder, replace(x, register=up))
    tie = coder.equal(coder.bitwise(Opcode.AND, up, coder.const((1 << x.scale) - 1)), coder.const(0))
    odd = coder.bitwise(Opcode.AND, rounded, coder.const(1))
    return Fix(coder.sub(rounded, coder.bitwise(Opcode.AND, tie, odd)), 0, ctx.range(node))


def _comparison(name: str) -> Emit:
    def emit(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
        (a, b), _ = align(ctx, coder, operands)
        match name:
            case "eq" | "ne":
                result = coder.equal(a, b)
            case "lt" | "ge":
                result = coder.less(a, b)
            case _:
                result = coder.less(b, a)
        if name in ("ne", "ge", "le"):
            result = coder.equal(result, coder.const(0))
        return Fix(result, 0, ctx.range(node))

    return emit


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    rule(_name)(elementwise()(_comparison(_name)))


@rule("select_n")
@elementwise()
def _select(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    which, cases = operands[0], operands[1:]
    if all(isinstance(x, Const) for x in cases):
        scale = 0 if node.outputs[0].dtype.kind in "iub" else max(_wanted(x) for x in cases if isinstance(x, Const))
        registers = [ctx.constant(coder, x, scale) for x in cases if isinstance(x, Const)]
    else:
        registers, scale = align(ctx, coder, cases)
    selector = ctx.constant(coder, which, 0) if isinstance(which, Const) else which.register
    result = registers[0]
    if len(registers) == 2:
        result = coder.select(selector, registers[1], registers[0])
    else:
        for number, register in enumerate(registers[1:], start=1):
            result = coder.select(coder.equal(selector, coder.const(number)), register, result)
    return Fix(result, scale, ctx.range(node))


def _logic(op: Opcode) -> Emit:
    def emit(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
        (a, b), _ = align(ctx, coder, operands, exact=True)
        return Fix(coder.bitwise(op, a, b), 0, ctx.range(node))

    return emit


rule("and")(elementwise(ring=True)(_logic(Opcode.AND)))
rule("or")(elementwise(ring=True)(_logic(Opcode.OR)))
rule("xor")(elementwise(ring=True)(_logic(Opcode.XOR)))


@rule("not")
@elementwise(ring=True)
def _not(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = _fix(operands[0])
    if node.outputs[0].dtype == np.bool_:
        return Fix(coder.equal(x.register, coder.const(0)), 0, ctx.range(node))
    return Fix(coder.sub(coder.const(-1), x.register), 0, ctx.range(node))


@rule("is_finite")
def _is_finite(ctx: Context, node: Node, items: Sequence[Item]) -> Item:
    return Const(np.ones(node.outputs[0].shape, dtype=np.bool_))


@rule("convert_element_type")
@elementwise()
def _convert(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x, source, target = _fix(operands[0]), node.inputs[0], node.outputs[0].dtype
    assert isinstance(source, Var)
    if target == np.bool_:
        return Fix(coder.equal(coder.equal(x.register, coder.const(0)), coder.const(0)), 0, ctx.range(node))
    if target.kind in "iu" and is_real(source.dtype):
        (least, most), register = integer_range(target), x.register
        if x.scale != 0:
            magnitude = _floored(coder, replace(x, register=coder.abs(x.register)))
            register = coder.select(coder.less(x.register, coder.const(0)), coder.neg(magnitude), magnitude)
        # A real beyond the integers of the target saturates, as XLA converts it.
        return Fix(coder.clamp(register, least, most), 0, ctx.range(node))
    return replace(x, range=ctx.range(node))


@rule("stop_gradient", "copy", "copy_p", "reduce_precision", "optimization_barrier")
def _same(ctx: Context, node: Node, items: Sequence[Item]) -> Sequence[Item]:
    return items


@rule("integer_pow")
@elementwise()
def _integer_pow(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    exponent = int(node.params["y"])
    base = _fix(operands[0])
    if exponent == 0:
        return Fix(coder.const(1), 0, ctx.range(node))
    if node.outputs[0].dtype.kind in "iu":
        own, register = node.outputs[0].dtype, coder.const(1)
        for bit in bin(exponent)[2:]:
            register = _integer_product(coder, register, register, own)
            if bit == "1":
                register = _integer_product(coder, register, base.register, own)
        return Fix(register, 0, ctx.range(node))
    result: Fix | None = None
    power, left = base, abs(exponent)
    while left:
        if left & 1:
            result = (
                power if result is None else product(ctx, coder, result, power, _powered(base.range, abs(exponent)))
            )
        left >>= 1
        if left:
            power = product(ctx, coder, power, power, _powered(base.range, 2))
    assert result is not None
    if exponent < 0:
        return quotient(ctx, coder, constant(1.0), result, ctx.range(node))
    return replace(result, range=ctx.range(node))


def _powered(observed: Range, exponent: int) -> Range:
    magnitude = observed.magnitude**exponent
    return Range(-magnitude, magnitude, magnitude)


def _point(ctx: Context, coder: Coder, x: Fix, limit: float) -> tuple[int, int]:
    """The operand rounded to 16 bits, covering its calibrated range up to ``limit``: (register, scale)."""
    scale = scale_for(min(x.range.magnitude * MARGIN, limit), 15)
    register = (
        coder.shift(x.register, scale - x.scale)
        if scale <= x.scale
        else ctx.fit(coder, x, WORD - 1 - (scale - x.scale)).register
    )
    if scale > x.scale:
        register = coder.shift(register, scale - x.scale)
    return coder.clamp(register, DType.I16.min, DType.I16.max), scale


def _tabled(limit: float) -> Emit:
    """A function that is flat (or a pole away) outside of +-limit: one table look-up of a 16-bit point."""

    def emit(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
        x = _fix(operands[0])
        register, scale = _point(ctx, coder, x, limit)
        low, high = coder.bounds[register]
        fn, params = node.primitive.bind, dict(node.params)
        result, out = ctx.builder.table(coder, register, low, high, scale, lambda r: fn(r, **params), ctx.blank(node))
        return Fix(result, out, ctx.range(node))

    return emit


_FLAT = {
    "tanh": 12.0, "logistic": 24.0, "erf": 6.0, "erfc": 6.0, "atan": math.inf, "asinh": math.inf, "sinh": math.inf, "cosh": math.inf,
    "tan": math.inf, "asin": 1.0, "acos": 1.0, "atanh": 1.0, "acosh": math.inf, "erf_inv": 1.0, "lgamma": math.inf, "digamma": math.inf,
}  # fmt: skip
for _name, _limit in _FLAT.items():
    rule(_name)(elementwise(smooth=True)(_tabled(_limit)))


EXP_BITS = 16


def exponential(ctx: Context, coder: Coder, x: Fix, rate: float, observed: Range) -> Fix:
    """2^(rate * x) over any range: the fraction of the exponent through a table of 2^16 entries, its floor as a shift."""
    exponent = times_const(ctx, coder, x, constant(rate), Range(0, abs(rate) * x.range.magnitude, 1))
    exponent = ctx.fit(coder, exponent, WORD - 1)
    y = coder.shift(exponent.register, EXP_BITS - exponent.scale) if exponent.scale >= EXP_BITS else None
    if y is None:
        exponent = ctx.fit(coder, exponent, WORD - 1 - (EXP_BITS - exponent.scale))
        y = coder.shift(exponent.register, EXP_BITS - exponent.scale)
    out = scale_for(max(observed.high, 2.0**-30) * MARGIN, 30)
    y = coder.clamp(y, -((out + 40) << EXP_BITS), ((31 - out) << EXP_BITS) - 1)
    whole = coder.div(y, coder.const(1 << EXP_BITS))
    part = coder.bitwise(Opcode.AND, y, coder.const((1 << EXP_BITS) - 1))
    entries = np.rint(2.0 ** (30 + np.arange(1 << EXP_BITS) / (1 << EXP_BITS))).astype(np.int64)
    power = _look(ctx, coder, entries, 0, part)
    return Fix(coder.shr(power, coder.sub(coder.const(30 - out), whole)), out, observed)


def _look(ctx: Context, coder: Coder, entries: Any, first: int, register: int) -> int:
    tensor = ctx.builder.constant(entries)
    view = View(tensor, (len(entries),), (-first,), (), indirect=(0, SELF))
    return coder.put(Instr(Opcode.LOOK, (coder.view(view), register)), (tensor.low, tensor.high))


@rule("exp")
@elementwise(smooth=True)
def _exp(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    return exponential(ctx, coder, _fix(operands[0]), math.log2(math.e), ctx.range(node))


@rule("exp2")
@elementwise(smooth=True)
def _exp2(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    return exponential(ctx, coder, _fix(operands[0]), 1.0, ctx.range(node))


@rule("expm1")
@elementwise(smooth=True)
def _expm1(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    observed = ctx.range(node)
    power = exponential(
        ctx, coder, _fix(operands[0]), math.log2(math.e), Range(0, observed.high + 1, observed.typical + 1)
    )
    return Fix(
        coder.sub(power.register, coder.const(1 << power.scale if power.scale > 0 else 1)), power.scale, observed
    )


LOG_BITS = 15


def logarithm(ctx: Context, coder: Coder, x: Fix, observed: Range, base: float = math.e) -> Fix:
    """log of a positive real: its bit length, and a table of 2^15 entries over its leading 16 bits.

    Non-positive operands count as one grid step.
    """
    unit = math.log(2.0) / math.log(base)
    positive = coder.maximum(ctx.fit(coder, x, WORD - 1).register, coder.const(1))
    x = ctx.fit(coder, x, WORD - 1)
    length = coder.bitlen(positive)
    lead = coder.shr(positive, coder.sub(length, coder.const(LOG_BITS + 1)))
    lead = coder.clamp(lead, 1 << LOG_BITS, (1 << (LOG_BITS + 1)))
    scale = 24
    entries = np.rint(
        np.log2(np.arange(1 << LOG_BITS, (1 << (LOG_BITS + 1)) + 1) / (1 << LOG_BITS)) * unit * (1 << scale)
    ).astype(np.int64)
    mantissa = _look(ctx, coder, entries, 1 << LOG_BITS, lead)
    exponent = coder.sub(length, coder.const(1 + x.scale))
    whole = coder.mul(exponent, coder.const(round(unit * (1 << scale))))
    return Fix(coder.add(whole, mantissa), scale, observed)


@rule("log")
@elementwise(smooth=True)
def _log(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    return logarithm(ctx, coder, _fix(operands[0]), ctx.range(node))


@rule("log1p")
@elementwise(smooth=True)
def _log1p(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = _fix(operands[0])
    (one, register), scale = align(ctx, coder, [constant(1.0), x])
    return logarithm(ctx, coder, Fix(coder.add(one, register), scale, x.range), ctx.range(node))


def root(ctx: Context, coder: Coder, x: Fix, observed: Range) -> Fix:
    """Square root with 30 bits: the integer square root of the operand shifted as far left as it goes."""
    x = ctx.fit(coder, x, WORD - 2)
    left = WORD - 1 - coder.bits(x.register)
    left -= (x.scale + left) % 2
    return Fix(coder.isqrt(coder.shift(x.register, left)), (x.scale + left) // 2, observed)


@rule("sqrt")
@elementwise(smooth=True)
def _sqrt(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    return root(ctx, coder, _fix(operands[0]), ctx.range(node))


@rule("rsqrt")
@elementwise(smooth=True)
def _rsqrt(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    x = _fix(operands[0])
    below = root(ctx, coder, x, Range(0, math.sqrt(max(x.range.high, 0.0)), 1))
    return quotient(ctx, coder, constant(1.0), below, ctx.range(node))


@rule("cbrt")
@elementwise(smooth=True)
def _cbrt(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
    return _tabled(math.inf)(ctx, node, coder, operands)


@rule("pow")
def _pow(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    base, exponent = items
    if not isinstance(exponent, Const) or exponent.scalar is None:
        raise unsupported(node, "the exponent is not one constant", "write it as exp(y * log(x))")
    value = float(exponent.scalar)

    @elementwise(smooth=True)
    def power(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
        x = _fix(operands[0])
        log = logarithm(ctx, coder, x, Range(-64, 64, 8), base=2.0)
        return exponential(ctx, coder, log, value, ctx.range(node))

    return power(ctx, node, [base, exponent])


def _periodic(fn: Callable[[Any], Any]) -> Emit:
    """sin and cos: the angle in turns, its fraction through a table of 2^16 entries at scale 2^-30."""

    def emit(ctx: Context, node: Node, coder: Coder, operands: list[Fix | Const]) -> Fix:
        x = _fix(operands[0])
        turns = times_const(ctx, coder, x, constant(1 / (2 * math.pi)), Range(0, x.range.magnitude / 6, 1))
        turns = ctx.fit(coder, turns, WORD - 1 - max(0, 16 - turns.scale))
        y = coder.shift(turns.register, 16 - turns.scale)
        part = coder.bitwise(Opcode.AND, y, coder.const((1 << 16) - 1))
        entries = np.rint(fn(np.arange(1 << 16) * (2 * math.pi / (1 << 16))) * (1 << 30)).astype(np.int64)
        return Fix(_look(ctx, coder, entries, 0, part), 30, ctx.range(node))

    return emit


rule("sin")(elementwise(smooth=True)(_periodic(np.sin)))
rule("cos")(elementwise(smooth=True)(_periodic(np.cos)))


@rule("iota")
def _iota(ctx: Context, node: Node, items: Sequence[Item]) -> Draft:
    dimension = int(node.params["dimension"])
    blank = ctx.blank(node)
    coder = Coder(blank)
    return coder.done(coder.index(dimension, blank.shape[dimension]), 0)
