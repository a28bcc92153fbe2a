"""Verdicts as JSON: one line a test, sorted by name, so that a change shows which tests it changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.campaigns.onnx.verdict import Verdict

ROOT = Path(__file__).parents[3]
MEASURED = ROOT / "docs" / "onnx" / "node_tests.json"


def written(verdicts: Mapping[str, Verdict], ops: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """The file's text. ``ops``: every test's operator; ``versions``: of the packages that made the verdicts."""
    lines = []
    for name in sorted(verdicts):
        one = verdicts[name]
        row: dict[str, Any] = {"op": ops[name], "state": one.state}
        row |= {"why": one.why} if one.why else {}
        row |= {"error": float(f"{one.error:.2g}"), "compared": one.compared} if one.compared else {}
        row |= {"fixed": list(one.fixed)} if one.fixed else {}
        lines.append(f"  {json.dumps(name)}: {json.dumps(row)}")
    return '{\n "versions": ' + json.dumps(dict(versions)) + ',\n "tests": {\n' + ",\n".join(lines) + "\n }\n}\n"


def read(path: Path = MEASURED) -> tuple[dict[str, Verdict], dict[str, str], dict[str, str]]:
    """(verdicts, operators, versions) of a file that ``written`` made."""
    found = json.loads(path.read_text())
    tests: dict[str, dict[str, Any]] = found["tests"]
    verdicts = {
        name: Verdict(
            row["state"], row.get("why", ""), row.get("error", 0.0), row.get("compared", 0), tuple(row.get("fixed", ()))
        )
        for name, row in tests.items()
    }
    return verdicts, {name: row["op"] for name, row in tests.items()}, found["versions"]
