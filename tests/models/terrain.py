"""adaptive-terrain-diffusion, which makes heights of noise: a denoising U-Net with group norms, attention, and activations up to 1e10."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import jax
import numpy as np
import onnxruntime

from prover import Model, lower
from prover.onnx import OnnxModel, load_onnx
from tests.models.case import Sample
from tests.models.packages import file_of
from tests.models.rows import Row, at_most, figure

NAME = "terrain-diffusion"
PACKAGE = "adaptive-terrain-diffusion"
SIDE = 128
CALIBRATION, HELD_OUT, QUICK = 4, 6, 2
FIRST = 1000
"""Seed of the first held-out image."""

SIGMAS = (0.3, 1.2)
DIFFICULTIES = 100


def image(seed: int) -> Sample:
    """(noisy float32 [1, 1, 128, 128], sigma [1], difficulty [1]): heights with the spectrum of a terrain within [-1, 1], and noise."""
    random = np.random.default_rng(seed)
    sigma = np.exp(random.uniform(*np.log(SIGMAS)))
    waves = np.fft.fftfreq(SIDE)[:, None] ** 2 + np.fft.fftfreq(SIDE)[None] ** 2
    waves[0, 0] = np.inf
    heights = np.fft.ifft2(np.fft.fft2(random.standard_normal((SIDE, SIDE))) * waves ** -random.uniform(0.7, 1.3)).real
    heights *= random.uniform(0.3, 1) / np.abs(heights).max()
    noisy = (heights + sigma * random.standard_normal((SIDE, SIDE))).astype(np.float32)
    difficulty = random.integers(DIFFICULTIES) / (DIFFICULTIES - 1)
    return noisy[None, None], np.array([sigma], np.float32), np.array([difficulty], np.float32)


@cache
def network() -> OnnxModel:
    return load_onnx(file_of(PACKAGE, ".onnx"))


def lowered() -> Model:
    chosen = [image(seed) for seed in range(CALIBRATION)]
    return lower(network().fn, *chosen[0], calibration=chosen).noted(name=NAME)


def samples(count: int = HELD_OUT) -> Sequence[Sample]:
    return [image(FIRST + number) for number in range(count)]


def answers(model: Model, quick: bool = False) -> list[Row]:
    """How far the heights are from onnxruntime's."""
    session = onnxruntime.InferenceSession(file_of(PACKAGE, ".onnx"))
    names = [port.name for port in session.get_inputs()]
    differences, relative = [], []
    given = samples(QUICK if quick else HELD_OUT)
    for one in given:
        (expected,) = session.run(None, dict(zip(names, one, strict=True)))
        difference = np.abs(np.asarray(jax.tree.leaves(model.predict(*one))[0]) - expected)
        differences.append(float(difference.mean()))
        relative.append(float(difference.max() / np.ptp(expected)))
    words = f"w16a16: largest difference to onnxruntime over an image's range, {len(given)} held-out images"
    return [
        at_most(NAME, words, max(relative), 5e-3),
        figure(NAME, "w16a16: mean difference", float(np.mean(differences))),
    ]
