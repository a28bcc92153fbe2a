"""Write the migration that the tables ask for: ``python -m sequencer.migrations "what and why"``; read it before you keep it."""

from __future__ import annotations

import sys

from alembic import command

from sequencer.store.database import Database
from sequencer.store.schema import config, newest


def main(message: str) -> None:
    """Compare the tables with an empty database that has every migration so far."""
    database = Database("sqlite://")
    database.upgrade()
    with database.write() as connection:
        command.revision(config(connection), message, autogenerate=True, rev_id=f"{int(newest()) + 1:04}")


if __name__ == "__main__":
    main(sys.argv[1])
