"""What a sequencer remembers of the claims it took; a seam: rows of a database live behind the same interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from rollup.claim import Address, ClaimId, PostedClaim
from rollup.types import Timestamp


class Progress(Enum):
    """How far a claim is. Later stages are read from L1, which alone decides them."""

    PENDING = "pending"
    POSTED = "posted"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Entry:
    """One claim. ``taken_at``: when it came in; ``batch``, ``index``: once posted; ``reason``: why L1 skipped it."""

    claim_id: ClaimId
    posted: PostedClaim
    taken_at: Timestamp
    progress: Progress = Progress.PENDING
    batch: int | None = None
    index: int | None = None
    reason: str | None = None

    @property
    def bytes(self) -> int:
        """About what the claim takes in a batch's calldata."""
        return len(self.posted.inputs) + len(self.posted.outputs) + 640


class Store(Protocol):
    """Entries by claim id, in the order in which they came."""

    def add(self, entry: Entry) -> None: ...

    def get(self, claim_id: ClaimId) -> Entry | None: ...

    def pending(self) -> Sequence[Entry]: ...

    def pending_of(self, claimant: Address) -> Sequence[Entry]: ...

    def mark_posted(self, claim_id: ClaimId, batch: int, index: int) -> None: ...

    def mark_skipped(self, claim_id: ClaimId, reason: str) -> None: ...

    def batch(self, number: int) -> Sequence[Entry]:
        """The entries of one batch that were posted, by index."""
        ...


@dataclass
class MemoryStore:
    """A store that lives as long as its process."""

    entries: dict[ClaimId, Entry] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        self.entries[entry.claim_id] = entry

    def get(self, claim_id: ClaimId) -> Entry | None:
        return self.entries.get(claim_id)

    def pending(self) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.progress is Progress.PENDING]

    def pending_of(self, claimant: Address) -> list[Entry]:
        return [entry for entry in self.pending() if entry.posted.claim.claimant == claimant]

    def mark_posted(self, claim_id: ClaimId, batch: int, index: int) -> None:
        self.entries[claim_id] = replace(self.entries[claim_id], progress=Progress.POSTED, batch=batch, index=index)

    def mark_skipped(self, claim_id: ClaimId, reason: str) -> None:
        self.entries[claim_id] = replace(self.entries[claim_id], progress=Progress.SKIPPED, reason=reason)

    def batch(self, number: int) -> list[Entry]:
        found = [entry for entry in self.entries.values() if entry.batch == number]
        return sorted(found, key=lambda entry: entry.index or 0)
