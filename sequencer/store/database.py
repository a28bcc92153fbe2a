"""The connection to SQLite or PostgreSQL: who may read, who may write, and what goes wrong, in words."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from rollup.errors import ServiceError
from sequencer.store import schema

BUSY_SECONDS = 30
"""How long a writer waits for another process's transaction."""

WRITERS = 0x70756368
"""Name of PostgreSQL's advisory lock that every writer holds; any constant of our own."""

POOL: dict[str, Any] = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 10}
"""Connections of one process: kept open, and more at most, and seconds that a thread waits for one."""

ALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A PostgreSQL that vanished without a word is noticed after so long, and no thread waits for it for ever."""

TOLD = "the database does not answer; the operator finds why in the log, try again in some seconds"
"""What strangers read: neither where the database is nor what it said."""


class StoreError(ServiceError):
    """The database can't be used, or refuses what it was asked for."""


class Database:
    """``url`` as SQLAlchemy writes it; ``sqlite://`` alone lives in memory, as long as this object.

    Writers come one after the other, on PostgreSQL by an advisory lock: numbers that count up are then seen in their
    order, and what a writer read stays true until it commits.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.in_memory = self.is_sqlite and self._url.database in (None, "", ":memory:")
        # The one connection of a database in memory serves one thread at a time.
        self._turn: Any = threading.RLock() if self.in_memory else nullcontext()
        self._engine = self._sqlite() if self.is_sqlite else self._postgresql()
        self._reader = (
            self._engine if self.is_sqlite else self._engine.execution_options(isolation_level="REPEATABLE READ")
        )

    def __repr__(self) -> str:
        return f"Database({self.name})"

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def _sqlite(self) -> sa.Engine:
        options: dict[str, Any] = {"poolclass": StaticPool} if self.in_memory else POOL
        arguments = {"check_same_thread": False, "timeout": BUSY_SECONDS}
        engine = sa.create_engine(self._url, connect_args=arguments, **options)

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
            _use_wal(connection)
            for pragma in ("synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engine, "begin")
        def begun(connection: Connection) -> None:
            connection.exec_driver_sql(
                "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
            )

        return engine

    def _postgresql(self) -> sa.Engine:
        waits = f"-c lock_timeout={BUSY_SECONDS}s -c idle_in_transaction_session_timeout={2 * BUSY_SECONDS}s"
        arguments = {**ALIVE, "options": waits}
        engine = sa.create_engine(self._url, connect_args=arguments, pool_pre_ping=True, **POOL)

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _: Any) -> None:
            # Whoever set the server up may have preferred speed; we answer 2xx for what is on its disk.
            with connection.cursor() as cursor:
                if cursor.execute("SHOW synchronous_commit").fetchone() == ("off",):
                    cursor.execute("SET synchronous_commit TO on")
            connection.commit()

        return engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database; raises StoreError."""
        with self._turn, self._failing(), self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction alone among writers, on disk when it ends; undone by an exception. Raises StoreError."""
        with (
            self._turn,
            self._failing(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS)))
            yield connection

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            # The driver's first line; what SQLAlchemy adds quotes the statement and its values.
            said = (str(cause).strip().splitlines() or [""])[0][:200]
            raise StoreError(
                f"the database {self.name} refused ({type(cause).__name__}: {said}); check that it runs and has room",
                TOLD,
            ) from error

    def upgrade(self) -> None:
        """Bring the schema to this program's version; raises StoreError if it is newer."""
        with self.write() as connection:
            problem = schema.upgrade(connection)
        if problem is not None:
            raise StoreError(f"the database {self.name} {problem}")

    def close(self) -> None:
        self._engine.dispose()

    def trouble(self) -> str | None:
        """That the database can't be used now, as a sentence for strangers; None if it can."""
        try:
            with self.read() as connection:
                connection.execute(sa.select(sa.literal(1)))
        except StoreError as error:
            return error.told
        return None


def _use_wal(connection: sqlite3.Connection) -> None:
    """Write ahead, which the file remembers. While another process switches a new file over, SQLite refuses at once
    instead of waiting its timeout, so the wait is here."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        # The text may hold a password.
        raise StoreError(
            "the database URL can't be read; write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        ) from None
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return url.set(drivername="sqlite+pysqlite")
    raise StoreError(f"a database of kind {backend!r} is not supported; use SQLite or PostgreSQL")
