"""One job in a process of its own: ``python -m benchmarks.child JOB SUBJECT FORMATS FOLDER FILE [--rounds N] [--quick] [--isa ISA]``.

``prepare`` lowers the subject into FOLDER with one claim about it, unless that is there already; ``measure`` times its workloads;
``profile`` times its ops. FILE gets what was found, as JSON. An error is one sentence, and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims import CLAIM, PROGRAM, SentClaim, Unequal, checked, commitments
from benchmarks.measure import LEAST_SECONDS, take_turns
from benchmarks.profile import profiled
from benchmarks.results import COMMITMENT, JAX, LLAMA, OUTPUT, THREADS, WATCHER, onnx_name
from benchmarks.runtimes import (
    FloatDecoding,
    Run,
    jax_floats,
    llama_missing,
    llama_pass,
    llama_tokens,
    onnx_floats,
    onnx_missing,
)
from benchmarks.subjects.every import subject
from benchmarks.subjects.subject import Subject
from challenger.checkers.re_execute import ReExecute
from prover import Model, load
from prover.executor.incremental import Incremental
from rollup.errors import TouchstoneError
from rollup.files import whole_folder

QUICK_BATCH = 4
QUICK_TOKENS = 4
PROMPT = 40
"""Tokens that are known before tokens are generated one by one."""

Job = argparse.Namespace


def prepare(job: Job) -> dict[str, Any]:
    """The program's id, and how long lowering took; None where the folder was there."""
    seconds = None
    one, folder = subject(job.subject), Path(job.folder)
    if not (folder / CLAIM).exists():
        with whole_folder(folder, CLAIM) as made:
            started = time.monotonic()
            model = one.lowered(job.formats)
            seconds = round(time.monotonic() - started, 1)
            model.save(made / PROGRAM)
            SentClaim.of(commitments(model.executor, [model.quantize(*one.samples(1)[0])])[0]).save(made / CLAIM)
    return {"program": _loaded(job).program.id.hex(), "lowering_seconds": seconds}


def _loaded(job: Job) -> Model:
    return load(Path(job.folder) / PROGRAM, subject(job.subject).fn())


def measure(job: Job) -> dict[str, Any]:
    """The workloads of a subject: a pass over each number of claims, and generating tokens."""
    one, model = subject(job.subject), _loaded(job)
    passes = [_pass(job, one, model, min(batch, QUICK_BATCH) if job.quick else batch) for batch in one.batches]
    return {"workloads": passes + ([_decoding(job, one, model)] if one.decoded else [])}


def _pass(job: Job, one: Subject, model: Model, batch: int) -> dict[str, Any]:
    """``batch`` claims at a time; each of them has a trace and a check of its own."""
    given, executor = one.samples(batch), model.executor
    quantized = [model.quantize(*sample) for sample in given]
    stacked = [np.stack(column) for column in zip(*quantized, strict=True)]
    traces = commitments(executor, quantized)
    alone = [np.stack(column) for column in zip(*(trace.outputs for trace in traces), strict=True)]
    if not all(map(np.array_equal, alone, executor.outputs_batch(stacked))):
        raise Unequal("outputs of claims alone and in a batch differ; look for a faulty kernel")
    claims, checker = [SentClaim.of(trace) for trace in traces], ReExecute(model.program, executor)
    contestants, missing = _floats(job, one, given)
    contestants |= {
        OUTPUT: lambda: executor.outputs_batch(stacked),
        COMMITMENT: lambda: commitments(executor, quantized),
        WATCHER: lambda: checked(checker, claims),
    }
    return {
        "workload": one.title + (f", batch {batch}" if len(one.batches) > 1 else ""),
        "seconds": _timed(job, contestants),
        "missing": missing,
        "outputs": claims[0].digest,
        "trace_root": claims[0].root.hex(),
    }


def _floats(job: Job, one: Subject, given: Sequence[tuple[Any, ...]]) -> tuple[dict[str, Run], dict[str, str]]:
    """The float runtimes that can run the subject, and why others can't."""
    found, missing = {JAX: jax_floats(one.fn(), given)}, {}
    if why := onnx_missing(one, job.isa):
        missing["onnxruntime"] = why
    else:
        assert one.twin is not None
        twin = one.twin()
        found |= {onnx_name(threads): onnx_floats(twin, given, threads) for threads in THREADS}
    if one.decoder is not None:
        if why := llama_missing(job.isa):
            missing[LLAMA] = why
        else:
            found[LLAMA] = llama_pass(one.decoder, given[0][0].tolist())
    return found, missing


def _decoding(job: Job, one: Subject, model: Model) -> dict[str, Any]:
    """Tokens one by one, after a prompt; nothing is committed to: a claim about a text is one pass over it."""
    assert one.decoder is not None
    count = QUICK_TOKENS if job.quick else one.decoded
    inputs, missing = model.quantize(*one.samples(1)[0]), {}
    best = model.program.interface.output("best")
    machine = Incremental(model.executor, output=best)
    tokens = [int(token) for token in inputs[0][: PROMPT + count]]
    state, _ = machine.start(inputs, PROMPT)
    found: list[int] = []

    def integers() -> None:
        nonlocal state
        found.clear()
        for at in range(PROMPT, PROMPT + count):
            state, row = machine.step(state, at, tokens[at])
            found.append(int(row))

    floats = FloatDecoding(one.decoder, tokens[:PROMPT], len(inputs[0]))
    contestants: dict[str, Run] = {JAX: lambda: floats.again(PROMPT, tokens[PROMPT:]), OUTPUT: integers}
    if why := llama_missing(job.isa):
        missing[LLAMA] = why
    else:
        contestants[LLAMA] = llama_tokens(one.decoder, tokens[:PROMPT], tokens[PROMPT:])
    seconds = _timed(job, contestants)
    whole = model.executor.outputs(inputs)[best][PROMPT : PROMPT + count]
    if found != whole.tolist():
        raise Unequal("tokens generated one by one are not those of a whole pass; look for a faulty row kernel")
    return {"workload": f"{one.decoder.name}, {count} tokens one by one", "seconds": seconds, "missing": missing}


def _timed(job: Job, contestants: Mapping[str, Run]) -> dict[str, list[float]]:
    times = take_turns(contestants, job.rounds, 0.0 if job.quick else LEAST_SECONDS)
    return {name: [float(f"{second:.4g}") for second in seconds] for name, seconds in times.items()}


def profile(job: Job) -> dict[str, Any]:
    """Where the time of a pass over one claim goes."""
    model = _loaded(job)
    return profiled(model, model.quantize(*subject(job.subject).samples(1)[0]), job.rounds)


JOBS: Mapping[str, Callable[[Job], dict[str, Any]]] = {"prepare": prepare, "measure": measure, "profile": profile}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.child")
    parser.add_argument("job", choices=JOBS)
    for name in ("subject", "formats", "folder", "file"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--isa")
    job = parser.parse_args(arguments)
    try:
        found = JOBS[job.job](job)
    except TouchstoneError as error:
        print(error, file=sys.stderr)
        return 1
    Path(job.file).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
