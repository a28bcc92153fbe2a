"""Claims a second, executed together and one by one: ``python -m touchstone.demo.batches``.

Prover and watcher, the digits as a convolutional network and as a perceptron. Both ways run in turns in one process, and their ratio is
taken pair by pair; a claim is executed and hashed, or executed, hashed and compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from challenger.checkers.re_execute import Posted, ReExecute
from prover import Model, lower
from prover.trace import ExecutionTrace
from rollup.claim import join
from touchstone.demo.digits import CALIBRATION, Digits, classify, digits, load_params

COUNTS = (1, 2, 4, 8, 16, 17, 64)
REPEATS = 15
HIDDEN = 64

Function = Callable[[jax.Array], jax.Array]


def networks(data: Digits) -> dict[str, Function]:
    """By name, functions of an image (8, 8, 1) to logits (10,)."""
    params = load_params()
    trained = MLPClassifier((HIDDEN,), max_iter=30, random_state=0)
    with warnings.catch_warnings():
        # Its speed is measured, not what it has learnt.
        warnings.simplefilter("ignore", ConvergenceWarning)
        trained.fit(data.train_images.reshape(len(data.train_images), -1), data.train_labels)
    first, last = (array.astype(np.float32) for array in trained.coefs_)
    first_bias, last_bias = (array.astype(np.float32) for array in trained.intercepts_)

    def perceptron(image: jax.Array) -> jax.Array:
        logits: jax.Array = jax.nn.relu(image.reshape(-1) @ first + first_bias) @ last + last_bias
        return logits

    return {"digits CNN": lambda image: classify(params, image), "digits MLP": perceptron}


def compared(
    alone: Callable[[], object], together: Callable[[], object], claims: int, repeats: int
) -> dict[str, float]:
    """Claims a second both ways (medians), and the quartiles of how many times more there are together."""
    alone(), together()
    pairs = [(_seconds(alone), _seconds(together)) for _ in range(repeats)]
    low, median, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    return {
        "claims": claims,
        "alone_per_second": claims / statistics.median(a for a, _ in pairs),
        "together_per_second": claims / statistics.median(b for _, b in pairs),
        "ratio": median,
        "ratio_low": low,
        "ratio_high": high,
    }


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def proving(model: Model, rows: Sequence[list[np.ndarray]], repeats: int) -> dict[str, float]:
    """Execute and hash."""
    machine = model.executor
    return compared(
        lambda: [ExecutionTrace.of(machine, inputs).root for inputs in rows],
        lambda: [trace.root for trace in ExecutionTrace.many(machine, rows)],
        len(rows),
        repeats,
    )


def checking(model: Model, rows: Sequence[list[np.ndarray]], repeats: int) -> dict[str, float]:
    """Execute, hash and compare, as a watcher does. Raises AssertionError if a right claim is found false."""
    header, checker = model.program.header, ReExecute(model.program, model.executor)
    traces = ExecutionTrace.many(model.executor, rows)
    posted = [
        Posted(trace.root, join(inputs, header.inputs), b"".join(trace.output_bytes))
        for inputs, trace in zip(rows, traces, strict=True)
    ]

    def alone() -> None:
        assert all(checker.compare(one.trace_root, one.inputs, one.outputs).honest for one in posted)

    def together() -> None:
        assert all(getattr(found, "honest", False) for found in checker.compare_each(posted))

    return compared(alone, together, len(rows), repeats)


def measured(counts: Sequence[int] = COUNTS, repeats: int = REPEATS) -> dict[str, dict[str, list[dict[str, float]]]]:
    """By network and by what is done, an entry for every number of claims."""
    data, report = digits(), {}
    for name, network in networks(data).items():
        samples = [(image,) for image in data.train_images[:CALIBRATION]]
        model = lower(network, data.images[0], calibration=samples)
        model.executor.test_batches()
        rows = [model.quantize(image) for image in data.images[: max(counts)]]
        report[name] = {
            "prove": [proving(model, rows[:count], repeats) for count in counts],
            "check": [checking(model, rows[:count], repeats) for count in counts],
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure claims a second, together and one by one.")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="pairs of runs that are compared")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    given = parser.parse_args()
    report = measured(repeats=given.repeats)
    for name, kinds in report.items():
        for kind, rows in kinds.items():
            for row in rows:
                print(
                    f"{name}, {kind} {row['claims']:2} claims: {row['ratio']:5.2f} times as many a second together "
                    f"(quartiles {row['ratio_low']:.2f} to {row['ratio_high']:.2f}), {row['alone_per_second']:,.0f} one by one"
                )
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
