"""The events behind a node's logs, by the contracts' ABI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from eth_utils.abi import event_abi_to_log_topic
from web3 import Web3
from web3._utils.events import get_event_data
from web3.types import LogReceipt

from rollup.claim import Address
from rollup.errors import ChainError
from rollup.form.ops import Monoid
from rollup.game.moves import Rule
from rollup.game.question import Question
from rollup.group import GroupTerms, Section, claims_of
from rollup.l1.account.signing import Domain, claim_id
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
    ClaimSkipped,
    ClockStopped,
    Committed,
    Convicted,
    Deposited,
    Descended,
    Event,
    Funded,
    GroupRefused,
    LeafRevealed,
    Logged,
    ModelRegistered,
    Narrowed,
    NonceCancelled,
    Paid,
    PromiseBroken,
    Reclaimed,
    Redeposited,
    Released,
    Revealed,
    Selected,
    TensorsAssembled,
    TraceRootSet,
    WithdrawalAnnounced,
    Withdrawn,
)
from rollup.l1.requests import events as requests
from rollup.l1.requests.asked import request_of, subscription_of
from rollup.l1.reverts import name_of
from rollup.types import Gindex, Root


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
    GroupRefused: ("batchId", "first", "claimant", "firstNonce", "count", "reason"),
    PromiseBroken: ("claimant", "promised", "posted", "burnt"),
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
    **requests.FIELDS,
}
"""The ABI's name of every field, in the dataclass's order; the class name is the event's, but for those of Requests."""


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "question": question_of,
    "request": request_of,
    "subscription": subscription_of,
    "children": _roots,
    "tensors": _roots,
    "rule": Rule,
    "reason": name_of,
}


def _claims(arguments: Mapping[str, Any], domain: Domain) -> list[Event]:
    """The claims of a group, by its log."""
    terms = GroupTerms(Address(arguments["claimant"]), arguments["firstNonce"], arguments["validUntil"])
    sections = [Section(**{name: part[of] for name, of in _SECTION.items()}) for part in arguments["sections"]]
    batch, first, posted = arguments["batchId"], arguments["first"], arguments["posted"]
    claims = claims_of(terms, sections, _roots(arguments["roots"]))
    found: list[Event] = []
    for at, one in enumerate(claims):
        name = claim_id(one.claim, domain)
        if posted[at >> 8] >> (at & 255) & 1:
            group = first if len(claims) > 1 else None
            found.append(ClaimPosted(batch, first + at, name, one.claim, one.inputs, one.outputs, group))
        else:
            found.append(ClaimSkipped(batch, first + at, name, "NonceUsed"))
    return found


_SECTION = {
    "model_id": "modelId",
    "count": "count",
    "input_bytes": "inputBytes",
    "output_bytes": "outputBytes",
    "input_uploaded": "inputUploaded",
    "output_uploaded": "outputUploaded",
    "named": "named",
    "records": "records",
}


def _released(arguments: Mapping[str, Any], _: Domain) -> list[Event]:
    start, bits = 256 * arguments["word"], arguments["claims"]
    indices = tuple(start + j for j in range(256) if bits >> j & 1)
    return [Released(arguments["batchId"], Address(arguments["claimant"]), indices)]


READERS: Mapping[str, Callable[[Mapping[str, Any], Domain], list[Event]]] = {
    "GroupPosted": _claims,
    "Released": _released,
}
"""Events of L1 that say more than one thing, or say it in bits: by name, what they say."""


def _reader(kind: type[Any]) -> Callable[[Mapping[str, Any], Domain], list[Event]]:
    def read(arguments: Mapping[str, Any], _: Domain) -> list[Event]:
        values = []
        for name in FIELDS[kind]:
            value = arguments[name]
            values.append(
                _CONVERT[name](value) if name in _CONVERT else bytes(value) if isinstance(value, bytes) else value
            )
        return [kind(*values)]

    return read


@cache
def _event_abis() -> dict[bytes, tuple[Callable[[Mapping[str, Any], Domain], list[Event]], Any]]:
    readers = {kind.__name__: _reader(kind) for kind in FIELDS} | dict(READERS)
    found = {}
    renamed = {name: kind.__name__ for name, kind in requests.NAMES.items()}
    for contract, names in (("RollupChain", {}), ("DisputeGame", {}), ("Requests", renamed)):
        for item in artifact(contract).abi:
            if item["type"] == "event":
                found[event_abi_to_log_topic(item)] = (readers[names.get(item["name"], item["name"])], item)  # type: ignore[arg-type]
    return found


def topic_of(kind: type[Any]) -> bytes:
    """First topic of the logs of an event that stands in ``FIELDS``."""
    return next(topic for topic, (_, item) in _event_abis().items() if item["name"] == kind.__name__)


MOST: Mapping[str, int] = {"batchId": 1 << 40, "counter": 1 << 40, "first": 1 << 20, "count": 1 << 20, "word": 1 << 12}
"""No chain counts beyond that: the memory that holds a batch of 2^20 claims takes two thousand million gas."""


def _check_counts(arguments: Mapping[str, Any]) -> None:
    """Refuse what no chain says: it would fill memory, or fit no database."""
    for name, most in MOST.items():
        if arguments.get(name, 0) > most:
            raise ValueError(f"{name} is beyond all that a chain counts")


def decode_log(web3: Web3, domain: Domain, log: LogReceipt) -> list[Logged]:
    """The events behind a log of the contracts of ``domain``; none for a log that is none of ours."""
    known = _event_abis().get(bytes(log["topics"][0])) if log["topics"] else None
    if known is None:
        return []
    read, abi = known
    arguments = get_event_data(web3.codec, abi, log)["args"]
    _check_counts(arguments)
    events = read(arguments, domain)
    where = (log["blockNumber"], log["logIndex"], bytes(log["transactionHash"]), bytes(log["blockHash"]))
    return [Logged(event, *where) for event in events]


def decode_logs(web3: Web3, domain: Domain, logs: Iterable[LogReceipt]) -> list[Logged]:
    """The events behind logs, in the chain's order; raises ChainError if a log of ours is garbled."""
    try:
        return [logged for log in logs for logged in decode_log(web3, domain, log)]
    # What a node made up can make any line of the library fail.
    except Exception as error:
        raise ChainError(f"the endpoint's logs are garbled ({type(error).__name__}); check the endpoint") from None
