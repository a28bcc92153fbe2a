"""``python -m tests.campaigns.tabular [--only REGEX] [--json FILE]``: pipelines trained, exported, lowered and compared.

What the file has already is kept; ``--only`` measures some again.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from dataclasses import asdict
from pathlib import Path

import jax

from rollup.errors import TouchstoneError
from rollup.generated import settle
from tests.campaigns.tabular.measure import measured
from tests.campaigns.tabular.page import MEASURED, PAGE, VERSIONED, current, versions
from tests.campaigns.tabular.pipelines import PIPELINES, trained


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.tabular", description=__doc__)
    parser.add_argument(
        "--only", default="", help="pipelines whose 'data / name / package' this regular expression finds something in"
    )
    parser.add_argument("--json", type=Path, default=MEASURED, help="where the figures are kept")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    names = [f"{p.data} / {p.name} / {p.by}" for p in PIPELINES]
    found = json.loads(given.json.read_text())["pipelines"] if given.json.exists() else {}
    found = {name: row for name, row in found.items() if name in names}
    failed = 0
    for name, pipeline in zip(names, PIPELINES, strict=True):
        if not re.search(given.only, name):
            continue
        try:
            row = asdict(measured(name, *trained(pipeline)))
        except TouchstoneError as error:
            row, failed = {"refused": str(error)}, failed + 1
        found[name] = row | {"error": float(f"{row['error']:.2g}")} if "error" in row else row
        print(f"{name}: {found[name]}", flush=True)
        jax.clear_caches()
        text = {"versions": versions(VERSIONED), "pipelines": {name: found[name] for name in names if name in found}}
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(text, indent=1) + "\n")
    if given.json == MEASURED:
        settle(PAGE, current(), "", [])
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
