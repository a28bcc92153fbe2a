"""Disputes on L1: games and moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.claim import Address, ClaimId
from rollup.l1.records import GameRecord, MoveRecord
from rollup.types import ModelId
from sequencer.states import DisputeRecord, Page, State
from sequencer.store import cursors
from sequencer.store.database import Database
from sequencer.store.rows import chunks, game_of, move_of
from sequencer.tables import claims, games, moves

_COLUMNS = (claims.c.sequence, claims.c.claim_id, claims.c.state)


class Disputes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, claim_id: ClaimId) -> DisputeRecord | None:
        """None if nobody ever challenged the claim."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*_COLUMNS).where(claims.c.claim_id == claim_id)).all()
            found = next(iter(_disputes(connection, rows)), None)
            if found is None or not found.games:
                return None
            query = sa.select(moves).where(moves.c.claim_id == claim_id).order_by(moves.c.id)
            said: tuple[MoveRecord, ...] = tuple(move_of(row) for row in connection.execute(query))
        return DisputeRecord(found.claim_id, found.state, found.games, said)

    def page(
        self,
        open: bool | None = None,
        cursor: str | None = None,
        limit: int = 50,
        model: ModelId | None = None,
        claimant: Address | None = None,
    ) -> Page[DisputeRecord]:
        """Disputes with all games, without moves, by the newest claim first; ``open``: only those that go on, or that
        have ended; ``model``, ``claimant``: of the claim. Raises CursorError.
        """
        before = cursors.decode(cursor)
        challenged = claims.c.claim_id.in_(sa.select(games.c.claim_id))
        query = sa.select(*_COLUMNS).where(challenged).order_by(claims.c.sequence.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(claims.c.sequence < before)
        if open is not None:
            goes_on = claims.c.state == State.CHALLENGED
            query = query.where(goes_on if open else sa.not_(goes_on))
        for column, wanted in ((claims.c.model_id, model), (claims.c.claimant, claimant)):
            if wanted is not None:
                query = query.where(column == wanted)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            found = _disputes(connection, rows)
        sequences = {bytes(row.claim_id): row.sequence for row in rows}
        return cursors.page(found, limit, lambda dispute: sequences[dispute.claim_id])

    def open_count(self) -> int:
        """Claims that are challenged now."""
        query = sa.select(sa.func.count()).select_from(claims).where(claims.c.state == State.CHALLENGED)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()


def _disputes(connection: Connection, rows: Sequence[Any]) -> list[DisputeRecord]:
    about: dict[bytes, list[GameRecord]] = {bytes(row.claim_id): [] for row in rows}
    for part in chunks(about):
        query = sa.select(games).where(games.c.claim_id.in_(part)).order_by(games.c.counter)
        for row in connection.execute(query):
            about[bytes(row.claim_id)].append(game_of(row))
    return [
        DisputeRecord(ClaimId(bytes(row.claim_id)), State(row.state), tuple(about[bytes(row.claim_id)]), ())
        for row in rows
    ]
