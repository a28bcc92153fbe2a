"""Posting and releasing claims in groups costs what the snapshot says, and no more than was promised."""

from __future__ import annotations

import json

import pytest

from tests.contracts.posting_gas import SNAPSHOT, Table, measure

TARGETS = {
    "each claim of a group of 64": 15_000,
    "each claim of a group of 256": 12_000,
    "each further claim of a group of 64": 15_000,
    "each further claim of a group of 256": 12_000,
    "release, each claim of a group of 64": 1_000,
    "release, each claim of a group of 256": 1_000,
    "a group of 512": 15_000_000,
}
"""Gas at most; of the last half of a block of 30,000,000."""


@pytest.fixture(scope="module")
def table() -> Table:
    return measure()


def test_gas_is_that_of_the_snapshot(table: Table) -> None:
    assert table == json.loads(SNAPSHOT.read_text()), (
        "run `python -m tests.contracts.posting_gas` and look at what changed"
    )


def test_gas_stays_within_the_targets(table: Table) -> None:
    over = {name: table[name] for name, most in TARGETS.items() if table[name]["gas"] > most}
    assert not over, over
