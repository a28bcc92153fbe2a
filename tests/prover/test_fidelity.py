"""Fidelity: what the measures say of a program and its float function, and what saturates inside."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, load, lower
from prover.fidelity import Comparison, cosine, divergence, fidelity_of
from prover.model import BATCH
from prover.saturation import saturation
from rollup.errors import LoweringError
from tests.prover.cases import reals


def test_every_measure_is_what_its_definition_says() -> None:
    rng = np.random.default_rng(3)
    expected = rng.normal(size=(9, 4, 7)).astype(np.float32)
    raw = np.rint(expected * 16 + rng.normal(size=expected.shape)).astype(np.int16)
    seen = Comparison("logits", 4, -(1 << 15), (1 << 15) - 1)
    for sample in zip(expected, raw, strict=True):
        seen.add(*sample)
    found = seen.result()
    own, wide = raw / 16, expected.astype(np.float64)
    p = np.exp(wide) / np.exp(wide).sum(-1, keepdims=True)
    q = np.exp(own) / np.exp(own).sum(-1, keepdims=True)
    assert found.largest == np.abs(wide - own).max()
    assert found.mean == pytest.approx(np.abs(wide - own).mean())
    assert found.relative == pytest.approx(found.largest / (wide.max() - wide.min()))
    assert found.agreement == np.mean(wide.argmax(-1) == own.argmax(-1))
    assert found.kl == pytest.approx(np.mean(np.sum(p * np.log(p / q), -1)))
    rows = zip(wide.reshape(9, -1), own.reshape(9, -1), strict=True)
    assert found.cosine == pytest.approx(min(a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in rows))
    assert (found.saturated, found.elements) == (0, expected.size)
    assert 0 < found.kl < 1 and 0.9 < found.agreement < 1


def test_integers_are_equal_or_not() -> None:
    seen = Comparison("classes", 0, -(1 << 31), (1 << 31) - 1)
    seen.add(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5], np.int32))
    found = seen.result()
    assert (found.agreement, found.relative, found.largest) == (0.75, 0.25, 1)
    assert found.cosine is None and found.kl is None


def test_a_divergence_of_large_logits_is_finite_and_zero_for_the_same() -> None:
    rows = np.array([[1e6, 0.0, -1e6]])
    assert divergence(rows, rows) == 0
    assert divergence(rows, rows + 5) == pytest.approx(0)


@pytest.mark.parametrize(("one", "other", "expected"), [(0, 0, 1), (0, 1, 0), (2, 1, 1), (1, -1, -1)])
def test_cosine_of_zeros_is_that_of_equal_or_unequal_arrays(one: float, other: float, expected: float) -> None:
    assert cosine(np.full(3, one, float), np.full(3, other, float)) == pytest.approx(expected)


def test_the_samples_number_and_order_do_not_matter_and_the_manifest_gives_the_same_back(tmp_path: object) -> None:
    weight = reals(6, 5)
    samples = [(reals(6) * (1 + n % 3),) for n in range(BATCH + 3)]
    model = lower(lambda x: jnp.tanh(x @ weight), samples[0][0], calibration=samples)
    forwards, backwards = model.fidelity(samples), model.fidelity(samples[::-1])
    assert forwards.samples == BATCH + 3 and forwards.outputs[0].elements == 5 * (BATCH + 3)
    assert forwards.outputs[0].largest == backwards.outputs[0].largest
    largest = max(model.fidelity([sample]).outputs[0].largest for sample in samples)
    assert forwards.relative == largest / _spread([model.floats(*sample)[0] for sample in samples])
    noted = model.noted(fidelity={"held_out": forwards.to_json()})
    noted.save(f"{tmp_path}")
    assert fidelity_of(load(f"{tmp_path}").program.meta, "held_out") == forwards
    assert fidelity_of(json.loads('{"fidelity": {"held_out": {"samples": 1}}}'), "held_out") is None


def _spread(arrays: list[np.ndarray]) -> float:
    return float(np.max(arrays) - np.min(arrays))


def test_another_function_s_outputs_are_not_compared() -> None:
    model = lower(lambda x: x * 2, reals(4))
    model.fn = lambda x: (x, x)
    with pytest.raises(LoweringError, match="gives 2 outputs"):
        model.fidelity([(reals(4),)])
    model.fn = lambda x: x[:2]
    with pytest.raises(LoweringError, match=r"gives output the shape \(2,\)"):
        model.fidelity([(reals(4),)])


def test_what_saturates_inside_is_named_with_its_source_and_counted() -> None:
    weight = np.ones((4, 1), np.float32)

    def network(x: object) -> object:
        return jnp.maximum(x @ weight, 0) @ np.full((1, 3), 0.001, np.float32)

    small = [(np.full((2, 4), 0.1, np.float32),)]
    model = lower(network, *small[0], calibration=small)
    assert model.saturation(small) == ()
    # Within the inputs' format, but with sums beyond the one that was chosen from sums of up to 0.4.
    model = lower(network, *small[0], calibration=[(np.array([[1, -1, 1, -0.9], [0.1] * 4], np.float32),)])
    outputs, sums = model.saturation([(np.array([[1, 1, 1, 1], [0.1] * 4], np.float32),)])
    assert (sums.op, sums.count, sums.elements) == (0, 1, 2)
    assert (outputs.op, outputs.count, outputs.elements) == (1, 3, 6)
    assert sums.high == (1 << 15) - 1
    assert "test_fidelity.py" in sums.name and "1 of 2" in str(sums)


def test_what_is_meant_to_reach_its_format_s_end_is_no_news() -> None:
    mask = np.where(np.tril(np.ones((5, 5))), 0, -1e9).astype(np.float32)
    samples = [(reals(5, 5),)]
    model = lower(lambda x: jax.nn.softmax(x + mask) @ np.ones((5, 2), np.float32), *samples[0], calibration=samples)
    assert model.saturation(samples) == ()
    assert {"both", "low"} <= set(model.program.meta["meant"])
    unaware = Model(replace(model.program, meta={}))
    assert {one.low for one in saturation(unaware.executor, [model.quantize(*samples[0])])} > {None}
