"""Lowering as a user does it: in a process of its own, whose time and memory are measured.

``python -m tests.models.lowering CASE FOLDER`` lowers one of ``PROGRAMS`` and saves it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from prover import Model, load
from tests.machine import ROOT
from tests.models import smollm2

PROGRAMS: Mapping[str, Callable[[], Model]] = {
    "smollm2-w16a16": smollm2.lowered,
    "smollm2-w8a16": lambda: smollm2.lowered(formats="w8a16"),
    "smollm2-short": lambda: smollm2.lowered(smollm2.SHORT),
}
NOTE = "lowering.json"


@dataclass(frozen=True)
class Lowering:
    """``seconds`` from the start of the process to the saved program, ``peak``: most bytes that were resident."""

    seconds: float
    peak: int


def lowered(name: str, programs: Path) -> Lowering:
    """Lower and save ``name`` under ``programs``, unless an earlier run did; how that went."""
    folder = programs / name
    note = folder / NOTE
    if note.exists():
        return Lowering(**json.loads(note.read_text()))
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tests.models.lowering", name, str(folder)], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"lowering {name} ended with {process.returncode}")
    found = Lowering(round(time.monotonic() - started, 1), usage.ru_maxrss * 1024)
    note.write_text(json.dumps(asdict(found)) + "\n")
    return found


def program(name: str, programs: Path) -> Model:
    """The saved program, with the float function."""
    return load(programs / name, smollm2.language().fn)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]().save(sys.argv[2])
