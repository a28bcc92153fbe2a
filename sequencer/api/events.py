"""Server-sent events: every change of a claim's state."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from threading import Event
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from rollup.claim import ClaimId
from rollup.documents.claims import ClaimChange
from rollup.errors import ClaimError
from rollup.service.limits import caller_of
from rollup.service.problem import documented
from sequencer.api import parts as shared
from sequencer.api.feed import Feed
from sequencer.api.parts import Parts
from sequencer.states import Change, Gap

MEDIA_TYPE = "text/event-stream"
RETRY_MILLISECONDS = 2000

LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="Go on behind this event.", examples=["42"])
]

EXAMPLE = f'id: 43\nevent: claim\ndata: {{"claim_id": "0x{"5a" * 32}", "state": "posted", "at": 1767225600}}\n\n'

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A stream of events; a comment now and then keeps it open.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": EXAMPLE}},
    },
    **documented(503),
}


def written(change: Change | Gap) -> str:
    """One event."""
    if isinstance(change, Gap):
        return f"id: {change.to}\nevent: gap\ndata: {json.dumps({'after': change.after, 'to': change.to})}\n\n"
    data = ClaimChange(claim_id=change.claim_id, state=change.state.value, at=change.at)
    return f"id: {change.id}\nevent: claim\ndata: {json.dumps(data.model_dump())}\n\n"


def events_routes(parts: Parts) -> APIRouter:
    routes = shared.router("events")

    @routes.get(
        "/events",
        operation_id="watchClaims",
        summary="Changes of all claims, as they come",
        description=(
            "From now on, or behind `Last-Event-ID`. Ids increase. The newest million changes are kept; whoever asks for older "
            "ones gets `event: gap` with `after` and `to` first: list the claims again, what changed in between is not told."
        ),
        response_class=StreamingResponse,
        responses=STREAM,
    )
    async def events(request: Request, last_event_id: LastEventId = None) -> StreamingResponse:
        return _stream(parts.feed, None, _last(last_event_id), request)

    @routes.get(
        "/claims/{claim_id}/events",
        operation_id="watchClaim",
        summary="Changes of one claim, from its first one on",
        description="Behind `Last-Event-ID` if it is given. Of a claim that came to rest long ago, its latest change alone is kept.",
        response_class=StreamingResponse,
        responses=STREAM,
    )
    async def claim_events(
        claim_id: shared.ClaimIdPath, request: Request, last_event_id: LastEventId = None
    ) -> StreamingResponse:
        entry = await _known(parts, claim_id)
        return _stream(parts.feed, entry, _last(last_event_id) or 0, request)

    return routes


async def _known(parts: Parts, text: str) -> ClaimId:
    claim = shared.claim_id(text)
    if await run_in_threadpool(parts.store.claims.state, claim) is None:
        raise shared.no_claim(text)
    return claim


def _last(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ClaimError(f"Last-Event-ID is {text[:40]!r}; give the id of an event of this stream, or leave it out")
    return int(text)


def _stream(feed: Feed, claim: ClaimId | None, last: int | None, request: Request) -> StreamingResponse:
    caller = caller_of(request.scope)
    feed.check(caller)
    stopping: Event = request.app.state.stopping

    async def body() -> AsyncIterator[str]:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        async for change in feed.changes(claim, last, stopping, request.is_disconnected, caller):
            yield ": still here\n\n" if change is None else written(change)

    return StreamingResponse(
        body(), media_type=MEDIA_TYPE, headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )
