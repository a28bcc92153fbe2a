"""What a move costs at most, to fill a transaction with as many as fit: gas besides the transaction's own 21,000.

The figures are upper bounds of what a transaction must have for a move, before freed storage gives any back: what the compiled
contracts take in the dearest case that others can arrange. ``tests/challenger/test_prices.py`` compares them with the snapshot
of ``tests.contracts.dispute_gas``, and sends what frees storage with exactly the limit that a bundle gives it.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollup.l1.calls import Call

BASE = 25_000
"""A transaction, and the loop of a multicall."""

BYTE = 40
"""A byte of calldata: sent, copied into the inner call, hashed and logged."""

FLOOR = 64
"""Gas that a transaction has at least for a byte of calldata, under the dearest rules (EIP-7976)."""

PROOF = 600_000
"""Most gas of one proof that an audit lets pass."""

MOVES: Mapping[str, int] = {
    "challenge": 190_000,
    "commit": 60_000,
    "setTraceRoot": 90_000,
    "select": 90_000,
    "descend": 150_000,
    "narrow": 80_000,
    "reveal": 15_000,
    "revealLeaf": 15_000,
    "partials": 90_000,
    "timeout": 30_000,
    "reclaim": 20_000,
    "release": 90_000,
    "releaseAll": 40_000,
    "releaseGroups": 40_000,
}
"""By function, besides ``EACH`` and the calldata."""

EACH: Mapping[str, int] = {
    "reveal": 45_000,
    "revealLeaf": 45_000,
    "timeout": 380_000,
    "reclaim": 60_000,
    "releaseAll": 40_000,
    "releaseGroups": 110_000,
}
"""For each thing in the call's list. A timeout: a lost game pays up to ten accounts besides the claimant, each for the first time."""

PROOFS = frozenset({"prove", "settle"})


def price(call: Call) -> int:
    """Gas of one move inside a transaction, at most."""
    if call.name in PROOFS:
        return max(PROOF + 50_000, FLOOR * len(call.data))
    each = EACH.get(call.name, 0)
    return MOVES[call.name] + BYTE * len(call.data) + (each * len(call.args[0]) if each else 0)


SMALLEST = 60_000
"""No move takes less."""
