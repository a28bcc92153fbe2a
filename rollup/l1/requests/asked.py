"""What a contract asks for: the structs of Requests, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from rollup.claim import Address
from rollup.types import Duration, ModelId, Root, Timestamp, hex_of

ANYBODY = Address("0x" + "00" * 20)
"""Stands for no prover, no author, no callback."""

NO_COMMITTEE = bytes(32)
"""Stands for a committee that is drawn, or for none where there is no quorum."""


@dataclass(frozen=True)
class Request:
    """A question to a model, and what its answer is worth; ``rollup.l1.requests.events`` has its id.

    ``fee``: wei in escrow. ``prover``: whose claim alone answers if it is posted until ``prover_until``. ``until``: last second in which
    a claim that answers may be posted, as it was asked. ``royalty``: the author's part of the fee, in basis points. ``quorum``: so many
    equal answers make it agreed, by provers who commit within ``commit_blocks`` blocks and are of the ``committee``; if that is zero,
    they are drawn. ``data_hash``: of what the callback is handed along. ``number`` counts the contract's requests.
    """

    model_id: ModelId
    input_root: Root
    requester: Address
    callback: Address
    gas_limit: int
    fee: int
    prover: Address
    prover_until: Timestamp
    until: Timestamp
    author: Address
    royalty: int
    quorum: int
    commit_blocks: int
    committee: bytes
    data_hash: bytes
    number: int

    def as_json(self) -> dict[str, Any]:
        """Byte strings as 0x hex, wei and the number as decimal strings."""
        given = {name: hex_of(value) if isinstance(value, bytes) else value for name, value in vars(self).items()}
        return given | {"fee": str(self.fee), "number": str(self.number)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Inverse of ``as_json``, of what it wrote."""
        hashes = {name: bytes.fromhex(data[name][2:]) for name in ("model_id", "input_root", "committee", "data_hash")}
        return cls(**{**data, **hashes, "fee": int(data["fee"]), "number": int(data["number"])})

    @property
    def pay(self) -> int:
        """Wei that the claimant who answers gets."""
        return self.fee - self.fee * self.royalty // 10_000


@dataclass(frozen=True)
class Subscription:
    """A request that is made again every ``interval`` seconds; ``exclusive`` and ``patience`` take the place of its times."""

    first: Request
    interval: Duration
    exclusive: Duration
    patience: Duration
    number: int

    def as_json(self) -> dict[str, Any]:
        """As a Request's."""
        return vars(self) | {"first": self.first.as_json(), "number": str(self.number)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Subscription:
        """Inverse of ``as_json``, of what it wrote."""
        return cls(**{**data, "first": Request.from_json(data["first"]), "number": int(data["number"])})


def request_of(fields: Mapping[str, Any]) -> Request:
    """A Request from its ABI fields."""
    return Request(
        ModelId(Root(bytes(fields["modelId"]))),
        Root(bytes(fields["inputRoot"])),
        Address(fields["requester"]),
        Address(fields["callback"]),
        fields["gasLimit"],
        fields["fee"],
        Address(fields["prover"]),
        Timestamp(fields["proverUntil"]),
        Timestamp(fields["until"]),
        Address(fields["author"]),
        fields["royalty"],
        fields["quorum"],
        fields["commitBlocks"],
        bytes(fields["committee"]),
        bytes(fields["dataHash"]),
        fields["number"],
    )


def subscription_of(fields: Mapping[str, Any]) -> Subscription:
    """A Subscription from its ABI fields."""
    return Subscription(
        request_of(fields["first"]),
        Duration(fields["interval"]),
        Duration(fields["exclusive"]),
        Duration(fields["patience"]),
        fields["number"],
    )


def struct_fields(asked: Request | Subscription) -> tuple[Any, ...]:
    """Either in the ABI's order."""
    return astuple(asked)
