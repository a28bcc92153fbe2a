"""What an operator turned on."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sequencer.states import Switch
from sequencer.store.database import Database
from sequencer.tables import switches


class Switches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, switch: Switch) -> bool:
        with self._database.read() as connection:
            return is_on(connection, switch)

    def set(self, switch: Switch, on: bool) -> None:
        """Stays when the process ends."""
        with self._database.write() as connection:
            connection.execute(sa.delete(switches).where(switches.c.name == switch))
            if on:
                connection.execute(sa.insert(switches).values(name=switch))


def is_on(connection: Connection, switch: Switch) -> bool:
    return connection.execute(sa.select(switches).where(switches.c.name == switch)).first() is not None
