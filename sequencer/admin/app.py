"""The admin app: who holds a token of a role may look, turn, or own."""

from __future__ import annotations

from fastapi import FastAPI

from rollup.service.limits import WebLimits
from rollup.service.problem import documented
from rollup.service.web import create_app
from sequencer.admin.controls import controlling
from sequencer.admin.disputes import disputing
from sequencer.admin.guard import TokenGuard
from sequencer.admin.models import PATH, offering
from sequencer.admin.money import paying
from sequencer.admin.observe import observing
from sequencer.admin.operator import Operator
from sequencer.admin.tokens import RoleTokens

LIMITS = WebLimits(files={PATH: 4 << 30}, file_seconds=900.0)

DESCRIPTION = """\
For whoever runs a sequencer. Every route below `/admin` asks for `Authorization: Bearer <token>`; a token belongs to one of
the roles `read` < `operate` < `own`, and each route says in `x-role` which it needs at least. What is done and what is
refused is kept in the audit log.
"""

TAGS = [
    {"name": "look", "description": "Status, configuration, audit log."},
    {"name": "turn", "description": "The batcher and the intake. Switches hold over restarts."},
    {"name": "money", "description": "Balances and bonds of the sequencer's account, in wei."},
    {"name": "models", "description": "What claims may be about."},
    {"name": "disputes", "description": "Disputes on L1, and moves by hand."},
]


def create_admin(operator: Operator, tokens: RoleTokens, limits: WebLimits = LIMITS) -> FastAPI:
    """The app, with ``/healthz``, ``/readyz`` and ``/metrics`` for everybody. ``RoleTokens.of`` refuses to be empty: without
    a token there is no admin API.
    """
    app = create_app("Touchstone sequencer, admin", DESCRIPTION, operator.health, limits, tags=TAGS)
    app.state.guard = TokenGuard(tokens, operator.store.audit, now=operator.now)
    for routes in (
        observing(operator),
        controlling(operator),
        paying(operator),
        offering(operator),
        disputing(operator),
    ):
        app.include_router(routes, responses=documented(401, 403, 409))
    return app
