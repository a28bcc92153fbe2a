"""API keys: made and shown once, kept as a hash, limited each, revoked at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from threading import Lock

from prover.openai.store import EndpointStore, KeyRow
from rollup.service.limits import Buckets
from rollup.service.problem import Problem

PREFIX = "sk-ts-"

ANYBODY = KeyRow("anybody", "anybody", b"", 0, 0, 0, None)
"""Who asks where no key is needed."""


class ApiKeys:
    """The keys of a store. ``open_to_all``: who brings none may ask, too. ``now``: the machine's time in seconds."""

    def __init__(
        self,
        store: EndpointStore,
        open_to_all: bool = False,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._open, self._now, self._monotonic = store, open_to_all, now, monotonic
        self._lock = Lock()
        self._known = {row.digest: row for row in store.api_keys()}
        self._buckets: dict[str, Buckets] = {}

    def create(self, name: str, per_minute: int, burst: int) -> tuple[KeyRow, str]:
        """A new key and its secret, which nobody can see again. ``per_minute``: requests in the long run; ``burst``: at once."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = KeyRow(secrets.token_hex(8), name, _digest(secret), per_minute, burst, int(self._now()), None)
        self._store.add_key(row)
        with self._lock:
            self._known[row.digest] = row
        return row, secret

    def all(self) -> list[KeyRow]:
        return self._store.api_keys()

    def revoke(self, key: str) -> None:
        """From now on the key is nobody's; answers that it waits for end. Raises Problem 404 if there is none of this id."""
        if not self._store.revoke_key(key, int(self._now())):
            raise Problem(404, "no-key", "No such key", f"there is no key {key[:40]!r}; list them to see their ids")
        with self._lock:
            self._known = {row.digest: row for row in self._store.api_keys()}

    def good(self, row: KeyRow) -> bool:
        """Whether the key may still be used."""
        with self._lock:
            known = self._known.get(row.digest)
        return row is ANYBODY if known is None else known.revoked is None

    def of(self, authorization: str | None) -> KeyRow:
        """Whose request this is; raises Problem 401 for a key that is nobody's."""
        scheme, _, secret = (authorization or "").partition(" ")
        # Found by its hash: the time that it takes says nothing of the key.
        with self._lock:
            row = self._known.get(_digest(secret.strip())) if scheme.lower() == "bearer" else None
        if row is not None and row.revoked is None:
            return row
        if self._open and row is None:
            return ANYBODY
        detail = (
            "the API key was revoked; ask the operator for another"
            if row
            else (
                "the API key is nobody's; send one as `Authorization: Bearer ...`"
                if secret
                else "the endpoint asks for an API key; send it as `Authorization: Bearer ...`"
            )
        )
        raise Problem(401, "unauthorized", "No good key", detail, {"www-authenticate": "Bearer"})

    def take(self, row: KeyRow) -> None:
        """Count a request of a key; raises Problem 429 if it asks too often."""
        if row is ANYBODY:
            return
        with self._lock:
            bucket = self._buckets.get(row.id)
            if bucket is None:
                bucket = self._buckets[row.id] = Buckets(row.per_minute / 60, row.burst, 1, self._monotonic)
            wait = bucket.take(row.id)
        if wait:
            seconds = max(1, round(wait + 0.5))
            raise Problem(
                429,
                "rate",
                "Too many requests",
                f"this key may ask {row.per_minute} times a minute; try again in {seconds} s",
                {"retry-after": str(seconds)},
            )

    def charge(self, row: KeyRow, answers: int) -> None:
        """Count the further answers of a request that was taken: they are paid for before the next one."""
        with self._lock:
            if row.id in self._buckets:
                self._buckets[row.id].charge(row.id, answers - 1)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
