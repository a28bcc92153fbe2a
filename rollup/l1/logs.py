"""The events behind a node's logs, by the contracts' ABI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from eth_utils.abi import event_abi_to_log_topic
from web3 import Web3
from web3._utils.events import get_event_data
from web3.types import LogReceipt

from rollup.claim import Address, Claim
from rollup.errors import ChainError
from rollup.form.ops import Monoid
from rollup.game.moves import Rule
from rollup.game.question import Question
from rollup.l1.artifacts import artifact
from rollup.l1.events import (
    Answered,
    BatchPosted,
    BondForfeited,
    BondLocked,
    BondUnlocked,
    CallFailed,
    Challenged,
    ChallengeLost,
    ChunksJoined,
    ChunkUploaded,
    ClaimInvalid,
    ClaimPosted,
    ClaimReleased,
    ClaimSkipped,
    ClockStopped,
    Committed,
    Convicted,
    Deposited,
    Descended,
    Funded,
    LeafRevealed,
    Logged,
    ModelRegistered,
    Narrowed,
    NonceCancelled,
    Paid,
    Reclaimed,
    Redeposited,
    Revealed,
    Selected,
    TensorsAssembled,
    TraceRootSet,
    WithdrawalAnnounced,
    Withdrawn,
)
from rollup.l1.reverts import name_of
from rollup.types import Gindex, ModelId, Root


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
