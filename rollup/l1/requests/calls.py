"""Transactions of the Requests contract as data."""

from __future__ import annotations

from rollup.batch import Inclusion
from rollup.claim import Claim, ClaimId
from rollup.l1.artifacts import artifact
from rollup.l1.calls import REQUESTS, Call, claim_fields, inclusion_fields
from rollup.l1.requests.asked import Request, Subscription, struct_fields


def ask(request: Request, inputs: bytes, data: bytes) -> Call:
    """Ask with all that a request can say; ``inputs`` empty: they were uploaded. The contract fills in who asks, and the like."""
    return Call(REQUESTS, "request", (struct_fields(request), inputs, data), request.fee)


def subscribe(subscription: Subscription, times: int, inputs: bytes, data: bytes) -> Call:
    budget = subscription.first.fee * times
    return Call(REQUESTS, "subscribe", (struct_fields(subscription), times, inputs, data), budget)


def renew(subscription: Subscription, data: bytes) -> Call:
    return Call(REQUESTS, "renew", (struct_fields(subscription), data))


def cancel(request: Request) -> Call:
    return Call(REQUESTS, "cancel", (struct_fields(request),))


def note(request: Request, claim: Claim, inclusion: Inclusion) -> Call:
    return Call(REQUESTS, "note", (struct_fields(request), claim_fields(claim), inclusion_fields(inclusion)))


def strike(request_id: bytes, claim_id: ClaimId) -> Call:
    return Call(REQUESTS, "strike", (request_id, claim_id))


def answer(request: Request, data: bytes, claim: Claim, inclusion: Inclusion, outputs: bytes) -> Call:
    given = (struct_fields(request), data, claim_fields(claim), inclusion_fields(inclusion), outputs)
    return Call(REQUESTS, "answer", given)


def deliver(request: Request, data: bytes, outputs: bytes) -> Call:
    return Call(REQUESTS, "deliver", (struct_fields(request), data, outputs))


def refund(request: Request, data: bytes) -> Call:
    return Call(REQUESTS, "refund", (struct_fields(request), data))


def withdraw() -> Call:
    """Take out what the account earned by answers, or got back."""
    return Call(REQUESTS, "withdraw", ())


def callback(request_id: bytes, outputs: bytes, data: bytes) -> bytes:
    """Calldata with which a consumer is told an answer."""
    return artifact("OracleAdapter").functions["onInference"].encode((request_id, outputs, b"", data))
