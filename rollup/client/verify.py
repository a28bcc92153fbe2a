"""Check a service's words about a claim against L1: whatever the service says, only what L1 and the hashes bear out counts.

Trusted are L1 (through the endpoint that the caller chose), SHA-256 and Keccak; nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import numpy as np

from rollup.batch import fold_inclusion
from rollup.claim import Claim, ClaimId, PostedClaim, input_root, output_root
from rollup.client.views import ClaimView, Inference, short
from rollup.errors import BadAnswer, ChainError, ClaimError, CommitmentError
from rollup.form.encoding import Header
from rollup.l1.account.signing import Domain, recover
from rollup.l1.account.signing import claim_id as signed_as
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.numbers import input_bytes, outputs_of, quantised, rounded, saturated
from rollup.types import ModelId

if TYPE_CHECKING:
    from rollup.l1.deployment import Deployment

L1: TypeAlias = "L1Client | tuple[str, Deployment | str | Path]"
"""A client of L1; or the URL of an endpoint and a deployment, or the file that it was saved to."""


class Elsewhere(BadAnswer):
    """The proof leads to another batch root than L1's: a lie, or the news of a reorganisation did not get there yet."""


@dataclass(frozen=True, eq=False)
class Verified:
    """What L1 bears out. ``status``: L1's word at ``block``. ``outputs``: the real numbers in the claim's output bytes, as
    float64 (int64 where the model's outputs are integers); None if the outputs were uploaded apart from the claim.
    ``inputs_checked``: whether the claim is known to be about the caller's own inputs.
    """

    claim_id: ClaimId
    claim: Claim
    status: ClaimStatus
    block: int
    outputs: tuple[np.ndarray, ...] | None
    inputs_checked: bool

    def __repr__(self) -> str:
        checked = "of the inputs that were sent" if self.inputs_checked else "of inputs that nobody compared"
        return f"Verified({short(self.claim_id)}, {self.status.name.lower()} at block {self.block}, {checked})"

    @property
    def final(self) -> bool:
        return self.status is ClaimStatus.FINAL


def named(l1: L1) -> L1:
    """The same with its deployment read; raises for a file that holds none."""
    from rollup.l1.deployment import Deployment

    if isinstance(l1, L1Client) or not isinstance(l1[1], str | Path):
        return l1
    return l1[0], Deployment.load(l1[1])


def l1_client(l1: L1) -> L1Client:
    """The client behind either form; raises ChainError, naming the endpoint's host, if it does not answer or is another chain."""
    found = named(l1)
    if isinstance(found, L1Client):
        return found
    from rollup.l1.node.chain import Chain

    url, deployment = found
    assert not isinstance(deployment, str | Path)
    try:
        return deployment.client(Chain.connect(url))
    except ChainError as error:
        raise ChainError(f"L1 at {urlsplit(url).hostname or 'an endpoint without a host'}: {error}") from None


def check(claim_id: ClaimId, view: ClaimView, asked: Inference | None, l1: L1Client) -> Verified:
    """Raises BadAnswer, in words, unless the claim is the one asked for, about the caller's inputs, with the outputs that
    the caller was given, and stands in a batch on L1. ``asked``: the answer that is remembered, if it is.
    """
    claim = own_claim(claim_id, view, l1.domain)
    header = l1.header(claim.model_id)
    outputs = _bytes_hold(view, header)
    if asked is not None:
        model_is(asked, claim.model_id)
        _inputs_are(asked, claim, header)
        _outputs_are(asked, outputs, header)
    block = l1.chain.height()
    return Verified(claim_id, claim, _standing(view, l1), block, outputs, asked is not None)


def promised(asked: Inference, view: ClaimView, domain: Domain) -> PostedClaim:
    """The signed claim behind an answer, with which L1 makes its claimant keep it. Raises BadAnswer unless the claimant signed it in
    this domain, about the inputs that were sent, with the outputs that were given.
    """
    claim, header = own_claim(asked.claim_id, view, domain), asked.model.header
    if view.posted is None or not view.posted.signature:
        raise BadAnswer(
            f"the service has no signature of claim 0x{asked.claim_id.hex()}; without one nothing is promised"
        )
    outputs = _bytes_hold(view, header)
    model_is(asked, claim.model_id)
    _inputs_are(asked, claim, header)
    _outputs_are(asked, outputs, header)
    return view.posted


def own_claim(claim_id: ClaimId, view: ClaimView, domain: Domain) -> Claim:
    """The claim of the answer, if its digest in this domain is the id that was asked for."""
    computed = signed_as(view.claim, domain)
    if view.claim_id != claim_id or computed != claim_id:
        raise BadAnswer(
            f"claim 0x{claim_id.hex()} was asked for, the answer's fields hash to 0x{computed.hex()}; "
            "the service answered with another claim, or for another deployment"
        )
    # L1 looked at the signature when the claim was posted, so that of one posted by others none is missed.
    if view.posted is not None and view.posted.signature:
        try:
            signer = recover(claim_id, view.posted.signature)
        except ClaimError as error:
            raise BadAnswer(f"the signature of claim 0x{claim_id.hex()} does not hold: {error}") from None
        if signer != view.claim.claimant:
            raise BadAnswer(f"claim 0x{claim_id.hex()} names {view.claim.claimant}, but {signer} signed it")
    return view.claim


def model_is(asked: Inference, model_id: ModelId) -> None:
    if asked.model.id != model_id:
        raise BadAnswer(
            f"model 0x{asked.model.id.hex()} was asked, the claim is about model 0x{model_id.hex()}; "
            "the service ran another model"
        )


def _bytes_hold(view: ClaimView, header: Header) -> tuple[np.ndarray, ...] | None:
    """The outputs, if the bytes hash to the claim's roots; bytes that were uploaded apart are left out."""
    posted, claim = view.posted, view.claim
    if posted is None:
        raise BadAnswer(f"the answer about claim 0x{view.claim_id.hex()} leaves out its bytes and signature")
    try:
        if posted.inputs and input_root(header, posted.inputs) != claim.input_root:
            raise BadAnswer(f"the inputs given for claim 0x{view.claim_id.hex()} do not hash to its input root")
        if not posted.outputs:
            return None
        if output_root(header, posted.outputs) != claim.output_root:
            raise BadAnswer(f"the outputs given for claim 0x{view.claim_id.hex()} do not hash to its output root")
        return outputs_of(header, posted.outputs)
    except ClaimError as error:
        raise BadAnswer(f"the bytes given for claim 0x{view.claim_id.hex()} do not fit its model: {error}") from None


def _inputs_are(asked: Inference, claim: Claim, header: Header) -> None:
    """The caller's arrays, quantised by L1's header, must be behind the input root: not what the service says they are."""
    if input_root(header, input_bytes(header, asked.inputs)) != claim.input_root:
        raise BadAnswer(
            f"claim 0x{asked.claim_id.hex()} is not about the inputs that were sent; the service ran the model on others"
        )


def _outputs_are(asked: Inference, outputs: Sequence[np.ndarray] | None, header: Header) -> None:
    if outputs is None:
        raise BadAnswer(
            f"the outputs of claim 0x{asked.claim_id.hex()} were uploaded apart from it, so the answer can't be compared"
        )
    if len(outputs) != len(asked.outputs):
        raise BadAnswer(f"{len(asked.outputs)} outputs were given, claim 0x{asked.claim_id.hex()} has {len(outputs)}")
    for number, (given, claimed) in enumerate(zip(asked.outputs, outputs, strict=True)):
        _, tensor = header.outputs[number]
        whole = given.dtype.kind != "f"
        right = claimed if whole else rounded(claimed, asked.model.outputs[number].dtype)
        if (whole and tensor.scale) or not np.array_equal(given, right):
            raise BadAnswer(
                f"output {number} as it was given is not the one in claim 0x{asked.claim_id.hex()}; "
                "the service showed other numbers than it claimed"
            )
    integers = [quantised(claimed, tensor) for claimed, (_, tensor) in zip(outputs, header.outputs, strict=True)]
    if saturated(header, asked.model.interface, integers) != asked.saturated:
        raise BadAnswer(
            f"of the outputs as they were given {asked.saturated:,} elements lie at an end of their format, of those in claim "
            f"0x{asked.claim_id.hex()} others do; the service rounded what it showed"
        )


def _standing(view: ClaimView, l1: L1Client) -> ClaimStatus:
    """L1's status of the claim, once the proof leads to a batch root that L1 has; UNKNOWN before L1 has the batch."""
    if view.inclusion is None:
        return ClaimStatus.UNKNOWN
    try:
        folded = fold_inclusion(view.claim_id, view.inclusion.index, view.inclusion.siblings)
    except CommitmentError as error:
        raise BadAnswer(f"the proof of claim 0x{view.claim_id.hex()} does not hold: {error}") from None
    root, posted_at, *_ = l1.batch(view.inclusion.batch)
    if not posted_at:
        return ClaimStatus.UNKNOWN
    if folded != root:
        raise Elsewhere(
            f"the proof of claim 0x{view.claim_id.hex()} leads to 0x{folded.hex()[:16]}..., "
            f"batch {view.inclusion.batch} on L1 has the root 0x{root.hex()[:16]}...; ask again, L1 may have reorganised"
        )
    return l1.status(view.claim, view.inclusion)
