"""Every subject in every format: prepared, measured, started; and what failed or can't be measured here, by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.jobs import JobFailed, Jobs, NoTimeLeft
from benchmarks.machine import described
from benchmarks.results import BadResults, Measured, Results, Timed
from benchmarks.subjects.every import FORMATS, absent, subject, subjects, unknown_formats
from benchmarks.subjects.subject import Subject

Say = Callable[[str], None]

LATER = ("date", "commit")
"""Of the machine's description, what may differ between measurements in one file; each knows its commit."""


def chosen(only: str | None) -> list[tuple[Subject, str]]:
    """The subjects in their usual formats, or those and the formats whose name (``digits-cnn w16a16``) matches the regular expression."""
    if only is None:
        return [(one, formats) for one in subjects() for formats in one.usual]
    pairs = [(one, formats) for one in subjects() for formats in FORMATS]
    return [(one, formats) for one, formats in pairs if re.search(only, f"{one.key} {formats}")]


def begun(jobs: Jobs, file: Path | None) -> Results:
    """Results without any measurement, or those of ``file``, which later ones join. Raises BadResults for a file that was measured in
    another way or on another machine.
    """
    machine = described(jobs.environment, jobs.isa)
    if file is None or not file.exists():
        return Results(machine, jobs.rounds, jobs.quick)
    found = Results.load(file)
    mine = {**_lasting(machine), "rounds": jobs.rounds, "quick": jobs.quick}
    theirs = {**_lasting(found.machine), "rounds": found.rounds, "quick": found.quick}
    differing = [name for name in mine if mine[name] != theirs.get(name)]
    if differing:
        raise BadResults(f"{file} was measured with another {', '.join(differing)}; name another file, or remove it")
    return found


def _lasting(machine: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in machine.items() if name not in LATER}


def measure(jobs: Jobs, only: str | None, results: Results, say: Say, save: Callable[[], None]) -> bool:
    """Measure what is chosen into ``results``, which ``save`` keeps after each step; whether nothing failed."""
    return _each(jobs, only, results, say, save, (_measured, _started))


def prepare(jobs: Jobs, only: str | None, results: Results, say: Say, save: Callable[[], None]) -> bool:
    """Lower what is chosen, so that measuring it takes no longer than that; likewise."""
    return _each(jobs, only, results, say, save, ())


def profile(jobs: Jobs, only: str | None, results: Results, say: Say, save: Callable[[], None]) -> bool:
    """Profile what is chosen, likewise."""
    return _each(jobs, only, results, say, save, (_profiled,))


Part = Callable[[Jobs, Measured, Say], None]


def _each(
    jobs: Jobs, only: str | None, results: Results, say: Say, save: Callable[[], None], parts: Sequence[Part]
) -> bool:
    unknown, good = unknown_formats(), True
    for one, formats in chosen(only):
        name = f"{one.key} {formats}"
        why = unknown.get(formats) or absent(one)
        if why:
            results.left_out[name] = why
            say(f"{name}: left out, {why}")
            continue
        found = results.find(name)
        if found is None:
            found = Measured(one.key, one.title, formats)
            results.measured.append(found)
        found.failed = ""
        try:
            say(f"{name}: lowering")
            found.program = jobs.run("prepare", one.key, formats)["program"]
            for part in parts:
                part(jobs, found, say)
                found.commit = jobs.commit
                save()
        except JobFailed as error:
            found.failed, good = str(error), False
            say(f"{name}: FAILED, {error}")
        except NoTimeLeft as error:
            # What was measured before stays.
            good = False
            say(f"{name}: left out, {error}")
            if not found.workloads:
                results.measured.remove(found)
                results.left_out[name] = str(error)
        save()
    return good


def _measured(jobs: Jobs, found: Measured, say: Say) -> None:
    say(f"{found.name}: measuring")
    before = os.getloadavg()[0]
    read = jobs.run("measure", found.subject, found.formats)
    found.load = [round(load, 1) for load in (before, os.getloadavg()[0])]
    found.workloads = [Timed(**one) for one in read["workloads"]]


def _started(jobs: Jobs, found: Measured, say: Say) -> None:
    if not subject(found.subject).starts:
        return
    say(f"{found.name}: starting")
    found.starts = jobs.starts(found.subject, found.formats)


def _profiled(jobs: Jobs, found: Measured, say: Say) -> None:
    say(f"{found.name}: profiling")
    found.profile = jobs.run("profile", found.subject, found.formats)
