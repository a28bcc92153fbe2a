"""Claims: handed in, listed, and one with all that is known of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from rollup import wire
from rollup.claim import arrays, output_types
from rollup.documents.claims import (
    AcceptedClaim,
    ClaimDocument,
    ClaimFields,
    ClaimPage,
    ClaimSummary,
    InclusionProof,
    OnL1,
    SignedClaim,
)
from rollup.documents.fields import StateName
from rollup.errors import ClaimError
from rollup.form.encoding import decode_header
from rollup.form.interface import decode_interface
from rollup.numbers import saturated
from rollup.service.problem import documented
from rollup.types import Root
from sequencer.api import parts as shared
from sequencer.api.idempotency import Halfway, Idempotency, IdempotencyKey
from sequencer.api.parts import Parts
from sequencer.states import Accepted, BatchHead, Entry, OfferedModel, State, inclusion_of

Cursor = Annotated[str | None, Query(max_length=shared.CURSOR, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=shared.PAGE, description="Entries of a page.")]


def claims_routes(parts: Parts, idempotency: Idempotency) -> APIRouter:
    routes = shared.router("claims")

    @routes.post(
        "/claims",
        status_code=201,
        response_model=AcceptedClaim,
        operation_id="postClaim",
        summary="Hand a signed claim in",
        description=(
            "201: it is on disk and will be posted. 200: it was known before. 422: L1 would not take it, and why. "
            "The claim id is the EIP-712 digest that was signed."
        ),
        responses={200: {"model": AcceptedClaim, "description": "The claim was known before."}, **documented(409)},
    )
    async def post_claim(claim: SignedClaim, request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        async def work(_: bytes | None, __: Halfway) -> tuple[int, bytes]:
            accepted = await run_in_threadpool(parts.intake.submit, claim.value)
            return 201 if accepted.fresh else 200, accepted_json(accepted)

        return await idempotency.answer(request, idempotency_key, await request.body(), work)

    @routes.get(
        "/claims",
        operation_id="listClaims",
        summary="Claims, newest first, without their bytes",
    )
    def list_claims(
        state: Annotated[StateName | None, Query(description="Only claims in this state.")] = None,
        model: Annotated[str | None, Query(description="Only claims about this model (id or name).")] = None,
        claimant: Annotated[str | None, Query(description="Only claims of this account.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> ClaimPage:
        page = parts.store.claims.page(
            None if state is None else State(state),
            None if model is None else parts.model_id(model),
            None if claimant is None else wire.address_of(claimant, "claimant"),
            cursor,
            limit,
        )
        batches = parts.store.batches.heads({entry.batch for entry in page.entries if entry.batch is not None})
        return ClaimPage(
            claims=[
                ClaimSummary(**_summary(entry, None if entry.batch is None else batches.get(entry.batch)))
                for entry in page.entries
            ],
            next=page.next,
        )

    @routes.get(
        "/claims/{claim_id}",
        operation_id="getClaim",
        summary="All of a claim, with its state and its proof",
        description="`inclusion` is the Merkle proof that the contract accepts, once the claim stands on L1.",
    )
    def get_claim(claim_id: shared.ClaimIdPath) -> ClaimDocument:
        entry = parts.claim(claim_id)
        batch = None if entry.batch is None else parts.store.batches.get(entry.batch)
        inclusion = inclusion_of(entry, batch)
        return ClaimDocument(
            **_summary(entry, batch),
            signature=entry.posted.signature or None,
            inputs=entry.posted.inputs,
            outputs=entry.posted.outputs,
            inclusion=None if inclusion is None else InclusionProof.of(inclusion),
            disputed=parts.store.disputes.get(entry.claim_id) is not None,
            open_disputes=parts.store.disputes.open_count(),
            saturated=saturated_of(parts.store.models.get(entry.posted.claim.model_id), entry.posted.outputs),
        )

    return routes


def accepted_json(accepted: Accepted) -> bytes:
    """An answer as it is sent and kept."""
    answer = AcceptedClaim(claim_id=accepted.claim_id, state=accepted.state.value)
    return answer.model_dump_json().encode()


def saturated_of(model: OfferedModel | None, outputs: bytes) -> int | None:
    """Elements of a claim's outputs at an end of their format; None if nobody knows the model here, or the outputs are not its."""
    if model is None:
        return None
    header = decode_header(model.header)
    try:
        found = arrays(outputs, output_types(header), "output")
    except ClaimError:
        return None
    return saturated(header, decode_interface(model.interface, header), found)


def _summary(entry: Entry, batch: BatchHead | None) -> dict[str, Any]:
    stands = batch is not None and entry.state is not State.INVALID
    return {
        "claim_id": entry.claim_id,
        "state": entry.state.value,
        "reason": entry.reason,
        "claim": ClaimFields.of(entry.posted.claim),
        "taken_at": entry.taken_at,
        "batch": None
        if batch is None
        else OnL1(
            number=batch.number,
            root=batch.root,
            posted_at=batch.posted_at,
            closes_at=batch.closes_at,
            transaction=Root(batch.transaction),
        ),
        "final_after": batch.final_after if batch is not None and stands else None,
    }
