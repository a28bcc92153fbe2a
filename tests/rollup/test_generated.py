"""A document that is written from code is found stale until it is written again."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollup.generated import settle


def test_a_page_is_stale_until_it_is_written_and_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "docs" / "page.md"
    assert settle(page, "new\n", "make page", ["--check"]) == 1
    assert capsys.readouterr().err == "page.md is stale; run make page\n"
    assert not page.exists()
    assert settle(page, "new\n", "make page", []) == 0
    assert settle(page, "new\n", "make page", ["--check"]) == 0
    assert settle(page, "newer\n", "make page", ["--check"]) == 1
