"""Where the formats of a lowered model's outputs end is under its root, so that whoever has an output counts what was cut of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, load, lower
from prover.lowering.passes.plan import POSTED_ELEMENTS
from rollup.errors import ExecutionError
from rollup.numbers import at_end
from rollup.types import DType

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda y: y,
    "relu": jax.nn.relu,
    "moved": lambda y: jnp.flip(y.T, 0),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "softmax": jax.nn.softmax,
    "above": lambda y: y > 0.5,
    "whole": lambda y: jnp.round(y).astype(jnp.int32),
}
"""Of what a product gives, which is stored for each of them alone."""

BOUNDED = ("sigmoid", "tanh", "softmax")


@pytest.fixture(autouse=True)
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here asks whether kernels are exact on this machine."""
    monkeypatch.setattr("prover.executor.Executor.self_test", lambda executor: 0)


def outputs(model: Model, *inputs: Any) -> dict[str, tuple[int, np.ndarray, np.ndarray, float, float]]:
    """By output: elements at an end, the float function's numbers, the program's, and what the format holds."""
    found = {}
    header, ports = model.program.header, model.program.interface.outputs
    raw = model.executor.outputs(model.quantize(*inputs))
    for port, (_, tensor), integers, real in zip(ports, header.outputs, raw, model.floats(*inputs), strict=True):
        reached, unit = at_end(port, tensor, np.asarray(integers)), 2.0**-tensor.scale
        low, high = port.ends or (tensor.dtype.min, tensor.dtype.max)
        own = np.asarray(integers).reshape(tensor.shape) * unit
        found[port.name] = (
            0 if reached is None else reached.count,
            np.asarray(real, np.float64),
            own,
            low * unit,
            high * unit,
        )
    return found


def judged(model: Model, *inputs: Any) -> dict[str, int]:
    """Elements at an end by output, once it is shown that they are what was cut: where float lies well beyond the format there are
    some, where all of it lies well inside there is none.
    """
    counts, found = {}, outputs(model, *inputs)
    for port in model.program.interface.outputs:
        count, real, own, low, high = found[port.name]
        counts[port.name] = count
        if not port.real or port.name in BOUNDED:
            assert count == 0, port.name
            continue
        slack = 0.01 * max(-low, high)
        assert np.all(np.abs(own - np.clip(real, low, high)) < slack), port.name
        assert count >= np.sum((real > high + slack) | (real < low - slack)), port.name
        if not np.any((real > high - slack) | (real < low + slack)):
            assert count == 0, port.name
    return counts


def test_attack_whatever_a_format_cut_is_counted_and_nothing_else() -> None:
    """Random functions, on inputs within range whose outputs go far beyond those of the samples."""
    cut, kept = dict.fromkeys(FUNCTIONS, 0), dict.fromkeys(FUNCTIONS, 0)
    for seed in range(1):
        rng = np.random.default_rng(seed)
        (rows, width), inner = (int(n) for n in rng.integers(3, 6, 2)), int(rng.integers(150, 250))
        weights = {
            name: (rng.normal(size=(inner, width)) * 10.0 ** rng.uniform(-2, 1)).astype(np.float32)
            for name in FUNCTIONS
        }

        def network(x: Any, weights: dict[str, np.ndarray] = weights) -> dict[str, Any]:
            return {name: fn(x @ weights[name]) for name, fn in FUNCTIONS.items()}

        samples = [(rng.normal(size=(rows, inner)).astype(np.float32),) for _ in range(3)]
        model = lower(network, *samples[0], calibration=samples)
        tensor = model.program.header.inputs[0]
        end = 0.999 * tensor.dtype.max * 2.0**-tensor.scale
        far = [
            np.tile(side * end * np.sign(w[:, 0]), (rows, 1)).astype(np.float32)
            for w in weights.values()
            for side in (1, -1)
        ]
        for x in [samples[0][0], *far]:
            assert not model.cuts(x)
            for name, count in judged(model, x).items():
                cut[name] += count > 0
                kept[name] += count == 0
    assert {name for name, times in cut.items() if times} == {"linear", "relu", "moved"}
    assert all(kept.values())


def test_formats_narrower_than_their_dtype_end_where_the_interface_says(tmp_path: Any) -> None:
    """A value that a loop carries has 24 bits in int32, wherever it is copied to."""
    samples = [(np.array([[1, -2, 0.5], [0.25, 1, -1]], np.float32),)]

    def summed(x: Any) -> Any:
        last, each = jax.lax.scan(lambda c, row: (c + row,) * 2, jnp.zeros(3), jnp.concatenate([x, x, x]))
        return {"each": each, "last": last}

    model = lower(summed, *samples[0], calibration=samples)
    for (_, tensor), port in zip(model.program.header.outputs, model.program.interface.outputs, strict=True):
        assert tensor.dtype is DType.I32 and port.ends == (-(1 << 24), (1 << 24) - 1)
    far = np.full((2, 3), 3.9, np.float32)
    model.save(tmp_path)
    assert judged(load(tmp_path, summed), far) == {"each": 6, "last": 3}
    assert judged(model, *samples[0]) == {"each": 0, "last": 0}


def test_a_bounded_function_that_reaches_one_is_not_cut_whatever_its_format() -> None:
    """A large sigmoid's format holds 1, from inside a loop, too; that of a large softmax whose samples are flat ends a step below. One
    whose samples are flatter does not reach 1, and is cut. Small results have room for all that is possible, whatever the samples show.
    """

    def network(x: Any) -> dict[str, Any]:
        return {
            "gates": jax.lax.scan(lambda c, row: (c, jax.nn.sigmoid(row)), 0.0, x)[1],
            "soft": jax.nn.softmax(x[0].reshape(-1, 4)),
            "flatter": jax.nn.softmax(x[1]),
            "few": jax.nn.softmax(x[1, :5]),
            "one": jax.nn.sigmoid(x[1, 0] - 9),
        }

    width = POSTED_ELEMENTS + 8
    flat = np.array([np.tile([5, 4.98, 4.97, -9], width // 4), np.linspace(4, 4.1, width)], np.float32)
    model = lower(network, flat, calibration=[(flat,)])
    at = np.arange(width)
    sure = np.where([at % 4 == 0, at == 3], 15, -15).astype(np.float32)
    found = outputs(model, sure)
    for name, most in (("gates", 1), ("soft", 1 - 2.0**-15)):
        count, real, own, _, _ = found[name]
        assert (count, own.max()) == (0, most) and np.abs(real - own).max() < 1e-3, name
    count, real, own, _, high = found["flatter"]
    assert count == 1 and real.max() > 0.9 and own.max() == high < 0.5
    for name in ("few", "one"):
        count, _, _, low, high = found[name]
        assert count == 0 and low < -1 and high > 1 - 2.0**-30, name


def test_what_is_meant_or_exact_was_not_cut() -> None:
    """Infinities below, constants, integers as reals that a table of constants is compared with."""

    def network(n: Any) -> dict[str, Any]:
        x = n.astype(jnp.float32)
        y = x @ np.eye(3, dtype=np.float32)
        return {
            "padded": jnp.pad(y, (0, 1), constant_values=-jnp.inf),
            "masked": jnp.where(jnp.arange(3) < 2, y, -jnp.inf),
            "constant": jnp.array([127.0, -128.0, 1.0]),
            "decided": x,
            "above": x > np.array([1.5, 2.5, -3.5], np.float32),
        }

    example = np.array([1, -1, 9], np.int8)
    with np.errstate(invalid="ignore"):
        model = lower(network, example, calibration=[(example,)])
    for given in (example, np.array([127, -128, 4], np.int8)):
        assert [found[0] for found in outputs(model, given).values()] == [0] * 5


def test_predict_warns_of_what_an_output_s_format_cut_or_refuses(caplog: pytest.LogCaptureFixture) -> None:
    x = np.array([1, -1, 0.25], np.float32)
    model = lower(
        lambda x: {"sums": x @ np.ones((3, 2), np.float32), "p": jax.nn.sigmoid(x * 20)}, x, calibration=[(x,)]
    )
    far = np.full(3, 1.9, np.float32)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        model.predict(far)
        (said,) = [record.getMessage() for record in caplog.records]
        assert said.startswith(
            "output sums has 2 of 2 elements at an end of its format, which holds -4 to 4: the real values"
        )
        assert said.endswith("lower the model with samples whose outputs reach as far")
        with pytest.raises(ExecutionError, match="output sums has 2 of 2 elements"):
            model.predict(far, strict=True)
        caplog.clear()
        model.predict(x, strict=True)
        assert not caplog.records
    assert [output.saturated for output in model.fidelity([(far,), (x,)]).outputs] == [0, 2]
