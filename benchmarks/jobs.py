"""Jobs in processes of their own: what one leaves behind in memory or caches disturbs no other, and what fails ends alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, described, restricted
from benchmarks.results import Start
from rollup.errors import TouchstoneError

LOWERING = (
    "benchmarks/subjects",
    "prover/gguf",
    "prover/language",
    "prover/lowering",
    "prover/onnx",
    "rollup/audit",
    "rollup/form",
    "tests/models",
    "touchstone/demo/digits.py",
)
"""What a lowered program depends on: it is lowered again when a source in here changes."""

COMPILED = "JAX_COMPILATION_CACHE_DIR"


class JobFailed(TouchstoneError):
    """A job ended without a result."""


class NoTimeLeft(TouchstoneError):
    """The time for all jobs was over before a job had a result."""


def cache_folder() -> Path:
    """Where lowered programs are kept by default."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "touchstone" / "benchmarks"


def code_version() -> str:
    """Of all sources that lowering depends on."""
    found = hashlib.sha256()
    for place in LOWERING:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:16]


@dataclass(frozen=True)
class Jobs:
    """``programs``: where lowered programs are kept, by the version of the code; ``isa``: what all jobs keep to; ``deadline``: when all of
    them have to be over, on the monotonic clock.
    """

    programs: Path
    rounds: int
    quick: bool = False
    isa: str | None = None
    deadline: float | None = None

    @cached_property
    def environment(self) -> dict[str, str]:
        """Of a job: importing this repository, and nothing of a compilation cache that somebody set."""
        plain = {name: value for name, value in os.environ.items() if name != COMPILED}
        return restricted({**plain, "PYTHONPATH": str(ROOT)}, self.isa)

    @cached_property
    def commit(self) -> str:
        """Of the code that is measured."""
        return str(described(self.environment, self.isa)["commit"])

    def folder(self, subject: str, formats: str) -> Path:
        return self.programs / code_version() / f"{subject}-{formats}"

    def run(self, job: str, subject: str, formats: str) -> dict[str, Any]:
        """What the job found; raises JobFailed with its last words, or NoTimeLeft."""
        more = [f"--rounds={self.rounds}", *(["--quick"] if self.quick else [])]
        more += [f"--isa={self.isa}"] if self.isa else []
        command = ["benchmarks.child", job, subject, formats, str(self.folder(subject, formats))]
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / "found.json"
            return self._ended([*command, str(file), *more], file, job)

    def starts(self, subject: str, formats: str) -> list[Start]:
        """A prover's and a watcher's start, first with an empty cache and then with what the first one left there; raises as ``run``."""
        found = []
        for role in ("prover", "watcher"):
            with tempfile.TemporaryDirectory() as temporary:
                file, cache = Path(temporary) / "found.json", Path(temporary) / "starts"
                command = ["benchmarks.startup", role, str(self.folder(subject, formats)), str(file), str(cache)]
                for caches in ("cold", "warm"):
                    started = time.monotonic()
                    read = self._ended(command, file, f"the start of a {role}")
                    seconds = round(read.pop("ready") - started, 2)
                    found.append(Start(role, caches, seconds, **read))
        return found

    def _ended(self, command: Sequence[str], file: Path, job: str) -> dict[str, Any]:
        """Run a module of this repository, which writes ``file``."""
        left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        try:
            ended = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=left,
            )
        except subprocess.TimeoutExpired:
            raise NoTimeLeft(f"{job}: the time for all measurements was over") from None
        if ended.returncode:
            words = ended.stderr.decode(errors="replace").strip().splitlines()
            raise JobFailed(f"{job}: {words[-1] if words else f'ended with {ended.returncode}'}")
        found: dict[str, Any] = json.loads(file.read_text())
        return found
