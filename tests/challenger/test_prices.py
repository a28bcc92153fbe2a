"""What a move is said to take at most is more than it takes: from the snapshot of the compiled contracts' gas."""

from __future__ import annotations

import json

import pytest

from challenger.sending import prices
from rollup.l1 import calls
from rollup.l1.events import CallFailed
from tests.contracts.dispute_gas import SNAPSHOT, dearest_endings, least_gas

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
    "timeout, of the challenger, as many to pay as can be": ("timeout", 196),
    "timeout, each further game of that kind": ("timeout", 128),
    "timeout, of the defender": ("timeout", 196),
    "descend": ("descend", 0),
    "partials, 64 sums": ("partials", 64 * 8),
    "partials, 64 arguments": ("partials", 64 * 16),
    "narrow": ("narrow", 64 * 8),
}
"""By the snapshot's row: the function, and bytes of calldata that it has at least."""


SLACK = 1.15
"""A price is at most so many times what is measured: room in a transaction is worth something."""


@pytest.mark.parametrize("row", MEASURED)
def test_no_move_takes_more_than_it_is_said_to(row: str) -> None:
    name, size = MEASURED[row]
    measured = json.loads(SNAPSHOT.read_text())[row]["gas"] - BASE
    said = prices.MOVES[name] + prices.BYTE * size + prices.EACH.get(name, 0)
    assert measured <= said, f"{row}: {measured} gas, said to be {said} at most"


@pytest.mark.parametrize("count", [1, 3])
def test_the_dearest_ending_takes_no_more_than_its_price_before_anything_is_given_back(count: int) -> None:
    ending = dearest_endings(count)
    client, call = ending.collector, calls.timeout(ending.games)
    taken = least_gas(client, call) - BASE
    assert taken <= prices.price(call)
    assert count > 1 or prices.price(call) <= SLACK * taken
    receipt = client.multicall([call], prices.BASE + prices.price(call) * 65 // 64)
    assert not [event for event in receipt.events if isinstance(event, CallFailed)]
    paid = client.parameters.collect_fee * count
    assert client.earnings(client.account) == paid


def test_every_move_of_the_game_has_a_price() -> None:
    assert prices.MOVES.keys() | prices.PROOFS == {
        *("challenge", "commit", "setTraceRoot", "select", "descend", "narrow", "reveal", "revealLeaf", "partials"),
        *("timeout", "reclaim", "release", "releaseAll", "releaseGroups", "prove", "settle"),
    }
    assert min(prices.MOVES[name] + prices.EACH.get(name, 0) for name in prices.MOVES) >= prices.SMALLEST
