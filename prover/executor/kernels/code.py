"""The epilogue's instructions on arrays: exact 64-bit semantics, in 32 bits or without checks where the intervals prove
that it is the same.

Every rule takes the operands (all of one dtype, int32 or int64), their proven ranges and the exact result's range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.native.instructions import FLOAT_EXACT, LONGEST_DIVIDEND, LONGEST_DIVISOR, narrow
from rollup.audit.ranges import INT64, Range
from rollup.form.ops import INSTRUCTIONS, Opcode

Arrays = Sequence[jax.Array]
Ranges = Sequence[Range]
Rule = Callable[[Arrays, Ranges], jax.Array]


def _const(like: jax.Array, value: int) -> jax.Array:
    return jnp.asarray(value, like.dtype)


def _quotient(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.floor(a.astype(jnp.float64) / b.astype(jnp.float64)).astype(jnp.int64)


def _div(args: Arrays, ranges: Ranges) -> jax.Array:
    a, b = args
    low, high = ranges[1]
    if low == high and low > 0 and low & (low - 1) == 0:
        return lax.shift_right_arithmetic(a, _const(a, low.bit_length() - 1))
    total = ranges[1].low <= 0 <= ranges[1].high
    safe = jnp.where(b == 0, _const(b, 1), b) if total else b
    if ranges[0].magnitude <= LONGEST_DIVIDEND and ranges[1].magnitude <= LONGEST_DIVISOR:
        # XLA may divide by multiplying with a reciprocal: the float quotient can be off by one, the remainder tells.
        a64, b64 = a.astype(jnp.int64), safe.astype(jnp.int64)
        wide = _quotient(a64, b64)
        if ranges[0].magnitude > FLOAT_EXACT:
            # Off by more: so is the remainder, whose own quotient can be off by one.
            wide = wide + _quotient(a64 - wide * b64, b64)
        rest = a64 - wide * b64
        rest = jnp.where(b64 < 0, -rest, rest)
        quotient = (wide + (rest >= jnp.abs(b64)) - (rest < 0)).astype(a.dtype)
    else:
        safe = jnp.where(safe == -1, _const(b, 1), safe)
        quotient = lax.div(a, safe)
        short = (lax.rem(a, safe) != 0) & ((a < 0) != (safe < 0))
        quotient = jnp.where(b == -1, -a, quotient - short.astype(a.dtype))
    return jnp.where(b == 0, _const(a, 0), quotient) if total else quotient


def _shl(args: Arrays, ranges: Ranges) -> jax.Array:
    a, s = args
    if ranges[1].low >= 0 and ranges[1].high <= 63:
        return lax.shift_left(a, s)
    shifted = lax.shift_left(a, jnp.clip(s, 0, 63))
    return jnp.where((s >= 0) & (s < 64), shifted, _const(a, 0))


def _shr(args: Arrays, ranges: Ranges) -> jax.Array:
    """floor((a + 2^(s-1)) / 2^s); to the left where s is negative."""
    a, s = jnp.broadcast_arrays(*args)
    bits = a.dtype.itemsize * 8
    (reach, by), longest = ranges, a.dtype.itemsize * 8 - 2
    if by.low > -bits and _roomy(reach, by, longest):
        right = s if by.low >= 0 and by.high <= longest else jnp.clip(s, 0, longest)
        half = lax.shift_right_logical(lax.shift_left(_const(a, 1), right), _const(a, 1))
        rounded = lax.shift_right_arithmetic(a + half, right)
        return rounded if by.low >= 0 else lax.shift_left(rounded, jnp.maximum(-s, 0))
    # What overflows is avoided: floor(a / 2^s) plus the bit below.
    right = left = a
    if by.high >= 1:
        down = lax.shift_right_arithmetic(a, jnp.clip(s, 0, bits - 1))
        right = down + (lax.shift_right_arithmetic(a, jnp.clip(s - 1, 0, bits - 1)) & 1)
    if by.low >= 1:
        return right
    left = jnp.where(s <= -bits, _const(a, 0), lax.shift_left(a, jnp.clip(-jnp.maximum(s, -bits), 0, bits - 1)))
    return jnp.where(s > 0, right, left) if by.high >= 1 else left


def _roomy(reach: Range, by: Range, longest: int) -> bool:
    """Whether half of what a shift takes away can be added, longer shifts being cut to ``longest``, where they give 0 too."""
    if by.high > longest:
        return reach.magnitude < 1 << (longest - 1)
    return reach.magnitude + (1 << max(by.high, 1) - 1) < 1 << (longest + 1)


def _product(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(high, low) 64 bits of the signed 128-bit product, from four 32-bit limbs."""
    mask = jnp.uint64(0xFFFFFFFF)
    ua, ub = a.astype(jnp.uint64), b.astype(jnp.uint64)
    a0, a1, b0, b1 = ua & mask, ua >> 32, ub & mask, ub >> 32
    low = a0 * b0
    middle = a1 * b0 + (low >> 32)
    cross = a0 * b1 + (middle & mask)
    high = a1 * b1 + (middle >> 32) + (cross >> 32)
    zero = jnp.uint64(0)
    high = high - jnp.where(a < 0, ub, zero) - jnp.where(b < 0, ua, zero)
    return high.astype(jnp.int64), a * b


def _mulshift(args: Arrays, ranges: Ranges) -> jax.Array:
    a, m, s = args
    ends = [x * y for x in ranges[0] for y in ranges[1]]
    reach = Range(min(ends), max(ends))
    if reach.magnitude < 1 << 62:
        return _shr([a * m, s], [reach, ranges[2]])
    if ranges[1].magnitude < 1 << 30 and ranges[2].low >= 1 and ranges[2].high <= 62:
        return _long_mulshift(a, m, s, ranges[2])
    high, low = _product(*jnp.broadcast_arrays(a, m))
    high, low, s = jnp.broadcast_arrays(high, low, jnp.clip(s, -64, 128))
    unsigned = low.astype(jnp.uint64)

    def bits_from(start: jax.Array) -> jax.Array:
        """The 64 bits of the product from bit ``start`` (0 to 128) on."""
        near = jnp.clip(start, 0, 63).astype(jnp.uint64)
        over = lax.shift_left(high.astype(jnp.uint64), jnp.clip(64 - start, 1, 63).astype(jnp.uint64))
        below = (lax.shift_right_logical(unsigned, near) | jnp.where(start == 0, jnp.uint64(0), over)).astype(jnp.int64)
        above = lax.shift_right_arithmetic(high, jnp.clip(start - 64, 0, 63))
        return jnp.where(start < 64, below, above)

    right = bits_from(jnp.maximum(s, 0)) + (bits_from(jnp.maximum(s - 1, 0)) & 1)
    left = jnp.where(s <= -64, jnp.int64(0), lax.shift_left(low, jnp.clip(-s, 0, 63)))
    return jnp.where(s > 0, right, left)


def _long_mulshift(a: jax.Array, m: jax.Array, s: jax.Array, by: Range) -> jax.Array:
    """floor((a * m + 2^(s-1)) / 2^s), modulo 2^64, of |m| < 2^30 and 1 <= s <= 62: a is two words, whose products fit 64 bits."""
    word, one = _const(a, 32), _const(a, 1)
    low = (a & _const(a, 0xFFFFFFFF)) * m + lax.shift_left(one, s - 1)
    high = lax.shift_right_arithmetic(a, word) * m
    short = long = a
    if by.low < 32:
        short = lax.shift_left(high, jnp.maximum(word - s, 0)) + lax.shift_right_arithmetic(low, jnp.minimum(s, 32))
    if by.high >= 32:
        long = lax.shift_right_arithmetic(high + lax.shift_right_arithmetic(low, word), jnp.maximum(s - 32, 0))
    if by.high < 32:
        return short
    return jnp.where(s < 32, short, long) if by.low < 32 else long


def _isqrt(args: Arrays, ranges: Ranges) -> jax.Array:
    (a,) = args
    wide = jnp.maximum(a.astype(jnp.int64), 0)
    root = jnp.minimum(jnp.floor(jnp.sqrt(wide.astype(jnp.float64))).astype(jnp.int64), 3037000499)
    root = root - (root * root > wide)
    above = root + 1
    root = root + ((root < 3037000499) & (above * above <= wide))
    return root.astype(a.dtype)


def _bitlen(args: Arrays, ranges: Ranges) -> jax.Array:
    # XLA's constant folding counts the leading zeros of a negative int32 wrongly, so the count is taken unsigned.
    size = jnp.abs(args[0])
    zeros = lax.clz(size.astype(jnp.uint32 if size.dtype == jnp.int32 else jnp.uint64))
    return _const(size, size.dtype.itemsize * 8) - zeros.astype(size.dtype)


def _supplied(args: Arrays, ranges: Ranges) -> jax.Array:
    return args[0]


RULES: Mapping[Opcode, Rule] = {
    Opcode.CONST: _supplied,
    Opcode.INDEX: _supplied,
    Opcode.LOAD: _supplied,
    Opcode.GATHER: _supplied,
    Opcode.ADD: lambda args, _: args[0] + args[1],
    Opcode.SUB: lambda args, _: args[0] - args[1],
    Opcode.MUL: lambda args, _: args[0] * args[1],
    Opcode.DIV: _div,
    Opcode.SHL: _shl,
    Opcode.SHR: _shr,
    Opcode.MULSHIFT: _mulshift,
    Opcode.AND: lambda args, _: args[0] & args[1],
    Opcode.OR: lambda args, _: args[0] | args[1],
    Opcode.XOR: lambda args, _: args[0] ^ args[1],
    Opcode.MIN: lambda args, _: jnp.minimum(args[0], args[1]),
    Opcode.MAX: lambda args, _: jnp.maximum(args[0], args[1]),
    Opcode.ABS: lambda args, _: jnp.abs(args[0]),
    Opcode.LESS: lambda args, _: (args[0] < args[1]).astype(args[0].dtype),
    Opcode.EQUAL: lambda args, _: (args[0] == args[1]).astype(args[0].dtype),
    Opcode.SELECT: lambda args, _: jnp.where(args[0] != 0, args[1], args[2]),
    Opcode.BITLEN: _bitlen,
    Opcode.ISQRT: _isqrt,
}


def _floor_div(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(b == 0, 0, np.floor_divide(a, np.where(b == 0, 1, b)))


_PLAIN = (Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.AND, Opcode.OR, Opcode.XOR, Opcode.ABS)

AHEAD: Mapping[Opcode, Callable[..., Any]] = {
    **{op: exact for op in _PLAIN if (exact := INSTRUCTIONS[op].exact)},
    Opcode.DIV: _floor_div,
    Opcode.MIN: np.minimum,
    Opcode.MAX: np.maximum,
}
"""Instructions that are computed when a program is loaded, as NumPy's wrapping int64 arithmetic: where Python's operators mean the
same of arrays, the op table's own functions.
"""


def settle(array: jax.Array, reach: Range) -> jax.Array:
    """The array as int32 where its proven range allows, else int64."""
    return array.astype(jnp.int32 if narrow(reach) else jnp.int64)


def apply(op: Opcode, args: Arrays, ranges: Ranges, exact: Range) -> jax.Array:
    """Result of an instruction, settled to ``exact`` wrapped; 32-bit arithmetic where operands and exact result fit.

    MULSHIFT always works in 64 bits (its product is the point). In 32 bits a shift is to one side, to the left by less than 32.
    """
    small = narrow(exact) and all(map(narrow, ranges)) and op is not Opcode.MULSHIFT
    if op in (Opcode.SHL, Opcode.SHR) and not (ranges[1].low >= 0 and (op is Opcode.SHR or ranges[1].high <= 30)):
        small = False
    dtype = jnp.int32 if small else jnp.int64
    result = RULES[op]([a.astype(dtype) for a in args], ranges)
    return settle(result, exact if exact.inside(INT64) else INT64)
