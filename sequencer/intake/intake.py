"""The way in: a claim is examined, its bond is counted, and it is written to disk; then it is accepted."""

from __future__ import annotations

from concurrent.futures import TimeoutError as TooLate

from rollup.claim import PostedClaim
from rollup.errors import ClaimError, TouchstoneError
from rollup.l1.client import L1Client
from sequencer.intake.admission import Admission
from sequencer.intake.refusals import Busy
from sequencer.intake.writer import Writer
from sequencer.states import Accepted, NewClaim
from sequencer.store import Store

PATIENCE = 30.0
"""Seconds that a commit may take."""


class Intake:
    """``writer`` None: every claim is a transaction of its own."""

    def __init__(self, client: L1Client, store: Store, admission: Admission, writer: Writer | None = None) -> None:
        self._client, self._store, self._admission, self._writer = client, store, admission, writer

    def submit(self, posted: PostedClaim) -> Accepted:
        """Take a claim; the same claim again is no error, and says how far it is. Raises ClaimError naming what is wrong and
        what to do, Busy or Paused if it should be sent again later, ChainError or StoreError if nothing can be said now.
        """
        try:
            new = self._admission.examine(posted)
            self._admission.reserve(new)
        except ClaimError:
            known = self._known(posted)
            if known is None:
                raise
            return known
        written = False
        try:
            accepted = self._write(new)
            written = accepted.fresh
        finally:
            self._admission.settle(new, written)
        return accepted

    def _known(self, posted: PostedClaim) -> Accepted | None:
        claim_id = self._client.claim_id(posted.claim)
        state = self._store.claims.state(claim_id)
        return None if state is None else Accepted(claim_id, state, False)

    def _write(self, new: NewClaim) -> Accepted:
        if self._writer is not None:
            try:
                return self._writer.submit(new).result(PATIENCE)
            except TooLate:
                raise Busy(f"the claim was not written within {PATIENCE:g} s; send it again") from None
        (outcome,) = self._store.claims.accept([new])
        if isinstance(outcome, TouchstoneError):
            raise outcome
        return outcome
