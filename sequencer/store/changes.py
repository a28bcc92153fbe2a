"""Every change of a claim's state, numbered."""

from __future__ import annotations

from rollup.claim import ClaimId
from sequencer.states import *
from sequencer.store.database import Database


class Changes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, last: int, claim_id: ClaimId | None = None, limit: int = 500) -> list[Change]:
        """Changes with an id above ``last``, in order."""
        raise NotImplementedError

    def latest(self) -> int:
        """The last change's id; 0 before the first."""
        raise NotImplementedError
