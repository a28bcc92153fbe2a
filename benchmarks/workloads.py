"""What is timed of a subject: a pass over some claims at a time, and a text's tokens one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.claims import SentClaim, Unequal, checked, commitments
from benchmarks.measure import LEAST_SECONDS, take_turns
from benchmarks.results import COMMITMENT, JAX, LLAMA, OUTPUT, THREADS, WATCHER, onnx_name
from benchmarks.runtimes import (
    FloatDecoding,
    Run,
    best_tokens,
    jax_floats,
    llama_missing,
    llama_pass,
    llama_tokens,
    onnx_floats,
    onnx_missing,
)
from benchmarks.subjects.subject import Sample, Subject
from challenger.checkers.re_execute import ReExecute
from prover import Model
from prover.language.generation import Generator

QUICK_BATCH = 4
QUICK_TOKENS = 4
PROMPT = 40
"""Tokens that are known before tokens are generated one by one, if the program has room for as many."""


@dataclass(frozen=True)
class Effort:
    """How much is timed. ``quick``: small batches, few tokens, one run a turn; ``isa``: the instruction set that all keep to."""

    rounds: int
    quick: bool = False
    isa: str | None = None

    def times(self, contestants: Mapping[str, Run]) -> dict[str, list[float]]:
        """Seconds of each, a figure a round."""
        found = take_turns(contestants, self.rounds, 0.0 if self.quick else LEAST_SECONDS)
        return {name: [float(f"{second:.4g}") for second in seconds] for name, seconds in found.items()}


def workloads(one: Subject, model: Model, effort: Effort) -> list[dict[str, Any]]:
    """All of a subject, as ``benchmarks.results.Timed`` has them."""
    batches = [min(batch, QUICK_BATCH) if effort.quick else batch for batch in one.batches]
    passes = [one_pass(one, model, batch, effort) for batch in batches]
    return passes + ([decoding(one, model, effort)] if one.decoded else [])


def one_pass(one: Subject, model: Model, batch: int, effort: Effort) -> dict[str, Any]:
    """``batch`` claims at a time; each of them has a trace and a check of its own."""
    given, executor = one.samples(batch), model.executor
    quantized = [model.quantize(*sample) for sample in given]
    stacked = [np.stack(column) for column in zip(*quantized, strict=True)]
    traces = commitments(executor, quantized)
    alone = [np.stack(column) for column in zip(*(trace.outputs for trace in traces), strict=True)]
    if not all(map(np.array_equal, alone, executor.outputs_batch(stacked))):
        raise Unequal("outputs of claims alone and in a batch differ; look for a faulty kernel")
    claims, checker = [SentClaim.of(trace) for trace in traces], ReExecute(model.program, executor)
    contestants, missing = _floats(one, given, effort.isa)
    contestants |= {
        OUTPUT: lambda: executor.outputs_batch(stacked),
        COMMITMENT: lambda: commitments(executor, quantized),
        WATCHER: lambda: checked(checker, claims),
    }
    return {
        "workload": one.title + (f", batch {batch}" if len(one.batches) > 1 else ""),
        "seconds": effort.times(contestants),
        "missing": missing,
        "outputs": claims[0].digest,
        "trace_root": claims[0].root.hex(),
    }


def _floats(one: Subject, given: Sequence[Sample], isa: str | None) -> tuple[dict[str, Run], dict[str, str]]:
    """The float runtimes that can run the subject, and why others can't."""
    floats = one.fn() if one.decoder is None else best_tokens(one.decoder)
    found, missing = {JAX: jax_floats(floats, given)}, {}
    if why := onnx_missing(one, isa):
        missing["onnxruntime"] = why
    else:
        assert one.twin is not None
        twin = one.twin()
        found |= {onnx_name(threads): onnx_floats(twin, given, threads) for threads in THREADS}
    if one.decoder is not None:
        if why := llama_missing(isa):
            missing[LLAMA] = why
        else:
            found[LLAMA] = llama_pass(one.decoder, given[0][0].tolist())
    return found, missing


def decoding(one: Subject, model: Model, effort: Effort) -> dict[str, Any]:
    """Tokens one by one, after a prompt; nothing is committed to: a claim about a text is one pass over it."""
    assert one.decoder is not None
    inputs, missing = model.quantize(*one.samples(1)[0]), {}
    size = len(inputs[0])
    count = QUICK_TOKENS if effort.quick else one.decoded
    prompt = min(PROMPT, size - count)
    machine = Generator(model).incremental
    tokens = [int(token) for token in inputs[0][: prompt + count]]
    state, _ = machine.start(inputs, prompt)
    found: list[int] = []

    def integers() -> None:
        nonlocal state
        found.clear()
        for at in range(prompt, prompt + count):
            state, row = machine.step(state, at, tokens[at])
            found.append(int(row.argmax()))

    floats = FloatDecoding(one.decoder, tokens[:prompt], size)
    contestants: dict[str, Run] = {JAX: lambda: floats.again(prompt, tokens[prompt:]), OUTPUT: integers}
    if why := llama_missing(effort.isa):
        missing[LLAMA] = why
    else:
        contestants[LLAMA] = llama_tokens(one.decoder, tokens[:prompt], tokens[prompt:])
    seconds = effort.times(contestants)
    drawn = model.program.interface.output("drawn")
    whole = model.executor.outputs(inputs)[drawn][prompt : prompt + count]
    if found != whole.tolist():
        raise Unequal("tokens generated one by one are not those of a whole pass; look for a faulty row kernel")
    return {"workload": f"{one.decoder.name}, {count} tokens one by one", "seconds": seconds, "missing": missing}
