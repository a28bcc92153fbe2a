"""Faults on purpose: ``make mutants``. Every one of them must make the test fail that guards against it.

A copy of the repository gets one fault at a time (Solidity is compiled again), and the named test runs there. A test must pass
in the copy before anything is changed, so that a failure says something.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.mutations import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
ARTIFACTS = "contracts/artifacts"
SECONDS = 900
"""That one test, or compiling, may take."""

PASSED, FAILED = 0, 1
"""What pytest exits with; anything else is a fault of the run itself."""


class BrokenMutant(AssertionError):
    """A fault that can't be tried out as it is written."""


@dataclass(frozen=True)
class Outcome:
    """``broken``: why the fault could not be tried, if it could not."""

    mutant: Mutant
    noticed: bool
    seconds: float
    broken: str | None = None


class Copy:
    """A copy of the repository's files, in which one fault at a time is made and taken back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, tracked.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        modules = ROOT / "contracts" / "node_modules"
        if modules.exists():
            (folder / "contracts" / "node_modules").symlink_to(modules.resolve())

    def _run(self, command: Sequence[str], place: str = ".") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        where = self.folder / place
        return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=SECONDS)

    def passes(self, test: str) -> bool:
        """Whether a test passes in the copy; raises BrokenMutant if it can't be run."""
        done = self._run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test])
        if done.returncode not in (PASSED, FAILED):
            raise BrokenMutant(f"{test} can't be run:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.returncode == PASSED

    @contextmanager
    def made(self, mutant: Mutant) -> Iterator[None]:
        """The fault is in the copy; raises BrokenMutant if it can't be made."""
        path = self.folder / mutant.file
        before = path.read_text()
        path.write_text(mutated(mutant, before))
        kept = {one: one.read_bytes() for one in (self.folder / ARTIFACTS).iterdir()} if mutant.is_solidity else {}
        try:
            if mutant.is_solidity:
                built = self._run(["node", "build.mjs"], "contracts")
                if built.returncode:
                    raise BrokenMutant(f"{mutant.file} does not compile:\n{(built.stdout + built.stderr)[-3000:]}")
            yield
        finally:
            path.write_text(before)
            for artifact, content in kept.items():
                artifact.write_bytes(content)


def mutated(mutant: Mutant, text: str) -> str:
    """The file with the fault."""
    if text.count(mutant.old) != 1:
        raise BrokenMutant(
            f"{mutant.file} has {mutant.old!r} {text.count(mutant.old)} times, not once; write the mutant again"
        )
    return text.replace(mutant.old, mutant.new)


def try_out(mutants: Sequence[Mutant], folder: Path) -> Iterator[Outcome]:
    """Whether each fault is noticed by its test."""
    copy, sound = Copy(folder), dict[str, bool]()
    for mutant in mutants:
        started = time.monotonic()
        noticed, broken = False, None
        try:
            if mutant.test not in sound:
                sound[mutant.test] = copy.passes(mutant.test)
            if not sound[mutant.test]:
                raise BrokenMutant(f"{mutant.test} fails without any fault")
            with copy.made(mutant):
                noticed = not copy.passes(mutant.test)
        except BrokenMutant as error:
            broken = str(error)
        yield Outcome(mutant, noticed, time.monotonic() - started, broken)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose file, test or sentence contains this")
    parser.add_argument("--python", action="store_true", help="leave out faults in Solidity, which are compiled")
    parser.add_argument("--json", type=Path, help="write what was found here")
    options = parser.parse_args()
    chosen = [
        mutant
        for mutant in MUTANTS
        if options.only in f"{mutant.file} {mutant.test} {mutant.says}" and not (options.python and mutant.is_solidity)
    ]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome in try_out(chosen, Path(folder)):
            found.append(outcome)
            mutant = outcome.mutant
            verdict = "NOT TRIED" if outcome.broken else "noticed" if outcome.noticed else "NOT NOTICED"
            print(
                f"{mutant.invariant:>2}  {verdict:<11} {outcome.seconds:5.0f} s  {mutant.file}: {mutant.says}",
                flush=True,
            )
    missed = [outcome for outcome in found if not outcome.noticed]
    print(f"{len(found) - len(missed)} of {len(found)} faults were noticed by the test that guards against them")
    for outcome in missed:
        why = outcome.broken or f"NOT NOTICED by {outcome.mutant.test}"
        print(f"{outcome.mutant.file}: {outcome.mutant.says}: {why}")
    if options.json:
        report = [
            {
                "invariant": one.mutant.invariant,
                "file": one.mutant.file,
                "says": one.mutant.says,
                "noticed": one.noticed,
                "broken": one.broken,
            }
            for one in found
        ]
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if missed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
