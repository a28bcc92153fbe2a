"""What posting and releasing claims of the digits model costs: whole transactions on the embedded chain, calldata included.

``python -m tests.contracts.posting_gas`` rewrites the snapshot posting_gas.json.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from prover.claims import make_claim
from rollup.claim import PostedClaim
from rollup.group import Group
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted
from rollup.l1.node.embedded import EmbeddedChain
from rollup.types import Timestamp
from tests.world import TERMS
from touchstone.demo.demo import lowered
from touchstone.demo.digits import digits

SNAPSHOT = Path(__file__).with_name("posting_gas.json")

GROUPS = (64, 256, 512)
"""Claims of a group; the last is most of what a sequencer posts in one transaction."""

Table = dict[str, dict[str, int]]


def _row(receipt: Receipt, claims: int = 1) -> dict[str, int]:
    """Both prices, rounded up to whole gas for each claim."""
    return {"gas": -(-receipt.gas // claims), "gas_7976": -(-receipt.gas_7976 // claims)}


def measure() -> Table:
    """By transaction "gas" under Prague's rules, and "gas_7976" where a byte of calldata costs 64 at least."""
    data = digits()
    model = lowered(data)
    chain = EmbeddedChain()
    client = L1Client.deploy(chain, chain.signer("deployer"), TERMS)
    claimant, sequencer = (client.using(chain.signer(name)) for name in ("claimant", "sequencer"))
    claimant.deposit(2 * sum(GROUPS) * TERMS.claim_bond)
    sequencer.register(model.program)
    until, nonce = Timestamp(chain.now() + 100_000), 1 << 200

    def claims(count: int) -> list[PostedClaim]:
        """About the first held-out digit; with nonces of which the first is the first of a storage word."""
        nonlocal nonce
        nonce = (nonce + 255) >> 8 << 8
        signer = chain.signer("claimant")
        one = make_claim(model, [data.images[0]], signer, client.domain, until, nonce).posted
        made = [replace(one.claim, nonce=nonce + j) for j in range(count)]
        nonce += count
        return [claimant.sign(claim, one.inputs, one.outputs) for claim in made]

    sequencer.post_batch(claims(1))
    alone = sequencer.post_batch(claims(1))
    table = {"a claim alone": _row(alone)}
    places = {}
    for count in GROUPS:
        receipt = sequencer.post_groups([claimant.sign_group(claims(count))])
        places[count] = (receipt.one(BatchPosted).batch, 0)
        table[f"each claim of a group of {count}"] = _row(receipt, count)
        further = {name: -(-(_row(receipt)[name] - _row(alone)[name]) // (count - 1)) for name in _row(alone)}
        table[f"each further claim of a group of {count}"] = further
        table[f"a group of {count}"] = _row(receipt)
    own = claimant.post_groups([Group(tuple(claims(64)), b"")])
    table["each claim of a group of 64 that its claimant posts itself"] = _row(own, 64)
    chain.advance(TERMS.window + 1)
    for count, place in places.items():
        table[f"release, each claim of a group of {count}"] = _row(sequencer.release_groups([place]), count)
    return table


def main() -> None:
    table = measure()
    SNAPSHOT.write_text(json.dumps(table, indent=1) + "\n")
    for name, row in table.items():
        print(f"{name:62} {row['gas']:>9,} {row['gas_7976']:>9,}")


if __name__ == "__main__":
    main()
