"""Commits for many: whatever waits is written in one transaction, so that a disk that is slow to promise serves everybody."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

from rollup.errors import TouchstoneError
from sequencer.intake.refusals import Busy
from sequencer.states import Accepted, NewClaim
from sequencer.store import Store

GROUP = 256
"""Claims in one transaction at most."""

WAITING = 4096
"""Claims that wait for a commit at most; more are turned away."""


class Writer:
    """A thread that writes claims; ``submit`` from any other."""

    def __init__(self, store: Store, waiting: int = WAITING, group: int = GROUP) -> None:
        self._store, self._group = store, group
        self._queue: queue.Queue[tuple[NewClaim, Future[Accepted]] | None] = queue.Queue(waiting)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> Writer:
        """Begin to write what was and is submitted."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
                self._thread.start()
        return self

    def submit(self, claim: NewClaim) -> Future[Accepted]:
        """Done when the claim is on disk, or refused: ClaimError (its nonce is taken), Paused, StoreError. Raises Busy at once if
        too many wait, or the writer was stopped.
        """
        future: Future[Accepted] = Future()
        with self._lock:
            if self._stopped:
                raise Busy("the sequencer is shutting down; send the claim again in a moment")
            try:
                self._queue.put_nowait((claim, future))
            except queue.Full:
                raise Busy(
                    f"{self._queue.maxsize} claims wait to be written already; send the claim again in a moment"
                ) from None
        return future

    def depth(self) -> int:
        """About how many claims wait for a commit."""
        return self._queue.qsize()

    def stop(self, timeout: float = 30.0) -> bool:
        """Write what waits and take nothing more; returns whether all was written within ``timeout`` seconds."""
        with self._lock:
            stopped, self._stopped = self._stopped, True
        if not stopped:
            self.start()
            self._queue.put(None)
        assert self._thread is not None
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            waiting = [self._queue.get()]
            while len(waiting) < self._group and waiting[-1] is not None:
                try:
                    waiting.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            self._write([one for one in waiting if one is not None and one[1].set_running_or_notify_cancel()])
            if waiting[-1] is None:
                return

    def _write(self, group: list[tuple[NewClaim, Future[Accepted]]]) -> None:
        if not group:
            return
        try:
            outcomes = self._store.claims.accept([claim for claim, _ in group])
        except Exception as error:
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, TouchstoneError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
