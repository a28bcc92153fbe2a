"""docs/runbook.md, *Restore from nothing*: every disk is lost in the middle of a dispute, and keys, deployment.json and L1 are enough."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from challenger.defender import Behaviour, Defender
from challenger.play.trace import ValueTrace
from challenger.state.l1_state import L1State
from prover.executor import Executor
from rollup.claim import ClaimId
from rollup.documents.claims import SignedClaim
from rollup.errors import ChainError
from rollup.settings import Parameters
from rollup.types import Duration, Timestamp
from tests.anvil import Anvil
from tests.campaigns.network import ProcessNetwork
from tests.e2e.toy_program import toy_inputs, toy_numbers, toy_program
from tests.postgres import Postgres
from touchstone.lying.lies import About, lie, signed

TERMS = Parameters(window=Duration(7200), clock=Duration(3600), arity=5)
"""Nothing runs out unless the test moves the chain's time, however slow the machine is."""

PATIENCE = 240.0

pytestmark = [pytest.mark.anvil, pytest.mark.postgres]


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.2)


def test_keys_the_deployment_and_l1_are_enough_when_every_disk_is_lost(tmp_path: Path, postgres: Postgres) -> None:
    program = toy_program()
    with Anvil(interval=1) as node, ProcessNetwork(node, tmp_path, TERMS) as net, httpx.Client(trust_env=False) as http:

        def post(path: str, body: Any) -> str:
            answer = http.post(net.url("sequencer") + path, json=body, timeout=60)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["claim_id"])

        def state(claim: str) -> str:
            answer = http.get(f"{net.url('sequencer')}/v1/claims/{claim}", timeout=60)
            return str(answer.json()["state"]) if answer.status_code == 200 else "unknown"

        net.sequencer(postgres.database()).start().wait_ready()
        net.add_model(program, "toy")
        net.prover().start().wait_ready()
        honest = post("/v1/infer", {"model": "toy", "inputs": toy_numbers()})
        liar = net.client("liar")
        liar.deposit(TERMS.claim_bond)
        told = lie(
            program, Executor(program, self_test=False), toy_inputs(), About.INTERMEDIATE, np.random.default_rng(1)
        )
        posted = signed(liar, program, toy_inputs(), told, Timestamp(node.now() + 3600))
        false = post("/v1/claims", SignedClaim.of(posted).model_dump())
        eventually(lambda: state(honest) == state(false) == "posted", "both claims are posted")
        for service in net.services.values():
            service.kill()

        # While nobody is there, somebody attacks the honest claim.
        l1, attacker = L1State(net.reader.first), net.client("attacker")
        l1.read(attacker)
        known = ClaimId(bytes.fromhex(honest[2:]))
        attacker.challenge(l1.claims[known].claim, l1.inclusion(known), value=TERMS.challenge_bond)

        # All that is left: the keys, the deployment, and the saved model of whoever offers it.
        shutil.rmtree(tmp_path / "models")
        net.sequencer(postgres.database()).start().wait_ready()
        net.add_model(program, "toy")
        net.prover().start().wait_ready()
        net.watcher().start().wait_ready()

        assert http.get(f"{net.url('sequencer')}/v1/claims/{honest}", timeout=60).json()["inclusion"] is not None
        defender = Defender(liar, Behaviour.WITHHOLDS, first=net.reader.first)
        said = ValueTrace(program, list(told.trace.values()), told.trace.roots)
        defender.uphold(posted_id := liar.claim_id(posted.claim), program, said)

        def convicted() -> bool:
            try:
                defender.poll()
            except ChainError:
                return False
            return posted_id in defender.l1.convicted

        eventually(convicted, "the new watcher has convicted the liar")
        eventually(lambda: state(false) == "invalid", "the new sequencer says so")

        def answered() -> bool:
            (game,) = http.get(f"{net.url('sequencer')}/v1/disputes/{honest}", timeout=60).json()["games"]
            return bool(game["turn"] == "challenger")

        eventually(answered, "the new prover has answered the attack")
        node.advance(TERMS.clock + 1)
        node.advance(TERMS.window)
        eventually(lambda: state(honest) == "final", "the honest claim is final")
