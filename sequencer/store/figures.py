"""What happened over a span of time, counted by the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.types import Timestamp
from sequencer.figures import Span, Tally, first_bucket
from sequencer.states import State
from sequencer.store import standing
from sequencer.store.database import Database
from sequencer.tables import batches, changes, claims, games, postings


class Figures:
    def __init__(self, database: Database) -> None:
        self._database = database

    def tally(self, span: Span, now: Timestamp) -> Tally:
        """Everything of the span that ends with ``now``, L1's time, as of one state of the database."""
        first, width = first_bucket(span, now), span.width
        since = first * width
        with self._database.read() as connection:
            states = _states(connection)
            changed = _changed(connection, since, width)
            return Tally(
                taken=changed.get(State.PENDING, {}),
                posted=_posted(connection, since, width),
                final=changed.get(State.FINAL, {}),
                false=_false(connection, since, width),
                finality=_finality(connection, since, width, now),
                staked=states[State.POSTED] + states[State.CHALLENGED],
                watchers=_one(connection, sa.func.count(games.c.challenger.distinct()), games.c.opened_at >= since),
                games=_one(connection, sa.func.count(), games.c.ended.is_(None), games),
                refuted=_one(connection, sa.func.count(), _REFUTED, claims),
                states=states,
            )


_REFUTED = (claims.c.state == State.INVALID) & claims.c.batch.is_not(None)
"""Proven false on L1; another invalid claim never stood there."""


def _one(
    connection: Connection, what: sa.ColumnElement[int], where: sa.ColumnElement[bool], table: sa.Table = games
) -> int:
    return connection.execute(sa.select(what).select_from(table).where(where)).scalar_one()


def _states(connection: Connection) -> dict[State, int]:
    query = sa.select(claims.c.state, sa.func.count()).group_by(claims.c.state)
    found = {State(state): count for state, count in connection.execute(query)}
    return {state: found.get(state, 0) for state in State}


def _changed(connection: Connection, since: int, width: int) -> dict[State, dict[int, int]]:
    """Claims that came into a state, by state and bucket."""
    bucket = changes.c.at // width
    query = sa.select(changes.c.state, bucket, sa.func.count()).group_by(changes.c.state, bucket)
    query = query.where(changes.c.state.in_([State.PENDING, State.FINAL]), changes.c.at >= since)
    found: dict[State, dict[int, int]] = {}
    for state, number, count in connection.execute(query):
        found.setdefault(State(state), {})[number] = count
    return found


def _false(connection: Connection, since: int, width: int) -> dict[int, int]:
    bucket = changes.c.at // width
    query = sa.select(bucket, sa.func.count()).join(claims, claims.c.claim_id == changes.c.claim_id).group_by(bucket)
    query = query.where(changes.c.state == State.INVALID, changes.c.at >= since, _REFUTED)
    return _pairs(connection, query)


def _posted(connection: Connection, since: int, width: int) -> dict[int, int]:
    bucket = batches.c.posted_at // width
    query = sa.select(bucket, sa.func.count()).join(postings, postings.c.batch == batches.c.number).group_by(bucket)
    return _pairs(connection, query.where(batches.c.posted_at >= since))


def _pairs(connection: Connection, query: Any) -> dict[int, int]:
    return {row[0]: row[1] for row in connection.execute(query)}


def _finality(connection: Connection, since: int, width: int, now: int) -> dict[int, tuple[int, int]]:
    """(claims, seconds) of batches that became final: the clock of challenge periods runs at most as fast as time."""
    over = standing.reading(connection)
    final = (batches.c.closes_at + standing.STOPPED).label("final")
    lately = (batches.c.closes_at < over) & (batches.c.closes_at >= over - (now - since))
    ended = sa.select(batches.c.size, batches.c.posted_at, final).where(lately).subquery()
    bucket = ended.c.final // width
    seconds = sa.func.sum(ended.c.size * (ended.c.final - ended.c.posted_at))
    query = sa.select(bucket, sa.func.sum(ended.c.size), seconds).where(ended.c.final >= since).group_by(bucket)
    return {number: (int(claims), int(total)) for number, claims, total in connection.execute(query)}
