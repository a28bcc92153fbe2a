"""Parameters of sampling: their ranges, their units, and the seed that a request fixes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from prover.language.sampling import GREEDY, Sampling
from rollup.errors import ExecutionError


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"temperature": 0.009}, "a temperature of 0.009 is out of range; give 0 .* or 0.01 to 2"),
        ({"temperature": 2.1}, "a temperature of 2.1"),
        ({"temperature": -1}, "a temperature of -1"),
        ({"temperature": math.nan}, "a temperature of nan"),
        ({"temperature": math.inf}, "a temperature of inf"),
        ({"top_p": 0}, "a top-p of 0 is out of range; give 0.000001 to 1"),
        ({"top_p": 1.01}, "a top-p of 1.01"),
        ({"top_p": math.nan}, "a top-p of nan"),
        ({"top_k": -1}, "a top-k of -1 is out of range"),
        ({"seed": b"short"}, "a seed of 5 bytes; give 8"),
    ],
)
def test_what_is_out_of_range_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ExecutionError, match=sentence):
        Sampling(**given)


def test_the_ends_of_the_ranges_are_inside() -> None:
    for temperature, heat in ((0, 0), (0.01, 10_000), (0.7, 700_000), (2, 2_000_000)):
        assert Sampling(temperature).heat == heat
    for top_p, share in ((0.000001, 1), (0.95, 950_000), (1, 1_000_000)):
        assert Sampling(top_p=top_p).share == share
    assert GREEDY.heat == 0


def test_a_top_k_beyond_the_vocabulary_is_refused() -> None:
    Sampling(top_k=320).check(320)
    with pytest.raises(ExecutionError, match="a top-k of 321 exceeds the vocabulary of 320 tokens"):
        Sampling(top_k=321).check(320)


def test_a_seed_is_two_words_big_endian() -> None:
    assert Sampling(seed=bytes(range(8))).words.tolist() == [0x00010203, 0x04050607]
    assert Sampling().words.dtype == np.uint32
