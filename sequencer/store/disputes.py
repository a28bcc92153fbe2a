"""Disputes on L1: games and moves."""

from __future__ import annotations

from rollup.claim import ClaimId
from sequencer.states import *
from sequencer.store.database import Database


class Disputes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, claim_id: ClaimId) -> Dispute | None:
        """None if nobody ever challenged it."""
        raise NotImplementedError

    def page(self, open: bool | None = None, cursor: str | None = None, limit: int = 50) -> Page[Dispute]:
        """Disputes with all games, without moves; newest first."""
        raise NotImplementedError

    def open_count(self) -> int:
        """Claims that are challenged now."""
        raise NotImplementedError
