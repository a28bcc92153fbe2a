"""What the public API is made of, and what its routes share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import APIRouter, Path

from rollup import wire
from rollup.archive import Programs
from rollup.claim import ClaimId, PostedClaim
from rollup.errors import ClaimError
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.service.health import Health
from rollup.service.problem import Problem, documented
from rollup.types import ModelId
from sequencer.api.feed import HEARTBEAT_SECONDS, MOST_LISTENERS, Feed
from sequencer.api.page import DEFAULT_PAGE, PageOptions
from sequencer.api.prover import ProverClient
from sequencer.api.standing import KEPT_SECONDS, Standings
from sequencer.states import Accepted, Entry, OfferedModel
from sequencer.store import Store

ClaimIdPath = Annotated[
    str,
    Path(
        description="The claim's id.",
        json_schema_extra={"pattern": "^0x[0-9a-fA-F]{64}$"},
        examples=["0x" + "5a" * 32],
    ),
]
ModelPath = Annotated[str, Path(description="A model's id or name.", examples=["digits"])]

CURSOR = 200
PAGE = 200
"""Entries of one page at most."""


class ClaimIntake(Protocol):
    """Whoever admits claims and writes them down."""

    def submit(self, posted: PostedClaim) -> Accepted:
        """Returns once the claim is on disk; raises ClaimError for one that L1 would not take, Problem when it takes none."""
        ...


@dataclass(frozen=True)
class Parts:
    """``client`` only reads. ``prover`` None: nobody runs inferences here. ``now``: the machine's time.
    ``kept_seconds``: how long what L1 says of a game is good. ``listeners``: streams of events at once; ``heartbeat``: seconds
    after which a quiet one gets a comment. ``page``: what the page can do.
    """

    store: Store
    client: L1Client
    intake: ClaimIntake
    programs: Programs
    health: Health
    prover: ProverClient | None = None
    now: Callable[[], float] = time.time
    kept_seconds: float = KEPT_SECONDS
    listeners: int = MOST_LISTENERS
    heartbeat: float = HEARTBEAT_SECONDS
    page: PageOptions = DEFAULT_PAGE
    feed: Feed = field(init=False)
    standings: Standings = field(init=False)
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feed", Feed(self.store.changes, self.listeners, heartbeat=self.heartbeat))
        object.__setattr__(self, "standings", Standings(self.client, self.kept_seconds))
        object.__setattr__(self, "deployment", Deployment.of(self.client))

    def claim(self, text: str) -> Entry:
        """The claim with an id; raises Problem 404."""
        entry = self.store.claims.get(claim_id(text))
        if entry is None:
            raise no_claim(text)
        return entry

    def model_id(self, word: str) -> ModelId:
        """The id behind a filter, which may be that of a model not offered here; raises Problem 404 for an unknown name."""
        try:
            return wire.model_id_of(word)
        except ClaimError:
            return self.model(word).id

    def model(self, word: str) -> OfferedModel:
        """The model with an id or a name; raises Problem 404."""
        known = None
        try:
            known = self.store.models.get(wire.model_id_of(word))
        except ClaimError:
            known = self.store.models.named(word)
        if known is None:
            shown = word if word.isprintable() and len(word) <= 80 else word[:80].encode("ascii", "replace").decode()
            raise Problem(
                404,
                "unknown-model",
                "No such model",
                f"no model {shown} is offered here; GET /v1/models (touchstone models --url ...) lists all",
            )
        return known


def router(tag: str) -> APIRouter:
    """Routes below ``/v1`` of one kind."""
    return APIRouter(prefix="/v1", tags=[tag], responses=documented(404))


def claim_id(text: str) -> ClaimId:
    """The id in a path; raises Problem 404, since nothing can be there."""
    try:
        return wire.claim_id_of(text)
    except ClaimError:
        raise no_claim(text) from None


def no_claim(text: str) -> Problem:
    shown = text[:80].encode("ascii", "replace").decode()
    return Problem(
        404, "unknown-claim", "No such claim", f"no claim {shown} is known here; ids are 0x and 64 hex digits"
    )
