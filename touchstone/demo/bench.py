"""What the integers cost: fidelity and speed of the digits network, compile time of an LSTM. ``python -m touchstone.demo.bench``.

Speeds are compared in one run, as ratios of alternating repeats; the exit code is 1 if a promise of the README is not kept.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover import Model, lower
from prover.executor import Executor
from touchstone.demo.demo import CALIBRATION
from touchstone.demo.digits import Digits, accuracy, classify, digits, load_params

BATCH = 256
REPEATS = 15
RUNS = 10
SLOWEST = 3.0
LARGEST_ERROR = 1e-3
LONGEST_COMPILATION = 10.0


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    for _ in range(RUNS):
        run()
    return (time.perf_counter() - started) / RUNS


def speed(model: Model, float_model: Callable[[Any], Any], data: Digits) -> dict[str, float]:
    """Milliseconds a batch of 256 digits takes as floats and as integers, and the ratios of paired repeats."""
    images = np.resize(data.images, (BATCH, *data.images.shape[1:]))
    (quantized,) = (np.stack(column) for column in zip(*(model.quantize(image) for image in images), strict=True))
    batched = jax.jit(jax.vmap(float_model))
    executor = model.executor

    def floats() -> None:
        np.asarray(batched(images))

    def integers() -> None:
        executor.outputs_batch([quantized])

    floats()
    integers()
    pairs = [(_seconds(floats), _seconds(integers)) for _ in range(REPEATS)]
    ratios = [b / a for a, b in pairs]
    return {
        "float_ms": 1e3 * statistics.median(a for a, _ in pairs),
        "integer_ms": 1e3 * statistics.median(b for _, b in pairs),
        "ratio_min": min(ratios),
        "ratio_median": statistics.median(ratios),
        "ratio_max": max(ratios),
    }


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


def main() -> int:
    data, params = digits(), load_params()

    def digit(image: Any) -> Any:
        return classify(params, image)

    samples = [(image,) for image in data.images]
    report: dict[str, Any] = {"float_accuracy": accuracy(params, data), "held_out": len(samples)}
    for formats in ("w16a16", "w8a16"):
        model = lower(
            digit, data.images[0], formats=formats, calibration=[(x,) for x in data.train_images[:CALIBRATION]]
        )
        fidelity = model.fidelity(samples)
        report[formats] = {
            "agreement": fidelity.agreement,
            "relative_error": fidelity.relative,
            "speed": speed(model, digit, data),
        }
    report["lstm_compile_seconds"] = lstm_compilation()
    print(json.dumps(report, indent=1))
    best = report["w16a16"]
    kept = {
        "the class of the float network on every held-out digit": best["agreement"] == 1.0,
        f"logits within {100 * LARGEST_ERROR} % of their range": best["relative_error"] <= LARGEST_ERROR,
        f"at most {SLOWEST} times the float network's time": best["speed"]["ratio_median"] <= SLOWEST,
        f"an LSTM of 300 steps compiles within {LONGEST_COMPILATION} s": report["lstm_compile_seconds"]
        <= LONGEST_COMPILATION,
    }
    for promise, holds in kept.items():
        print(f"{'kept  ' if holds else 'BROKEN'} {promise}")
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
