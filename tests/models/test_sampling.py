"""Drawing from a real model's logits: the tokens are those of floats. ``make models`` asks more positions, setting by setting."""

from __future__ import annotations

import pytest

from tests.models.draws import SHARE, same
from tests.models.smollm2 import SMOLLM2


@pytest.mark.models
def test_tokens_that_are_drawn_from_a_real_models_logits_are_those_of_floats() -> None:
    found = same(SMOLLM2, 1)
    assert found.shape == (10, 128)
    assert found.mean() >= SHARE
