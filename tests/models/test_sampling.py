"""Drawing from a real model's logits: the tokens are those of floats."""

from __future__ import annotations

import numpy as np
import pytest

from prover.language.drawing import Drawer, numbers
from tests.models.smollm2 import SMOLLM2
from tests.prover.language.draws import SETTINGS, float_draw

GRID = 2.0**-12
"""Of the logits of SmolLM2's program."""


@pytest.mark.models
def test_tokens_that_are_drawn_from_a_real_models_logits_are_those_of_floats() -> None:
    found = [np.asarray(SMOLLM2.language.logits(sample[0]), np.float64) for sample in SMOLLM2.samples(count=8)]
    rows = np.rint(np.concatenate(found) / GRID) * GRID
    positions, vocabulary = rows.shape
    assert (positions, vocabulary) == (1024, 49152)
    for sampling in SETTINGS:
        drawer, known = Drawer(sampling, positions, vocabulary), np.asarray(numbers(sampling.words, positions)).tolist()
        same = [drawer.draw(row, at) == float_draw(row, sampling, known[at]) for at, row in enumerate(rows)]
        assert np.mean(same) >= 0.999, sampling
