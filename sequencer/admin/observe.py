"""What an operator looks at: status, configuration, the audit log."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request

from rollup.errors import ChainError
from rollup.redact import without_endpoints
from rollup.service import logs
from rollup.types import Root, Timestamp
from sequencer.admin.documents import (
    AuditEntry,
    AuditPage,
    ChainView,
    Configuration,
    Controls,
    LastBatch,
    Level,
    LoopView,
    SequencerStatus,
)
from sequencer.admin.guard import needs, note, router
from sequencer.admin.money import balances_of
from sequencer.admin.operator import Operator
from sequencer.admin.tokens import Role
from sequencer.requests.policy import DAY
from sequencer.states import Switch

Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200)]


def controls(operator: Operator) -> Controls:
    return Controls(
        batcher_stopped=operator.is_on(Switch.BATCHER_STOPPED),
        intake_paused=operator.is_on(Switch.INTAKE_PAUSED),
        pending=operator.store.claims.waiting(),
    )


def status(operator: Operator) -> SequencerStatus:
    """Everything at a glance; what L1 would say is left out while it does not answer."""
    store = operator.store
    batches = store.batches.page(limit=1).entries
    last = batches[0] if batches else None
    chain, balances = _chain(operator), None
    if chain.trouble is None:
        try:
            balances = balances_of(operator)
        except ChainError as error:
            chain = chain.model_copy(update={"trouble": without_endpoints(str(error))})
    moment = time.monotonic()
    return SequencerStatus(
        **controls(operator).model_dump(),
        claims={state.value: count for state, count in store.claims.counts().items()},
        oldest_pending=store.claims.oldest_waiting(),
        last_batch=LastBatch(
            number=last.number,
            posted_at=last.posted_at,
            transaction=Root(last.transaction),
            claims=last.size,
        )
        if last
        else None,
        open_disputes=store.disputes.open_count(),
        requests={progress.value: count for progress, count in store.requests.counts().items()},
        requests_spent=str(store.requests.spent(Timestamp(max(0, int(operator.now()) - DAY)))),
        clock_stopped=max(0, store.l1.clock().resumes_at - int(operator.now())),
        l1=chain,
        balances=balances,
        loops={
            loop.name: LoopView(
                running=loop.running,
                trouble=None if loop.trouble is None else without_endpoints(str(loop.trouble)),
                seconds_since_success=None if loop.last_success is None else round(moment - loop.last_success, 1),
            )
            for loop in operator.loops
        },
        problems=operator.health.problems(),
        log_level=logs.level(),
    )


def _chain(operator: Operator) -> ChainView:
    client, known = operator.client, operator.store.l1.head()
    chain_id = height = moment = lag = trouble = None
    try:
        chain_id, height, moment = client.chain.chain_id, client.chain.height(), client.chain.now()
        lag = max(0, int(operator.now()) - moment)
    except ChainError as error:
        trouble = without_endpoints(str(error))
    return ChainView(
        chain_id=chain_id,
        contract=client.address,
        head=height,
        head_time=moment,
        lag=lag,
        known=known.number if known else None,
        trouble=trouble,
    )


def observing(operator: Operator) -> APIRouter:
    """The routes."""
    routes = router("look")

    @routes.get("/status", summary="Everything at a glance", openapi_extra=needs(Role.READ))
    def get_status() -> SequencerStatus:
        return status(operator)

    @routes.get("/config", summary="What is in force, without secrets", openapi_extra=needs(Role.READ))
    def get_config() -> Configuration:
        return Configuration(settings=dict(operator.configuration()))

    @routes.get("/audit", summary="What operators did, newest first", openapi_extra=needs(Role.READ))
    def get_audit(cursor: Cursor = None, limit: Limit = 50) -> AuditPage:
        page = operator.store.audit.page(cursor, limit)
        entries = [
            AuditEntry(
                id=one.id,
                at=one.at,
                role=one.role,
                actor=one.actor,
                action=one.action,
                outcome=one.outcome,
                detail=dict(one.detail),
            )
            for one in page.entries
        ]
        return AuditPage(entries=entries, next=page.next)

    @routes.put("/log-level", summary="Change what is logged, until the restart", openapi_extra=needs(Role.OPERATE))
    def put_log_level(level: Level, request: Request) -> Level:
        note(request, before=logs.level(), level=level.level)
        logs.set_level(level.level)
        return Level(level=logs.level())

    return routes
