"""Where the claims of a receipt stand, by L1's word alone: found by the claimant's nonces in what was posted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollup.batch import Batch, Inclusion
from rollup.claim import Claim, ClaimId, input_root, output_root
from rollup.errors import BadAnswer, ClaimError
from rollup.form.encoding import Header
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted, ClaimPosted
from rollup.numbers import outputs_of
from rollup.receipt import AnswerReceipt, ReceiptAnswer


@dataclass(frozen=True)
class StandingClaim:
    """A claim that a receipt promised, on L1. ``inputs``: its posted input bytes, empty if they were uploaded apart; ``outputs``: its
    posted output bytes.
    """

    claim_id: ClaimId
    claim: Claim
    inclusion: Inclusion
    status: ClaimStatus
    inputs: bytes
    outputs: bytes


def standing_claims(receipt: AnswerReceipt, header: Header, l1: L1Client) -> list[StandingClaim | None]:
    """The claim of each answer; None where it is not on L1 yet.

    Raises BadAnswer if the prover used the claim's nonce for another claim, or claimed what its program does not accept.
    """
    found = _look(receipt, l1, max(receipt.block, l1.first))
    gone = [one for one in receipt.answers if one.claim_nonce not in found and _used(receipt, one, l1)]
    if gone and receipt.block > l1.first:
        found = _look(receipt, l1, l1.first)
        gone = [one for one in gone if one.claim_nonce not in found]
    if gone:
        raise BadAnswer(
            f"answer {gone[0].index}: {receipt.prover} cancelled or used up the nonce of the claim that it promised; "
            "the promise is broken, and the receipt proves it"
        )
    return [_standing(one, found.get(one.claim_nonce), receipt, header, l1) for one in receipt.answers]


def _used(receipt: AnswerReceipt, one: ReceiptAnswer, l1: L1Client) -> bool:
    return l1.is_nonce_used(receipt.prover, one.claim_nonce)


def _look(receipt: AnswerReceipt, l1: L1Client, first: int) -> dict[int, tuple[ClaimPosted, Inclusion]]:
    """The prover's claims under the receipt's nonces, in blocks from ``first`` on."""
    wanted = {one.claim_nonce for one in receipt.answers}
    found: dict[int, tuple[ClaimPosted, Inclusion]] = {}
    height = l1.chain.height()
    while first <= height and len(found) < len(wanted):
        logs, end = l1.events_page(first, height)
        claims: dict[int, dict[int, ClaimPosted]] = {}
        counts: dict[int, int] = {}
        for logged in logs:
            event = logged.event
            if isinstance(event, ClaimPosted):
                claims.setdefault(event.batch, {})[event.index] = event
            elif isinstance(event, BatchPosted):
                counts[event.batch] = event.count
        for number, members in claims.items():
            mine = [one for one in members.values() if one.claim.claimant == receipt.prover]
            for one in mine:
                if one.claim.nonce in wanted:
                    found[one.claim.nonce] = one, _inclusion(one, members, counts[number])
        first = end + 1
    return found


def _inclusion(one: ClaimPosted, members: dict[int, ClaimPosted], count: int) -> Inclusion:
    ids: Sequence[ClaimId | None] = [members[index].claim_id if index in members else None for index in range(count)]
    return Inclusion(one.batch, one.index, Batch(tuple(ids)).siblings(one.index))


def _standing(
    one: ReceiptAnswer,
    found: tuple[ClaimPosted, Inclusion] | None,
    receipt: AnswerReceipt,
    header: Header,
    l1: L1Client,
) -> StandingClaim | None:
    if found is None:
        return None
    posted, inclusion = found
    claim, name = posted.claim, f"answer {one.index}: claim 0x{posted.claim_id.hex()}"
    if (claim.model_id, claim.input_root) != (receipt.model_id, one.input_root):
        raise BadAnswer(
            f"{name} has the promised nonce, and is about another model or input; the prover broke its promise"
        )
    try:
        if posted.inputs and input_root(header, posted.inputs) != claim.input_root:
            raise BadAnswer(f"{name} was posted with other bytes than its input root says")
        if posted.outputs and output_root(header, posted.outputs) != claim.output_root:
            raise BadAnswer(f"{name} was posted with other bytes than its output root says")
        if not posted.outputs or not _accepts(header, posted.outputs):
            raise BadAnswer(f"{name} does not say that the program accepts the answer; the prover broke its promise")
    except ClaimError as error:
        raise BadAnswer(f"{name} can't be read: {error}") from None
    return StandingClaim(posted.claim_id, claim, inclusion, l1.status(claim, inclusion), posted.inputs, posted.outputs)


def _accepts(header: Header, outputs: bytes) -> bool:
    """Whether a language model's program accepts an answer, or embeds a text: its one output that is a single number says so."""
    single = [array for array in outputs_of(header, outputs) if array.shape == ()]
    return len(single) == 1 and int(single[0]) == 1
