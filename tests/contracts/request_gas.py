"""What a request costs, from asking to the answer or the refund: whole transactions on the embedded chain.

``python -m tests.contracts.request_gas`` rewrites the snapshot request_gas.json. The model is the toy program.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollup.batch import Batch, Inclusion
from rollup.claim import Address, ClaimId, PostedClaim
from rollup.l1.account.signing import Signer
from rollup.l1.answers import BASE_GAS, FLOOR_7976
from rollup.l1.artifacts import artifact
from rollup.l1.calls import claim_fields, inclusion_fields
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged, ClaimPosted
from tests.e2e.toy_program import Published, values_of, with_lie
from tests.world import ETHER, INPUTS, ToyWorld

SNAPSHOT = Path(__file__).with_name("request_gas.json")
CALLBACK_GAS = 5_000_000
"""The most that a callback may ask for."""

ENDLESS = bytes.fromhex("6004600c60003960046000f3" + "5b600056")
"""Creates a contract that runs until its gas is used up."""

NOBODY = "0x" + "11" * 20
"""An address without code: a callback to it fails at once."""

Row = dict[str, int]


@dataclass
class Asking(ToyWorld):
    """A toy world with ``Requests``, and an account that asks."""

    asker: Signer = field(init=False)
    address: Address = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asker = self.chain.signer("asker")
        creation = artifact("Requests").creation(self.deployer.address)
        self.address = Address(str(self.chain.transact(self.asker, None, creation)["contractAddress"]))
        self.contract = self.chain.web3.eth.contract(self.address, abi=artifact("Requests").abi)

    def send(self, name: str, *args: Any, value: int = 0) -> tuple[Row, Any]:
        """Both prices of a call, and its receipt."""
        data = artifact("Requests").functions[name].encode(args)
        receipt = self.chain.transact(self.asker, self.address, data, value)
        gas = receipt["gasUsed"]
        return {"gas": gas, "gas_7976": max(gas, BASE_GAS + FLOOR_7976 * len(data))}, receipt

    def read(self, name: str, *args: Any) -> int:
        """What the contract says in a number."""
        data = self.chain.call(self.address, artifact("Requests").functions[name].encode(args))
        return int.from_bytes(data, "big")

    def ask(self, callback: str = NOBODY) -> tuple[Row, bytes, tuple[Any, ...]]:
        """Ask; its gas, the request's id, and the request as later calls repeat it."""
        posted = self.sign(self.deployer)
        row, receipt = self.send(
            "requestCallback", self.program.id, posted.inputs, callback, CALLBACK_GAS, b"", value=ETHER
        )
        (event,) = self.contract.events.Requested().process_receipt(receipt)
        asked = tuple(event["args"]["request"].values())
        return row, bytes(event["args"]["requestId"]), asked

    def post(
        self, request_id: bytes, values: Any = None, by: str = "claimant"
    ) -> tuple[L1Client, PostedClaim, ClaimId, Inclusion]:
        """A claim that answers, posted by its claimant."""
        client = self.client(by, deposit=2 * ETHER)
        posted = self.sign(client, INPUTS, values, request_id=request_id)
        event = client.post_batch([posted]).one(ClaimPosted)
        inclusion = Inclusion(event.batch, event.index, Batch((event.claim_id,)).siblings(0))
        return client, posted, event.claim_id, inclusion


def answered(world: Asking) -> dict[str, Row]:
    """A request that a claim answers, with a callback that burns all that it may ask for."""
    endless = world.chain.transact(world.asker, None, ENDLESS)["contractAddress"]
    row, request_id, asked = world.ask(str(endless))
    _, posted, _, inclusion = world.post(request_id)
    fields = claim_fields(posted.claim), inclusion_fields(inclusion)
    table = {"requestCallback": row, "note": world.send("note", asked, *fields)[0]}
    world.chain.advance(world.parameters.window + 1)
    table[f"answer, its callback burning {CALLBACK_GAS:,}"] = world.send("answer", asked, b"", *fields, posted.outputs)[
        0
    ]
    return table


def struck(world: Asking) -> dict[str, Row]:
    """A request whose only claim is a lie that was noted, and struck off when it was convicted."""
    _, request_id, asked = world.ask()
    values = with_lie(world.program, values_of(world.program, INPUTS), 4)
    client, posted, claim_id, inclusion = world.post(request_id, values)
    trace = Published(world.program, values)
    assert posted.claim.trace_root == trace.root
    world.send("note", asked, claim_fields(posted.claim), inclusion_fields(inclusion))
    bond = world.parameters.challenge_bond
    game = client.challenge(posted.claim, inclusion, value=bond).one(Challenged)
    world.chain.advance(world.parameters.clock + 1)
    client.timeout([client.game(game).ref])
    table = {"strike": world.send("strike", request_id, claim_id)[0]}
    world.chain.advance(86_400 + 2 * world.parameters.window + 1)
    table["refund, its callback failing at once"] = world.send("refund", asked, b"")[0]
    return table


def measure() -> dict[str, Row]:
    """Gas by transaction."""
    return {**answered(Asking()), **struck(Asking())}


def main() -> None:
    table = measure()
    SNAPSHOT.write_text(json.dumps(table, indent=1) + "\n")
    width = max(map(len, table))
    for name, both in table.items():
        print(f"{name:<{width}}  {both['gas']:>9,} gas, {both['gas_7976']:>9,} under EIP-7976")


if __name__ == "__main__":
    main()
