"""What the demo says fits a terminal of 80 columns, and every lie has its verdict."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from touchstone.demo.demo import HONEST, LIES, NEXT, TERMS_IN_WORDS, WIDTH, paragraph, run


def test_paragraphs_tear_no_word_and_no_coordinates_apart() -> None:
    words = "a" * 50 + " element [12, 345, 6789, 1011] is claimed as 1; state 3 is agreed, " + "b" * 90
    lines = paragraph(words)
    assert lines[0] == "a" * 50 + " element" and lines[1] == "    [12, 345, 6789, 1011] is claimed as 1"
    assert lines[-1].strip() == "b" * 90 and all(len(line) <= WIDTH for line in lines[:-1])
    assert all(len(line) < 80 for line in (*TERMS_IN_WORDS.splitlines(), *NEXT.splitlines()))


def test_the_demo_fits_80_columns_has_a_verdict_for_every_lie_and_says_what_is_next(tmp_path: Path) -> None:
    said = io.StringIO()
    report = run(3, tmp_path / "report.json", Console(file=said, width=80, force_terminal=False))
    lines = said.getvalue().splitlines()
    false = [claim["id"] for claim in report["claims"] if claim["lie"]]
    assert len(report["claims"]) == HONEST + len(LIES) and len(false) == len(LIES)
    assert [line for line in lines if line == f"  model id {report['model_id']}"]
    verdicts = lines[next(j for j, line in enumerate(lines) if "─ verdicts ─" in line) :]
    assert sorted(int(found[1]) for line in verdicts if (found := re.match(r"  claim (\d+): ", line))) == sorted(false)
    # What is too long for the console is broken by it, and begins at its edge.
    marks = "✓─┏┡│┃└"
    plain = [line for line in lines if line and not line.startswith(" ") and line[0] not in marks]
    assert all(re.match(r"claims|disputes|gas by move|bonds|every lie|Next:", line) for line in plain), plain
    assert lines[-4] == "Next:"
