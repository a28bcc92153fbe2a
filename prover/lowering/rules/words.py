"""Integer arithmetic modulo 2^bits of a dtype without a register that could wrap by accident: the audit finds none.

Registers stand for their value modulo 2^bits (see ``elementwise``). Up to 32 bits everything fits a register; 64-bit results are
put together from halves where the exact result may pass 64 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prover.lowering.emit.draft import Coder
from rollup.form.ops import Opcode

HALF = 1 << 32
MASK = HALF - 1
LIMIT = 1 << 63


def integer_sum(coder: Coder, a: int, b: int, own: np.dtype[Any], subtract: bool = False) -> int:
    """a + b or a - b modulo 2^bits of the dtype."""
    (al, ah), (bl, bh) = coder.bounds[a], coder.bounds[b]
    low, high = (al - bh, ah - bl) if subtract else (al + bl, ah + bh)
    if np.dtype(own).itemsize < 8 or (low >= -LIMIT and high < LIMIT):
        return coder.sub(a, b) if subtract else coder.add(a, b)
    combine = coder.sub if subtract else coder.add
    rest = combine(_rest(coder, a), _rest(coder, b))
    return _joined(coder, coder.add(combine(_half(coder, a), _half(coder, b)), _half(coder, rest)), rest)


def integer_product(coder: Coder, a: int, b: int, own: np.dtype[Any]) -> int:
    """a times b modulo 2^bits of the dtype."""
    (al, ah), (bl, bh) = coder.bounds[a], coder.bounds[b]
    corners = [x * y for x in (al, ah) for y in (bl, bh)]
    if min(corners) >= -(1 << 62) and max(corners) <= 1 << 62:
        return coder.mul(a, b)
    size = np.dtype(own).itemsize
    if size < 8:
        signed = np.dtype(f"i{size}")
        return coder.mul(coder.wrapped(a, signed), coder.wrapped(b, signed))
    low_a, low_b = _rest(coder, a), _rest(coder, b)
    # low_a * low_b needs 64 bits without a sign: low_b is cut into two pieces of 16 bits.
    small = coder.bitwise(Opcode.AND, low_b, coder.const(0xFFFF))
    middle = coder.mul(low_a, coder.div(low_b, coder.const(1 << 16)))
    carried = coder.mul(coder.bitwise(Opcode.AND, middle, coder.const(0xFFFF)), coder.const(1 << 16))
    rest = coder.add(coder.mul(low_a, small), carried)
    crossed = coder.add(
        _rest(coder, coder.mul(_half(coder, a), low_b)), _rest(coder, coder.mul(low_a, _half(coder, b)))
    )
    upper = coder.add(coder.add(_half(coder, rest), coder.div(middle, coder.const(1 << 16))), crossed)
    return _joined(coder, upper, rest)


def truncated(coder: Coder, a: int, b: int) -> int:
    """Integer quotient towards zero, as JAX divides; 0 where b is 0."""
    zero = coder.const(0)
    if coder.bounds[a][0] > -LIMIT and coder.bounds[b][0] > -LIMIT:
        magnitude = coder.div(coder.abs(a), coder.abs(b))
        differ = coder.bitwise(Opcode.XOR, coder.less(a, zero), coder.less(b, zero))
        return coder.select(differ, coder.neg(magnitude), magnitude)
    # The least 64-bit number has no magnitude: floor division by either sign of b, and one more where a rest of another sign is left.
    own = np.dtype(np.int64)
    negative = coder.less(b, zero)
    below = coder.div(a, coder.minimum(b, coder.const(-2)))
    above = coder.div(a, coder.maximum(b, coder.const(1)))
    floor = coder.select(negative, below, above)
    rest = integer_sum(coder, a, integer_product(coder, floor, b, own), own, subtract=True)
    differ = coder.bitwise(Opcode.XOR, coder.less(a, zero), negative)
    left = coder.sub(coder.const(1), coder.equal(rest, zero))
    raised = integer_sum(coder, floor, coder.bitwise(Opcode.AND, differ, left), own)
    opposite = integer_sum(coder, zero, a, own, subtract=True)
    quotient = coder.select(coder.equal(b, coder.const(-1)), opposite, raised)
    return coder.select(coder.equal(b, zero), zero, quotient)


def _rest(coder: Coder, a: int) -> int:
    """The lower 32 bits."""
    return coder.bitwise(Opcode.AND, a, coder.const(MASK))


def _half(coder: Coder, a: int) -> int:
    """The upper 32 bits, with their sign."""
    return coder.div(a, coder.const(HALF))


def _joined(coder: Coder, upper: int, rest: int) -> int:
    """upper * 2^32 + (rest modulo 2^32), modulo 2^64."""
    signed = coder.wrapped(upper, np.dtype(np.int32))
    return coder.add(coder.mul(signed, coder.const(HALF)), _rest(coder, rest))
