"""Claims that no chain has to know."""

from __future__ import annotations

from hashlib import sha256

from rollup.claim import Address, Claim, ClaimId, PostedClaim
from rollup.types import ModelId, Root, Timestamp
from sequencer.states import NewClaim

ALICE = Address("0x" + "aA" * 20)
BOB = Address("0x" + "bB" * 20)
MODEL = ModelId(Root(b"m" * 32))


def new_claim(
    number: int, claimant: Address = ALICE, nonce: int | None = None, model: ModelId = MODEL, inputs: bytes = b"in"
) -> NewClaim:
    """A claim whose id follows from its number; its fields reach the ends of their ranges."""
    claim = Claim(
        model,
        claimant,
        number if nonce is None else nonce,
        2**64 - 1 - number,
        bytes(32),
        Root(b"i" * 32),
        Root(b"o" * 32),
        Root(b"t" * 32),
    )
    posted = PostedClaim(claim, b"s" * 65, inputs, b"out%d" % number)
    return NewClaim(claim_id(number), posted, Timestamp(1000 + number), 300_000)


def claim_id(number: int) -> ClaimId:
    return ClaimId(sha256(b"%d" % number).digest())
