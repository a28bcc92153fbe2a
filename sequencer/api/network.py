"""Which chain, which contracts, which terms."""

from __future__ import annotations

from fastapi import APIRouter

from rollup.documents.network import ChallengeClock, NetworkView
from sequencer.api import parts as shared
from sequencer.api.parts import Parts


def network_routes(parts: Parts) -> APIRouter:
    routes = shared.router("network")

    @routes.get("/network", operation_id="getNetwork", summary="The deployment that claims here are for")
    def get_network() -> NetworkView:
        return NetworkView(**parts.deployment.as_json(), game=parts.client.game_address)

    @routes.get(
        "/clock",
        operation_id="getClock",
        summary="The clock of challenge periods",
        description="A batch is final once `reading` is past its `closes_at`, and no game about the claim is open.",
    )
    def get_clock() -> ChallengeClock:
        head, clock = parts.store.l1.head(), parts.store.l1.clock()
        now = parts.client.chain.now() if head is None else head.time
        return ChallengeClock(
            now=now,
            reading=clock.reading(now),
            resumes_at=clock.resumes_at,
            stopped=clock.stopped,
            open_disputes=parts.store.disputes.open_count(),
        )

    return routes
