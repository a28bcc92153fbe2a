"""Pictures of text, drawn with a pen: capitals and digits as strokes on a grid of 5 by 7 points."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

Array = np.ndarray

GLYPHS = {
    "A": "062046 1434",
    "B": "0006 003041423303 3344453606",
    "C": "4130100105163645",
    "D": "0006 002042442606",
    "E": "40000646 0333",
    "F": "400006 0333",
    "G": "41301001051636454323",
    "H": "0006 4046 0343",
    "I": "2026",
    "J": "3035261605",
    "K": "0006 4004 1346",
    "L": "000646",
    "M": "0600234046",
    "N": "06004640",
    "O": "103041453616050110",
    "P": "0006 003041423303",
    "Q": "103041453616050110 2446",
    "R": "0006 003041423303 2346",
    "S": "413010010213334445361605",
    "T": "0040 2026",
    "U": "000516364540",
    "V": "002640",
    "W": "0016233640",
    "X": "0046 4006",
    "Y": "002340 2326",
    "Z": "00400646",
    "1": "112026",
    "2": "01103041420646",
    "3": "0110304142334445361605 2333",
    "4": "36300444",
    "5": "400002324345361605",
    "6": "413010010516364544331304",
    "7": "004016",
    "8": "103041423313020110 1304051636454433",
    "9": "051636454130100102133342",
    " ": "",
}
"""For each glyph its strokes; a stroke is points, a point is two digits: 0 to 4 from the left, 0 to 6 from the top."""


def page(height: int, width: int) -> Array:
    """A white page, uint8 [height, width]."""
    return np.full((height, width), 255, np.uint8)


def written(
    paper: Array, text: str, left: float, top: float, tall: float, pen: float = 0.13, slant: float = 0.0
) -> Array:
    """The page with a line of text on it: capitals ``tall`` pixels high, a pen of ``pen`` times that, leaning by ``slant``."""
    rows, columns = np.indices(paper.shape, dtype=np.float64) + 0.5
    step, ink, at = tall / 6, np.zeros(paper.shape), left
    for mark in text:
        points = [[(int(s[n]), int(s[n + 1])) for n in range(0, len(s), 2)] for s in GLYPHS[mark].split()]
        spread = [x for stroke in points for x, _ in stroke] or [0, 2]
        for stroke in points:
            line = [(at + step * (x - min(spread) + slant * (6 - y)), top + step * y) for x, y in stroke]
            for one, other in itertools.pairwise(line):
                ink = np.maximum(ink, np.clip(pen * tall / 2 - _distance(columns, rows, one, other) + 0.5, 0, 1))
        at += step * (max(spread) - min(spread) + 2)
    drawn: Array = np.rint(paper * (1 - ink)).astype(np.uint8)
    return drawn


def _distance(x: Array, y: Array, one: Sequence[float], other: Sequence[float]) -> Array:
    """Of every pixel to a segment."""
    (x0, y0), (dx, dy) = one, (other[0] - one[0], other[1] - one[1])
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    away: Array = np.hypot(x - x0 - along * dx, y - y0 - along * dy)
    return away
