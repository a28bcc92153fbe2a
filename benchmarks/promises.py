"""What the README promises of the digits network: fidelity, speed, compile time. Whoever breaks one gets exit code 1."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import ratios, take_turns
from benchmarks.runtimes import jax_floats
from benchmarks.subjects import images
from prover import Model, lower
from prover.executor import Executor
from touchstone.demo.digits import accuracy, digits, load_params

FORMATS = ("w16a16", "w8a16")
BATCH = 256
SLOWEST = 3.0
LARGEST_ERROR = 1e-3
LONGEST_COMPILATION = 10.0


def fidelity(model: Model) -> dict[str, float | None]:
    """Over all held-out digits: share of those with the float network's class, and the logits' largest error over their range."""
    found = model.fidelity([(image,) for image in digits().images])
    return {"agreement": found.agreement, "relative_error": found.relative}


def speed(model: Model, rounds: int) -> dict[str, float]:
    """How many times the jitted float network's time the outputs of a batch of digits take."""
    given = images.samples(BATCH)
    stacked = [np.stack(column) for column in zip(*(model.quantize(*one) for one in given), strict=True)]
    contestants = {
        "floats": jax_floats(images.cnn(), given),
        "integers": lambda: model.executor.outputs_batch(stacked),
    }
    times = take_turns(contestants, rounds)
    found = ratios(times["integers"], times["floats"])
    return {"ratio_median": found.median, "ratio_low": found.low, "ratio_high": found.high}


def lstm_compilation(steps: int = 300, hidden: int = 128, features: int = 64) -> float:
    """Seconds from a fresh executor of an LSTM to its first result."""
    rng = np.random.default_rng(0)
    wx = rng.standard_normal((features, 4 * hidden)).astype(np.float32) * 0.1
    wh = rng.standard_normal((hidden, 4 * hidden)).astype(np.float32) * 0.06

    def run(xs: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            h, s = carry
            i, f, g, o = jnp.split(x @ wx + h @ wh, 4)
            s = jax.nn.sigmoid(f) * s + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(s)
            return (h, s), h

        return jax.lax.scan(step, (jnp.zeros(hidden), jnp.zeros(hidden)), xs)[1]

    xs = rng.standard_normal((steps, features)).astype(np.float32)
    model = lower(run, xs, calibration=[(xs,)])
    started = time.perf_counter()
    Executor(model.program, self_test=False).outputs(model.quantize(xs))
    return time.perf_counter() - started


def report(rounds: int) -> dict[str, Any]:
    """Everything, measured."""
    data = digits()
    found: dict[str, Any] = {"float_accuracy": accuracy(load_params(), data), "held_out": len(data.images)}
    for formats in FORMATS:
        model = images.lowered(images.cnn, "digits", formats)
        found[formats] = {**fidelity(model), "speed": speed(model, rounds)}
    found["lstm_compile_seconds"] = lstm_compilation()
    return found


def kept(found: Mapping[str, Any]) -> dict[str, bool]:
    """Each promise, and whether the report keeps it."""
    best = found[FORMATS[0]]
    return {
        "the class of the float network on every held-out digit": best["agreement"] == 1.0,
        f"logits within {100 * LARGEST_ERROR} % of their range": best["relative_error"] <= LARGEST_ERROR,
        f"at most {SLOWEST} times the float network's time": best["speed"]["ratio_median"] <= SLOWEST,
        f"an LSTM of 300 steps compiles within {LONGEST_COMPILATION} s": found["lstm_compile_seconds"]
        <= LONGEST_COMPILATION,
    }
