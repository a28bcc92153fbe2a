"""Tokens that are drawn from a real model's logits, in integers and in 64-bit floats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from prover.language.drawing import Drawer, numbers
from tests.models.decoder import Decoder
from tests.models.rows import Row, at_least, percent
from tests.prover.language.draws import SETTINGS, float_draw

GRID = 2.0**-12
"""Of a program's logits."""

SHARE = 0.999
"""Of the tokens that are those of floats, at least."""


def same(decoder: Decoder, windows: int) -> np.ndarray:
    """bool [settings, positions of so many held-out windows]: whether the token is the one that floats draw with the same number."""
    found = [np.asarray(decoder.language.logits(sample[0]), np.float64) for sample in decoder.samples(count=windows)]
    rows = np.rint(np.concatenate(found) / GRID) * GRID
    positions, vocabulary = rows.shape
    equal = []
    for sampling in SETTINGS:
        drawer, known = Drawer(sampling, positions, vocabulary), np.asarray(numbers(sampling.words, positions)).tolist()
        equal.append([drawer.draw(row, at) == float_draw(row, sampling, known[at]) for at, row in enumerate(rows)])
    return np.array(equal)


def draws(decoder: Decoder, quick: bool) -> Iterator[Row]:
    """The setting in which fewest tokens are those of floats."""
    equal = same(decoder, 1 if quick else 8)
    settings, positions = equal.shape
    measure = f"tokens drawn as floats draw them, the worst of {settings} settings at {positions:,} positions"
    yield at_least(decoder.name, measure, float(equal.mean(axis=1).min()), 0.99 if quick else SHARE, percent)
