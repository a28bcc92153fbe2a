"""Every change of a claim's state, numbered in the order in which they were committed."""

from __future__ import annotations

import sqlalchemy as sa

from rollup.claim import ClaimId
from rollup.types import Timestamp
from sequencer.states import Change, State
from sequencer.store.database import Database
from sequencer.tables import changes


class Changes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, last: int, claim_id: ClaimId | None = None, limit: int = 500) -> list[Change]:
        """Changes with an id above ``last``, in order."""
        query = sa.select(changes).where(changes.c.id > last).order_by(changes.c.id).limit(limit)
        if claim_id is not None:
            query = query.where(changes.c.claim_id == claim_id)
        with self._database.read() as connection:
            return [
                Change(row.id, ClaimId(bytes(row.claim_id)), State(row.state), Timestamp(row.at))
                for row in connection.execute(query)
            ]

    def latest(self) -> int:
        """The last change's id; 0 before the first."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(changes.c.id))).scalar() or 0
