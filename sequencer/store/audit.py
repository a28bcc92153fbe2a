"""What operators did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollup.types import Timestamp
from sequencer.states import *
from sequencer.store.database import Database


class AuditLog:
    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, at: Timestamp, role: str, actor: str, action: str, detail: Mapping[str, Any], outcome: str) -> None:
        raise NotImplementedError

    def page(self, cursor: str | None = None, limit: int = 50) -> Page[Audited]:
        """Newest first."""
        raise NotImplementedError
