"""What a move is said to take at most is more than it takes: from the snapshot of the compiled contracts' gas."""

from __future__ import annotations

import json

import pytest

from challenger import prices
from tests.contracts.dispute_gas import SNAPSHOT

BASE = 21_000
MEASURED = {
    "challenge, the first about a claim": ("challenge", 500),
    "challenge, a further one, with a commitment": ("challenge", 500),
    "commit": ("commit", 196),
    "select, 5 levels, from the root": ("select", 450),
    "select, 1 level, further down": ("select", 322),
    "reveal, 32 children": ("reveal", 1156),
    "reveal, 2 children": ("reveal", 196),
    "revealLeaf": ("revealLeaf", 1156),
    "timeout, of the challenger": ("timeout", 196),
    "timeout, of the defender": ("timeout", 196),
    "descend": ("descend", 0),
    "partials, 64 sums": ("partials", 64 * 8),
    "partials, 64 arguments": ("partials", 64 * 16),
    "narrow": ("narrow", 64 * 8),
}
"""By the snapshot's row: the function, and bytes of calldata that it has at least."""


@pytest.mark.parametrize("row", MEASURED)
def test_no_move_takes_more_than_it_is_said_to(row: str) -> None:
    name, size = MEASURED[row]
    measured = json.loads(SNAPSHOT.read_text())[row]["gas"] - BASE
    said = prices.MOVES[name] + prices.BYTE * size + prices.EACH.get(name, 0)
    assert measured <= said, f"{row}: {measured} gas, said to be {said} at most"


def test_every_move_of_the_game_has_a_price() -> None:
    assert prices.MOVES.keys() | prices.PROOFS == {
        *("challenge", "commit", "setTraceRoot", "select", "descend", "narrow", "reveal", "revealLeaf", "partials"),
        *("timeout", "reclaim", "release", "releaseAll", "prove", "settle"),
    }
    assert min(prices.MOVES[name] + prices.EACH.get(name, 0) for name in prices.MOVES) >= prices.SMALLEST
