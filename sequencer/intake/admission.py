"""Whether L1 would take a claim: what can be said without asking it, and what its last block says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from rollup.claim import Address, PostedClaim, posting_gas, problems
from rollup.errors import ChainError, ClaimError, EncodingError
from rollup.form.encoding import Header, decode_header
from rollup.l1.account.signing import recover
from rollup.l1.client import L1Client
from rollup.types import ModelId, Timestamp
from rollup.words import show_wei, when
from sequencer.intake.limits import DEFAULT_LIMITS, Limits
from sequencer.intake.money import usable
from sequencer.intake.refusals import Busy
from sequencer.states import Head, NewClaim
from sequencer.store import Store

HEADERS = 1024
CLAIMANTS = 10_000
"""How many headers and balances are kept in memory."""

FRESH_SECONDS = 0.5
"""How old our idea of the head, and of a balance that does not suffice, may be."""


@dataclass
class _Means:
    """What a claimant has: free wei as of a block, claims that waited then, and those that were let in since."""

    block: bytes
    free: int
    waiting: int
    read_at: float
    unwritten: int = 0


class Admission:
    """Any thread may call it. ``clock``: seconds that pass."""

    def __init__(
        self,
        client: L1Client,
        store: Store,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._store, self._limits, self._clock = client, store, limits, clock
        self._lock = threading.Lock()
        self._headers: LRUCache[ModelId, Header] = LRUCache(HEADERS)
        self._means: LRUCache[Address, _Means] = LRUCache(CLAIMANTS)
        self._head: tuple[float, Head] | None = None
        self._spoilers: tuple[bytes, dict[Address, Timestamp]] | None = None
        # What a claim costs to look at is known without asking L1.
        self._bond = client.parameters.claim_bond

    def header(self, model_id: ModelId) -> Header:
        """The registered header of a model; raises ClaimError if it is not registered."""
        with self._lock:
            known = self._headers.get(model_id)
            if known is not None:
                return known
        data = self._store.l1.header(model_id)
        if data is None:
            raise ClaimError(f"model 0x{model_id.hex()} is not registered on this chain; register its program first")
        try:
            header = decode_header(data)
        except EncodingError as error:
            raise ClaimError(f"the header of model 0x{model_id.hex()} can't be read: {error}") from None
        with self._lock:
            self._headers[model_id] = header
        return header

    def examine(self, posted: PostedClaim) -> NewClaim:
        """What a claim says of itself: signed by its claimant, the bytes those of its roots, small enough. Raises ClaimError
        naming what is wrong and what to do.
        """
        claim, client = posted.claim, self._client
        claim_id = client.claim_id(claim)
        header = self.header(claim.model_id)
        signer = recover(claim_id, posted.signature)
        if signer != claim.claimant:
            raise ClaimError(f"the claim names {claim.claimant}, but {signer} signed it; sign with the claimant's key")
        now = self.now()
        if now + self._limits.margin > claim.valid_until:
            raise ClaimError(
                f"the claim {'was' if now > claim.valid_until else 'is'} valid until {when(claim.valid_until)}, it is {when(now)} "
                f"and takes up to {self._limits.margin} s to be posted; sign it again with a later time"
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
        return NewClaim(claim_id, posted, now, gas)

    def now(self) -> Timestamp:
        """Time of the block up to which the store knows L1; before the first, of L1's latest."""
        head = self._known()
        return self._client.chain.now() if head is None else head.time

    def _known(self) -> Head | None:
        now = self._clock()
        known = self._head
        if known is not None and now - known[0] < FRESH_SECONDS:
            return known[1]
        head = self._store.l1.head()
        if head is not None:
            self._head = (now, head)
        return head

    def refresh(self) -> None:
        """The store learned of a new head: look at it now."""
        self._head = None

    # Bonds

    def reserve(self, new: NewClaim) -> None:
        """Count a claim as waiting; raises ClaimError if its claimant's free balance, less what it announced to withdraw, does not
        suffice for the bonds of all of its waiting claims, or if it spoiled a batch not long ago, Busy if that depends on claims
        that are just being written. ``settle`` must follow.
        """
        claimant = new.posted.claim.claimant
        self._trusted(claimant)
        means = self._look(claimant, FRESH_SECONDS if self._short(claimant) else None)
        with self._lock:
            count = means.waiting + means.unwritten + 1
            needed = self._bond * count
            if means.free >= needed:
                means.unwritten += 1
                return
        if means.free >= self._bond * (self._store.claims.waiting_of(claimant) + 1):
            # Those that are being written may have been counted twice, or may fail.
            raise Busy(f"other claims of {claimant} are being written; send this one again in a moment")
        raise ClaimError(
            f"{claimant} has {show_wei(means.free)} free and not announced to leave, its {count} waiting claims need "
            f"bonds of {show_wei(needed)}; deposit {show_wei(needed - means.free)} more"
        )

    def _trusted(self, claimant: Address) -> None:
        head = self._known()
        if head is None:
            return
        spoilers = self._spoilers
        if spoilers is None or spoilers[0] != head.hash:
            since = Timestamp(max(0, head.time - self._limits.distrust))
            spoilers = self._spoilers = (head.hash, self._store.claims.spoilers(since))
        spoiled = spoilers[1].get(claimant)
        if spoiled is not None and head.time < (until := spoiled + self._limits.distrust):
            raise ClaimError(
                f"{claimant} used the nonce or the balance of a claim for something else while it was being posted, at {spoiled}; "
                f"its claims are taken again from {when(until)} on"
            )

    def settle(self, new: NewClaim, written: bool) -> None:
        """A reserved claim was written, or was not."""
        with self._lock:
            means = self._means.get(new.posted.claim.claimant)
            if means is not None:
                means.unwritten = max(0, means.unwritten - 1)
                means.waiting += written

    def _short(self, claimant: Address) -> bool:
        with self._lock:
            means = self._means.get(claimant)
            return means is not None and means.free < self._bond * (means.waiting + means.unwritten + 1)

    def _look(self, claimant: Address, oldest: float | None) -> _Means:
        """What the claimant has as of the head that the store knows; read again if that is older than ``oldest`` seconds."""
        head, now = self._known(), self._clock()
        block = b"" if head is None else head.hash
        with self._lock:
            means = self._means.get(claimant)
            if means is not None and means.block == block and (oldest is None or now - means.read_at < oldest):
                return means
        waiting = self._store.claims.waiting_of(claimant)
        free = self._free(claimant, head, again=oldest is not None)
        if oldest is None and free < self._bond * (waiting + 1):
            # Who has just deposited is ahead of the head that the store knows.
            free = self._free(claimant, head, again=True)
        with self._lock:
            unwritten = self._means[claimant].unwritten if claimant in self._means else 0
            means = self._means[claimant] = _Means(block, free, waiting, now, unwritten)
        return means

    def _free(self, claimant: Address, head: Head | None, again: bool) -> int:
        """Free wei as of the head, where the claims that wait have no bond locked yet. ``again``: it did not suffice; a
        deposit may be newer.
        """
        if head is None:
            return usable(self._client, claimant)
        try:
            free = usable(self._client, claimant, head.number)
        except ChainError:
            # Another machine behind the endpoint may not have the block yet.
            return usable(self._client, claimant)
        return max(free, usable(self._client, claimant)) if again else free
