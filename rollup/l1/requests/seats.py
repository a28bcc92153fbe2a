"""Seats of provers: for which models one can be drawn, from the events of the Provers contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from eth_utils.abi import event_abi_to_log_topic

from rollup.claim import Address
from rollup.l1.artifacts import artifact
from rollup.l1.calls import PROVERS
from rollup.l1.client import L1Client
from rollup.l1.requests.quorum import LEAVING_BLOCKS
from rollup.types import ModelId, Root


@dataclass(frozen=True)
class Seat:
    """``joined``: block in which it was taken; ``left``: block in which it was given up, 0 if it was not."""

    joined: int
    left: int = 0

    @property
    def vacant_from(self) -> int | None:
        """First block in which its share can be freed; None while the seat is kept."""
        return self.left + LEAVING_BLOCKS + 1 if self.left else None

    def counts(self, block: int) -> bool:
        """Whether it is drawn from for a request of that block."""
        return self.joined <= block and (self.left == 0 or self.left > block)


@cache
def _topics() -> dict[bytes, str]:
    wanted = ("Joined", "Left", "Vacated")
    events = (item for item in artifact(PROVERS).abi if item["type"] == "event" and item["name"] in wanted)
    return {event_abi_to_log_topic(item): item["name"] for item in events}  # type: ignore[arg-type]


def seats_of(client: L1Client, prover: Address) -> dict[ModelId, Seat]:
    """The seats of a prover, by model; one that was vacated is gone."""
    account = bytes(12) + bytes.fromhex(prover[2:])
    logs = client.chain.logs([client.provers_address], client.first, client.chain.height(), [None, None, account])
    found: dict[ModelId, Seat] = {}
    for log in logs:
        model_id = ModelId(Root(bytes(log["topics"][1])))
        match _topics().get(bytes(log["topics"][0])):
            case "Joined":
                found[model_id] = Seat(log["blockNumber"])
            case "Left" if model_id in found:
                found[model_id] = replace(found[model_id], left=log["blockNumber"])
            case "Vacated":
                found.pop(model_id, None)
    return found
