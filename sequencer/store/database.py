"""The connection to SQLite or PostgreSQL."""

from __future__ import annotations

from rollup.errors import TouchstoneError


class StoreError(TouchstoneError):
    """The database can't be used, or refuses what it was asked for."""


class Database:
    def __init__(self, url: str) -> None:
        raise NotImplementedError

    def upgrade(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def trouble(self) -> str | None:
        raise NotImplementedError
