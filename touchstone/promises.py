"""Promises: a signed claim is one to whoever holds it, and L1 makes its claimant keep it or pay."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from rollup.batch import Batch, Inclusion
from rollup.claim import PostedClaim
from rollup.documents.claims import SignedClaim
from rollup.errors import ClaimError, MoveError
from rollup.files import write_file
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted, ClaimPosted, Event, GroupRefused


def enforce(client: L1Client, promised: PostedClaim) -> Receipt | None:
    """Have a signed claim posted, at this account's cost; or, if another claim of its claimant took its nonce, burn a bond of the
    claimant's. None if it is posted already. Raises MoveError if L1 does not take it, Reverted if the promise was not broken.

    Of ``promised`` all is needed: the claim, its signature, and the bytes of its input and output.
    """
    claim, name = promised.claim, client.claim_id(promised.claim)
    if not client.is_nonce_used(claim.claimant, claim.nonce):
        receipt = client.post_batch([promised])
        if any(isinstance(event, ClaimPosted) for event in receipt.events):
            return receipt
        why = [event.reason for event in receipt.events if isinstance(event, GroupRefused)]
        raise MoveError(
            f"L1 did not take claim 0x{name.hex()} ({', '.join(why)}); deposit for {claim.claimant} if it has no bond"
        )
    other, inclusion = _in_its_place(client, promised)
    return None if other.claim_id == name else client.break_promise(promised, other.claim, inclusion)


MOST_BYTES = 1 << 22
"""Longest file of a promise that is read: the bytes of a claim in hex, and more than its fields need."""


def save(path: Path, promised: PostedClaim) -> None:
    """Write a signed claim into a file, as ``/v1/claims`` takes it; raises FileError."""
    write_file(path, json.dumps(SignedClaim.of(promised).model_dump(), indent=2) + "\n")


def load(path: Path) -> PostedClaim:
    """Inverse of ``save``; raises ClaimError for a file that holds no signed claim."""
    with path.open("rb") as file:
        raw = file.read(MOST_BYTES + 1)
    try:
        found = SignedClaim.model_validate_json(raw[:MOST_BYTES])
        return found.value
    except (ValidationError, ValueError) as error:
        problem = error.errors(include_input=False)[0] if isinstance(error, ValidationError) else None
        where = "" if problem is None else f" ({'.'.join(map(str, problem['loc'])) or problem['msg']})"
        raise ClaimError(
            f"{path} holds no signed claim{where}; name a file that touchstone infer --save wrote"
        ) from None


def _in_its_place(client: L1Client, promised: PostedClaim) -> tuple[ClaimPosted, Inclusion]:
    """The claim that was posted with the same nonce, and where it stands."""
    events = [logged.event for logged in client.events(client.first, client.chain.height())]
    same = (promised.claim.claimant, promised.claim.nonce)
    for event in events:
        if isinstance(event, ClaimPosted) and (event.claim.claimant, event.claim.nonce) == same:
            return event, Inclusion(event.batch, event.index, _batch(events, event.batch).siblings(event.index))
    raise MoveError(
        f"{promised.claim.claimant} cancelled nonce {promised.claim.nonce}, and nothing was posted with it; while that was announced "
        "the claim could have been posted"
    )


def _batch(events: list[Event], number: int) -> Batch:
    size = next(event.count for event in events if isinstance(event, BatchPosted) and event.batch == number)
    posted = {
        event.index: event.claim_id for event in events if isinstance(event, ClaimPosted) and event.batch == number
    }
    return Batch(tuple(posted.get(index) for index in range(size)))
