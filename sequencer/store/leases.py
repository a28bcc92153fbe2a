"""Who of several processes may do what only one should."""

from __future__ import annotations

from sequencer.states import *
from sequencer.store.database import Database


class Leases:
    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, now: float, seconds: float) -> bool:
        """Take or renew a lease; False: somebody else holds it."""
        raise NotImplementedError

    def release(self, name: str, holder: str) -> None:
        raise NotImplementedError

    def holder(self, name: str, now: float) -> str | None:
        raise NotImplementedError
