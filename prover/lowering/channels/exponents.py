"""Exponents: by how many powers of two an operand's outlier channels are divided, so that all of it fits int16.

A value is widened if its largest magnitude is far from its typical one, and mostly few channels are to blame: the same in every sample.
Each of them is divided by a power of two of its own, and the weights that sum over it are multiplied by it (Xiao et al., "SmoothQuant",
2022, with powers of two and for outliers alone). That costs bits twice: the channel gets a coarser grid, and a channel of weights whose
largest one it has become. What both cost a product's results is estimated from the samples; the fewest channels that leave the noise
low enough are divided, and where too much is left, the value is widened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prover.lowering.channels.magnitudes import Magnitudes
from prover.lowering.channels.operands import WeightOperand
from prover.lowering.formats import MARGIN, OUTLIER, TAIL_BITS, Formats
from prover.lowering.graph import Var
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.hints import PLAIN

AIM = 2.0**-11
"""Root mean square, over that of a product's results, of the noise that is low enough."""

LIMIT = 2.0**-10.5
"""The same of the noise that is not worth widening the operand for, if no choice of channels reaches what is aimed at."""

SHARE = 1 / 8
"""Of the noise that the weights make anyway, in squares: as much more is not worth it either. Weights of 8 bits make a lot."""

TAILED = 8.0
"""A channel whose largest magnitude exceeds its root mean square by more than this has a tail, of which samples show little: its margin
is as much larger, up to that of a widened value."""

LEVELS = 12
"""Ranges that are tried, each half of the one before: channels beyond it are divided."""

ROWS = 128
"""Results of a product whose weights are looked at."""

BITS = 15

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class NarrowOperand:
    """An operand that fits int16. ``exponents`` int32 [channels]: of what each is divided by; ``range``: of what is left."""

    operand: WeightOperand
    exponents: Array
    range: RealRange


def narrow_operands(
    operands: list[WeightOperand], ranges: dict[Var, RealRange], seen: Magnitudes, formats: Formats
) -> list[NarrowOperand]:
    """Those of the operands that would be widened, and fit int16 with divided channels."""
    wide = [operand for operand in operands if operand.var in seen and eligible(ranges[operand.var], formats)]
    found = [_narrow(operand, ranges, seen, formats) for operand in wide]
    return [narrow for narrow in found if narrow is not None]


def eligible(observed: RealRange, formats: Formats) -> bool:
    """Whether a value would be widened for nothing but its outliers."""
    plain = replace(observed.hint, rows=False) == replace(PLAIN, infinity=observed.hint.infinity)
    return plain and not observed.infinite and formats.widened(observed)


@dataclass(frozen=True)
class _Level:
    """A range of +-``room``; ``exponents``: of what channels are divided by so that they fit."""

    room: float
    exponents: Array


def _levels(most: Array, squares: Array) -> Iterator[_Level]:
    """From the range that holds all channels with their margins, downwards. What is divided has room for a tail in any case."""
    tails = np.where(squares > 0, most / np.sqrt(np.maximum(squares, 1e-60)) / TAILED, 1.0)
    reach = most * MARGIN * np.clip(tails, 1.0, 2.0**TAIL_BITS)
    top = math.frexp(float(reach.max()))[1]
    for power in range(top, top - LEVELS, -1):
        room = math.ldexp(1.0, power)
        wanted = np.log2(np.maximum(most, room / MARGIN / 2.0**TAIL_BITS) * MARGIN * 2.0**TAIL_BITS / room)
        yield _Level(room, np.where(reach > room, np.maximum(np.ceil(wanted), 1), 0).astype(np.int32))


def _narrow(
    operand: WeightOperand, ranges: dict[Var, RealRange], seen: Magnitudes, formats: Formats
) -> NarrowOperand | None:
    magnitudes = seen[operand.var]
    most, squares = magnitudes.most, magnitudes.squares
    if not most.any() or not squares.any():
        return None
    costs = _Costs.of(operand, ranges, squares, formats)
    scale = formats.outlier / OUTLIER
    own = costs.weights(np.zeros(len(most), np.int32)) * (1 + SHARE)
    aim, limit = max((AIM * scale) ** 2, own), max((LIMIT * scale) ** 2, own)
    best: tuple[float, _Level] | None = None
    for level in _levels(most, squares):
        divided = bool(level.exponents.any())
        if divided and operand.tied:
            break
        if operand.shared and not divided:
            continue
        noise = costs.of_level(level)
        if best is None or noise < best[0]:
            best = noise, level
        if noise <= aim:
            best = noise, level
            break
    if best is None or best[0] > limit:
        return None
    level, observed = best[1], ranges[operand.var]
    # All of the range is room for what is divided; of what is not, the margin.
    reach = math.nextafter(level.room, 0) / MARGIN
    hint = replace(observed.hint, rows=False, bits=BITS)
    return NarrowOperand(operand, level.exponents, replace(observed, low=-reach, high=reach, hint=hint))


@dataclass(frozen=True, eq=False)
class _Costs:
    """What rounding costs an operand's products, in mean squares over those of their results.

    ``rows``: by product float32 [rows, inner, channels] of weights, ``most`` the largest integer of each; ``squares``: of the channels.
    """

    rows: tuple[Array, ...]
    most: tuple[int, ...]
    squares: Array

    @classmethod
    def of(cls, operand: WeightOperand, ranges: dict[Var, RealRange], squares: Array, formats: Formats) -> _Costs:
        fine = [ranges[product.node.outputs[0]].hint.fine for product in operand.products]
        rows = tuple(product.rows(ROWS) for product in operand.products)
        return cls(rows, tuple(formats.weights(one).most for one in fine), squares)

    def of_level(self, level: _Level) -> float:
        return self._operand(level) + self.weights(level.exponents)

    def _operand(self, level: _Level) -> float:
        """The noise of the operand's rounding: of ``room / 2^15``, times what a channel was divided by."""
        step = math.ldexp(level.room, -BITS)
        factors = np.exp2(2.0 * level.exponents)
        return self._mean([np.square(rows).sum(axis=1) @ factors for rows in self.rows]) * step**2 / 12

    def weights(self, exponents: Array) -> float:
        """The noise of the weights' rounding, if they are multiplied by powers of two."""
        factors = np.exp2(exponents.astype(np.float64))
        left = float((self.squares / factors**2).sum())
        noise = []
        for rows, most in zip(self.rows, self.most, strict=True):
            steps = np.abs(rows * factors).max(axis=(1, 2)) / most
            noise.append(np.square(steps) / 12 * left * rows.shape[1])
        return self._mean(noise)

    def _mean(self, noise: list[Array]) -> float:
        """The mean over all results of all products, of noise over what they are."""
        signals = [np.square(rows).sum(axis=1) @ self.squares for rows in self.rows]
        shares = [n[s > 0] / s[s > 0] for n, s in zip(noise, signals, strict=True)]
        return float(np.mean([share.mean() for share in shares if len(share)] or [0.0]))
