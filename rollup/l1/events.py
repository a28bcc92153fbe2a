"""What L1 said: every event of the contracts as a dataclass. Byte strings are bytes, amounts wei, places generalised
indices.
"""

from __future__ import annotations

from dataclasses import dataclass

from rollup.claim import Address, Claim, ClaimId
from rollup.game.moves import Rule
from rollup.game.question import Question
from rollup.l1.requests.events import RequestEvent
from rollup.types import Duration, Gindex, ModelId, Root, Timestamp


@dataclass(frozen=True)
class ModelRegistered:
    model_id: ModelId
    header: bytes


@dataclass(frozen=True)
class BatchPosted:
    """``closes_at``: the last reading of the challenge clock at which its claims can be challenged for the first time."""

    batch: int
    root: Root
    count: int
    posted_at: Timestamp
    closes_at: Timestamp


@dataclass(frozen=True)
class ClaimPosted:
    """One of a group's claims. Empty bytes stand for what was uploaded before. ``group``: index of its group's first claim, whose
    bonds are freed together; None if it was posted alone.
    """

    batch: int
    index: int
    claim_id: ClaimId
    claim: Claim
    inputs: bytes
    outputs: bytes
    group: int | None = None


@dataclass(frozen=True)
class ClaimSkipped:
    """One of a group's claims is not posted: its nonce had been used. ``reason``: the name of that error."""

    batch: int
    index: int
    claim_id: ClaimId
    reason: str


@dataclass(frozen=True)
class GroupRefused:
    """None of a group's claims is posted. ``first``: its first index in the batch; ``reason``: the name of the error that says why."""

    batch: int
    first: int
    claimant: Address
    first_nonce: int
    count: int
    reason: str


@dataclass(frozen=True)
class Released:
    """Bonds of a claimant's final claims of the batch are free, those at ``indices``."""

    batch: int
    claimant: Address
    indices: tuple[int, ...]


@dataclass(frozen=True)
class PromiseBroken:
    """The claimant signed ``promised`` and had ``posted`` posted in its place; ``burnt`` wei of its free balance are gone."""

    claimant: Address
    promised: ClaimId
    posted: ClaimId
    burnt: int


@dataclass(frozen=True)
class ClaimInvalid:
    claim_id: ClaimId


@dataclass(frozen=True)
class NonceCancelled:
    """``time``: from then on the nonce can't be used."""

    claimant: Address
    nonce: int
    time: Timestamp


@dataclass(frozen=True)
class ClockStopped:
    """``stopped``: seconds of all stops of the challenge clock, the one that ends at ``resumes_at`` included."""

    resumes_at: Timestamp
    stopped: Duration


@dataclass(frozen=True)
class ChunkUploaded:
    root: Root
    chunk: bytes


@dataclass(frozen=True)
class ChunksJoined:
    root: Root
    byte_length: int
    left: Root
    right: Root


@dataclass(frozen=True)
class TensorsAssembled:
    model_id: ModelId
    is_output: bool
    root: Root
    tensors: tuple[Root, ...]


@dataclass(frozen=True)
class Deposited:
    account: Address
    amount: int


@dataclass(frozen=True)
class Funded:
    account: Address
    amount: int


@dataclass(frozen=True)
class Redeposited:
    account: Address
    amount: int


@dataclass(frozen=True)
class WithdrawalAnnounced:
    """``due``: from then on that much of the free balance may leave."""

    account: Address
    amount: int
    due: Timestamp


@dataclass(frozen=True)
class Withdrawn:
    """``was_free``: from the free balance; otherwise from earnings."""

    account: Address
    amount: int
    was_free: bool


@dataclass(frozen=True)
class BondLocked:
    account: Address
    amount: int


@dataclass(frozen=True)
class BondUnlocked:
    account: Address
    amount: int


@dataclass(frozen=True)
class BondForfeited:
    account: Address
    amount: int
    burnt: int


@dataclass(frozen=True)
class Paid:
    account: Address
    amount: int


@dataclass(frozen=True)
class Challenged:
    """``counter``: the claim's games before this one. ``trace_root``: what came with the claim, or zero."""

    claim_id: ClaimId
    game_id: bytes
    challenger: Address
    counter: int
    trace_root: Root
    commitment: bytes


@dataclass(frozen=True)
class Committed:
    game_id: bytes
    commitment: bytes


@dataclass(frozen=True)
class TraceRootSet:
    claim_id: ClaimId
    trace_root: Root


@dataclass(frozen=True)
class Revealed:
    """``children``: the descendants of ``node`` log2(len) levels below it, left to right."""

    node: Root
    children: tuple[Root, ...]


@dataclass(frozen=True)
class LeafRevealed:
    node: Root
    data: bytes


@dataclass(frozen=True)
class Selected:
    game_id: bytes
    position: Gindex
    node: Root


@dataclass(frozen=True)
class Descended:
    """The game stands on this question now."""

    game_id: bytes
    question: Question


@dataclass(frozen=True)
class Answered:
    """The claimant's answer to the question whose hash is ``node``: partial results, encoded."""

    node: Root
    claim_id: ClaimId
    results: bytes


@dataclass(frozen=True)
class Narrowed:
    """The game stands on this question now."""

    game_id: bytes
    question: Question


@dataclass(frozen=True)
class Convicted:
    """``part``: number of the part of the domain (rule ``part``), else 0. ``claimed`` and ``computed``: sign-extended integers (step,
    padding, part, epilogue; of an argument's part ``position << 64 | value``) or tensor roots (input, output).
    """

    claim_id: ClaimId
    game_id: bytes
    rule: Rule
    place: Gindex
    trace_index: int
    element: int
    part: int
    claimed: bytes
    computed: bytes


@dataclass(frozen=True)
class ChallengeLost:
    claim_id: ClaimId
    game_id: bytes
    collector: Address
    paid_to_claimant: int


@dataclass(frozen=True)
class Reclaimed:
    claim_id: ClaimId
    game_id: bytes


@dataclass(frozen=True)
class CallFailed:
    """One call of a multicall was refused. ``reason``: the error's name."""

    index: int
    reason: str


Event = (
    ModelRegistered
    | BatchPosted
    | ClaimPosted
    | ClaimSkipped
    | GroupRefused
    | PromiseBroken
    | Released
    | ClaimInvalid
    | NonceCancelled
    | ClockStopped
    | ChunkUploaded
    | ChunksJoined
    | TensorsAssembled
    | Deposited
    | Funded
    | Redeposited
    | WithdrawalAnnounced
    | Withdrawn
    | BondLocked
    | BondUnlocked
    | BondForfeited
    | Paid
    | Challenged
    | Committed
    | TraceRootSet
    | Revealed
    | LeafRevealed
    | Selected
    | Descended
    | Answered
    | Narrowed
    | Convicted
    | ChallengeLost
    | Reclaimed
    | CallFailed
    | RequestEvent
)


@dataclass(frozen=True)
class Logged:
    """An event and where it stands on the chain. ``block_hash``: 32 bytes, which tell forks apart."""

    event: Event
    block: int
    index: int
    transaction: bytes
    block_hash: bytes = b""
