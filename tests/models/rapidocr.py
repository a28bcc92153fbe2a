"""rapidocr's three networks: where text is, what it says, which way up it is. Their pictures are drawn, not photographed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime

from prover import Model, lower
from prover.onnx import OnnxModel, load_onnx
from tests.models.case import Case, Sample
from tests.models.packages import file_of
from tests.models.rows import Row, every
from tests.models.strokes import page, written

PACKAGE = "rapidocr"
INK = 0.3
"""Probability from which a pixel belongs to text."""
SMALLEST = 3
"""Pixels of the shorter side of a box, at least."""

Array = np.ndarray
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Network:
    """One of the three: its file, the size of its pictures, and what its program gives of the network's output."""

    name: str
    file: str
    height: int
    width: int
    answer: Callable[[Any], Any]

    @property
    def path(self) -> str:
        return str(file_of(PACKAGE, self.file))

    def fn(self, picture: Any) -> Any:
        """The program's function: a grey picture uint8 [height, width]."""
        return self.answer(_loaded(self.path).fn(planes(picture, jnp)))

    def expected(self, picture: Array) -> Array:
        """The same by onnxruntime."""
        (found,) = _session(self.path).run(None, {"x": np.asarray(planes(picture, np), np.float32)})
        return np.asarray(self.answer(found))

    def lowered(self, pictures: Sequence[Array], formats: str = "w16a16") -> Model:
        chosen = [(picture,) for picture in pictures]
        return lower(self.fn, pictures[0], formats=formats, calibration=chosen).noted(name=self.name)


def planes(picture: Any, xp: Any) -> Any:
    """Three equal colours from -1 to 1, [1, 3, height, width]."""
    grey = (picture.astype(np.float32) / 255 - 0.5) / 0.5
    return xp.broadcast_to(grey[None, None], (1, 3, *grey.shape))


@cache
def _loaded(path: str) -> OnnxModel:
    return load_onnx(path)


@cache
def _session(path: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path)


DETECTION = Network("rapidocr detection", "PP-OCRv6_det_small.onnx", 96, 320, lambda found: found[0, 0] > INK)
RECOGNITION = Network(
    "rapidocr recognition", "PP-OCRv6_rec_small.onnx", 48, 240, lambda found: found[0].argmax(-1).astype(np.int32)
)
ORIENTATION = Network("rapidocr orientation", "ch_ppocr_mobile_v2.0_cls_mobile.onnx", 48, 192, lambda found: found[0])


def boxes(text: Array) -> list[Box]:
    """(top, left, bottom, right) of the connected pixels of bool [height, width], in reading order; specks are left out."""
    left_over, found = text.copy(), []
    for start in zip(*np.nonzero(text), strict=True):
        if not left_over[start]:
            continue
        left_over[start] = False
        group, border = [start], [start]
        while border:
            y, x = border.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= near[0] < text.shape[0] and 0 <= near[1] < text.shape[1] and left_over[near]:
                    left_over[near] = False
                    group.append(near)
                    border.append(near)
        top, left = np.min(group, axis=0)
        bottom, right = np.max(group, axis=0)
        if min(bottom - top, right - left) + 1 >= SMALLEST:
            found.append((int(top), int(left), int(bottom), int(right)))
    return found


@cache
def characters() -> tuple[str, ...]:
    """What the recogniser's classes stand for; the first is a blank."""
    known = {entry.key: entry.value for entry in onnx.load(RECOGNITION.path).metadata_props}
    return ("", *known["character"].split("\n"), " ")


def read(classes: Array) -> str:
    """The text of one class per step: repetitions and blanks are left out."""
    kept = [int(c) for at, c in enumerate(classes) if c and (at == 0 or classes[at - 1] != c)]
    return "".join(characters()[c] for c in kept)


LINES = ("HARBOUR", "TIDE 46", "MARKET 7", "QUAY 192", "LOT 5 23", "WINDY", "FRESH COD", "JUNE 8")
"""Held out; the lines that calibrate are others."""
CALIBRATION_LINES = ("ROPE 31", "EXIT", "BOX 67", "SALT VAN", "PIZZA 9")


def _line(network: Network, text: str, at: int) -> Array:
    """One line of text; pen, size and slant change with ``at``."""
    tall = 28 - 2 * (at % 3)
    blank = page(network.height, network.width)
    return written(blank, text, 6 + at % 4, 9 + at % 3, tall, 0.1 + 0.02 * (at % 3), 0.08 * (at % 2))


def _lines(lines: Sequence[str]) -> list[Array]:
    return [_line(RECOGNITION, text, at + 1) for at, text in enumerate(lines)]


def calibration_lines() -> list[Array]:
    return _lines(CALIBRATION_LINES)


def _pages(lines: Sequence[str]) -> list[Array]:
    """Pages with two lines each, and an empty one."""
    found = []
    for at, (first, second) in enumerate(itertools.pairwise(lines)):
        paper = written(page(DETECTION.height, DETECTION.width), first, 8 + 10 * (at % 3), 10, 22 + at % 4, 0.12)
        found.append(written(paper, second, 60 + 12 * (at % 4), 58, 18 + 2 * (at % 3), 0.14, 0.05 * at))
    return [*found, page(DETECTION.height, DETECTION.width)]


def _turned(lines: Sequence[str]) -> list[Array]:
    """Every line, and every second one upside down as well."""
    upright = [_line(ORIENTATION, text, at) for at, text in enumerate(lines)]
    return [*upright, *(np.ascontiguousarray(picture[::-1, ::-1]) for picture in upright[::2])]


def detection_samples() -> Sequence[Sample]:
    return [(picture,) for picture in _pages(LINES)]


def recognition_samples() -> Sequence[Sample]:
    return [(_line(RECOGNITION, text, at),) for at, text in enumerate(LINES)]


def orientation_samples() -> Sequence[Sample]:
    return [(picture,) for picture in _turned(LINES)]


def detection_answers(model: Model) -> list[Row]:
    """The boxes of every page."""
    given = detection_samples()
    pairs = [(boxes(np.asarray(model.predict(*one), bool)), boxes(DETECTION.expected(*one))) for one in given]
    return [
        every(DETECTION.name, "pages whose boxes of text are onnxruntime's", sum(a == b for a, b in pairs), len(pairs))
    ]


def recognition_answers(model: Model) -> list[Row]:
    """The text of every line."""
    given = recognition_samples()
    pairs = [(read(np.asarray(model.predict(*one))), read(RECOGNITION.expected(*one))) for one in given]
    right = sum(found == text for (found, _), text in zip(pairs, LINES, strict=True))
    return [
        every(RECOGNITION.name, "lines read as onnxruntime reads them", sum(a == b for a, b in pairs), len(pairs)),
        every(RECOGNITION.name, "lines read as they were written", right, len(pairs)),
    ]


def orientation_answers(model: Model) -> list[Row]:
    """Which way up every line is."""
    given = orientation_samples()
    same = sum(int(np.argmax(model.predict(*one)) == np.argmax(ORIENTATION.expected(*one))) for one in given)
    return [every(ORIENTATION.name, "lines whose way up is onnxruntime's", same, len(given))]


def _case(
    network: Network,
    pictures: Callable[[Sequence[str]], list[Array]],
    samples: Callable[[], Sequence[Sample]],
    answers: Callable[[Model], list[Row]],
) -> Case:
    return Case(
        network.name,
        PACKAGE,
        lambda: network.fn,
        lambda: network.lowered(pictures(CALIBRATION_LINES)),
        samples,
        answers,
    )


CASES = (
    _case(DETECTION, _pages, detection_samples, detection_answers),
    _case(RECOGNITION, _lines, recognition_samples, recognition_answers),
    _case(ORIENTATION, _turned, orientation_samples, orientation_answers),
)
