"""Requests of contracts, and what became of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from rollup import wire
from rollup.documents.asked import AnsweringClaim, RequestDocument, RequestPage, RequestState, RequestSummary
from rollup.errors import ClaimError
from rollup.l1.requests.asked import ANYBODY
from rollup.service.problem import Problem
from rollup.types import Root
from sequencer.api import parts as shared
from sequencer.api.claims import Cursor, Limit
from sequencer.api.parts import Parts
from sequencer.requests.states import Asked


def asked_routes(parts: Parts) -> APIRouter:
    routes = shared.router("requests")

    @routes.get("/requests", operation_id="listRequests", summary="Requests of contracts, newest first")
    def list_requests(
        state: Annotated[RequestState | None, Query(description="Only requests in this state.")] = None,
        model: Annotated[str | None, Query(description="Only requests for this model (id or name).")] = None,
        requester: Annotated[str | None, Query(description="Only requests of this account.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> RequestPage:
        page = parts.store.requests.page(
            state,
            None if model is None else parts.model_id(model),
            None if requester is None else wire.address_of(requester, "requester"),
            cursor,
            limit,
        )
        return RequestPage(requests=[RequestSummary(**_summary(one)) for one in page.entries], next=page.next)

    @routes.get(
        "/requests/{request_id}",
        operation_id="getRequest",
        summary="All of a request, with the claims that answer it",
        description="What L1 says of it, but for `reason`, which is this sequencer's.",
    )
    def get_request(
        request_id: Annotated[
            str, Path(description="The request's id.", json_schema_extra={"pattern": "^0x[0-9a-fA-F]{64}$"})
        ],
    ) -> RequestDocument:
        asked = _found(parts, request_id)
        request, standing = asked.request, asked.standing
        claims = parts.store.requests.answering([asked.request_id]).get(asked.request_id, [])
        telling = None if standing.telling is None else parts.store.claims.get(standing.telling)
        named = request.prover != ANYBODY
        return RequestDocument(
            **_summary(asked),
            input_root=request.input_root,
            gas_limit=request.gas_limit,
            prover=request.prover if named else None,
            prover_until=request.prover_until if named else None,
            author=None if request.author == ANYBODY else request.author,
            royalty=request.royalty,
            subscription_id=None if asked.subscription_id is None else Root(asked.subscription_id),
            callback_failures=standing.failures,
            noted=sorted(standing.noted),
            claims=[
                AnsweringClaim(claim_id=one.claim_id, claimant=one.claimant, state=one.state.value) for one in claims
            ],
            inputs=asked.inputs,
            data=asked.data,
            outputs=None if telling is None else telling.posted.outputs,
        )

    return routes


def _found(parts: Parts, text: str) -> Asked:
    try:
        found = parts.store.requests.get(wire.root_of(text, "request_id"))
    except ClaimError:
        found = None
    if found is None:
        shown = text[:80].encode("ascii", "replace").decode()
        raise Problem(
            404, "unknown-request", "No such request", f"no request {shown} is known here; GET /v1/requests lists all"
        )
    return found


def _summary(asked: Asked) -> dict[str, Any]:
    request, standing = asked.request, asked.standing
    return {
        "request_id": Root(asked.request_id),
        "number": str(request.number),
        "state": asked.state,
        "level": standing.level,
        "quorum": request.quorum,
        "reason": asked.reason if standing.is_open else None,
        "model_id": request.model_id,
        "requester": request.requester,
        "callback": request.callback,
        "fee": str(request.fee),
        "until": standing.until,
        "answer": standing.answer,
        "claimant": standing.claimant,
        "told": standing.told,
        "block": asked.block,
        "transaction": Root(asked.transaction),
    }
