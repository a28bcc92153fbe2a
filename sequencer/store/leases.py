"""Who of several processes may do what only one should."""

from __future__ import annotations

import math

import sqlalchemy as sa

from sequencer.store.database import Database
from sequencer.tables import leases


class Leases:
    """``now``: the machine's time in seconds since the epoch; machines' clocks should agree to within a lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, now: float, seconds: float) -> bool:
        """Take or renew a lease; False: somebody else holds it."""
        with self._database.write() as connection:
            row = connection.execute(sa.select(leases).where(leases.c.name == name)).first()
            if row is not None and row.holder != holder and row.until > now:
                return False
            connection.execute(sa.delete(leases).where(leases.c.name == name))
            connection.execute(sa.insert(leases).values(name=name, holder=holder, until=math.ceil(now + seconds)))
        return True

    def release(self, name: str, holder: str) -> None:
        """Let another process have it at once; nothing if it is not ours."""
        with self._database.write() as connection:
            connection.execute(sa.delete(leases).where(leases.c.name == name, leases.c.holder == holder))

    def holder(self, name: str, now: float) -> str | None:
        """Who holds the lease now."""
        query = sa.select(leases.c.holder).where(leases.c.name == name, leases.c.until > now)
        with self._database.read() as connection:
            return connection.execute(query).scalar()
