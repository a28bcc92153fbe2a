"""A request that names no callback is answered, never undelivered: nobody is to be told."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NOBODY = "0x" + "00" * 20


def upgrade() -> None:
    connection = op.get_bind()
    requests = sa.table(
        "requests",
        sa.column("request_id", sa.LargeBinary()),
        sa.column("progress"),
        sa.column("asked", sa.JSON()),
        sa.column("standing", sa.JSON()),
    )
    undo = sa.table(
        "undo", sa.column("block"), sa.column("log_index"), sa.column("named"), sa.column("standing", sa.JSON())
    )
    silent: dict[bytes, bool] = {}
    for row in connection.execute(sa.select(requests)).all():
        name = bytes(row.request_id)
        silent[name] = row.asked["callback"] == NOBODY
        standing = _said(row.standing, silent[name])
        here = sa.update(requests).where(requests.c.request_id == name)
        connection.execute(here.values(standing=standing, progress=standing["progress"]))
    for row in connection.execute(sa.select(undo)).all():
        if bytes(row.named) in silent:
            here = sa.update(undo).where(undo.c.block == row.block, undo.c.log_index == row.log_index)
            connection.execute(here.values(standing=_said(row.standing, silent[bytes(row.named)])))


def _said(standing: dict[str, Any], silent: bool) -> dict[str, Any]:
    if not silent:
        return standing | {"silent": False}
    progress = "answered" if standing["progress"] == "undelivered" else standing["progress"]
    return standing | {"silent": True, "progress": progress, "failures": 0, "failed_in": 0}
