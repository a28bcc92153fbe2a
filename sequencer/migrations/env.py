"""Run by alembic: migrates within the transaction of the connection that it is given."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from sequencer import request_tables as request_tables
from sequencer.tables import Unsigned, metadata


def rendered(kind: str, thing: Any, _: object) -> str | Literal[False]:
    """Migrations outlive the code: our own column types are written as what the database sees."""
    return "sa.LargeBinary()" if kind == "type" and isinstance(thing, Unsigned) else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_item=rendered,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
