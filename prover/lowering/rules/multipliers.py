"""Real factors as integers with a shift each: what turns accumulators into reals, and scales columns that differ by orders of magnitude."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from rollup.form.ops import Opcode

SHIFT_FIELD = 64
"""A packed multiplier is ``mantissa * 64 + shift``."""


@dataclass(frozen=True)
class Multipliers:
    """Integers m and s that stand for real factors: ``x * factor = x * m / 2^s``; packed into one constant as ``m * 64 + s``."""

    mantissas: np.ndarray
    shifts: np.ndarray

    @classmethod
    def of(cls, factors: np.ndarray, bits: int) -> Multipliers:
        """With mantissas of ``bits`` bits, for factors of magnitudes below 2^bits."""
        mantissa, exponent = np.frexp(factors)
        # Channels far weaker than the strongest lose mantissa bits, not their shift's place in the packed constant.
        shift = np.minimum(bits - exponent.astype(np.int64), SHIFT_FIELD - 1)
        assert shift.min() >= 0
        return cls(np.rint(mantissa * 2.0 ** (shift + exponent)).astype(np.int64), shift)

    @property
    def packed(self) -> np.ndarray:
        return np.asarray(self.mantissas * SHIFT_FIELD + self.shifts)

    def applied(self, emitter: CodeEmitter, x: int, packed: int, low: int, high: int) -> int:
        """Register of ``x`` (between low and high) times the factor that register ``packed`` stands for."""
        multiplier = emitter.div(packed, emitter.const(SHIFT_FIELD))
        amount = emitter.bitwise(Opcode.AND, packed, emitter.const(SHIFT_FIELD - 1))
        return self.multiplied(emitter, x, multiplier, amount, low, high)

    def multiplied(self, emitter: CodeEmitter, x: int, multiplier: int, amount: int, low: int, high: int) -> int:
        """The same by registers of the mantissa and of the shift: their ranges are narrower than what one unpacks."""
        bounds = _extremes(low, high, self.mantissas, self.shifts)
        return emitter.mulshift(x, multiplier, amount, known=bounds)


def _extremes(low: int, high: int, multipliers: np.ndarray, shifts: np.ndarray) -> tuple[int, int]:
    """Certified bounds of acc * m / 2^s over the real pairs (m, s)."""
    # Of all multipliers with one shift, the least and the greatest give the ends: a vocabulary has hundreds of thousands.
    groups = [(multipliers[shifts == s], int(s)) for s in np.unique(shifts)]
    pairs = {(int(m), s) for group, s in groups for m in (group.min(), group.max())}
    values = [((x * m) >> s) + d for x in (low, high) for m, s in pairs for d in (0, 1)]
    return min(values), max(values)
