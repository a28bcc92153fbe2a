"""What a sequencer knows, as values: the store gives these out, rows never leave it.

Times are seconds since the epoch as L1 counts them, unless a field says otherwise. ``block`` is the L1 block that said it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from rollup.batch import Batch, Inclusion
from rollup.claim import Address, ClaimId, PostedClaim
from rollup.form.program import Program
from rollup.l1.records import GameRecord, MoveRecord
from rollup.types import ModelId, Root, Timestamp

T = TypeVar("T")

OVERHEAD = 64
"""Bytes that a claim takes in calldata beside those of its inputs and outputs: its trace root, and the request that it answers."""

GROUP_BYTES = 640
"""Bytes that a group takes in calldata beside its claims, about."""


class State(StrEnum):
    """How far a claim is. All but ``pending`` follow from L1, and are undone with its blocks."""

    PENDING = "pending"
    POSTED = "posted"
    CHALLENGED = "challenged"
    FINAL = "final"
    INVALID = "invalid"


@dataclass(frozen=True)
class NewClaim:
    """A claim that L1 would take, ready to be stored. ``gas``: what posting it takes at most."""

    claim_id: ClaimId
    posted: PostedClaim
    taken_at: Timestamp
    gas: int


@dataclass(frozen=True)
class Accepted:
    """What became of a claim that was handed in. ``fresh``: it was not known before."""

    claim_id: ClaimId
    state: State
    fresh: bool


@dataclass(frozen=True)
class Entry:
    """One claim.

    ``sequence`` orders claims by when this store first heard of them. ``taken_at``: when it came in here; None for one that
    somebody else posted (then ``posted.signature`` is empty). ``batch`` to ``posted_at``: once it stands on L1. ``reason``:
    why it is invalid, as a sentence or the name of L1's error. ``gas``: what posting it takes at most, if we are to post it.
    The bytes of a listing's entries are empty.
    """

    claim_id: ClaimId
    posted: PostedClaim
    state: State
    sequence: int
    gas: int = 0
    taken_at: Timestamp | None = None
    reason: str | None = None
    batch: int | None = None
    index: int | None = None
    block: int | None = None
    transaction: bytes | None = None
    posted_at: Timestamp | None = None
    closes_at: Timestamp | None = None
    released: bool = False

    @property
    def bytes(self) -> int:
        """About what the claim takes in a batch's calldata."""
        return len(self.posted.inputs) + len(self.posted.outputs) + OVERHEAD


@dataclass(frozen=True)
class HeldBack:
    """Pending claims that are not to be posted now: those of some claimants, of some models, and some by themselves."""

    claimants: frozenset[Address] = frozenset()
    models: frozenset[ModelId] = frozenset()
    claims: frozenset[ClaimId] = frozenset()

    def __or__(self, other: HeldBack) -> HeldBack:
        return HeldBack(self.claimants | other.claimants, self.models | other.models, self.claims | other.claims)

    def __contains__(self, entry: Entry) -> bool:
        claim = entry.posted.claim
        return claim.claimant in self.claimants or claim.model_id in self.models or entry.claim_id in self.claims


NOTHING_HELD = HeldBack()


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a listing, newest first; ``next`` is the cursor of what follows, None at the end."""

    entries: tuple[T, ...]
    next: str | None


@dataclass(frozen=True)
class BatchHead:
    """A batch on L1, as listings have it. ``size``: claims in it, skipped ones included. ``closes_at``: end of its challenge period
    by the clock that stops; ``final_after``: the last second of real time in it, if the clock is not stopped again.
    """

    number: int
    root: Root
    posted_at: Timestamp
    closes_at: Timestamp
    final_after: Timestamp
    block: int
    transaction: bytes
    size: int


@dataclass(frozen=True)
class BatchRecord(BatchHead):
    """``claims``: the claim ids of the batch by index, None for one that L1 skipped."""

    claims: tuple[ClaimId | None, ...]


def inclusion_of(entry: Entry, batch: BatchRecord | None) -> Inclusion | None:
    """Where the claim stands and the proof of it; None while it stands nowhere."""
    if batch is None or entry.index is None or not 0 <= entry.index < len(batch.claims):
        return None
    if batch.claims[entry.index] != entry.claim_id:
        # L1 reorganised between two reads.
        return None
    return Inclusion(batch.number, entry.index, Batch(batch.claims).siblings(entry.index))


@dataclass(frozen=True)
class DisputeRecord:
    """All games and moves about one claim."""

    claim_id: ClaimId
    state: State
    games: tuple[GameRecord, ...]
    moves: tuple[MoveRecord, ...]


@dataclass(frozen=True)
class Change:
    """A claim came into a state; ``id`` increases with every change."""

    id: int
    claim_id: ClaimId
    state: State
    at: Timestamp


@dataclass(frozen=True)
class Gap:
    """Changes behind the id ``after`` up to the id ``to`` are no longer told."""

    after: int
    to: int


@dataclass(frozen=True)
class OfferedModel:
    """A model that this sequencer offers by name. ``header`` and ``interface`` as they are hashed into its id, ``proof``: the
    interface's siblings in the program tree; ``added_at`` is the machine's time.
    """

    id: ModelId
    name: str
    header: bytes
    interface: bytes
    proof: tuple[Root, ...]
    added_at: Timestamp
    retired: bool = False

    @classmethod
    def of(cls, program: Program, name: str, added_at: Timestamp) -> OfferedModel:
        proof = tuple(program.interface_proof)
        return cls(program.id, name, program.header_bytes, program.interface_bytes, proof, added_at)


@dataclass(frozen=True)
class Answer:
    """What was answered to an idempotency key. ``status`` None: the first request is still being worked on."""

    digest: bytes
    status: int | None
    response: bytes
    created: Timestamp


@dataclass(frozen=True)
class Audited:
    """One action of an operator. ``at`` is the machine's time."""

    id: int
    at: Timestamp
    role: str
    actor: str
    action: str
    detail: Mapping[str, Any]
    outcome: str


class Switch(StrEnum):
    """What an operator can turn on; it stays on when the process starts again."""

    BATCHER_STOPPED = "batcher-stopped"
    INTAKE_PAUSED = "intake-paused"


@dataclass(frozen=True)
class Head:
    """The L1 block up to which the store knows everything."""

    number: int
    hash: bytes
    time: Timestamp


@dataclass(frozen=True)
class Found:
    """What a word stands for. ``kind``: claim, model, batch, dispute, request or account; ``id`` as its page's address has it; ``by``:
    what of it the word is.
    """

    kind: str
    id: str
    by: str


@dataclass(frozen=True)
class GameAbout:
    """A game, with the claim that it is about."""

    game: GameRecord
    model_id: ModelId
    claimant: Address
