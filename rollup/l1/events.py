"""What L1 said: every event of the contracts as a dataclass. Byte strings are bytes, amounts wei, places generalised
indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_utils.abi import event_abi_to_log_topic
from web3 import Web3
from web3._utils.events import get_event_data
from web3.types import LogReceipt

from rollup.claim import Address, Claim, ClaimId
from rollup.errors import ChainError
from rollup.form.ops import Monoid
from rollup.game.moves import Rule
from rollup.game.question import Question
from rollup.l1.artifacts import artifact
from rollup.l1.reverts import name_of
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
    """Empty bytes stand for what was uploaded before."""

    batch: int
    index: int
    claim_id: ClaimId
    claim: Claim
    inputs: bytes
    outputs: bytes


@dataclass(frozen=True)
class ClaimSkipped:
    """``reason``: the name of the error that keeps the claim out."""

    batch: int
    index: int
    claim_id: ClaimId
    reason: str


@dataclass(frozen=True)
class ClaimReleased:
    batch: int
    index: int
    claim_id: ClaimId


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
    """``part``: number of the part of the box (rule ``part``), else 0. ``claimed`` and ``computed``: sign-extended integers (step,
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
    | ClaimReleased
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
)


@dataclass(frozen=True)
class Logged:
    """An event and where it stands on the chain. ``block_hash``: 32 bytes, which tell forks apart."""

    event: Event
    block: int
    index: int
    transaction: bytes
    block_hash: bytes = b""


def claim_of(fields: Mapping[str, Any]) -> Claim:
    """A Claim from its ABI fields."""
    return Claim(
        ModelId(Root(bytes(fields["modelId"]))),
        Address(fields["claimant"]),
        fields["nonce"],
        fields["validUntil"],
        bytes(fields["requestId"]),
        Root(bytes(fields["inputRoot"])),
        Root(bytes(fields["outputRoot"])),
        Root(bytes(fields["traceRoot"])),
    )


def question_of(fields: Mapping[str, Any]) -> Question:
    """A Question from its ABI fields."""
    return Question(
        Gindex(fields["place"]),
        fields["element"],
        Monoid(fields["monoid"]),
        fields["parts"],
        fields["level"],
        fields["index"],
        fields["value"],
        fields["position"],
    )


def _roots(values: Iterable[bytes]) -> tuple[Root, ...]:
    return tuple(Root(bytes(value)) for value in values)


FIELDS: Mapping[type[Any], tuple[str, ...]] = {
    ModelRegistered: ("modelId", "header"),
    BatchPosted: ("batchId", "root", "count", "postedAt", "closesAt"),
    ClaimPosted: ("batchId", "index", "claimId", "claim", "input", "output"),
    ClaimSkipped: ("batchId", "index", "claimId", "reason"),
    ClaimReleased: ("batchId", "index", "claimId"),
    ClaimInvalid: ("claimId",),
    NonceCancelled: ("claimant", "nonce", "time"),
    ClockStopped: ("resumesAt", "stopped"),
    ChunkUploaded: ("root", "chunk"),
    ChunksJoined: ("root", "byteLength", "left", "right"),
    TensorsAssembled: ("modelId", "isOutput", "root", "tensors"),
    Deposited: ("account", "amount"),
    Funded: ("account", "amount"),
    Redeposited: ("account", "amount"),
    WithdrawalAnnounced: ("account", "amount", "due"),
    Withdrawn: ("account", "amount", "wasFree"),
    BondLocked: ("account", "amount"),
    BondUnlocked: ("account", "amount"),
    BondForfeited: ("account", "amount", "burnt"),
    Paid: ("account", "amount"),
    Challenged: ("claimId", "gameId", "challenger", "counter", "traceRoot", "commitment"),
    Committed: ("gameId", "commitment"),
    TraceRootSet: ("claimId", "traceRoot"),
    Revealed: ("node", "children"),
    LeafRevealed: ("node", "data"),
    Selected: ("gameId", "gindex", "node"),
    Descended: ("gameId", "question"),
    Answered: ("node", "claimId", "results"),
    Narrowed: ("gameId", "question"),
    Convicted: ("claimId", "gameId", "rule", "place", "traceIndex", "element", "part", "claimed", "computed"),
    ChallengeLost: ("claimId", "gameId", "collector", "paidToClaimant"),
    Reclaimed: ("claimId", "gameId"),
    CallFailed: ("index", "reason"),
}
"""The ABI's name of every field, in the dataclass's order; the class name is the event's."""

_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "claim": claim_of,
    "question": question_of,
    "children": _roots,
    "tensors": _roots,
    "rule": Rule,
    "reason": name_of,
}


@cache
def _event_abis() -> dict[bytes, tuple[type[Any], Any]]:
    classes = {kind.__name__: kind for kind in FIELDS}
    found = {}
    for contract in ("RollupChain", "DisputeGame"):
        for item in artifact(contract).abi:
            if item["type"] == "event":
                found[event_abi_to_log_topic(item)] = (classes[item["name"]], item)  # type: ignore[arg-type]
    return found


def topic_of(kind: type[Any]) -> bytes:
    """First topic of an event's logs."""
    return next(topic for topic, (known, _) in _event_abis().items() if known is kind)


def decode_log(web3: Web3, log: LogReceipt) -> Logged | None:
    """The event behind a log; None for a log that is none of ours."""
    known = _event_abis().get(bytes(log["topics"][0])) if log["topics"] else None
    if known is None:
        return None
    kind, abi = known
    arguments = get_event_data(web3.codec, abi, log)["args"]
    values = []
    for name in FIELDS[kind]:
        value = arguments[name]
        values.append(
            _CONVERT[name](value) if name in _CONVERT else bytes(value) if isinstance(value, bytes) else value
        )
    return Logged(
        kind(*values), log["blockNumber"], log["logIndex"], bytes(log["transactionHash"]), bytes(log["blockHash"])
    )


def decode_logs(web3: Web3, logs: Iterable[LogReceipt]) -> list[Logged]:
    """The events behind logs, in the chain's order; raises ChainError if a log of ours is garbled."""
    try:
        found = [decode_log(web3, log) for log in logs]
    # What a node made up can make any line of the library fail.
    except Exception as error:
        raise ChainError(f"the endpoint's logs are garbled ({type(error).__name__}); check the endpoint") from None
    return [logged for logged in found if logged is not None]
