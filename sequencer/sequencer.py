"""The sequencer: takes signed claims that L1 would take, and posts them in batches. It has no power but the order of
claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollup.claim import ClaimId, PostedClaim, posting_gas, problems
from rollup.encoding import Header
from rollup.errors import ChainError, ClaimError, Reverted
from rollup.l1.client import L1Client, Receipt
from rollup.l1.events import ClaimPosted, ClaimSkipped
from rollup.l1.signing import recover
from rollup.types import Duration, ModelId, Timestamp
from sequencer.memory import Entry, MemoryStore, Store

DEFAULT_AGE = Duration(12)


@dataclass(frozen=True)
class Limits:
    """When a batch is due: so many claims, so many bytes, so much gas, or its oldest claim has waited so long. A batch
    never exceeds ``count``, ``bytes`` and ``gas``, unless one claim alone has more bytes."""

    count: int = 64
    bytes: int = 96 * 1024
    gas: int = 14_000_000
    age: Duration = DEFAULT_AGE


class Sequencer:
    """``client`` pays for batches. Time is L1's."""

    def __init__(self, client: L1Client, store: Store | None = None, limits: Limits = Limits()) -> None:
        self._client, self._limits = client, limits
        self.store: Store = MemoryStore() if store is None else store
        self._headers: dict[ModelId, Header] = {}

    def submit(self, posted: PostedClaim) -> ClaimId:
        """Take a claim; the same claim again is no error. Raises ClaimError naming what is wrong and what to do."""
        claim_id = self._client.claim_id(posted.claim)
        if self.store.get(claim_id) is not None:
            return claim_id
        now = self._client.chain.now()
        self._check(claim_id, posted, now)
        self.store.add(Entry(claim_id, posted, now))
        return claim_id

    def header(self, model_id: ModelId) -> Header:
        """The registered header of a model; raises ClaimError if it is not registered."""
        if model_id not in self._headers:
            try:
                self._headers[model_id] = self._client.header(model_id)
            except ChainError as error:
                raise ClaimError(str(error)) from None
        return self._headers[model_id]

    def _check(self, claim_id: ClaimId, posted: PostedClaim, now: Timestamp) -> None:
        claim, client = posted.claim, self._client
        header = self.header(claim.model_id)
        signer = recover(claim_id, posted.signature)
        if signer != claim.claimant:
            raise ClaimError(f"the claim names {claim.claimant}, but {signer} signed it; sign with the claimant's key")
        if now > claim.valid_until:
            raise ClaimError(
                f"the claim was valid until {claim.valid_until}, it is {now}; sign it again with a later time"
            )
        pending = self.store.pending_of(claim.claimant)
        if client.is_nonce_used(claim.claimant, claim.nonce) or any(
            entry.posted.claim.nonce == claim.nonce for entry in pending
        ):
            raise ClaimError(f"{claim.claimant} has used or cancelled nonce {claim.nonce}; sign with another")
        needed = client.parameters.claim_bond * (len(pending) + 1)
        free = client.balance(claim.claimant)
        if free < needed:
            raise ClaimError(
                f"{claim.claimant} has {free} wei free, its {len(pending) + 1} waiting claims need bonds of {needed}; "
                f"deposit {needed - free} more"
            )
        assembled = (
            not posted.inputs and client.is_assembled(claim.model_id, False, claim.input_root),
            not posted.outputs and client.is_assembled(claim.model_id, True, claim.output_root),
        )
        for problem in problems(posted, header, assembled):
            raise ClaimError(problem)
        gas = posting_gas(header, posted)
        if gas > self._limits.gas:
            raise ClaimError(
                f"posting the claim takes up to {gas} gas, a batch here has {self._limits.gas}; "
                "lower the model with fewer inputs and outputs, or a smaller tensor depth"
            )

    def due(self, now: Timestamp) -> list[Entry]:
        """The next batch, if it is due; otherwise empty."""
        waiting = self.store.pending()
        if not waiting:
            return []
        batch: list[Entry] = []
        size = gas = 0
        for entry in waiting:
            size += entry.bytes
            gas += posting_gas(self.header(entry.posted.claim.model_id), entry.posted)
            full = len(batch) == self._limits.count or size > self._limits.bytes or gas > self._limits.gas
            if batch and full:
                break
            batch.append(entry)
        full = len(batch) == self._limits.count or len(batch) < len(waiting)
        old = now - batch[0].taken_at >= self._limits.age
        return batch if full or old else []

    def poll(self) -> Receipt | None:
        """Post the next batch if it is due."""
        return self._post(self.due(self._client.chain.now()))

    def flush(self) -> list[Receipt]:
        """Post everything that waits, due or not."""
        receipts = []
        while waiting := self.store.pending():
            receipt = self._post(self.due(self._client.chain.now()) or waiting)
            if receipt is not None:
                receipts.append(receipt)
        return receipts

    def _post(self, batch: Sequence[Entry]) -> Receipt | None:
        """Post the batch, or as many of its first claims as L1 takes in one transaction. One that L1 refuses to take even
        alone is skipped, so that it holds up no other.
        """
        receipt = None
        while batch and receipt is None:
            try:
                receipt = self._client.post_batch([entry.posted for entry in batch])
            except Reverted as error:
                if len(batch) == 1:
                    self.store.mark_skipped(batch[0].claim_id, str(error))
                batch = batch[: len(batch) // 2]
        for event in receipt.events if receipt else ():
            if isinstance(event, ClaimPosted):
                self.store.mark_posted(event.claim_id, event.batch, event.index)
            elif isinstance(event, ClaimSkipped):
                self._skipped(event)
        return receipt

    def _skipped(self, event: ClaimSkipped) -> None:
        """Anyone may post a claim: one whose nonce is used may stand on L1 already."""
        earlier = self._client.posted(event.claim_id) if event.reason == "NonceUsed" else None
        if earlier is None:
            self.store.mark_skipped(event.claim_id, event.reason)
        else:
            self.store.mark_posted(event.claim_id, earlier.batch, earlier.index)
