"""Batches on L1, whoever posted them."""

from __future__ import annotations

from sequencer.states import *
from sequencer.store.database import Database


class Batches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, number: int) -> BatchRecord | None:
        raise NotImplementedError

    def page(self, cursor: str | None = None, limit: int = 50) -> Page[BatchRecord]:
        """Newest first."""
        raise NotImplementedError
