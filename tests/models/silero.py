"""silero-vad, which hears whether somebody speaks: convolutions, then an LSTM over the frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import onnxruntime

from prover import Model, lower
from prover.onnx import OnnxModel, load_onnx
from tests.models.case import Case, Sample
from tests.models.packages import file_of
from tests.models.rows import Row, every
from tests.models.voices import noise, spoken, tone

NAME = "silero-vad"
MODEL = "silero_vad_16k_sequence.onnx"
FRAMES, FRAME, CONTEXT = 32, 512, 64
THRESHOLD = 0.5
STATE = np.zeros((1, 1, 128), np.float32)


def frames(sound: np.ndarray) -> np.ndarray:
    """float32 [32, 576]: frames of 32 ms, each with the end of the one before it in front; about a second in all."""
    cut = np.zeros(FRAMES * FRAME, np.float32)
    cut[: len(sound)] = sound[: len(cut)]
    rows = cut.reshape(FRAMES, FRAME)
    before = np.zeros((FRAMES, CONTEXT), np.float32)
    before[1:] = rows[:-1, -CONTEXT:]
    return np.concatenate([before, rows], axis=1)


def _inputs(sounds: Sequence[np.ndarray]) -> list[Sample]:
    return [(frames(sound), STATE, STATE) for sound in sounds]


def calibration() -> list[Sample]:
    count = FRAMES * FRAME
    return _inputs(
        [
            spoken((("a", 110), ("i", 140), ("o", 100)), 1),
            spoken((("e", 200), ("a", 220), ("i", 240)), 2, loud=2.5),
            noise(count, 0.05, 3),
            tone(count, 440, 0.5),
            np.zeros(count, np.float32),
        ]
    )


def samples() -> Sequence[Sample]:
    """Held out: other voices, and other sounds that are none."""
    count = FRAMES * FRAME
    return _inputs(
        [
            spoken((("o", 120), ("e", 130), ("a", 125)), 11),
            spoken((("i", 180), ("o", 170), ("e", 190)), 12, loud=0.5),
            spoken((("a", 95), ("a", 90), ("o", 92)), 13, loud=1.5, gap=0.3),
            spoken((("e", 210), ("i", 215), ("i", 220)), 14, loud=0.2),
            noise(count, 0.02, 15),
            noise(count, 0.2, 16),
            tone(count, 1000, 0.3),
            np.concatenate([np.zeros(6000, np.float32), spoken((("o", 105), ("a", 115)), 17)]),
        ]
    )


@cache
def network() -> OnnxModel:
    return load_onnx(file_of(NAME, MODEL))


def lowered() -> Model:
    chosen = calibration()
    # Some frames lie within a thousandth of the threshold.
    return lower(network().fn, *chosen[0], calibration=chosen, formats="w16a16/8").noted(name=NAME)


def answers(model: Model) -> list[Row]:
    """Of every held-out frame, whether it is speech."""
    session = onnxruntime.InferenceSession(file_of(NAME, MODEL))
    same = count = 0
    for sound, hidden, cell in samples():
        expected, *_ = session.run(None, {"input": sound, "h": hidden, "c": cell})
        probability, *_ = model.predict(sound, hidden, cell)
        same += int(np.sum((np.asarray(probability) > THRESHOLD) == (expected > THRESHOLD)))
        count += expected.size
    return [every(NAME, f"frames whose decision (p > {THRESHOLD}) is onnxruntime's", same, count)]


CASE = Case(NAME, NAME, lambda: network().fn, lowered, samples, answers)
