"""Batches on L1, whoever posted them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row

from rollup.claim import ClaimId
from rollup.types import Root, Timestamp
from sequencer.states import BatchHead, BatchRecord, Page
from sequencer.store import cursors
from sequencer.store.database import Database
from sequencer.store.rows import chunks
from sequencer.store.standing import STOPPED
from sequencer.tables import batches, postings

_HEADS = sa.select(batches, (batches.c.closes_at + STOPPED).label("final_after"))

HIGHEST = 1 << 62
"""Above every batch that a database can hold."""


class Batches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, number: int) -> BatchRecord | None:
        """A batch with its claim ids."""
        if not 0 <= number < HIGHEST:
            return None
        query = sa.select(postings.c.position, postings.c.claim_id).where(postings.c.batch == number)
        with self._database.read() as connection:
            row = connection.execute(_HEADS.where(batches.c.number == number)).first()
            members = {position: ClaimId(bytes(claim_id)) for position, claim_id in connection.execute(query)}
        if row is None:
            return None
        return BatchRecord(**vars(_head(row)), claims=tuple(members.get(index) for index in range(row.size)))

    def heads(self, numbers: Iterable[int]) -> dict[int, BatchHead]:
        """Those of these batches that stand on L1, by their number."""
        found: dict[int, BatchHead] = {}
        with self._database.read() as connection:
            for part in chunks(set(numbers)):
                query = _HEADS.where(batches.c.number.in_(part))
                found |= {row.number: _head(row) for row in connection.execute(query)}
        return found

    def page(self, cursor: str | None = None, limit: int = 50) -> Page[BatchHead]:
        """Newest first; raises CursorError."""
        before = cursors.decode(cursor)
        query = _HEADS.order_by(batches.c.number.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(batches.c.number < before)
        with self._database.read() as connection:
            found = [_head(row) for row in connection.execute(query)]
        return cursors.page(found, limit, lambda batch: batch.number)


def _head(row: Row[Any]) -> BatchHead:
    return BatchHead(
        row.number,
        Root(bytes(row.root)),
        Timestamp(row.posted_at),
        Timestamp(row.closes_at),
        Timestamp(row.final_after),
        row.block,
        bytes(row.transaction),
        row.size,
    )
