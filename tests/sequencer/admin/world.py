"""A sequencer's inside on an embedded chain, with an admin API in front of it: claims, liars, disputes, money, all real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from rollup.archive import Programs
from rollup.claim import Claim, ClaimId, PostedClaim, input_root, join, output_root, output_types, posting_gas
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.l1.node.embedded import EmbeddedChain
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
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, toy_program, values_of, with_lie
from tests.world import ETHER, TERMS

SECRETS = {role: f"a token of the role {role}".replace(" ", "-") for role in ("read", "operate", "own")}
LIMITS = WebLimits(per_second=10_000.0, burst=10_000, files={PATH: 1 << 20})

PROGRAM = toy_program()
INPUTS = toy_inputs()
RIGHT = values_of(PROGRAM, INPUTS)
WRONG = with_lie(PROGRAM, RIGHT, 2)


@dataclass
class World:
    """``folder`` holds database and programs; a second world on the same folder and chain is the process after a restart."""

    folder: Path
    chain: EmbeddedChain = field(default_factory=EmbeddedChain)
    deployer: L1Client | None = None
    program: Program = PROGRAM
    extra: dict[str, Any] = field(default_factory=dict)
    nonce: int = 0

    def __post_init__(self) -> None:
        if self.deployer is None:
            self.deployer = L1Client.deploy(self.chain, self.chain.signer("deployer"), TERMS)
            self.deployer.register(self.program)
        self.client = self.deployer.using(self.chain.signer("sequencer"))
        self.store = Store.open(f"sqlite:///{self.folder}/sequencer.db")
        self.mirror = Mirror(self.client, self.store)
        self.mirror.sync()
        self.programs = Programs(self.folder / "programs")
        self.operator = Operator(
            self.store,
            self.client,
            self.programs,
            Batcher(self.client, self.store, self.mirror),
            Health(),
            lambda: {"sequencer": {"port": 8080, "prover_token": "set"}},
            self.mirror.sync,
            **self.extra,
        )

    def app(self) -> FastAPI:
        return create_admin(self.operator, RoleTokens.of(SECRETS), LIMITS)

    def restarted(self) -> World:
        self.store.close()
        return World(self.folder, self.chain, self.deployer, self.program, self.extra, self.nonce + 1000)

    def account(self, name: str) -> L1Client:
        assert self.deployer is not None
        return self.deployer.using(self.chain.signer(name))

    def sign(self, name: str, values: Sequence[np.ndarray] = RIGHT) -> tuple[ClaimId, PostedClaim]:
        """A claim with the trace of these values, right or wrong."""
        client, header = self.account(name), self.program.header
        if client.balance(client.account) < TERMS.claim_bond:
            client.deposit(ETHER)
        inputs, outputs = join(INPUTS, header.inputs), join(outputs_of(self.program, values), output_types(header))
        self.nonce += 1
        claim = Claim(
            self.program.id,
            client.account,
            self.nonce,
            self.chain.now() + 10_000,
            bytes(32),
            input_root(header, inputs),
            output_root(header, outputs),
            Published(self.program, values).root,
        )
        return client.claim_id(claim), client.sign(claim, inputs, outputs)

    def take(self, name: str, values: Sequence[np.ndarray] = RIGHT) -> ClaimId:
        """Accept a claim; it waits."""
        claim_id, posted = self.sign(name, values)
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
