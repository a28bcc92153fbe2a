"""The measurement of batches runs, and finds every right claim right."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from touchstone.demo import batches


def test_both_ways_are_measured_for_both_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batches.measured, "__defaults__", ((1, 5), 2))
    monkeypatch.setattr(sys, "argv", ["batches", "--repeats", "2", "--json", str(tmp_path / "figures.json")])
    batches.main()
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report.keys() == {"digits CNN", "digits MLP"}
    for kinds in report.values():
        for kind in ("prove", "check"):
            assert [row["claims"] for row in kinds[kind]] == [1, 5]
            assert all(row["ratio_low"] <= row["ratio"] <= row["ratio_high"] for row in kinds[kind])
    assert len(capsys.readouterr().out.splitlines()) == 8
