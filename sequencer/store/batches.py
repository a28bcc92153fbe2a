"""Batches on L1, whoever posted them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.claim import ClaimId
from rollup.types import Root, Timestamp
from sequencer.states import BatchRecord, Page
from sequencer.store import cursors
from sequencer.store.database import Database
from sequencer.store.rows import chunks
from sequencer.tables import batches, postings

HIGHEST = 1 << 62
"""Above every batch that a database can hold."""


class Batches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, number: int) -> BatchRecord | None:
        if not 0 <= number < HIGHEST:
            return None
        with self._database.read() as connection:
            rows = connection.execute(sa.select(batches).where(batches.c.number == number)).all()
            return next(iter(_records(connection, rows)), None)

    def page(self, cursor: str | None = None, limit: int = 50) -> Page[BatchRecord]:
        """Newest first; raises CursorError."""
        before = cursors.decode(cursor)
        query = sa.select(batches).order_by(batches.c.number.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(batches.c.number < before)
        with self._database.read() as connection:
            found = _records(connection, connection.execute(query).all())
        return cursors.page(found, limit, lambda batch: batch.number)


def _records(connection: Connection, rows: Sequence[Any]) -> list[BatchRecord]:
    members: dict[int, dict[int, ClaimId]] = {row.number: {} for row in rows}
    for part in chunks(members):
        query = sa.select(postings.c.batch, postings.c.position, postings.c.claim_id)
        for number, position, claim_id in connection.execute(query.where(postings.c.batch.in_(part))):
            members[number][position] = ClaimId(bytes(claim_id))
    return [
        BatchRecord(
            row.number,
            Root(bytes(row.root)),
            Timestamp(row.posted_at),
            row.block,
            bytes(row.transaction),
            tuple(members[row.number].get(index) for index in range(row.size)),
        )
        for row in rows
    ]
