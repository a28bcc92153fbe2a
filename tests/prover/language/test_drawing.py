"""Drawing a token: weights, cuts and draws are those of floats, and what a program checks is what a generator does."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from prover.language.drawing import (
    FAR,
    WEIGHT_BITS,
    Drawer,
    DrawnToken,
    drawn,
    in_range,
    mass_share,
    numbers,
    place_in,
    weights_of,
)
from prover.language.sampling import Sampling
from rollup.receipt import MILLION
from tests.prover.language.draws import SEED, SETTINGS, families, float_draw

VOCABULARY, COUNT = 1000, 400

GREATEST = (1 << WEIGHT_BITS) - 1

LOGITS = families(VOCABULARY, COUNT)


def _named(sampling: Sampling) -> str:
    return f"{sampling.temperature}-{sampling.top_p}-{sampling.top_k}"


@pytest.mark.parametrize("temperature", [0.01, 0.1, 0.7, 1.0, 2.0])
def test_weights_are_exponentials_to_28_bits(temperature: float) -> None:
    below = np.arange(0, 60 * 4096) / 4096
    weights = weights_of(np, -below, np.float64(0), np.int64(temperature * MILLION))
    expected = 2.0**WEIGHT_BITS * np.exp(-below / temperature)
    assert (np.abs(weights - expected) <= 1 + 2.0**-28 * expected).all()
    assert weights[0] == GREATEST and (weights[1:] < GREATEST).all()
    assert weights[-1] == 0 and weights.dtype == np.int64


def test_nothing_that_a_logit_may_be_passes_an_integer() -> None:
    logits = np.array([0.0, -(2.0**-16), -(2.0**-30), -FAR / 2**16, -32767.0, -1e9, -1e30])
    for heat in (0, 10_000, 2_000_000):
        with np.errstate(over="raise", invalid="ignore"):
            weights = weights_of(np, logits, np.float64(0), np.int64(heat))
        assert weights[0] == GREATEST and (weights[1:3] < GREATEST).all() and (weights[1:3] > 0).all()
        assert weights[3:5].tolist() == [0, 0]


def test_products_that_pass_64_bits_are_exact_in_parts() -> None:
    rng = np.random.default_rng(0)
    for total in [1, MILLION - 1, MILLION, 1 << 30, (1 << 50) - 1, *(int(x) for x in rng.integers(1, 1 << 50, 100))]:
        for share in (1, 123_457, MILLION - 1, MILLION):
            assert int(mass_share(np, np.int64(total), np.int64(share))) == -(-total * share // MILLION)
        for number in (0, 1, 2**32 - 1, int(rng.integers(0, 2**32))):
            assert int(place_in(np.int64(total), np.int64(number))) == number * total >> 32


def test_numbers_are_those_of_jax_for_the_key_and_the_position() -> None:
    key = jax.random.wrap_key_data(Sampling(seed=SEED).words, impl="threefry2x32")
    expected = [int(jax.random.key_data(jax.random.fold_in(key, at))[0]) for at in range(5)]
    assert np.asarray(numbers(Sampling(seed=SEED).words, 5)).tolist() == expected and len(set(expected)) == 5


@pytest.mark.parametrize("sampling", SETTINGS, ids=_named)
def test_tokens_are_those_of_floats(sampling: Sampling) -> None:
    drawer, known = Drawer(sampling, COUNT, VOCABULARY), np.asarray(numbers(sampling.words, COUNT)).tolist()
    same = [
        drawer.draw(row, at) == float_draw(row, sampling, known[at])
        for name, rows in LOGITS.items()
        # Floats add up equal shares to something beside the share that is asked for: there they are wrong.
        if name not in ("tied", "equal") or sampling.top_p == 1
        for at, row in enumerate(rows)
    ]
    assert len(same) >= 4 * COUNT and np.mean(same) >= 0.999


@pytest.mark.parametrize("name", LOGITS)
@pytest.mark.parametrize("sampling", [*SETTINGS, Sampling(0), Sampling(1.2, top_k=VOCABULARY)], ids=_named)
def test_a_program_draws_what_the_generator_draws_and_refuses_any_other_cut(name: str, sampling: Sampling) -> None:
    rows = LOGITS[name][:64]
    drawer = Drawer(sampling, len(rows), VOCABULARY)
    tokens = [drawer.draw(row, at) for at, row in enumerate(rows)]
    cuts = np.array([token.cuts for token in tokens], np.int32).T
    parameters = (np.int32(sampling.heat), np.int32(sampling.share), np.int32(sampling.top_k))

    def checked(given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # The grid is so coarse that float32 holds what float64 does.
        found, right = drawn(rows.astype(np.float32), sampling.words, *parameters, given)
        return np.asarray(found), np.asarray(right)

    found, right = checked(cuts)
    assert found.tolist() == tokens and right.all()
    for number, read in enumerate((0 < sampling.top_k < VOCABULARY, sampling.share < MILLION)):
        other = cuts.copy()
        other[number] = (other[number] + np.random.default_rng(number).integers(1, VOCABULARY, len(rows))) % VOCABULARY
        _, right = checked(other)
        assert right.all() if not read or sampling.heat == 0 else not right.any()


def test_a_generator_keeps_the_lowest_of_equal_tokens() -> None:
    row = np.zeros(VOCABULARY)
    for sampling, most in (
        (Sampling(0), 0),
        (Sampling(1, top_k=3, seed=SEED), 2),
        (Sampling(1, top_p=0.004, seed=SEED), 3),
    ):
        drawer = Drawer(sampling, 200, VOCABULARY)
        assert {int(drawer.draw(row, at)) for at in range(200)} == set(range(most + 1))


def test_a_token_knows_its_cuts() -> None:
    assert DrawnToken(7, (3, 5)) == 7 and DrawnToken(7, (3, 5)).cuts == (3, 5) and DrawnToken(7).cuts == (0, 0)


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k", "inside"),
    [
        (0, MILLION, 0, True),
        (10_000, 1, 320, True),
        (2 * MILLION, MILLION, 1, True),
        (9_999, MILLION, 0, False),
        (-1, MILLION, 0, False),
        (2 * MILLION + 1, MILLION, 0, False),
        (MILLION, 0, 0, False),
        (MILLION, MILLION + 1, 0, False),
        (MILLION, MILLION, -1, False),
        (MILLION, MILLION, 321, False),
    ],
)
def test_a_program_knows_what_is_in_range(temperature: int, top_p: int, top_k: int, inside: bool) -> None:
    assert bool(in_range(np.int32(temperature), np.int32(top_p), np.int32(top_k), 320)) is inside
