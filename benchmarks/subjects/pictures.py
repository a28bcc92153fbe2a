"""rapidocr's recognition of a line of text, from its ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.subjects.subject import OnnxTwin, Sample, Subject
from prover import Model
from tests.models import rapidocr

NETWORK = rapidocr.RECOGNITION


def _fn() -> Callable[..., Any]:
    return NETWORK.fn


def _samples(count: int) -> Sequence[Sample]:
    return rapidocr.recognition_samples()[:count]


def _lowered(formats: str) -> Model:
    return NETWORK.lowered(rapidocr.calibration_lines(), formats)


def _twin() -> OnnxTwin:
    return OnnxTwin(Path(NETWORK.path).read_bytes(), _feed)


def _feed(given: Sequence[Sample]) -> dict[str, np.ndarray]:
    return {"x": np.concatenate([rapidocr.planes(picture, np) for (picture,) in given])}


SUBJECTS = (
    Subject(
        "rapidocr",
        f"{NETWORK.name}, {NETWORK.height} x {NETWORK.width} pixels",
        (1,),
        _fn,
        _lowered,
        _samples,
        (rapidocr.PACKAGE,),
        _twin,
    ),
)
