"""The one harness for speed: ``python -m benchmarks [prepare | measure | profile | compare | promises] ...``, which ``make bench`` runs.

``measure`` (without a command, too) times every workload, start-ups and memory; what it needs is lowered first, unless ``prepare`` or an
earlier run did that. ``profile PATTERN`` times ops by kind. ``compare BEFORE
AFTER`` compares two results files, and ends with 1 if something became slower or gives other integers. ``promises`` measures what the
README promises of the digits network, and ends with 1 if that is not kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.jobs import Jobs, cache_folder
from benchmarks.machine import ISAS
from benchmarks.report.compare import TOLERANCE, compare
from benchmarks.report.tables import everything
from benchmarks.results import Results
from rollup.errors import TouchstoneError

ROUNDS = 9
QUICK_ROUNDS = 2

Options = argparse.Namespace


def measuring(options: Options) -> int:
    """``prepare``, ``measure`` and ``profile``: a table at the end, and exit code 1 if anything failed."""
    from benchmarks import run

    rounds = options.repeats or (QUICK_ROUNDS if options.quick else ROUNDS)
    deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    jobs = Jobs(options.programs, rounds, options.quick, options.isa, deadline)
    results = run.begun(jobs, options.json)

    def save() -> None:
        if options.json is not None:
            results.save(options.json)

    work = {"prepare": run.prepare, "profile": run.profile, "measure": run.measure}[options.command]
    good = work(jobs, options.only, results, lambda line: print(f"-- {line}", flush=True), save)
    print("\n" + everything(results))
    if not results.measured and not results.left_out:
        print(f"no subject matches {options.only!r}; `make bench` without it names all", file=sys.stderr)
        return 1
    return 0 if good else 1


def comparing(options: Options) -> int:
    found = compare(Results.load(options.before), Results.load(options.after))
    print(found.text(options.tolerance), end="")
    return 0 if found.good(options.tolerance) else 1


def promising(options: Options) -> int:
    from benchmarks.promises import kept, report

    found = report(options.repeats or ROUNDS)
    print(json.dumps(found, indent=1))
    promises = kept(found)
    for promise, holds in promises.items():
        print(f"{'kept  ' if holds else 'BROKEN'} {promise}")
    return 0 if all(promises.values()) else 1


COMMANDS: Mapping[str, Callable[[Options], int]] = {
    "prepare": measuring,
    "measure": measuring,
    "profile": measuring,
    "compare": comparing,
    "promises": promising,
}


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure how fast the integers are.")
    commands = whole.add_subparsers(dest="command", required=True)
    for name, about in (
        ("prepare", "lower what is measured, for later"),
        ("measure", "time every workload, start-ups and memory"),
        ("profile", "time ops by kind"),
    ):
        one = commands.add_parser(name, help=about)
        pattern = "regular expression of subjects and formats, as in 'digits-cnn w16a16'"
        if name == "profile":
            one.add_argument("only", metavar="PATTERN", help=pattern)
        else:
            one.add_argument("--only", metavar="PATTERN", help=pattern)
        one.add_argument("--repeats", type=int, metavar="N", help=f"rounds; {ROUNDS}, or {QUICK_ROUNDS} if quick")
        one.add_argument("--minutes", type=float, metavar="N", help="leave out what would be measured later than that")
        one.add_argument("--json", type=Path, metavar="FILE", help="results file, which may have others already")
        one.add_argument("--quick", action="store_true", help="small batches and few rounds: a trial, no measurement")
        one.add_argument("--isa", choices=ISAS, help="keep everything that can be to this instruction set")
        one.add_argument(
            "--programs", type=Path, metavar="FOLDER", default=cache_folder(), help="keep lowered programs there"
        )
    one = commands.add_parser("compare", help="compare two results files")
    one.add_argument("before", type=Path)
    one.add_argument("after", type=Path)
    one.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="F", help=f"{TOLERANCE} if not given")
    one = commands.add_parser("promises", help="measure what the README promises of the digits network")
    one.add_argument("--repeats", type=int, metavar="N")
    return whole


def main(arguments: Sequence[str]) -> int:
    asked = list(arguments)
    if not asked or (asked[0] not in COMMANDS and asked[0] not in ("-h", "--help")):
        asked.insert(0, "measure")
    options = parser().parse_args(asked)
    try:
        return COMMANDS[options.command](options)
    except TouchstoneError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
