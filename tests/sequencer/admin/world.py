"""A sequencer's inside on an embedded chain, with an admin API in front of it: claims, liars, disputes, money, all real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from rollup.archive import Programs
from rollup.claim import ClaimId, posting_gas
from rollup.service.health import Health
from rollup.service.limits import WebLimits
from sequencer.admin.app import create_admin
from sequencer.admin.models import PATH
from sequencer.admin.operator import Operator
from sequencer.admin.tokens import RoleTokens
from sequencer.batcher import Batcher
from sequencer.mirror import Mirror
from sequencer.states import NewClaim
from sequencer.store import Store
from tests.e2e.toy_program import with_lie
from tests.world import ETHER, PROGRAM, RIGHT, ToyWorld

SECRETS = {role: f"a token of the role {role}".replace(" ", "-") for role in ("read", "operate", "own")}
LIMITS = WebLimits(per_second=10_000.0, burst=10_000, files={PATH: 1 << 20})

WRONG = with_lie(PROGRAM, RIGHT, 2)


@dataclass
class AdminWorld(ToyWorld):
    """``folder`` holds database and programs; ``l1``: as the sequencer's account sees it."""

    folder: Path
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.l1 = self.client("sequencer")
        self.start()

    def start(self) -> None:
        """Begin a life of the process, which knows nothing but the folder and the chain."""
        self.store = Store.open(f"sqlite:///{self.folder}/sequencer.db")
        self.mirror = Mirror(self.l1, self.store)
        self.mirror.sync()
        self.programs = Programs(self.folder / "programs")
        self.operator = Operator(
            self.store,
            self.l1,
            self.programs,
            Batcher(self.l1, self.store, self.mirror),
            Health(),
            lambda: {"sequencer": {"port": 8080, "prover_token": "set"}},
            self.mirror.sync,
            **self.extra,
        )

    def app(self) -> FastAPI:
        return create_admin(self.operator, RoleTokens.of(SECRETS), LIMITS)

    def restarted(self) -> AdminWorld:
        self.store.close()
        self.start()
        return self

    def take(self, name: str, values: Sequence[np.ndarray] = RIGHT) -> ClaimId:
        """Accept a claim; it waits."""
        posted = self.sign(self.client(name, deposit=ETHER), values=values)
        claim_id = self.l1.claim_id(posted.claim)
        gas = posting_gas(self.program.header, posted)
        self.store.claims.accept([NewClaim(claim_id, posted, self.chain.now(), gas)])
        return claim_id

    def post(self, name: str, values: Sequence[np.ndarray] = RIGHT) -> ClaimId:
        """A claim that stands on L1."""
        claim_id = self.take(name, values)
        self.operator.batcher.flush()
        return claim_id


def header(role: str | None) -> dict[str, str]:
    """What a holder of the role's token sends."""
    return {} if role is None else {"authorization": f"Bearer {SECRETS[role]}"}
