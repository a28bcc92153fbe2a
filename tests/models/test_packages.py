"""Packages with models: files that come in parts, and what is measured without them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.models import campaign
from tests.models.campaign import Extent, left_out, names, run
from tests.models.packages import GEMMA, NotInstalled, assembled


def test_parts_are_joined_once_and_nothing_is_left_of_an_interrupted_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def assemble(target: Path, overwrite: bool) -> Path:
        calls.append(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"half")
        if len(calls) == 1:
            raise KeyboardInterrupt
        target.write_bytes(b"whole")
        return target

    monkeypatch.setitem(sys.modules, "in_parts", SimpleNamespace(MODEL_NAME="model.gguf", assemble=assemble))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        assembled("in-parts", tmp_path / "joined")
    for _ in range(2):
        assert assembled("in-parts", tmp_path / "joined").read_bytes() == b"whole"
    assert len(calls) == 2
    with pytest.raises(NotInstalled, match="no-such-model is not installed"):
        assembled("no-such-model", tmp_path)


def test_a_model_without_its_packages_is_left_out_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any("Gemma" in name for name in names())
    monkeypatch.setattr(campaign, "missing", lambda packages: [one for one in packages if one in GEMMA])
    said = left_out(None)
    assert said and all("Gemma 3 270M" in sentence and GEMMA[0] in sentence for sentence in said)
    assert list(run(Extent(tmp_path), "gemma", lambda name: pytest.fail(name))) == []
