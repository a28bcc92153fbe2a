"""Of several processes on one database, one batches at a time. Two that both believe to have the lease do no harm: what they
send has one nonce, and L1 takes a claim once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from sequencer.store import Store

SECONDS = 60.0


class Lease:
    """``clock``: the machine's time in seconds since the epoch."""

    def __init__(
        self,
        store: Store,
        name: str = "batcher",
        holder: str | None = None,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.holder = name, holder or secrets.token_hex(8)
        self._store, self._seconds, self._clock = store, seconds, clock

    def take(self) -> bool:
        """Take or renew it; False: another process has it."""
        return self._store.leases.take(self.name, self.holder, self._clock(), self._seconds)

    def release(self) -> None:
        """Let another process have it at once."""
        self._store.leases.release(self.name, self.holder)
