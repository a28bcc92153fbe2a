"""What CONTRIBUTING.md shows of one lowering is what happens."""

from __future__ import annotations

import pytest

from tests.worked_lowering import BLOCK, PAGE, page, worked


@pytest.fixture(scope="module")
def text() -> str:
    return worked()


def test_contributing_shows_exactly_what_is_printed(text: str) -> None:
    (shown,) = BLOCK.findall(PAGE.read_text())
    assert shown == text


def test_writing_it_again_changes_that_block_alone(text: str) -> None:
    assert page(text) == PAGE.read_text()
    assert page("another\n").replace("another\n", text) == PAGE.read_text()


def test_every_stage_follows_and_both_judges_agree_against_the_lie(text: str) -> None:
    *_, judges, verdict = text.split("\n\n")
    reference, contract = judges.splitlines()[1:]
    right = reference.split()[-1]
    claimed = contract.split(" reads ")[1].split()[0]
    assert contract.split()[-1] == right != claimed
    assert f"is claimed as {claimed} " in verdict
    assert f" and is {right} " in verdict
