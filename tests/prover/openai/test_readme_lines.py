"""The README's five lines, run as they stand, against servers on free ports."""

from __future__ import annotations

import pytest

from tests.e2e.documented import block, section
from tests.prover.openai.world import Running, gguf

LINES = block(section("README.md", "Ask a language model"), "python", "OpenAI")


def test_there_are_five_lines() -> None:
    assert len([line for line in LINES.splitlines() if line]) == 5


def test_the_five_lines_verify_an_answer(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", running.key())
    monkeypatch.setenv("OPENAI_BASE_URL", running.openai)
    # The tests' chain lives in this process: what would connect to it gets its client.
    lines = LINES.replace('("http://l1:8545", "chain.json")', "l1_of_the_tests")
    lines = lines.replace("http://prover:8082", running.url).replace('"tiny.gguf"', "gguf_of_the_tests")
    assert "http://" not in lines.replace(running.url, "")
    printed: list[object] = []
    names = {"l1_of_the_tests": running.l1, "gguf_of_the_tests": gguf(), "print": printed.append}
    exec(compile(lines, "README.md", "exec"), names)
    (said,) = map(str, printed)
    assert said.startswith(("promised at block", "posted at block"))
    assert "proven: its words, and those of the request, are what the claims are about" in said
