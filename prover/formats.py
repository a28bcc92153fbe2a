"""Number formats: which integers stand for which reals (DESIGN D4).

``w16a16``: weights are int16 with a real scale per output channel, values int16 with a power-of-two scale and a twofold margin over
calibration; a value whose largest magnitude is far from its typical one is widened to 24 bits. ``w8a16``: int8 weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.passes.calibrate import Range
from rollup.errors import LoweringError
from rollup.types import DType

MARGIN = 2.0
"""Calibrated magnitudes are multiplied by this before a format is chosen."""

OUTLIER = 128.0
"""A value whose magnitude exceeds its typical one by this factor is widened."""

WIDE_BITS = 23
"""Bits of magnitude of a widened value: a product with 16-bit weights stays exact in float64."""

SCALE_LIMIT = 60


@dataclass(frozen=True)
class Formats:
    """A named choice of formats for a whole program."""

    name: str
    weight_bits: int

    @property
    def weight(self) -> DType:
        return DType.I8 if self.weight_bits == 8 else DType.I16


FORMATS = {"w16a16": Formats("w16a16", 16), "w8a16": Formats("w8a16", 8)}


def formats_named(name: str) -> Formats:
    try:
        return FORMATS[name]
    except KeyError:
        raise LoweringError(f"there are no formats named {name!r}; use one of {', '.join(FORMATS)}") from None


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


def value_format(observed: Range) -> Format:
    """int16 with a twofold margin, widened to 24 bits if calibration shows an outlier, or as the plan wishes."""
    wish = observed.wish
    if wish.unit:
        return Format(DType.I16, 15, DType.I16.min, DType.I16.max)
    magnitude = observed.magnitude * MARGIN + wish.room
    bits = 15
    if wish.bits is not None:
        bits = wish.bits
    elif observed.typical > 0 and observed.magnitude > OUTLIER * observed.typical:
        bits = WIDE_BITS
    if wish.grid is not None:
        bits = max(bits, min(WIDE_BITS, bits + wish.grid - scale_for(magnitude, bits)))
    if bits == 15:
        return Format(DType.I16, scale_for(magnitude, 15), DType.I16.min, DType.I16.max)
    return Format(DType.I32, scale_for(magnitude, bits), -(1 << bits), (1 << bits) - 1)


def quantize(array: np.ndarray, scale: int, low: int, high: int) -> np.ndarray:
    """Round half to even to the grid 2^-scale and saturate; int64."""
    with np.errstate(over="ignore"):
        scaled = np.asarray(array, dtype=np.float64) * math.ldexp(1.0, scale)
    return np.clip(np.rint(np.nan_to_num(scaled, nan=0.0)), low, high).astype(np.int64)


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
