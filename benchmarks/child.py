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

from benchmarks.claims import CLAIM, PROGRAM, SentClaim, commitments
from benchmarks.profile import profiled
from benchmarks.subjects.every import subject
from benchmarks.workloads import Effort, workloads
from prover import Model, load
from rollup.errors import TouchstoneError
from rollup.files import whole_folder

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
    """The workloads of a subject."""
    one = subject(job.subject)
    rounds = min(job.rounds, one.rounds or job.rounds)
    return {"workloads": workloads(one, _loaded(job), Effort(rounds, job.quick, job.isa))}


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
