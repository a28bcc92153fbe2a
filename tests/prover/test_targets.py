"""Targets: the cheapest formats that come close enough on the calibration samples."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, lower
from prover.fidelity import Fidelity
from prover.lowering.targets import MEASURES, Target, choose
from rollup.errors import LoweringError
from tests.prover.cases import reals

WEIGHTS = reals(32, 16) / 6, reals(16, 10) / 4
SAMPLES = [(reals(32),) for _ in range(12)]


def network(x: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1) * (x @ WEIGHTS[0]) @ WEIGHTS[1]


FIRST = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32)
SECOND = np.random.default_rng(2).normal(size=(32, 16)).astype(np.float32)


def test_a_loose_target_is_met_by_small_weights_and_a_strict_one_by_large() -> None:
    loose = choose(network, SAMPLES, Target.parse("rel=0.05"))
    strict = choose(network, SAMPLES, Target.parse("rel=5e-4"))
    assert loose.model.program.meta["formats"].startswith("w8a16")
    assert strict.model.program.meta["formats"].startswith("w16a16")
    assert strict.fidelity.relative <= 5e-4 < loose.fidelity.relative <= 0.05
    assert [attempt.met for attempt in strict.attempts] == [False, True]
    assert strict.attempts[0].work < strict.attempts[1].work
    assert strict.fidelity.samples == len(SAMPLES)


def test_an_outlier_is_widened_only_where_the_target_asks_for_it() -> None:
    large = np.r_[np.ones(31), 60.0].astype(np.float32)
    samples = [(reals(32) * large,) for _ in range(12)]

    def spiky(x: np.ndarray) -> np.ndarray:
        return (x / large) @ WEIGHTS[0] @ WEIGHTS[1]

    narrow = choose(spiky, samples, Target.parse("rel=1e-2"))
    wide = choose(spiky, samples, Target.parse("rel=3e-5"))
    assert narrow.fidelity.relative > 3e-5 >= wide.fidelity.relative
    assert narrow.attempts[-1].trace_bytes < wide.attempts[-1].trace_bytes
    costs = [attempt.trace_bytes for attempt in wide.attempts]
    assert costs == sorted(costs) and len(costs) > len(narrow.attempts)


def test_a_target_beyond_all_formats_says_how_far_the_best_came() -> None:
    with pytest.raises(LoweringError, match=r"no formats meet rel=1e-09 .*w16a16\S* reaches"):
        choose(network, SAMPLES, Target.parse("rel=1e-9"), ["w8a16", "w16a16", "w16a16/1"])


def test_a_stricter_target_widens_the_values_that_need_it_and_costs_trace_bytes() -> None:
    def squares(x: Any) -> Any:
        return jnp.tanh((x * x) @ FIRST * 0.01) @ SECOND

    rng = np.random.default_rng(0)
    samples = [(rng.normal(size=(8, 64)).astype(np.float32) * 3,) for _ in range(4)]
    rough = choose(squares, samples, Target.parse("rel=1e-3"), ["w16a16", "w16a16/8", "w16a16/1"])
    fine = choose(squares, samples, Target.parse("rel=1.2e-4"), ["w16a16", "w16a16/8", "w16a16/1"])
    assert rough.model.program.meta["formats"] == "w16a16"
    assert fine.model.program.meta["formats"] != "w16a16"
    assert fine.attempts[-1].trace_bytes > rough.attempts[-1].trace_bytes


@pytest.mark.parametrize("text", ["top1=100", "kl=1e-3", "cos=0.999"])
def test_every_measure_can_be_a_target(text: str) -> None:
    found = choose(network, SAMPLES, Target.parse(text), ["w16a16"])
    assert found.attempts[0].met and found.model.program.meta["formats"] == "w16a16"


def test_a_measure_that_the_outputs_do_not_have_is_refused() -> None:
    for text in ("kl=1e-3", "cos=0.9"):
        with pytest.raises(LoweringError, match="use top1"):
            choose(lambda x: x > 0, SAMPLES, Target.parse(text), ["w16a16"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("speed=3", "is no target; write one of top1="),
        ("top1", "names no number"),
        ("top1=many", "names no number"),
        ("top1=101", "lies between 0 and 100"),
        ("rel=-1", "lies between 0 and 1"),
        ("cos=nan", "lies between -1 and 1"),
    ],
)
def test_what_is_no_target_says_what_is_one(text: str, words: str) -> None:
    with pytest.raises(LoweringError, match=words):
        Target.parse(text)


def test_a_bound_is_met_by_equality() -> None:
    for measure in MEASURES:
        assert Target(measure, 0.5).met(0.5)


def test_calibration_samples_are_measured_once_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[tuple[int, bool]] = []
    fidelity = Model.fidelity

    def noted(model: Model, samples: Any) -> Fidelity:
        measured.append((len(samples), model.compact))
        return fidelity(model, samples)

    monkeypatch.setattr(Model, "fidelity", noted)
    few = choose(network, SAMPLES[:3], Target.parse("rel=1"), ["w16a16"])
    assert measured == [(3, False)] and few.fidelity.samples == 3
    # Of more samples than are looked at by default; and of a model that is large.
    monkeypatch.setitem(lower.__globals__, "REPORTED", 2)
    monkeypatch.setattr("prover.model.COMPACT_BYTES", 0)
    more = choose(network, SAMPLES[:3], Target.parse("rel=1"), ["w16a16"])
    assert measured[1:] == [(2, True), (3, True)] and more.fidelity == few.fidelity
    assert not more.model.compact
