"""The gas of the rollup's transactions is what the snapshot says and within its targets."""

from __future__ import annotations

import json

import pytest

from tests.contracts.dispute_gas import SNAPSHOT, Table, measure

TARGETS = {
    "prove, element-wise, two operands": 230_000,
    "prove, look-up in 65,536 entries": 230_000,
    "prove, row of an embedding": 230_000,
    "prove, convolution 3x3x64, inside": 410_000,
    "prove, convolution 3x3x64, corner": 400_000,
    "prove, dot i16 x i16, 256": 400_000,
    "prove, dot i16 x i16, 1024": 400_000,
    "prove, dot i16 x i16, 4096": 850_000,
    "prove, dot i16 x i8, 4096": 850_000,
}
"""Gas at most, through the game, by what is proven; every other transaction stays below 5,000,000."""


@pytest.fixture(scope="module")
def table() -> Table:
    return measure()


def test_gas_is_that_of_the_snapshot(table: Table) -> None:
    assert table == json.loads(SNAPSHOT.read_text()), (
        "run `python -m tests.contracts.dispute_gas` and look at what changed"
    )


def test_gas_stays_within_the_targets(table: Table) -> None:
    assert table.keys() > TARGETS.keys()
    over = {name: row for name, row in table.items() if row["gas"] > TARGETS.get(name, 5_000_000)}
    assert not over, over
