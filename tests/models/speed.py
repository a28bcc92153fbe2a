"""How fast a language model's integer program runs, next to JAX float32 of the same function on the same machine in the same minutes.

``python -m tests.models.speed FOLDER`` measures a saved program of SmolLM2 (``tests.models.lowering`` makes one); ``--json FILE``
writes the rows. Integers and floats take turns, so that what else the machine does slows both; a ratio is one turn's, and its median
counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover import Model, load
from prover.executor.incremental import Incremental
from prover.gguf.transformer import forward
from prover.language.generation import logits_value
from tests.models import float_decode
from tests.models.decoder import Decoder
from tests.models.rows import Row, at_most, every, figure, text
from tests.models.smollm2 import SMOLLM2

PREFILL_RATIO = 3.0
DECODE_RATIO = 2.5
COMPILE_SECONDS = 60
PROMPT = 40
"""Positions that are evaluated before decoding is timed."""


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _compared(
    name: str, measure: str, integers: Sequence[float], floats: Sequence[float], bound: float
) -> Iterator[Row]:
    """The ratio of paired times, and both times' medians."""
    ratios = [mine / other for mine, other in zip(integers, floats, strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    yield at_most(
        name,
        f"{measure} over float32's, median of {len(ratios)}",
        statistics.median(ratios),
        bound,
        lambda value: f"{value:.2f}" if value == bound else f"{value:.2f} ({spread})",
    )
    for kind, times in (("integers", integers), ("float32", floats)):
        shown = f"{1e3 * statistics.median(times):.1f} ({1e3 * min(times):.1f} to {1e3 * max(times):.1f})"
        yield Row(name, f"{measure}, {kind}, ms", 1e3 * statistics.median(times), shown, "", None)


@partial(jax.jit, static_argnums=0)
def _pass(config: Any, weights: Any, tokens: Any) -> Any:
    return jnp.argmax(forward(config, weights, tokens), axis=-1)


def prefill(decoder: Decoder, model: Model, repeats: int) -> Iterator[Row]:
    """One pass over all positions, each way."""
    known, sample = decoder.language, decoder.samples(count=1)[0]
    inputs, weights = model.quantize(*sample), jax.device_put(known.weights)

    def floats() -> None:
        _pass(known.config, weights, sample[0]).block_until_ready()

    def integers() -> None:
        model.executor.outputs(inputs)

    floats()
    integers()
    pairs = [(_seconds(floats), _seconds(integers)) for _ in range(repeats)]
    yield from _compared(
        decoder.name,
        f"a pass over {len(sample[0])} tokens",
        [b for _, b in pairs],
        [a for a, _ in pairs],
        PREFILL_RATIO,
    )


def decoding(decoder: Decoder, model: Model, machine: Incremental, steps: int) -> Iterator[Row]:
    """One token after the other, each way; and whether the rows are the pass's, bit for bit."""
    known, sample = decoder.language, decoder.samples(count=1)[0]
    inputs, weights, config = model.quantize(*sample), jax.device_put(known.weights), known.config
    tokens = inputs[0]
    whole = model.executor.outputs(inputs)[model.program.interface.output("drawn")]
    blind = tokens.copy()
    blind[PROMPT:] = 0
    state, rows = machine.start([blind, *inputs[1:]], PROMPT)
    found = rows.argmax(-1).tolist()
    cache = float_decode.blank(config, len(tokens))
    floats = []
    for at in range(PROMPT):
        best, cache = float_decode.step(config, weights, cache, tokens[at], np.int32(at))
        floats.append(int(best))
    times: list[tuple[float, float]] = []
    for at in range(PROMPT, min(PROMPT + steps + 1, len(tokens))):
        started = time.perf_counter()
        best, cache = float_decode.step(config, weights, cache, tokens[at], np.int32(at))
        floats.append(int(best))
        middle = time.perf_counter()
        state, row = machine.step(state, at, tokens[at])
        found.append(int(row.argmax()))
        times.append((middle - started, time.perf_counter() - middle))
    # The first step compiles.
    yield from _compared(
        decoder.name, "decoding a token", [b for _, b in times[1:]], [a for a, _ in times[1:]], DECODE_RATIO
    )
    same = sum(one == other for one, other in zip(found, whole.tolist(), strict=False))
    yield every(decoder.name, "rows decoded that are the pass's, bit for bit", same, len(found))
    alike = sum(one == other for one, other in zip(floats, found, strict=True))
    yield figure(decoder.name, f"of {len(found)} best tokens, those of float32 decoding", alike)


def compilation(work: Callable[[], Any]) -> float:
    """Seconds that the first run takes longer than the second."""
    first = _seconds(work)
    return max(0.0, first - _seconds(work))


def speed(decoder: Decoder, model: Model, quick: bool = False) -> Iterator[Row]:
    """All rows about speed, the model's pass being compiled already."""
    inputs = model.quantize(*decoder.samples(count=1)[0])
    machine = Incremental(model.executor, self_test=False, value=logits_value(model.program))

    def rows() -> None:
        state, _ = machine.start(inputs, 1)
        machine.step(state, 1, inputs[0][1])

    seconds = compilation(rows)
    measure = "compiling blocks of rows and single rows, s"
    yield at_most(decoder.name, measure, seconds, COMPILE_SECONDS, lambda value: f"{value:.1f}")
    yield from prefill(decoder, model, 3 if quick else 9)
    yield from decoding(decoder, model, machine, 8 if quick else 60)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.models.speed", description="Measure SmolLM2's speed.")
    parser.add_argument("program", type=Path, help="folder of the saved program")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    model = load(options.program)
    rows = [at_most(SMOLLM2.name, "loading the program, s", time.perf_counter() - started, 10, lambda v: f"{v:.1f}")]
    prepared = _seconds(lambda: model.executor)
    rows.append(figure(SMOLLM2.name, "preparing and self-testing its kernels, s", prepared, lambda v: f"{v:.1f}"))
    inputs = model.quantize(*SMOLLM2.samples(count=1)[0])
    compiled = compilation(lambda: model.executor.outputs(inputs))
    rows.append(at_most(SMOLLM2.name, "compiling a pass, s", compiled, COMPILE_SECONDS, lambda v: f"{v:.1f}"))
    rows += speed(SMOLLM2, model)
    print(text(rows))
    if options.json:
        options.json.write_text(json.dumps({"rows": [row.to_json() for row in rows]}, indent=1) + "\n")
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
