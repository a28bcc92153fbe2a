"""Integer arithmetic modulo 2^bits of a dtype without a register that could wrap by accident: the audit finds none.

Registers stand for their value modulo 2^bits (see ``elementwise``). Up to 32 bits everything fits a register; 64-bit results are
put together from halves where the exact result may pass 64 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from rollup.form.ops import Opcode

HALF = 1 << 32
MASK = HALF - 1
LIMIT = 1 << 63


def integer_sum(emitter: CodeEmitter, a: int, b: int, own: np.dtype[Any], subtract: bool = False) -> int:
    """a + b or a - b modulo 2^bits of the dtype."""
    (al, ah), (bl, bh) = emitter.bounds[a], emitter.bounds[b]
    low, high = (al - bh, ah - bl) if subtract else (al + bl, ah + bh)
    if np.dtype(own).itemsize < 8 or (low >= -LIMIT and high < LIMIT):
        return emitter.sub(a, b) if subtract else emitter.add(a, b)
    combine = emitter.sub if subtract else emitter.add
    rest = combine(_rest(emitter, a), _rest(emitter, b))
    return _joined(emitter, emitter.add(combine(_half(emitter, a), _half(emitter, b)), _half(emitter, rest)), rest)


def integer_product(emitter: CodeEmitter, a: int, b: int, own: np.dtype[Any]) -> int:
    """a times b modulo 2^bits of the dtype."""
    (al, ah), (bl, bh) = emitter.bounds[a], emitter.bounds[b]
    corners = [x * y for x in (al, ah) for y in (bl, bh)]
    if min(corners) >= -(1 << 62) and max(corners) <= 1 << 62:
        return emitter.mul(a, b)
    size = np.dtype(own).itemsize
    if size < 8:
        signed = np.dtype(f"i{size}")
        return emitter.mul(emitter.wrapped(a, signed), emitter.wrapped(b, signed))
    low_a, low_b = _rest(emitter, a), _rest(emitter, b)
    # low_a * low_b needs 64 bits without a sign: low_b is cut into two pieces of 16 bits.
    small = emitter.bitwise(Opcode.AND, low_b, emitter.const(0xFFFF))
    middle = emitter.mul(low_a, emitter.div(low_b, emitter.const(1 << 16)))
    carried = emitter.mul(emitter.bitwise(Opcode.AND, middle, emitter.const(0xFFFF)), emitter.const(1 << 16))
    rest = emitter.add(emitter.mul(low_a, small), carried)
    crossed = emitter.add(
        _rest(emitter, emitter.mul(_half(emitter, a), low_b)), _rest(emitter, emitter.mul(low_a, _half(emitter, b)))
    )
    upper = emitter.add(emitter.add(_half(emitter, rest), emitter.div(middle, emitter.const(1 << 16))), crossed)
    return _joined(emitter, upper, rest)


def truncated(emitter: CodeEmitter, a: int, b: int) -> int:
    """Integer quotient towards zero, as JAX divides; 0 where b is 0."""
    zero = emitter.const(0)
    if emitter.bounds[a][0] >= 0 and emitter.bounds[b][0] >= 0:
        return emitter.div(a, b)
    if emitter.bounds[a][0] > -LIMIT and emitter.bounds[b][0] > -LIMIT:
        magnitude = emitter.div(emitter.abs(a), emitter.abs(b))
        differ = emitter.bitwise(Opcode.XOR, emitter.less(a, zero), emitter.less(b, zero))
        return emitter.select(differ, emitter.neg(magnitude), magnitude)
    # The least 64-bit number has no magnitude: floor division by either sign of b, and one more where a rest of another sign is left.
    own = np.dtype(np.int64)
    negative = emitter.less(b, zero)
    below = emitter.div(a, emitter.minimum(b, emitter.const(-2)))
    above = emitter.div(a, emitter.maximum(b, emitter.const(1)))
    floor = emitter.select(negative, below, above)
    rest = integer_sum(emitter, a, integer_product(emitter, floor, b, own), own, subtract=True)
    differ = emitter.bitwise(Opcode.XOR, emitter.less(a, zero), negative)
    left = emitter.sub(emitter.const(1), emitter.equal(rest, zero))
    raised = integer_sum(emitter, floor, emitter.bitwise(Opcode.AND, differ, left), own)
    opposite = integer_sum(emitter, zero, a, own, subtract=True)
    quotient = emitter.select(emitter.equal(b, emitter.const(-1)), opposite, raised)
    return emitter.select(emitter.equal(b, zero), zero, quotient)


def _rest(emitter: CodeEmitter, a: int) -> int:
    """The lower 32 bits."""
    return emitter.bitwise(Opcode.AND, a, emitter.const(MASK))


def _half(emitter: CodeEmitter, a: int) -> int:
    """The upper 32 bits, with their sign."""
    return emitter.div(a, emitter.const(HALF))


def _joined(emitter: CodeEmitter, upper: int, rest: int) -> int:
    """upper * 2^32 + (rest modulo 2^32), modulo 2^64."""
    signed = emitter.wrapped(upper, np.dtype(np.int32))
    return emitter.add(emitter.mul(signed, emitter.const(HALF)), _rest(emitter, rest))
