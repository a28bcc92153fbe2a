"""What the Requests contract answers, typed."""

from __future__ import annotations

from rollup.claim import Address
from rollup.l1.client import L1Client
from rollup.l1.requests.asked import Request, Subscription, struct_fields
from rollup.types import ModelId, Timestamp

MAX_CALLBACK_GAS = 5_000_000
ANSWER_GAS = 250_000
"""The contract's constants of these names."""


def request_id_of(client: L1Client, request: Request) -> bytes:
    return bytes(client.ask_requests("requestIdOf", struct_fields(request)))


def subscription_id_of(client: L1Client, subscription: Subscription) -> bytes:
    return bytes(client.ask_requests("subscriptionIdOf", struct_fields(subscription)))


def estimated_fee(client: L1Client, model_id: ModelId, gas_limit: int) -> int:
    """The smallest fee, in wei, that is taken now."""
    return int(client.ask_requests("estimateFee", model_id, gas_limit))


def earned(client: L1Client, account: Address) -> int:
    """Wei that the account can take out."""
    return int(client.ask_requests("earned", account))


def budget_of(client: L1Client, subscription_id: bytes) -> tuple[Timestamp, int]:
    """(due, left): when the next request is due, and how many are left."""
    due, left = client.ask_requests("budgetOf", subscription_id)
    return Timestamp(due), int(left)
