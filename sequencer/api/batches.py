"""Batches as they stand on L1, whoever posted them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from rollup.service.problem import Problem
from rollup.wire import hex_of
from sequencer.api import parts as shared
from sequencer.api.claims import Cursor, Limit
from sequencer.api.documents import Batches, BatchSummary, BatchView
from sequencer.api.parts import Parts
from sequencer.states import BatchHead


def batches_routes(parts: Parts) -> APIRouter:
    routes = shared.router("batches")

    @routes.get("/batches", operation_id="listBatches", summary="Batches, newest first")
    def list_batches(cursor: Cursor = None, limit: Limit = 50) -> Batches:
        page = parts.store.batches.page(cursor, limit)
        return Batches(batches=[_summary(batch) for batch in page.entries], next=page.next)

    @routes.get(
        "/batches/{number}",
        operation_id="getBatch",
        summary="One batch with its claim ids",
        description="From its ids anyone computes its root, which L1 computed from the posted bytes.",
    )
    def get_batch(number: Annotated[int, Path(ge=0, lt=1 << 62)]) -> BatchView:
        batch = parts.store.batches.get(number)
        if batch is None:
            raise Problem(
                404, "unknown-batch", "No such batch", f"batch {number} does not stand on L1; GET /v1/batches lists all"
            )
        ids = [None if claim is None else hex_of(claim) for claim in batch.claims]
        return BatchView(**_summary(batch).model_dump(), claims=ids)

    return routes


def _summary(batch: BatchHead) -> BatchSummary:
    return BatchSummary(
        number=batch.number,
        root=hex_of(batch.root),
        posted_at=batch.posted_at,
        closes_at=batch.closes_at,
        transaction=hex_of(batch.transaction),
        count=batch.size,
    )
