"""Batches as they stand on L1, whoever posted them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from rollup.documents.claims import BatchDocument, BatchPage, BatchSummary
from rollup.service.problem import Problem
from rollup.types import Root
from sequencer.api import parts as shared
from sequencer.api.claims import Cursor, Limit
from sequencer.api.parts import Parts
from sequencer.states import BatchHead


def batches_routes(parts: Parts) -> APIRouter:
    routes = shared.router("batches")

    @routes.get("/batches", operation_id="listBatches", summary="Batches, newest first")
    def list_batches(cursor: Cursor = None, limit: Limit = 50) -> BatchPage:
        page = parts.store.batches.page(cursor, limit)
        return BatchPage(batches=[_summary(batch) for batch in page.entries], next=page.next)

    @routes.get(
        "/batches/{number}",
        operation_id="getBatch",
        summary="One batch with its claim ids",
        description="From its ids anyone computes its root, which L1 computed from the posted bytes.",
    )
    def get_batch(number: Annotated[int, Path(ge=0, lt=1 << 62)]) -> BatchDocument:
        batch = parts.store.batches.get(number)
        if batch is None:
            raise Problem(
                404, "unknown-batch", "No such batch", f"batch {number} does not stand on L1; GET /v1/batches lists all"
            )
        return BatchDocument(**dict(_summary(batch)), claims=list(batch.claims))

    return routes


def _summary(batch: BatchHead) -> BatchSummary:
    return BatchSummary(
        number=batch.number,
        root=batch.root,
        posted_at=batch.posted_at,
        closes_at=batch.closes_at,
        transaction=Root(batch.transaction),
        count=batch.size,
    )
