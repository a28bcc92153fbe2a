"""A sequencer in one object, for a network in one process: takes claims, and posts them when it is told to."""

from __future__ import annotations

from rollup.claim import ClaimId, PostedClaim
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from sequencer.batcher import Batcher
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.intake.limits import DEFAULT_LIMITS, Limits
from sequencer.mirror import Mirror
from sequencer.store import Store

__all__ = ["Limits", "Sequencer"]


class Sequencer:
    """``client`` pays for batches. ``store`` None: one in memory. Time is L1's."""

    def __init__(self, client: L1Client, store: Store | None = None, limits: Limits = DEFAULT_LIMITS) -> None:
        self.store = Store.open() if store is None else store
        self._mirror = Mirror(client, self.store)
        self._admission = Admission(client, self.store, limits)
        self._intake = Intake(client, self.store, self._admission)
        # Nothing waits here but for L1's time.
        self._batcher = Batcher(client, self.store, self._mirror, limits, clock=lambda: 0.0)

    def submit(self, posted: PostedClaim) -> ClaimId:
        """Take a claim; the same claim again is no error. Raises ClaimError naming what is wrong and what to do."""
        self._mirror.sync()
        self._admission.refresh()
        return self._intake.submit(posted).claim_id

    def poll(self) -> Receipt | None:
        """Post the next batch if it is due."""
        return self._batcher.step()

    def flush(self) -> list[Receipt]:
        """Post everything that waits, due or not."""
        return self._batcher.flush()
