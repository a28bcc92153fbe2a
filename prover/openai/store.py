"""What the endpoint must remember over a restart, in one SQLite file: keys, receipts with their bytes, and what operators did.

A receipt is a promise: it is on the disk before the answer that carries it is out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from rollup.claim import ClaimId
from rollup.errors import FileError, ServiceError
from rollup.files import require_writable
from rollup.types import ModelId

_SCHEMA = """
create table if not exists api_keys (
    id text primary key, name text not null, digest blob not null unique, per_minute integer not null, burst integer not null,
    created integer not null, revoked integer
) strict;
create table if not exists receipts (
    id blob primary key, document blob not null, request blob, response blob, kept_until integer not null
) strict;
create table if not exists promised (
    receipt blob not null references receipts (id), number integer not null, model blob not null, nonce text not null,
    inputs blob not null, posted_by integer not null, claim blob, posted blob, saturated integer, inside integer,
    submitted integer not null default 0, primary key (receipt, number)
) strict;
create index if not exists promised_open on promised (submitted, posted_by);
create table if not exists actions (
    number integer primary key, at integer not null, action text not null, detail text not null, outcome text not null
) strict;
"""


@dataclass(frozen=True)
class KeyRow:
    """An API key: its hash, never the key. Times in seconds; ``revoked`` None: it is good."""

    id: str
    name: str
    digest: bytes
    per_minute: int
    burst: int
    created: int
    revoked: int | None


@dataclass(frozen=True)
class KeptBytes:
    """A receipt's document, and the bytes of request and response while they are kept."""

    document: bytes
    request: bytes | None
    response: bytes | None
    kept_until: int


@dataclass(frozen=True)
class Promise:
    """A claim that a receipt promises. ``inputs``: its input bytes; ``posted``: the signed claim as JSON, once it is made."""

    receipt: bytes
    number: int
    model: ModelId
    nonce: int
    inputs: bytes
    posted_by: int
    claim: ClaimId | None
    posted: bytes | None
    saturated: int | None
    inside: int | None
    submitted: int


MEMORY = ":memory:"


def require_place(path: str | Path) -> None:
    """Raise FileError if there can be no store at this place; nothing is made."""
    if str(path) == MEMORY:
        return
    if Path(path).is_dir():
        raise FileError(f"{path} can't be written (it is a folder); name a file for the endpoint's store")
    require_writable(path)


class EndpointStore:
    """``path``: of the file, or ``:memory:``. May be used from several threads. Raises ServiceError for a file that is none of ours."""

    def __init__(self, path: str | Path) -> None:
        require_place(path)
        self._lock = RLock()
        try:
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._base.execute("pragma journal_mode = wal")
            self._base.execute("pragma synchronous = full")
            self._base.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ServiceError(f"{path} can't be used as the endpoint's store ({error}); name another file") from None

    def close(self) -> None:
        with self._lock:
            self._base.close()

    @contextmanager
    def _all(self) -> Iterator[None]:
        """All of it, or nothing."""
        with self._lock:
            self._base.execute("begin immediate")
            try:
                yield
                self._base.execute("commit")
            except BaseException:
                self._base.execute("rollback")
                raise

    def _rows(self, words: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._base.execute(words, values).fetchall()

    # Keys

    def add_key(self, row: KeyRow) -> None:
        self._rows("insert into api_keys values (?, ?, ?, ?, ?, ?, ?)", tuple(vars(row).values()))

    def api_keys(self) -> list[KeyRow]:
        """All keys, in the order in which they were made."""
        return [KeyRow(*row) for row in self._rows("select * from api_keys order by created, id")]

    def revoke_key(self, key: str, at: int) -> bool:
        """Whether there is one of this id; one that was revoked before stays so."""
        self._rows("update api_keys set revoked = coalesce(revoked, ?) where id = ?", (at, key))
        return bool(self._rows("select 1 from api_keys where id = ?", (key,)))

    # What operators did

    def act(self, at: int, action: str, detail: str, outcome: str) -> None:
        self._rows(
            "insert into actions (at, action, detail, outcome) values (?, ?, ?, ?)", (at, action, detail, outcome)
        )

    def actions(self, limit: int = 100) -> list[tuple[int, str, str, str]]:
        """(at, action, detail, outcome), the newest first."""
        found = self._rows("select at, action, detail, outcome from actions order by number desc limit ?", (limit,))
        return [(at, action, detail, outcome) for at, action, detail, outcome in found]

    # Receipts

    def keep(self, receipt: bytes, kept: KeptBytes, promises: Sequence[Promise]) -> None:
        """On the disk when this returns."""
        with self._all():
            self._rows(
                "insert into receipts values (?, ?, ?, ?, ?)",
                (receipt, kept.document, kept.request, kept.response, kept.kept_until),
            )
            for one in promises:
                self._rows(
                    "insert into promised (receipt, number, model, nonce, inputs, posted_by) values (?, ?, ?, ?, ?, ?)",
                    (receipt, one.number, one.model, str(one.nonce), one.inputs, one.posted_by),
                )

    def kept(self, receipt: bytes) -> KeptBytes | None:
        found = self._rows("select document, request, response, kept_until from receipts where id = ?", (receipt,))
        return KeptBytes(*found[0]) if found else None

    def count(self) -> int:
        """How many receipts were ever signed."""
        return int(self._rows("select count(*) from receipts")[0][0])

    def forget(self, now: int) -> None:
        """Let go of bytes whose time is over; the receipts stay."""
        self._rows(
            "update receipts set request = null, response = null where kept_until < ? and request is not null", (now,)
        )

    def promises(self, receipt: bytes) -> list[Promise]:
        """Of one receipt, by number."""
        return self._promises("where receipt = ? order by number", (receipt,))

    def open_promises(self, limit: int) -> list[Promise]:
        """Those whose claims are not handed in yet, the most urgent first."""
        return self._promises("where submitted = 0 order by posted_by, rowid limit ?", (limit,))

    def waiting(self) -> int:
        """How many claims are not handed in yet."""
        return int(self._rows("select count(*) from promised where submitted = 0")[0][0])

    def _promises(self, where: str, values: Sequence[Any]) -> list[Promise]:
        found = self._rows(f"select * from promised {where}", values)
        return [Promise(*row[:3], int(row[3]), *row[4:]) for row in found]  # type: ignore[call-arg]

    def made(self, one: Promise, claim: ClaimId, posted: bytes, saturated: int, inside: int) -> None:
        """The claim is signed: whoever goes on after a crash hands in the same one."""
        self._rows(
            "update promised set claim = ?, posted = ?, saturated = ?, inside = ? where receipt = ? and number = ?",
            (claim, posted, saturated, inside, one.receipt, one.number),
        )

    def submitted(self, one: Promise) -> None:
        self._rows("update promised set submitted = 1 where receipt = ? and number = ?", (one.receipt, one.number))
