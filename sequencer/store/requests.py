"""Requests: as L1 made them, the claims that answer them, what was decided about them and what was spent for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row

from rollup.claim import Address, ClaimId
from rollup.l1.requests.asked import Request, Subscription
from rollup.l1.requests.standing import Progress, RequestStanding, SubscriptionStanding
from rollup.types import ModelId, Root, Timestamp
from sequencer.request_tables import answerers, decisions, requests, spendings, subscriptions
from sequencer.requests.states import Answering, Asked, Subscribing
from sequencer.states import Page, State
from sequencer.store import cursors
from sequencer.store.database import Database
from sequencer.store.rows import chunks
from sequencer.tables import claims

_LISTED = sa.select(requests, decisions.c.reason).outerjoin(decisions, decisions.c.request_id == requests.c.request_id)

FRESH = (State.PENDING, State.POSTED, State.CHALLENGED, State.FINAL)


class Requests:
    def __init__(self, database: Database) -> None:
        self._database = database

    # What was asked

    def get(self, request_id: bytes) -> Asked | None:
        with self._database.read() as connection:
            row = connection.execute(_LISTED.where(requests.c.request_id == request_id)).first()
        return None if row is None else _asked(row)

    def page(
        self,
        state: str | None = None,
        model: ModelId | None = None,
        requester: Address | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Asked]:
        """Newest first; ``state``: as ``Asked`` says it. Raises CursorError."""
        query = _LISTED.order_by(requests.c.number.desc()).limit(limit + 1)
        before = cursors.decode(cursor)
        if before is not None:
            query = query.where(requests.c.number < before)
        if state is not None:
            query = query.where(*_in_state(state))
        for column, value in ((requests.c.model_id, model), (requests.c.requester, requester)):
            if value is not None:
                query = query.where(column == value)
        with self._database.read() as connection:
            found = [_asked(row) for row in connection.execute(query)]
        return cursors.page(found, limit, lambda one: one.request.number)

    def unanswered(self, after: int, now: Timestamp, limit: int) -> list[Asked]:
        """Open requests that a claim may still answer, by number behind ``after``."""
        query = _LISTED.where(requests.c.progress == Progress.OPEN, requests.c.until >= now, requests.c.number > after)
        return self._those(query.order_by(requests.c.number).limit(limit))

    def undelivered(self, limit: int) -> list[Asked]:
        """Those that are answered and name a callback, which failed."""
        query = _LISTED.where(requests.c.progress == Progress.UNDELIVERED)
        return self._those(query.order_by(requests.c.number.desc()).limit(limit))

    def noted(self, limit: int) -> list[Asked]:
        """Open requests whose fee some claim holds."""
        query = _LISTED.where(requests.c.progress == Progress.OPEN, requests.c.noted > 0)
        return self._those(query.order_by(requests.c.number).limit(limit))

    def with_claims(
        self, states: Collection[State], own: Collection[Address], limit: int
    ) -> list[tuple[Asked, ClaimId]]:
        """Open requests that a claim of ours in one of these states answers, those that end first in front."""
        query = (
            sa.select(requests, sa.null().label("reason"), claims.c.claim_id)
            .join(claims, claims.c.request_id == requests.c.request_id)
            .where(
                requests.c.progress == Progress.OPEN,
                claims.c.state.in_(states),
                claims.c.claimant.in_(own),
                claims.c.taken_at.is_not(None),
            )
            .order_by(requests.c.until, requests.c.number)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [(_asked(row), ClaimId(bytes(row.claim_id))) for row in connection.execute(query)]

    def answering(self, request_ids: Iterable[bytes]) -> dict[bytes, list[Answering]]:
        """All claims that name these requests, by request, oldest first."""
        found: dict[bytes, list[Answering]] = {}
        with self._database.read() as connection:
            for part in chunks(request_ids):
                query = sa.select(claims).where(claims.c.request_id.in_(part)).order_by(claims.c.sequence)
                for row in connection.execute(query):
                    one = Answering(
                        ClaimId(bytes(row.claim_id)),
                        Address(row.claimant),
                        State(row.state),
                        row.taken_at is not None,
                        row.batch is not None,
                        row.reason,
                    )
                    found.setdefault(bytes(row.request_id), []).append(one)
        return found

    def inputs_of(self, model_id: ModelId, input_root: Root) -> bytes | None:
        """The bytes behind an input root, if any request or subscription brought them."""
        with self._database.read() as connection:
            for table in (requests, subscriptions):
                here = (table.c.input_root == input_root) & (table.c.model_id == model_id)
                query = sa.select(table.c.inputs).where(here, sa.func.length(table.c.inputs) > 0)
                found = connection.execute(query.limit(1)).scalar()
                if found is not None:
                    return bytes(found)
        return None

    def due(self, now: Timestamp, after: int, limit: int) -> list[Subscribing]:
        """Subscriptions that can make their next request, if their budget is not used up, by number behind ``after``."""
        query = sa.select(subscriptions).where(
            subscriptions.c.ended.is_(False), subscriptions.c.due <= now, subscriptions.c.number > after
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(subscriptions.c.number).limit(limit))
            return [
                Subscribing(
                    bytes(row.subscription_id),
                    Subscription.from_json(row.asked),
                    SubscriptionStanding.from_json(row.standing),
                    bytes(row.inputs),
                    bytes(row.data),
                )
                for row in rows
            ]

    def counts(self) -> dict[Progress, int]:
        """Requests by progress; 0 where there are none."""
        query = sa.select(requests.c.progress, sa.func.count()).group_by(requests.c.progress)
        with self._database.read() as connection:
            found = {Progress(progress): count for progress, count in connection.execute(query)}
        return {progress: found.get(progress, 0) for progress in Progress}

    def _those(self, query: sa.Select[Any]) -> list[Asked]:
        with self._database.read() as connection:
            return [_asked(row) for row in connection.execute(query)]

    # What this sequencer does about them

    def accounts(self) -> frozenset[Address]:
        """Provers' accounts whose claims are shown to the contract."""
        with self._database.read() as connection:
            return frozenset(Address(one) for one in connection.execute(sa.select(answerers.c.account)).scalars())

    def add_account(self, account: Address) -> None:
        with self._database.write() as connection:
            known = connection.execute(sa.select(answerers).where(answerers.c.account == account)).first()
            if known is None:
                connection.execute(sa.insert(answerers).values(account=account))

    def decide(self, reasons: Mapping[bytes, str | None], at: Timestamp) -> None:
        """Keep why requests are not answered, for whoever asks; None: nothing stands in the way."""
        if not reasons:
            return
        kept = [
            {"request_id": request_id, "reason": reason, "at": at}
            for request_id, reason in reasons.items()
            if reason is not None
        ]
        with self._database.write() as connection:
            for part in chunks(reasons):
                connection.execute(sa.delete(decisions).where(decisions.c.request_id.in_(part)))
            if kept:
                connection.execute(sa.insert(decisions), kept)

    def reserve(self, named: bytes, call: str, wei: int, at: Timestamp) -> int:
        """Count what a transaction may cost, before it is sent; returns the number to settle it by."""
        values = {"named": named, "call": call, "wei": wei, "at": at, "settled": False}
        with self._database.write() as connection:
            found = connection.execute(sa.insert(spendings).values(values)).inserted_primary_key
        assert found is not None
        return int(found[0])

    def settle(self, number: int, wei: int) -> None:
        """The transaction cost this; one that was never settled counts as what it could cost."""
        with self._database.write() as connection:
            connection.execute(sa.update(spendings).where(spendings.c.id == number).values(wei=wei, settled=True))

    def spent(self, since: Timestamp) -> int:
        """Wei that were spent or are reserved since then."""
        query = sa.select(spendings.c.wei).where(spendings.c.at > since)
        with self._database.read() as connection:
            return sum(connection.execute(query).scalars())


def _in_state(state: str) -> tuple[sa.ColumnElement[bool], ...]:
    """The columns' word for a state: an open request is noted, else cancelled, else open."""
    shortened = requests.c.until < requests.c.asked_until
    conditions: dict[str, tuple[sa.ColumnElement[bool], ...]] = {
        "noted": (requests.c.noted > 0,),
        "cancelled": (requests.c.noted == 0, shortened),
        "open": (requests.c.noted == 0, sa.not_(shortened)),
    }
    if state not in conditions:
        return (requests.c.progress == Progress(state),)
    return (requests.c.progress == Progress.OPEN, *conditions[state])


def _asked(row: Row[Any]) -> Asked:
    return Asked(
        bytes(row.request_id),
        Request.from_json(row.asked),
        RequestStanding.from_json(row.standing),
        row.block,
        bytes(row.transaction),
        bytes(row.inputs),
        bytes(row.data),
        None if row.subscription_id is None else bytes(row.subscription_id),
        row.reason,
    )
