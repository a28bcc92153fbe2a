"""Changes of claims as they come, for any number of listeners: one look at the store serves all of them.

The store is asked, not this process: other processes change claims too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from threading import Event

from starlette.concurrency import run_in_threadpool

from rollup.claim import ClaimId
from rollup.errors import ServiceError
from rollup.service.logs import logger
from rollup.service.metrics import gauge
from rollup.service.problem import Problem
from sequencer.states import Change, Gap
from sequencer.store.changes import Changes

LISTENERS = gauge("sequencer", "event_listeners", "Open streams of events")

LOOK_SECONDS = 0.25
HEARTBEAT_SECONDS = 15.0
MOST_LISTENERS = 256
LISTENERS_PER_CALLER = 32
READ = 500
"""Changes that are read at once."""
WAITING = 2000
"""Changes that may wait for a slow listener before it is sent back to the store."""

Gone = Callable[[], Awaitable[bool]]

_log = logger("touchstone.events")


class _Listener:
    def __init__(self, claim_id: ClaimId | None, caller: str) -> None:
        self.claim_id, self.caller = claim_id, caller
        self.queue: asyncio.Queue[Change] = asyncio.Queue(WAITING)
        self.overflown = self.gone = False

    def offer(self, change: Change) -> None:
        if self.claim_id is None or change.claim_id == self.claim_id:
            try:
                self.queue.put_nowait(change)
            except asyncio.QueueFull:
                self.overflown = True

    def forget(self) -> None:
        """Empty the queue: what overflew is read from the store."""
        self.overflown = False
        while not self.queue.empty():
            self.queue.get_nowait()


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

    def check(self, caller: str) -> None:
        """Raises Problem 503 if all places are taken, or all that one caller gets."""
        own = sum(listener.caller == caller for listener in self._listeners)
        if len(self._listeners) >= self._most or own >= LISTENERS_PER_CALLER:
            raise Problem(
                503,
                "listeners",
                "Too many listeners",
                f"{self._most} streams of events are open, or {LISTENERS_PER_CALLER} of this caller, which is the most; "
                "ask for the claim itself instead",
                {"retry-after": "10"},
            )

    def _open(self, claim_id: ClaimId | None, caller: str) -> _Listener:
        listener = _Listener(claim_id, caller)
        self._listeners.add(listener)
        LISTENERS.set(len(self._listeners))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return listener

    def _close(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        LISTENERS.set(len(self._listeners))

    async def changes(
        self, claim_id: ClaimId | None, last: int | None, stopping: Event, gone: Gone, caller: str = ""
    ) -> AsyncIterator[Change | Gap | None]:
        """Changes behind ``last`` (None: from now on), in order and each once; None when there was none for a while. Of all
        claims, a gap first where changes were forgotten; of one claim, its latest change is never. Ends when the process
        does, the listener is ``gone``, or the store does not answer: the listener comes back, and goes on where it was.
        """
        listener = self._open(claim_id, caller)
        try:
            async with aclosing(self._following(listener, last, stopping, gone)) as found:
                async for change in found:
                    yield change
        except ServiceError as error:
            _log.warning("a stream of events ends: the store can't be asked", error=str(error))
        finally:
            self._close(listener)

    async def _following(
        self, listener: _Listener, last: int | None, stopping: Event, gone: Gone
    ) -> AsyncGenerator[Change | Gap | None]:
        if last is None:
            last = await run_in_threadpool(self._changes.latest)
        behind = True
        while not stopping.is_set() and not listener.gone:
            if behind:
                found = await self._stored(listener, last)
                behind = len(found) >= READ
                for one in found:
                    last = one.to if isinstance(one, Gap) else one.id
                    yield one
            elif listener.overflown:
                listener.forget()
                behind = True
            elif (change := await self._offered(listener, stopping, gone)) is not None:
                if change.id > last:
                    last = change.id
                    yield change
            elif not stopping.is_set() and not listener.gone:
                yield None

    async def _stored(self, listener: _Listener, last: int) -> list[Change | Gap]:
        """What the store has behind ``last``, of all claims a gap first where changes were forgotten."""
        found: list[Change | Gap] = []
        if listener.claim_id is None:
            floor = await run_in_threadpool(self._changes.floor)
            if last < floor:
                found, last = [Gap(last, floor)], floor
        return [*found, *await run_in_threadpool(self._changes.after, last, listener.claim_id, READ)]

    async def _offered(self, listener: _Listener, stopping: Event, gone: Gone) -> Change | None:
        """The next change in the listener's queue; None if there was none for a while."""
        quiet, slice_seconds = 0.0, min(0.5, self._heartbeat)
        while quiet < self._heartbeat and not stopping.is_set():
            # In slices, so that a stream ends soon after its listener or its process.
            try:
                return await asyncio.wait_for(listener.queue.get(), slice_seconds)
            except TimeoutError:
                quiet += slice_seconds
                listener.gone = await gone()
                if listener.gone:
                    return None
        return None

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
