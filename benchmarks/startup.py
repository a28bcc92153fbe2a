"""From the start of a process until it is of use: ``python -m benchmarks.startup ROLE FOLDER FILE CACHE``.

``ROLE``: a ``prover`` is ready when it has made a claim with its commitment, a ``watcher`` when it has checked one. The program in
``FOLDER`` is loaded, every byte of it checked against its root, and its kernels are tested, as the services do; what they keep for their
next start they keep in ``CACHE`` (``--start-cache``). ``FILE`` gets, as JSON,
``ready`` (seconds of the machine's monotonic clock) and bytes: ``before`` and ``after`` (resident without the program, and ready, when
what starting freed is given back, as services do; pages of mapped files count),
``peak``, and ``constants`` of the program. Imports nothing else of the harness, since it counts.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims import CLAIM, PROGRAM, SentClaim, checked, commitments
from challenger.checkers.re_execute import ReExecute
from prover.start import Starts
from prover.start.machine import tested
from rollup.claim import arrays
from rollup.form.program import Program
from rollup.service.memory import give_back

PROVER, WATCHER = "prover", "watcher"


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Most bytes of this process that ever were in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(arguments: Sequence[str]) -> int:
    role, folder, file, cache = arguments[0], Path(arguments[1]), Path(arguments[2]), Path(arguments[3])
    before = resident()
    starts = Starts(cache)
    starts.compile_into()
    claim = SentClaim.load(folder / CLAIM)
    program = Program.load(folder / PROGRAM)
    executor = tested(program, starts)
    if role == PROVER:
        commitments(executor, [arrays(claim.inputs, program.header.inputs, "input")])
    else:
        checked(ReExecute(program, executor), [claim])
    starts.seal()
    give_back()
    ready, after = time.monotonic(), resident()
    found: dict[str, float] = {"ready": ready, "before": before, "after": after, "peak": max(after, peak())}
    found["constants"] = sum(array.nbytes for array in program.constants.values())
    file.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
