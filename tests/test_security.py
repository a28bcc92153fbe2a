"""SECURITY.md names, for every invariant, tests that exist and that a fault was made for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.campaigns.mutants import mutated
from tests.campaigns.mutations import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
SECTION = (ROOT / "SECURITY.md").read_text().partition("## Invariants")[2].partition("\n## ")[0]
NAMED = {
    int(number): re.findall(r"`([\w/]+\.(?:py|t\.sol)::\w+)`", text)
    for number, text in re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", SECTION, re.MULTILINE | re.DOTALL)
}


def test_the_invariants_are_numbered_and_each_names_its_tests() -> None:
    assert list(NAMED) == list(range(1, 13))
    assert all(NAMED.values())


@pytest.mark.parametrize("number", NAMED)
def test_every_test_that_an_invariant_names_exists(number: int) -> None:
    for named in NAMED[number]:
        file, _, name = named.partition("::")
        folder, keyword = ("contracts/test", "function") if file.endswith(".sol") else ("tests", "def")
        assert f"{keyword} {name}(" in (ROOT / folder / file).read_text(), named


@pytest.mark.parametrize("number", NAMED)
def test_every_invariant_has_a_fault_that_one_of_its_tests_must_notice(number: int) -> None:
    tests = {mutant.test.partition("[")[0].removeprefix("tests/") for mutant in MUTANTS if mutant.invariant == number}
    assert tests and tests <= set(NAMED[number])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.says}")
def test_every_fault_can_still_be_made(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert mutated(mutant, text) != text
