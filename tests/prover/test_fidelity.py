"""Fidelity: what the measures say of a program and its float function, and what saturates inside."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, load, lower
from prover.fidelity import Comparison, Fidelity, cosine, divergence, divergence_text, fidelity_of
from prover.lowering.targets import Target
from prover.model import BATCH
from prover.saturation import run_counted, saturation
from prover.trace import ExecutionTrace
from rollup.errors import ExecutionError, LoweringError
from rollup.form.encoding import TensorType
from rollup.form.interface import Named
from rollup.types import DType
from tests.prover.cases import reals


def compared(name: str, dtype: DType, scale: int) -> Comparison:
    return Comparison(Named(name, "float32"), TensorType(dtype, scale, ()))


def test_every_measure_is_what_its_definition_says() -> None:
    rng = np.random.default_rng(3)
    expected = rng.normal(size=(9, 4, 7)).astype(np.float32)
    raw = np.rint(expected * 16 + rng.normal(size=expected.shape)).astype(np.int16)
    seen = compared("logits", DType.I16, 4)
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


def test_infinities_of_the_float_function_leave_the_measures_finite() -> None:
    seen = compared("scores", DType.I16, 4)
    seen.add(
        np.array([[1.0, -np.inf, 3.0], [-np.inf] * 3], np.float32), np.array([[16, -(1 << 15), 50], [-(1 << 15)] * 3])
    )
    found = seen.result()
    assert (found.largest, found.relative, found.saturated) == (0.125, 0.0625, 0)
    assert np.isfinite([found.mean, found.cosine or 0.0, found.kl or 0.0]).all()


def test_integers_are_equal_or_not() -> None:
    seen = compared("classes", DType.I32, 0)
    seen.add(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5], np.int32))
    found = seen.result()
    assert (found.agreement, found.relative, found.largest) == (0.75, 0.25, 1)
    assert found.cosine is None and found.kl is None


def test_of_single_numbers_and_single_columns_nothing_is_said_that_means_nothing() -> None:
    """No cosine of one number, no choice among one, no top-1 to aim at."""
    number = compared("p", DType.I16, 8)
    for expected, raw in ((0.5, 128), (1.0, 255), (0.25, 64)):
        number.add(np.array(expected, np.float32), np.array(raw, np.int16))
    found = number.result()
    assert (found.cosine, found.agreement, found.kl) == (None, None, None)
    assert (
        found.relative == pytest.approx(1 / 256 / 0.75) and "cosine" not in str(found) and "agreement" not in str(found)
    )
    column = compared("p", DType.I16, 8)
    column.add(np.array([[0.5], [1.0]], np.float32), np.array([[128], [256]], np.int16))
    assert column.result().cosine == pytest.approx(1) and column.result().agreement is None
    picture = compared("picture", DType.I16, 8)
    picture.add(np.zeros((1, 2, 3, 4), np.float32), np.ones((1, 2, 3, 4), np.int16))
    assert picture.result().agreement is None and picture.result().kl is None
    assert Fidelity(1, (found,), 0).agreement is None
    assert Fidelity(1, (found,), 0).warnings == []
    assert "3 elements of the inputs are beyond what the program takes" in Fidelity(1, (found,), 3).warnings[0]
    for measure in ("top1=99", "cos=0.9", "kl=1"):
        with pytest.raises(LoweringError, match="says nothing; use"):
            Target.parse(measure).check(lambda x: x.sum(), (np.ones(3, np.float32),))
    with pytest.raises(LoweringError, match="top1 says nothing; use rel"):
        Target.parse("top1=99").check(lambda x: x[:, :1], (np.ones((3, 2), np.float32),))


def test_what_is_far_from_float_on_its_own_samples_is_told_by_output(caplog: pytest.LogCaptureFixture) -> None:
    column = reals(6, 1)
    close = np.concatenate([column, column * np.float32(1 + 1e-6)], axis=1)

    def fn(x: jax.Array) -> dict[str, jax.Array]:
        return {"choice": jnp.argmax(x @ close, -1), "fine": x @ close}

    samples = [(reals(64, 6) + at,) for at in range(3)]
    model = lower(fn, *samples[0], calibration=samples)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 2 and all("on its own calibration samples" in one for one in said)
    assert re.match(r"fn: output choice differs in [\d.]+ % of the elements", said[0])
    assert re.match(r"fn: output fine chooses otherwise in [\d.]+ % of the rows", said[1])
    assert model.fidelity(samples).warnings == [one.removeprefix("fn: ").split(", on its")[0] for one in said]
    far = compared("y", DType.I16, 0)
    far.add(np.array([0.4, 10.0], np.float32), np.array([0, 10], np.int16))
    assert far.result().warnings == ["output y is up to 4.17 % of its range away from the float function's"]
    caplog.clear()
    lower(
        lambda x: jnp.where(x > 0, x, -jnp.inf).max(-1), *samples[0], calibration=[(-np.abs(samples[0][0]),), *samples]
    )
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert (
        "the output is infinite or NaN in float in 64 of 256 elements, and finite here" in told and "wider" not in told
    )
    caplog.clear()
    lower(lambda x: x * 2, *samples[0], calibration=samples)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_divergence_of_large_logits_is_finite_and_zero_for_the_same() -> None:
    rows = np.array([[1e6, 0.0, -1e6]])
    assert divergence(rows, rows) == 0
    assert (divergence_text(-1.8e-17), divergence_text(2.34e-6)) == ("0", "2.3e-06")
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
    # Within the inputs' format, but with sums beyond the one that was chosen from sums of up to 0.4, in the first row alone.
    model = lower(network, *small[0], calibration=[(np.array([[1, -1, 1, -0.9], [0.1] * 4], np.float32),)])
    far = (np.array([[1, 1, 1, 1.5], [0.1] * 4], np.float32),)
    outputs, sums = model.saturation([far])
    assert (sums.count, sums.elements, outputs.count, outputs.elements) == (1, 2, 3, 6)
    assert sums.op < outputs.op
    # The last product reads them, in 26 bits.
    assert sums.high == (1 << 25) - 1
    assert "test_fidelity.py" in sums.name and "1 of 2" in str(sums)
    # In every execution they are counted: the outputs are not inside.
    values, inside = run_counted(model.executor, model.quantize(*far))
    np.testing.assert_array_equal(values[0], model.executor.outputs(model.quantize(*far))[0])
    assert inside == ExecutionTrace.of(model.executor, model.quantize(*far)).inside == (sums,)
    assert run_counted(model.executor, model.quantize(*small[0]))[1] == ()


def test_predict_warns_of_what_was_cut_inside_or_refuses(caplog: pytest.LogCaptureFixture) -> None:
    weight = np.ones((4, 1), np.float32)
    sample = np.array([1, -1, 1, -0.95], np.float32)
    model = lower(lambda x: jnp.tanh((x @ weight) @ np.ones((1, 2), np.float32)), sample, calibration=[(sample,)])
    far = np.array([1, 1, 1, 1], np.float32)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        model.predict(far)
        (said,) = [record.getMessage() for record in caplog.records]
        assert re.fullmatch(
            r"1 elements inside the program lie at an end of their format, most of them in dot_general .*test_fidelity.py:\d+.*: the "
            r"real values may lie beyond, and what is computed from them is wrong; lower the model with samples that reach as far",
            said,
        )
        with pytest.raises(ExecutionError, match="1 elements inside the program"):
            model.predict(far, strict=True)
        caplog.clear()
        model.predict(sample, strict=True)
        assert not caplog.records


def test_what_is_meant_to_reach_its_format_s_end_is_no_news() -> None:
    mask = np.where(np.tril(np.ones((5, 5))), 0, -1e9).astype(np.float32)
    samples = [(reals(5, 5),)]
    model = lower(lambda x: jax.nn.softmax(x + mask) @ np.ones((5, 2), np.float32), *samples[0], calibration=samples)
    assert model.saturation(samples) == ()
    assert {"high", "low"} <= set(model.program.meta["meant"])
    unaware = Model(replace(model.program, meta={}))
    assert {one.low for one in saturation(unaware.executor, [model.quantize(*samples[0])])} > {None}


MEANT: dict[str, Callable[[Any, Any], Any]] = {
    "largest of segments": lambda x, k: jax.ops.segment_max(x, k[:, 0], 4),
    "choice among what is kept": lambda x, k: jnp.argmax(jnp.where(k > 1, x @ SQUARE, -jnp.inf), -1),
    "largest of what is kept": lambda x, k: jnp.where(k > 0, x @ SQUARE, -jnp.inf).max(-1, initial=-9),
    "order of what is kept": lambda x, k: jnp.sort(jnp.where(k > 0, x @ SQUARE, jnp.inf), -1)[:, :1],
    "clipped": lambda x, k: jnp.clip(x, -0.5, 0.5),
    "clipped sums": lambda x, k: jnp.clip(x @ SQUARE, -0.5, 0.5) @ SQUARE,
}
SQUARE = np.random.default_rng(3).normal(size=(16, 16)).astype(np.float32)


@pytest.mark.parametrize("name", MEANT)
def test_what_the_function_puts_at_an_end_is_no_news(name: str) -> None:
    """Infinities on either side that are only put in order, and a clamp of the function's own."""
    fn, rng = MEANT[name], np.random.default_rng(0)
    samples = [
        (rng.normal(size=(8, 16)).astype(np.float32), rng.integers(0, 4, (8, 16)).astype(np.int32)) for _ in range(8)
    ]
    model = lower(fn, *samples[0], calibration=samples)
    assert model.saturation(samples[:4]) == ()
    for x, k in samples[:2]:
        real = np.asarray(fn(x, k), np.float64)
        known = np.isfinite(real)
        np.testing.assert_allclose(np.asarray(model.predict(x, k))[known], real[known], atol=2e-2)


def test_what_is_cut_beside_infinities_is_still_counted() -> None:
    """On the side on which none lies."""
    rng = np.random.default_rng(0)
    # One large element gives the input room that the product has none for.
    large = np.eye(8, 16, dtype=np.float32)[:, ::-1] * 4
    samples = [(rng.normal(size=(8, 16)).astype(np.float32) * 0.1 + large, np.full((8, 16), 3)) for _ in range(8)]
    model = lower(MEANT["choice among what is kept"], *samples[0], calibration=samples)
    held = model.program.header.inputs[0]
    far = np.tile(np.sign(SQUARE[:, 0]) * 0.999 * held.dtype.max * 2.0**-held.scale, (8, 1)).astype(np.float32)
    found = model.saturation([(far, samples[0][1])])
    assert any(one.low is None and one.high is not None for one in found)
