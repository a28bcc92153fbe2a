"""What the Requests contract answers, typed."""

from __future__ import annotations

from rollup.claim import Address
from rollup.l1.client import L1Client
from rollup.types import Timestamp

ANSWER_GAS = 250_000
"""The contract's constant of this name: gas of an answer without its callback and the output's bytes."""


def earned(client: L1Client, account: Address) -> int:
    """Wei that the account can take out."""
    return int(client.ask_requests("earned", account))


def budget_of(client: L1Client, subscription_id: bytes) -> tuple[Timestamp, int]:
    """(due, left): when the next request is due, and how many are left."""
    due, left = client.ask_requests("budgetOf", subscription_id)
    return Timestamp(due), int(left)
