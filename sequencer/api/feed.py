"""Changes of claims as they come, for any number of listeners: one look at the store serves all of them.

The store is asked, not this process: other processes change claims too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from threading import Event

from starlette.concurrency import run_in_threadpool

from rollup.claim import ClaimId
from rollup.errors import ServiceError
from rollup.service.logs import logger
from rollup.service.metrics import gauge
from rollup.service.problem import Problem
from sequencer.states import Change
from sequencer.store.changes import Changes

LISTENERS = gauge("sequencer", "event_listeners", "Open streams of events")

LOOK_SECONDS = 0.25
HEARTBEAT_SECONDS = 15.0
MOST_LISTENERS = 256
READ = 500
"""Changes that are read at once."""
WAITING = 2000
"""Changes that may wait for a slow listener before it is sent back to the store."""

Gone = Callable[[], Awaitable[bool]]

_log = logger("touchstone.events")


class _Listener:
    def __init__(self, claim_id: ClaimId | None) -> None:
        self.claim_id = claim_id
        self.queue: asyncio.Queue[Change] = asyncio.Queue(WAITING)
        self.overflown = False

    def offer(self, change: Change) -> None:
        if self.claim_id is None or change.claim_id == self.claim_id:
            try:
                self.queue.put_nowait(change)
            except asyncio.QueueFull:
                self.overflown = True


class Feed:
    """Of one process; its methods are called in one event loop."""

    def __init__(
        self,
        changes: Changes,
        most: int = MOST_LISTENERS,
        every: float = LOOK_SECONDS,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._changes, self._most, self._every, self._heartbeat = changes, most, every, heartbeat
        self._listeners: set[_Listener] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def listening(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def check(self) -> None:
        """Raises Problem 503 if all places are taken."""
        if len(self._listeners) >= self._most:
            raise Problem(
                503,
                "listeners",
                "Too many listeners",
                f"{self._most} streams of events are open, which is the most; ask for the claim itself instead",
                {"retry-after": "10"},
            )

    def _open(self, claim_id: ClaimId | None) -> _Listener:
        listener = _Listener(claim_id)
        self._listeners.add(listener)
        LISTENERS.set(len(self._listeners))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return listener

    def _close(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        LISTENERS.set(len(self._listeners))

    async def changes(
        self, claim_id: ClaimId | None, last: int | None, stopping: Event, gone: Gone
    ) -> AsyncIterator[Change | None]:
        """Changes behind ``last`` (None: from now on), in order and each once; None when there was none for a while.
        Ends when the process does, or the listener is ``gone``."""
        listener = self._open(claim_id)
        try:
            if last is None:
                last = await run_in_threadpool(self._changes.latest)
            behind, slice_seconds = True, min(0.5, self._heartbeat)
            while not stopping.is_set():
                if behind:
                    found = await run_in_threadpool(self._changes.after, last, listener.claim_id, READ)
                    behind = len(found) == READ
                    for change in found:
                        last = change.id
                        yield change
                    continue
                if listener.overflown:
                    listener.overflown, behind = False, True
                    while not listener.queue.empty():
                        listener.queue.get_nowait()
                    continue
                quiet = 0.0
                next_change: Change | None = None
                while quiet < self._heartbeat and next_change is None and not stopping.is_set():
                    # In slices, so that a stream ends soon after its listener or its process.
                    try:
                        next_change = await asyncio.wait_for(listener.queue.get(), slice_seconds)
                    except TimeoutError:
                        quiet += slice_seconds
                        if await gone():
                            return
                if next_change is None:
                    if not stopping.is_set():
                        yield None
                elif next_change.id > last:
                    last = next_change.id
                    yield next_change
        finally:
            self._close(listener)

    async def _look(self) -> None:
        """As long as there are listeners, look what is new and hand it to them."""
        last: int | None = None
        while self._listeners:
            try:
                if last is None:
                    last = await run_in_threadpool(self._changes.latest)
                    # Whoever came before this look may have missed what lies between.
                    for listener in self._listeners:
                        listener.overflown = True
                found = await run_in_threadpool(self._changes.after, last, None, READ)
            except ServiceError as error:
                _log.warning("the store can't be asked for changes", error=str(error))
                found = []
            for change in found:
                last = change.id
                for listener in self._listeners:
                    listener.offer(change)
            if len(found) < READ:
                await asyncio.sleep(self._every)
