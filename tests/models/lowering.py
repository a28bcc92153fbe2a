"""Lowering as a user does it: in a process of its own, whose time and memory are measured.

``python -m tests.models.lowering MODEL KIND FOLDER`` lowers a model (``smollm2``, ``gemma3``) as one of ``KINDS`` and saves it.
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
from tests.models.decoder import SHORT, Decoder
from tests.models.gemma3 import GEMMA3
from tests.models.smollm2 import SMOLLM2

DECODERS = (SMOLLM2, GEMMA3)
KINDS: Mapping[str, Callable[[Decoder], Model]] = {
    "w15a16": lambda decoder: decoder.lowered(formats="w15a16"),
    "w16a16": lambda decoder: decoder.lowered(formats="w16a16"),
    "w8a16": lambda decoder: decoder.lowered(formats="w8a16"),
    "short": lambda decoder: decoder.lowered(SHORT),
}
NOTE = "lowering.json"


@dataclass(frozen=True)
class Lowering:
    """``seconds`` from the start of the process to the saved program, ``peak``: most bytes that were resident."""

    seconds: float
    peak: int


def lowered(decoder: Decoder, kind: str, programs: Path) -> Lowering:
    """Lower and save a program under ``programs``, unless an earlier run did; how that went."""
    folder = _folder(decoder, kind, programs)
    note = folder / NOTE
    if note.exists():
        return Lowering(**json.loads(note.read_text()))
    started = time.monotonic()
    command = [sys.executable, "-m", "tests.models.lowering", decoder.key, kind, str(folder)]
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"lowering {decoder.name} as {kind} ended with {process.returncode}")
    found = Lowering(round(time.monotonic() - started, 1), usage.ru_maxrss * 1024)
    note.write_text(json.dumps(asdict(found)) + "\n")
    return found


def program(decoder: Decoder, kind: str, programs: Path) -> Model:
    """The saved program, with the float function."""
    return load(_folder(decoder, kind, programs), decoder.language.fn)


def _folder(decoder: Decoder, kind: str, programs: Path) -> Path:
    return programs / f"{decoder.key}-{kind}"


if __name__ == "__main__":
    MODEL, KIND, FOLDER = sys.argv[1:]
    KINDS[KIND](next(one for one in DECODERS if one.key == MODEL)).save(FOLDER)
