"""``python -m tests.campaigns.onnx [--only REGEX] [--json FILE] [--jobs N] [--failed]``: the node tests through lowering.

Verdicts go into the file as they come: what it has already is kept, ``--only`` and ``--failed`` judge some of them again, and a run
that was stopped goes on where it stood with ``--resume``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import jax
import onnx

from rollup.generated import settle
from tests.campaigns.onnx.page import PAGE, current
from tests.campaigns.onnx.pool import judged
from tests.campaigns.onnx.results import MEASURED, read, written
from tests.campaigns.onnx.suite import EXPANDED, chosen, suite
from tests.campaigns.onnx.verdict import FAILED, Verdict

EVERY = 10.0
"""Seconds between two writes of the file."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.onnx", description=__doc__)
    parser.add_argument("--only", help="tests whose name this regular expression finds something in")
    parser.add_argument("--json", type=Path, default=MEASURED, help="where the verdicts are kept")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument("--failed", action="store_true", help="only tests that the file says failed")
    parser.add_argument("--resume", action="store_true", help="only tests that the file does not have")
    given = parser.parse_args(arguments)
    cases = suite()
    ops = {name: case.op for name, case in cases.items()}
    versions = {"onnx": onnx.__version__, "jax": jax.__version__}
    verdicts: dict[str, Verdict] = {}
    if given.json.exists():
        verdicts = {name: verdict for name, verdict in read(given.json)[0].items() if name in cases}
    names = chosen(given.only, list(cases))
    if given.failed:
        names = [name for name in names if name in verdicts and verdicts[name].state == FAILED]
    if given.resume:
        names = [name for name in names if name not in verdicts]
    names.sort(key=lambda name: bool(EXPANDED.search(name)))
    begun = saved = time.monotonic()
    for number, (name, verdict, seconds) in enumerate(judged(names, given.jobs), start=1):
        old = verdicts.get(name)
        verdicts[name] = verdict
        if verdict.state == FAILED or (old is not None and old.state != verdict.state):
            print(f"{number}/{len(names)} {verdict.state} {name} ({seconds:.1f} s) {verdict.why}", flush=True)
        if time.monotonic() - saved > EVERY:
            _save(given.json, written(verdicts, ops, versions))
            saved = time.monotonic()
    _save(given.json, written(verdicts, ops, versions))
    states = Counter(verdicts[name].state for name in names)
    if given.json == MEASURED:
        settle(PAGE, current(), "", [])
    print(f"{len(names)} tests in {time.monotonic() - begun:.0f} s: {dict(states)}")
    return 0


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
