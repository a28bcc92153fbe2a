"""Number formats: which integers stand for which reals.

A value is int16 with a power-of-two scale and a twofold margin over calibration. One whose largest magnitude is far from its typical
one is *widened* to 24 bits, and two more for an eightfold margin; one that even these can't hold well gets, where products read it, a
*scale per row* at run time. What its consumers ask for (``prover.lowering.passes.plan``) comes before either. What only products with
weights read is widened only if a scale per channel leaves too much noise (``prover.lowering.channels``). Weights are int16 or int8 with
a real scale per output channel.

``w16a16``, ``w15a16``, ``w8a16``: bits of weights and values, widening what exceeds its typical magnitude 24-fold. ``w16a16/8``: 8-fold.
Weights of 15 bits are stored in int16, with magnitudes below 2^14: two of their products with int16 values can be added in 32 bits.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.hints import RESULT_BITS, Within
from rollup.errors import LoweringError
from rollup.numbers import on_grid
from rollup.types import DType

MARGIN = 2.0
"""Calibrated magnitudes are multiplied by this before a format is chosen."""

OUTLIER = 24.0
"""A value whose magnitude exceeds its typical one by this factor is widened, unless the formats say another."""

WIDE_BITS = 23
"""Bits of magnitude of a widened value: a product with 16-bit weights stays exact in float64."""

TAIL_BITS = 2
"""Bits of a widened value beyond those: of a tail, samples show little (a rare token is four times as large as any in a page of text)."""

ROW_OUTLIER = 2.0**16
"""A value whose magnitude exceeds its typical one by this factor gets a scale per row where products read it."""

ROW_BITS = 30
"""Bits of magnitude of a value before its rows are scaled, and of one that keeps infinities apart."""

LONG_BITS = 59
"""Bits of magnitude of an int64 input: what arithmetic keeps of it, four times the calibrated magnitude, fits the 61 bits of a register."""

SCALE_LIMIT = 60

FIFTEEN_BITS = (1 << 14) - 1
"""Largest magnitude of a weight of 15 bits."""


@dataclass(frozen=True)
class WeightFormat:
    """Of integer weights: their dtype, and the largest magnitude, which never is the dtype's least integer's."""

    dtype: DType
    most: int


@dataclass(frozen=True)
class Formats:
    """A choice of formats for a whole program.

    ``weight_bits``: 8, 15 or 16. ``outlier``, ``row_outlier``: a value whose largest magnitude exceeds its typical one by more than
    this factor is widened, or scaled row by row.
    """

    weight_bits: int = 16
    outlier: float = OUTLIER
    row_outlier: float = ROW_OUTLIER

    @property
    def divides(self) -> bool:
        """Whether outlier channels are divided, instead of widening the value (``prover.lowering.channels``)."""
        return self.weight_bits == 15

    @property
    def name(self) -> str:
        """As ``formats_named`` reads it."""
        base = f"w{self.weight_bits}a16"
        if self.row_outlier != ROW_OUTLIER:
            return f"{base}/{self.outlier:g}/{self.row_outlier:g}"
        return base if self.outlier == OUTLIER else f"{base}/{self.outlier:g}"

    def weights(self, fine: bool = False) -> WeightFormat:
        """The format of weights; ``fine``: of those that keep 16 bits, or 15, whatever else is said."""
        if self.weight_bits == 8 and not fine:
            return WeightFormat(DType.I8, DType.I8.max)
        return WeightFormat(DType.I16, DType.I16.max if self.weight_bits == 16 else FIFTEEN_BITS)

    def by_row(self, observed: RealRange) -> bool:
        """Whether a value gets a scale per row at run time, where products read its rows."""
        return observed.hint.rows and observed.outlier > self.row_outlier

    def widened(self, observed: RealRange) -> bool:
        """Whether a value's magnitude is so far from its typical one that it gets more bits."""
        return observed.hint.bits is None and not self.by_row(observed) and observed.outlier > self.outlier

    def margin(self, observed: RealRange) -> float:
        """What a calibrated magnitude is multiplied by before a format is chosen: more where bits are plenty."""
        wide = self.widened(observed) or observed.hint.last or observed.hint.bits == RESULT_BITS
        return MARGIN * 2.0**TAIL_BITS if wide else MARGIN

    def reach(self, observed: RealRange) -> float:
        """The magnitude that a value's format holds: with its margin, and room for infinities."""
        margin = 1.0 if observed.drawn else self.margin(observed)
        return max(observed.magnitude * margin, observed.hint.least) + observed.room

    def value(self, observed: RealRange) -> Format:
        """The format of a value that is stored."""
        hint = observed.hint
        if hint.within is Within.UNIT and hint.costly:
            return Format(DType.I32, WIDE_BITS - 1, -(1 << WIDE_BITS), (1 << WIDE_BITS) - 1)
        if hint.within is Within.UNIT:
            # A result may be 1 itself; what lies on the way may be a step less.
            return Format(DType.I16, 14 if hint.fine else 15, DType.I16.min, DType.I16.max)
        magnitude = self.reach(observed)
        bits = 15
        if hint.bits is not None:
            bits = hint.bits
        elif self.by_row(observed):
            bits = ROW_BITS
        elif self.widened(observed) or hint.last:
            bits = WIDE_BITS + TAIL_BITS
        elif hint.costly:
            bits = WIDE_BITS
        if observed.magnitude and (observed.deep or magnitude >= 2.0 ** (bits + SCALE_LIMIT)):
            # Room for infinities, or for magnitudes that no scale reaches with fewer bits.
            bits = max(bits, ROW_BITS)
        if hint.grid is not None:
            bits = max(bits, min(WIDE_BITS, bits + hint.grid - scale_for(magnitude, bits)))
        one = hint.within is Within.ONE
        if bits == 15:
            scale = max(15, scale_for(magnitude, 15)) if one else scale_for(magnitude, 15)
            return Format(DType.I16, scale, DType.I16.min, DType.I16.max)
        # Where all that is possible lies within 1, a value that is asked to be fine has room for it.
        scale = bits if one and hint.bits is not None else scale_for(magnitude, bits)
        return Format(DType.I32, scale, -(1 << bits), (1 << bits) - 1)

    def inputs(self, observed: RealRange) -> list[Format]:
        """Formats of an input, from coarse to fine: int16 unless as a value it would be widened, all of int32, int64."""
        hint = replace(observed.hint, last=False, bits=None if observed.hint.exact else observed.hint.bits)
        first = self.value(replace(observed, hint=hint))
        magnitude = observed.magnitude * MARGIN + observed.room
        finer = [
            Format(dtype, scale_for(magnitude, bits), dtype.min, dtype.max)
            for dtype, bits in ((DType.I32, 31), (DType.I64, LONG_BITS))
        ]
        return finer if first.dtype is not DType.I16 else [first, *finer]


def horizon(observed: RealRange) -> float:
    """The magnitude from which a value is an infinity; infinite itself where the value holds none, or nobody asks."""
    return observed.magnitude * MARGIN + observed.room / 2 if observed.deep else math.inf


_NAMED = re.compile(r"w(8|15|16)a16(?:/(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?)?")


def formats_named(name: str) -> Formats:
    """``w16a16``, ``w15a16``, ``w8a16``, or with a factor from which values are widened (and another, scaled by row): ``w16a16/8/1000``."""
    found = _NAMED.fullmatch(name)
    if found is None:
        raise LoweringError(
            f"there are no formats named {name!r}; write w16a16, w15a16 or w8a16, with /8 to widen what exceeds its typical "
            "magnitude 8-fold"
        )
    weight, outlier, row = found.groups()
    return Formats(int(weight), float(outlier or OUTLIER), float(row or ROW_OUTLIER))


def scale_for(magnitude: float, bits: int) -> int:
    """Largest power-of-two scale at which ``magnitude`` fits into ``bits`` bits of magnitude."""
    if not math.isfinite(magnitude):
        raise LoweringError(f"a magnitude of {magnitude} has no fixed-point format; keep the values finite")
    if magnitude <= 0:
        return bits - 1
    exponent = math.frexp(magnitude)[1]
    return max(-SCALE_LIMIT, min(SCALE_LIMIT, bits - exponent))


@dataclass(frozen=True)
class Format:
    """Of one traced value: dtype, scale, and the integers that it may hold."""

    dtype: DType
    scale: int
    low: int
    high: int

    def ends(self, observed: RealRange) -> tuple[int, int]:
        """The integers at which what is stored may have been cut; a step beyond the dtype where it certainly was not, or is meant.

        A function that is bounded by one loses a step at most where a format ends there; an infinity lies where the format ends.
        """
        hint = observed.hint
        meant = observed.drawn or (hint.within is not Within.ANY and math.ldexp(1.0, self.scale) == self.high + 1)
        least, most = uncut(self.dtype)
        low = least if meant or -1 in observed.signs else self.low
        return low, most if meant or 1 in observed.signs else self.high


def uncut(dtype: DType) -> tuple[int, int]:
    """The ends of what nothing was cut off: a step beyond the dtype's."""
    return dtype.min - 1, dtype.max + 1


def quantize(array: np.ndarray, scale: int, low: int, high: int) -> np.ndarray:
    """Round half to even to the grid 2^-scale and saturate; int64."""
    found: np.ndarray = np.clip(np.nan_to_num(on_grid(np.asarray(array), scale), nan=0.0), low, high).astype(np.int64)
    return found


def weight_steps(weights: np.ndarray, kept: int, most: int) -> np.ndarray:
    """What one step of an integer weight stands for, by output channel, whose largest magnitude is the integer ``most``.

    ``kept``: leading axes of ``weights`` (float64) that channels lie along; the others are kept as ones.
    """
    inner = tuple(range(kept, weights.ndim))
    magnitude = np.abs(weights).max(axis=inner, keepdims=True) if inner else np.abs(weights)
    steps: np.ndarray = np.where(magnitude > 0, magnitude, 1.0) / most
    return steps


def is_real(dtype: Any) -> bool:
    """Whether a dtype of the float graph stands for real numbers (bfloat16 included)."""
    return bool(jnp.issubdtype(dtype, jnp.floating))


def integer_range(dtype: Any) -> tuple[int, int]:
    """Least and greatest value of a NumPy integer or boolean dtype (uint64 only below 2^63)."""
    if np.dtype(dtype) == np.bool_:
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), min(int(info.max), DType.I64.max)


def integer_dtype(dtype: np.dtype) -> DType:
    """DType that holds every value of an integer or boolean NumPy dtype (uint64 only below 2^63)."""
    if dtype == np.bool_:
        return DType.I8
    return DType.holding(*integer_range(dtype))
