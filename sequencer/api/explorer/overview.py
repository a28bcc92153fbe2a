"""Figures of the last hour or day, and how the sequencer is."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from fastapi import APIRouter

from rollup.documents.explorer import BatcherView, BucketView, HeadView, OverviewView
from rollup.errors import ChainError
from rollup.types import Timestamp
from sequencer.api import parts as shared
from sequencer.api.parts import Parts
from sequencer.figures import Span, buckets
from sequencer.states import Switch

KEPT_SECONDS = 3.0
"""For how long figures are good at least."""

SHARE = 50
"""They are good for this many times what they took, too: however many claims there are, counting takes a fiftieth of the time."""


class Overviews:
    """The figures of each span, counted by one thread at a time; others get those before. ``kept``: seconds; ``clock``: the machine's."""

    def __init__(self, parts: Parts, kept: float = KEPT_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts, self._least, self._clock = parts, kept, clock
        self._found: dict[Span, OverviewView] = {}
        self._until: dict[Span, float] = {}
        self._locks = {span: Lock() for span in Span}

    def of(self, span: Span) -> OverviewView:
        """Raises StoreError."""
        known = self._found.get(span)
        if known is not None and self._clock() < self._until[span]:
            return known
        if not self._locks[span].acquire(blocking=known is None):
            assert known is not None
            return known
        try:
            begun = self._clock()
            if begun >= self._until.get(span, 0.0) or span not in self._found:
                self._found[span] = self._count(span)
                ended = self._clock()
                self._until[span] = ended + max(self._least, SHARE * (ended - begun))
            return self._found[span]
        finally:
            self._locks[span].release()

    def _count(self, span: Span) -> OverviewView:
        parts = self._parts
        head = parts.store.l1.head()
        now = Timestamp(int(parts.now())) if head is None else head.time
        tally = parts.store.figures.tally(span, now)
        terms = parts.client.parameters
        return OverviewView(
            span=span.value,
            width=span.width,
            buckets=[BucketView(**vars(one)) for one in buckets(span, now, tally)],
            claims={state.value: count for state, count in tally.states.items()},
            refuted=tally.refuted,
            bonds=str(tally.staked * terms.claim_bond + tally.games * terms.challenge_bond),
            burned=_burned(parts),
            watchers=tally.watchers,
            games=tally.games,
            head=None
            if head is None
            else HeadView(block=head.number, at=head.time, lag=max(0.0, parts.now() - head.time)),
            batcher=_batcher(parts),
        )


def _burned(parts: Parts) -> str | None:
    try:
        return str(parts.client.burned())
    except ChainError:
        return None


def _batcher(parts: Parts) -> BatcherView:
    store = parts.store
    problem = parts.health.problems().get("batcher")
    stopped = store.switches.get(Switch.BATCHER_STOPPED)
    newest = store.batches.page(limit=1).entries
    return BatcherView(
        state="stopped" if stopped else "working" if problem is None else "troubled",
        problem=problem,
        intake="paused" if store.switches.get(Switch.INTAKE_PAUSED) else "open",
        waiting=store.claims.waiting(),
        oldest=store.claims.oldest_waiting(),
        last=newest[0].posted_at if newest else None,
    )


def overview_routes(parts: Parts) -> APIRouter:
    routes = shared.router("network")
    overviews = Overviews(parts, parts.kept_seconds)

    @routes.get(
        "/overview",
        operation_id="getOverview",
        summary="Figures of the last hour or day",
        description="In buckets of a minute (hour) or half an hour (day), by L1's time.",
    )
    def get_overview(span: Span = Span.HOUR) -> OverviewView:
        return overviews.of(span)

    return routes
