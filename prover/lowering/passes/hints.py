"""Format hints: what a value's format should be like, as the plan says it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from prover.lowering.graph import Var
from prover.lowering.passes.drawn import Interval
from prover.lowering.passes.infinity import DEEP

RESULT_BITS = 31
"""Bits of magnitude of a small result: its ends are those of its dtype, and float32 has fewer digits."""


class Within(Enum):
    """Bounds of a value that its function has by itself, and how its format goes with them.

    ``SHARE``: of a sum, so within [0, 1]; the format is for what samples show. ``ONE``: within [-1, 1], and the format has room for all
    of it, whatever its bits. ``UNIT``: within [-1, 1], of 16 bits.
    """

    ANY = auto()
    SHARE = auto()
    ONE = auto()
    UNIT = auto()


@dataclass(frozen=True)
class FormatHint:
    """What a value's format should be like.

    ``bits``: of magnitude, instead of 15; ``grid``: least number of fraction bits, at the price of more bits; ``infinity``: room beyond
    the calibrated magnitude if the value may hold infinities; ``within``: bounds that its function has by itself; ``whole``: not rounded
    at all; ``last``: on the way from what the last products read to a result, and small; ``rows``: products read it, along the same axes
    all of them, so that what is left of it may have a scale per row; ``fine``: a result, whose weights keep 16 bits; ``exact``: constants
    decide about it, so that samples should lie on its grid; ``reach``: the interval that it certainly lies in, being drawn; ``least``: the
    magnitude that its format holds at least, however small the samples; ``costly``: rounded to 16 bits it costs the results too much (no
    plan says so: ``prover.lowering.passes.noise`` measures it).
    """

    bits: int | None = None
    grid: int | None = None
    infinity: float = DEEP
    within: Within = Within.ANY
    whole: bool = False
    rows: bool = False
    fine: bool = False
    last: bool = False
    exact: bool = False
    reach: Interval | None = None
    least: float = 0.0
    costly: bool = False


PLAIN = FormatHint()


@dataclass(frozen=True)
class FormatPlan:
    """``hints`` of variables; ``masked``: the sign of the masks that are infinities to calibration, if they stand apart;
    ``infinite``: the signs of the infinities that a variable may hold, whatever the samples show; ``ordered``: those that need no room
    for them."""

    hints: dict[Var, FormatHint] = field(default_factory=dict)
    masked: dict[Var, int] = field(default_factory=dict)
    infinite: dict[Var, frozenset[int]] = field(default_factory=dict)
    ordered: set[Var] = field(default_factory=set)

    def hint(self, var: Var) -> FormatHint:
        hint = self.hints.get(var, PLAIN)
        return replace(hint, infinity=0.0) if var in self.ordered else hint
