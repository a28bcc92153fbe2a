"""Requests as L1 makes them: written by the mirror alone, and undone with L1's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.l1.events import Logged
from rollup.l1.requests.asked import Request, Subscription
from rollup.l1.requests.events import (
    AnswerNoted,
    AnswerRevealed,
    AnswersDiffer,
    AnswerSettled,
    AnswersSealed,
    AnswerStruck,
    CallbackDelivered,
    CallbackFailed,
    CommitteeDrawn,
    Renewed,
    RequestAgreed,
    RequestAnswered,
    RequestCancelled,
    Requested,
    RequestRefunded,
    Subscribed,
    Unsubscribed,
)
from rollup.l1.requests.standing import RequestStanding, SubscriptionStanding
from sequencer.request_tables import requests, subscriptions, undo

_MOVES = (
    RequestCancelled,
    AnswerNoted,
    AnswerStruck,
    RequestAnswered,
    CallbackFailed,
    CallbackDelivered,
    RequestRefunded,
    CommitteeDrawn,
    AnswersSealed,
    AnswerRevealed,
    AnswersDiffer,
    RequestAgreed,
    AnswerSettled,
)


def write(connection: Connection, events: Sequence[Logged]) -> None:
    """Write what events say of requests and subscriptions; others are passed over."""
    for logged in events:
        match logged.event:
            case Requested():
                connection.execute(sa.insert(requests).values(_begun(logged, logged.event)))
            case Subscribed():
                connection.execute(sa.insert(subscriptions).values(_subscribed(logged, logged.event)))
            case Renewed(subscription_id, request_id):
                # One transaction makes the request and says this: both are undone together.
                here = (requests.c.request_id == request_id) & (requests.c.block == logged.block)
                connection.execute(sa.update(requests).where(here).values(subscription_id=subscription_id))
                _move_subscription(connection, logged, subscription_id, request_id)
            case Unsubscribed(subscription_id, _):
                _move_subscription(connection, logged, subscription_id, None)
            case event if isinstance(event, _MOVES):
                _move_request(connection, logged, event.request_id)


def rewind(connection: Connection, to: int) -> None:
    """Undo whatever stands above block ``to``."""
    above = sa.select(undo).where(undo.c.block > to).order_by(undo.c.block.desc(), undo.c.log_index.desc())
    for row in connection.execute(above).all():
        before = row.standing
        if "progress" in before:
            _put_request(connection, bytes(row.named), RequestStanding.from_json(before))
        else:
            _put_subscription(connection, bytes(row.named), SubscriptionStanding.from_json(before))
    for table in (undo, requests, subscriptions):
        connection.execute(sa.delete(table).where(table.c.block > to))


def _begun(logged: Logged, event: Requested) -> dict[str, Any]:
    asked = event.request
    return {
        "request_id": event.request_id,
        "number": asked.number,
        "model_id": asked.model_id,
        "input_root": asked.input_root,
        "requester": asked.requester,
        "asked_until": asked.until,
        "block": logged.block,
        "transaction": logged.transaction,
        "asked": asked.as_json(),
        "inputs": event.inputs,
        "data": event.data,
        **_columns(RequestStanding.of(asked, logged.block)),
    }


def _subscribed(logged: Logged, event: Subscribed) -> dict[str, Any]:
    return {
        "subscription_id": event.subscription_id,
        "number": event.subscription.number,
        "model_id": event.subscription.first.model_id,
        "input_root": event.subscription.first.input_root,
        "block": logged.block,
        "asked": event.subscription.as_json(),
        "inputs": event.inputs,
        "data": event.data,
        **_subscription_columns(SubscriptionStanding()),
    }


def _columns(standing: RequestStanding) -> dict[str, Any]:
    return {
        "progress": standing.progress.value,
        "until": standing.until,
        "noted": len(standing.noted),
        "standing": standing.as_json(),
    }


def _subscription_columns(standing: SubscriptionStanding) -> dict[str, Any]:
    return {"due": standing.due, "ended": standing.ended, "standing": standing.as_json()}


def _put_request(connection: Connection, request_id: bytes, standing: RequestStanding) -> None:
    where = requests.c.request_id == request_id
    connection.execute(sa.update(requests).where(where).values(_columns(standing)))


def _put_subscription(connection: Connection, subscription_id: bytes, standing: SubscriptionStanding) -> None:
    where = subscriptions.c.subscription_id == subscription_id
    connection.execute(sa.update(subscriptions).where(where).values(_subscription_columns(standing)))


def _move_request(connection: Connection, logged: Logged, request_id: bytes) -> None:
    found = connection.execute(sa.select(requests.c.standing).where(requests.c.request_id == request_id)).scalar()
    if found is None:
        return
    before = RequestStanding.from_json(found)
    _remember(connection, logged, request_id, found)
    _put_request(connection, request_id, before.after(logged.event, logged.block))


def _move_subscription(connection: Connection, logged: Logged, subscription_id: bytes, made: bytes | None) -> None:
    row = connection.execute(
        sa.select(subscriptions.c.asked, subscriptions.c.standing).where(
            subscriptions.c.subscription_id == subscription_id
        )
    ).first()
    if row is None:
        return
    asked = connection.execute(sa.select(requests.c.asked).where(requests.c.request_id == made)).scalar()
    request = None if asked is None else Request.from_json(asked)
    _remember(connection, logged, subscription_id, row.standing)
    before = SubscriptionStanding.from_json(row.standing)
    after = before.after(logged.event, Subscription.from_json(row.asked), request)
    _put_subscription(connection, subscription_id, after)


def _remember(connection: Connection, logged: Logged, named: bytes, standing: Any) -> None:
    values = {"block": logged.block, "log_index": logged.index, "named": named, "standing": standing}
    connection.execute(sa.insert(undo).values(values))
