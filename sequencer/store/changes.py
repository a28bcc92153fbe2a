"""Every change of a claim's state, numbered in the order in which they were committed. The newest are kept whole, of older
ones each claim's latest alone: else this table would outgrow all others.
"""

from __future__ import annotations

import sqlalchemy as sa

from rollup.claim import ClaimId
from rollup.types import Timestamp
from sequencer.states import Change, State
from sequencer.store.database import Database
from sequencer.tables import changes

KEPT = 1_000_000
"""How many of the newest changes are kept whole."""


class Changes:
    def __init__(self, database: Database, kept: int = KEPT) -> None:
        self._database, self._kept = database, kept

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

    def floor(self) -> int:
        """The id up to which changes may be forgotten, but for each claim's latest."""
        return max(0, self.latest() - self._kept)

    def prune(self, behind: int, limit: int) -> int:
        """Forget what may be forgotten among ``limit`` changes behind the id ``behind``; returns the id behind which to go on."""
        floor = self.floor()
        if behind >= floor:
            return behind
        after = sa.select(changes.c.id).where(changes.c.id > behind, changes.c.id <= floor).order_by(changes.c.id)
        later = changes.alias()
        superseded = sa.exists().where(later.c.claim_id == changes.c.claim_id, later.c.id > changes.c.id)
        with self._database.write() as connection:
            last = connection.execute(after.offset(limit - 1).limit(1)).scalar() or floor
            span = (changes.c.id > behind) & (changes.c.id <= last)
            connection.execute(sa.delete(changes).where(span, superseded))
        return last
