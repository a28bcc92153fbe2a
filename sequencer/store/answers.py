"""What was answered to idempotency keys."""

from __future__ import annotations

from rollup.types import Timestamp
from sequencer.states import *
from sequencer.store.database import Database


class Answers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, caller: str, key: str, digest: bytes, now: Timestamp) -> Answer | None:
        """Reserve a key; None: it is ours to answer. Else what was answered before, or is being worked on; compare the digests."""
        raise NotImplementedError

    def finish(self, caller: str, key: str, status: int, response: bytes) -> None:
        raise NotImplementedError

    def forget(self, caller: str, key: str) -> None:
        """Give a reserved key up, after a failure."""
        raise NotImplementedError

    def prune(self, before: Timestamp) -> int:
        """Forget answers that are older."""
        raise NotImplementedError
