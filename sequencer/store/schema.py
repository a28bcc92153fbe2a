"""The schema's version: every change of the tables is a migration, and is applied when a store is opened."""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def config(connection: Connection | None = None) -> Config:
    """Alembic's view of our migrations, which are package data."""
    found = Config()
    found.set_main_option("script_location", "sequencer:migrations")
    found.set_main_option("path_separator", "os")
    if connection is not None:
        found.attributes["connection"] = connection
    return found


def newest() -> str:
    """The version that this program works with."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def upgrade(connection: Connection) -> str | None:
    """Apply what is missing, within the caller's transaction; returns what is wrong if the schema is not of our past."""
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in _scripts().walk_revisions()}
    if current is not None and current not in known:
        return (
            f"has schema {current}, this program knows {newest()} at most; "
            "run the version of the program that wrote it, or a newer one"
        )
    if current != newest():
        command.upgrade(config(connection), "head")
    return None
