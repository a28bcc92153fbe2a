"""What operators did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from rollup.types import Timestamp
from sequencer.states import Audited, Page
from sequencer.store import cursors
from sequencer.store.database import Database
from sequencer.tables import audit


class AuditLog:
    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, at: Timestamp, role: str, actor: str, action: str, detail: Mapping[str, Any], outcome: str) -> None:
        """``at``: the machine's time. Longer texts than a line are cut, NUL bytes replaced."""
        values = {
            "at": at,
            "role": _line(role, 40),
            "actor": _line(actor, 200),
            "action": _line(action, 200),
            "detail": dict(detail),
            "outcome": _line(outcome, 2000),
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(audit).values(values))

    def page(self, cursor: str | None = None, limit: int = 50) -> Page[Audited]:
        """Newest first; raises CursorError."""
        before = cursors.decode(cursor)
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(audit.c.id < before)
        with self._database.read() as connection:
            found = [
                Audited(row.id, Timestamp(row.at), row.role, row.actor, row.action, row.detail, row.outcome)
                for row in connection.execute(query)
            ]
        return cursors.page(found, limit, lambda one: one.id)


def _line(text: str, most: int) -> str:
    return text.replace("\0", "\ufffd")[:most]
