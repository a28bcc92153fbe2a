"""The batcher: chooses which waiting claims go into the next batch, and posts it. It has no power but the order of claims.

Exactly once: the account's nonce is fixed as of the block up to which the store knows L1, and only then is it asked what waits.
Whatever an earlier life of the process left in the mempool has the same nonce, so it is mined instead of what is sent now, or
not at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from rollup.claim import GROUP_GAS, Address, Claim
from rollup.errors import MoveError, Refused, Reverted, StaleView
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.types import Timestamp
from sequencer.grouping import Grouping
from sequencer.intake.limits import DEFAULT_LIMITS, Limits
from sequencer.intake.screening import Screening
from sequencer.lease import Lease
from sequencer.mirror import Mirror
from sequencer.states import GROUP_BYTES, Entry, Head, Switch
from sequencer.store import Store

SCREENINGS = 16
"""How many batches in a row are screened for one that is whole: claims that can't be posted must not hold up the others, nor
the look at L1 on which all rests."""

STALE = 10
"""How often in a row somebody else's transaction may have used the nonce, before a step gives up for now."""


class Batcher:
    """``client`` pays. ``lease`` None: there is no other process. ``clock``: seconds that pass, so that a claim's age counts
    on a chain without blocks too. ``grouping``: who signs for groups; None: only the account that posts. Any thread may call it;
    one posts at a time.
    """

    def __init__(
        self,
        client: L1Client,
        store: Store,
        mirror: Mirror,
        limits: Limits = DEFAULT_LIMITS,
        lease: Lease | None = None,
        clock: Callable[[], float] = time.monotonic,
        grouping: Grouping | None = None,
    ) -> None:
        self._grouping = Grouping(client) if grouping is None else grouping
        self._client, self._store, self._mirror = client, store, mirror
        self._limits, self._lease, self._clock = limits, lease, clock
        self._screening = Screening(client, store, limits.grace, limits.distrust)
        self._turn = threading.Lock()
        self._oldest: tuple[int, float] | None = None
        self._hurried = False

    def hurry(self) -> None:
        """Let the next step post what waits, due or not: somebody pays for it to be soon."""
        self._hurried = True

    def step(self) -> Receipt | None:
        """Post the next batch if it is due, unless the batcher is stopped or another process has the lease."""
        with self._turn:
            if self._store.switches.get(Switch.BATCHER_STOPPED) or not self._mine():
                return None
            hurried, self._hurried = self._hurried, False
            return self._round(flush=hurried)

    def flush(self) -> list[Receipt]:
        """Post everything that can be posted, due or not, stopped or not. Raises MoveError if another process has the lease."""
        receipts = []
        with self._turn:
            if not self._mine():
                raise MoveError("another process of this sequencer posts its batches; ask that one to flush")
            while self._mine():
                receipt = self._round(flush=True)
                if receipt is None:
                    break
                receipts.append(receipt)
        return receipts

    def _mine(self) -> bool:
        return self._lease is None or self._lease.take()

    def _round(self, flush: bool) -> Receipt | None:
        stale = 0
        while stale < STALE:
            head = self._mirror.sync()
            self._client.anchor(head.number)
            try:
                batch = self._choose(head, flush)
                receipt = self._post(batch)
            except StaleView:
                stale += 1
                continue
            finally:
                self._client.release_anchor()
            if receipt is not None:
                self._mirror.sync()
            if receipt is not None or not batch:
                return receipt
        return None

    # What to post

    def _choose(self, head: Head, flush: bool) -> Sequence[Entry]:
        """The next batch, if it is due or is not asked to be; otherwise empty. What L1 would skip is refused on the way."""
        held = self._screening.held(head)
        spared: list[Entry] = []
        for _ in range(SCREENINGS):
            others = self._store.claims.pending(self._limits.count + 1, held)
            batch, full = self._fitting(sorted([*spared, *others], key=lambda entry: entry.sequence))
            if not batch or not (flush or full or self._old(batch[0], head.time)):
                return ()
            screened = self._screening.screen(batch, head)
            if len(screened.good) == len(batch):
                return batch
            self._store.claims.refuse(screened.refused)
            # Of a claimant who can pay for some of its claims only, these go in, and the rest waits.
            held |= screened.held
            spared = [entry for entry in screened.good if entry in held]
        return screened.good

    def _fitting(self, waiting: Sequence[Entry]) -> tuple[list[Entry], bool]:
        """The first claims that fit a batch, and whether it is full with them."""
        batch: list[Entry] = []
        size = gas = 0
        places: set[tuple[Address, int, int]] = set()
        for entry in waiting:
            size += entry.bytes
            gas += entry.gas
            groups = self._more_groups(entry.posted.claim, places)
            size += groups * GROUP_BYTES
            gas += groups * GROUP_GAS
            if batch and (len(batch) == self._limits.count or size > self._limits.bytes or gas > self._limits.gas):
                return batch, True
            batch.append(entry)
        return batch, len(batch) >= self._limits.count

    def _more_groups(self, claim: Claim, places: set[tuple[Address, int, int]]) -> int:
        """How many groups more the claim makes: none if it continues one, one fewer if it joins two. ``places``: claimant, validity and
        nonce of those before it, in any order: claims that are made at once come in as they are ready.
        """
        if not self._grouping.joins(claim.claimant):
            return 1
        before, place, behind = ((claim.claimant, claim.valid_until, claim.nonce + step) for step in (-1, 0, 1))
        if place in places:
            return 1
        places.add(place)
        return 1 - (before in places) - (behind in places)

    def _old(self, oldest: Entry, now: Timestamp) -> bool:
        """Whether a claim has waited long enough, by L1's time or since we know that it is the oldest."""
        if self._oldest is None or self._oldest[0] != oldest.sequence:
            self._oldest = (oldest.sequence, self._clock())
        waited = now - oldest.taken_at if oldest.taken_at is not None else 0
        return max(waited, self._clock() - self._oldest[1]) >= self._limits.age

    # Posting

    def _post(self, batch: Sequence[Entry]) -> Receipt | None:
        """Post the batch, or as many of its first claims as L1 takes in one transaction. One that L1 refuses to take even
        alone is refused, so that it holds up no other.
        """
        while batch:
            groups = self._grouping.groups([entry.posted for entry in batch])
            # For whom nobody signed, every claim is a group.
            fitting, _ = self._fitting(batch)
            if len(fitting) < len(batch):
                batch = fitting
                continue
            try:
                return self._client.post_groups(groups)
            except Reverted as error:
                if len(batch) == 1:
                    self._store.claims.refuse({batch[0].claim_id: str(error)})
            except Refused:
                # The node says no, which is no word of L1's about a claim; but a smaller transaction may do.
                if len(batch) == 1:
                    raise
            batch = batch[: len(batch) // 2]
        return None
