"""What was answered to idempotency keys. Callers and keys are kept as hashes: they may be any text, and are nobody's business."""

from __future__ import annotations

from hashlib import sha256

import sqlalchemy as sa

from rollup.types import Timestamp
from sequencer.states import Answer
from sequencer.store.database import Database
from sequencer.tables import answers

PIECE = 1000
"""Answers that are forgotten in one transaction."""


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _which(caller: str, key: str) -> sa.ColumnElement[bool]:
    return (answers.c.caller == _hash(caller)) & (answers.c.key == _hash(key))


class Answers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, caller: str, key: str, digest: bytes, now: Timestamp) -> Answer | None:
        """Reserve a key for a request whose body has this digest. None: it is ours to answer; else what was answered
        before, or is being worked on: compare the digests.
        """
        with self._database.write() as connection:
            row = connection.execute(sa.select(answers).where(_which(caller, key))).first()
            if row is not None:
                return Answer(bytes(row.digest), row.status, bytes(row.response), Timestamp(row.created))
            values = {"caller": _hash(caller), "key": _hash(key), "digest": digest, "response": b"", "created": now}
            connection.execute(sa.insert(answers).values(values))
        return None

    def finish(self, caller: str, key: str, status: int, response: bytes) -> None:
        """Keep what was answered."""
        with self._database.write() as connection:
            values = {"status": status, "response": response}
            connection.execute(sa.update(answers).where(_which(caller, key)).values(values))

    def forget(self, caller: str, key: str) -> None:
        """Give a reserved key up: the request failed and may be tried again."""
        with self._database.write() as connection:
            connection.execute(sa.delete(answers).where(_which(caller, key)))

    def prune(self, before: Timestamp, unfinished_before: Timestamp | None = None, limit: int = PIECE) -> int:
        """Forget answers that are older, and what was never answered since ``unfinished_before`` (a process died), so
        many of each kind at most, the oldest first; returns how many.
        """
        which = sa.tuple_(answers.c.caller, answers.c.key)
        oldest = sa.select(answers.c.caller, answers.c.key).order_by(answers.c.created).limit(limit)
        old = [oldest.where(answers.c.created < before)]
        if unfinished_before is not None:
            old.append(oldest.where(answers.c.status.is_(None), answers.c.created < unfinished_before))
        with self._database.write() as connection:
            return sum(connection.execute(sa.delete(answers).where(which.in_(one))).rowcount for one in old)
