"""The public app."""

from __future__ import annotations

from fastapi import FastAPI

from rollup.service.limits import MIB, WebLimits
from rollup.service.web import create_app
from sequencer.api.asked import asked_routes
from sequencer.api.batches import batches_routes
from sequencer.api.claims import claims_routes
from sequencer.api.disputes import disputes_routes
from sequencer.api.events import events_routes
from sequencer.api.explorer.accounts import accounts_routes
from sequencer.api.explorer.anatomy import anatomy_routes
from sequencer.api.explorer.overview import overview_routes
from sequencer.api.explorer.search import search_routes
from sequencer.api.idempotency import Idempotency
from sequencer.api.infer import infer_routes
from sequencer.api.models import models_routes
from sequencer.api.network import network_routes
from sequencer.api.page import add_page
from sequencer.api.parts import Parts

LIMITS = WebLimits(body_bytes=2 * MIB)

TITLE = "Touchstone sequencer"

DESCRIPTION = """\
Claims about what a model said, on their way to being final. Nothing here has to be believed: a claim's `inclusion` is the
proof that the contract itself accepts, and programs are named by what they hash to.

Byte strings are `0x` hex, wei and nonces decimal strings, times seconds since the epoch. Errors are problem details
(RFC 9457) whose `detail` says what is wrong and what to do.
"""

TAGS = [
    {"name": "inference", "description": "Have a model run, and its output claimed."},
    {"name": "claims", "description": "Signed claims: handed in, listed, followed, proven."},
    {"name": "batches", "description": "What was posted to L1."},
    {"name": "disputes", "description": "Who contests what, and what came of it."},
    {"name": "requests", "description": "What contracts ask for, and what became of it."},
    {"name": "models", "description": "What claims can be about."},
    {"name": "events", "description": "Changes as they come (server-sent events)."},
    {
        "name": "network",
        "description": "The chain, the contracts, the terms; figures, accounts, and what a word stands for.",
    },
]


def create_api(parts: Parts, limits: WebLimits = LIMITS) -> FastAPI:
    """The app; ``rollup.service.server.serve`` puts it on a port."""
    app = create_app(TITLE, DESCRIPTION, parts.health, limits, tags=TAGS)
    abandoned = 120.0 if parts.prover is None else parts.prover.seconds + 60.0
    idempotency = Idempotency(parts.store.answers, parts.now, abandoned)
    for routes in (
        infer_routes(parts, idempotency),
        claims_routes(parts, idempotency),
        batches_routes(parts),
        disputes_routes(parts),
        asked_routes(parts),
        models_routes(parts),
        events_routes(parts),
        network_routes(parts),
        overview_routes(parts),
        search_routes(parts),
        accounts_routes(parts),
        anatomy_routes(parts),
    ):
        app.include_router(routes)
    add_page(app, parts.page)
    return app
