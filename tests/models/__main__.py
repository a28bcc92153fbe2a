"""Everything that is promised of real models: ``python -m tests.models`` prints one table, and exits with 1 if a promise is not kept.

``--only NAME``: models whose name contains it. ``--json FILE``: write the rows there; those of models that did not run stay.
``--programs FOLDER``: keep lowered programs there, and use those of an earlier run. ``--quick``: a small part of each measure. A model
whose packages are missing is left out, and the end says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.models.campaign import Extent, left_out, names, run
from tests.models.rows import Row, text


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.models", description="Measure the real models.")
    parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(names())}; or all whose name contains it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--programs", type=Path, metavar="FOLDER", help="keep lowered programs there, and use them")
    parser.add_argument("--quick", action="store_true", help="a small part of each measure")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        programs = options.programs or Path(temporary)
        rows = []
        for row in run(Extent(programs, options.quick), options.only, lambda name: print(f"-- {name}", flush=True)):
            print(text_of(row), flush=True)
            rows.append(row)
    print("\n" + text(rows))
    for sentence in left_out(options.only):
        print(sentence)
    if options.json:
        write(options.json, rows)
    return 1 if any(row.met is False for row in rows) or not rows else 0


def text_of(row: Row) -> str:
    return f"{row.measure}: {row.shown}" + (f" ({row.required})" if row.required else "")


def write(file: Path, rows: Sequence[Row]) -> None:
    """The rows, and of the models that were not measured now what the file said of them, in the order of the table."""
    old = json.loads(file.read_text())["rows"] if file.exists() else []
    measured, order = {row.model for row in rows}, names()
    kept = [row for row in old if row["model"] in order and row["model"] not in measured]
    both = sorted([*kept, *(row.to_json() for row in rows)], key=lambda row: order.index(row["model"]))
    file.write_text(json.dumps({"rows": both}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
