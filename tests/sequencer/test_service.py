"""A sequencer as one process: its loops post what it takes and read what L1 says, and it stops without losing what it accepted."""

import threading
from dataclasses import replace

import httpx
import pytest

from rollup import wire
from rollup.archive import Programs
from rollup.documents.claims import ClaimFields, InclusionProof, SignedClaim
from rollup.documents.fields import read
from rollup.l1.answers import ClaimStatus
from rollup.service.server import serve
from rollup.types import Duration
from sequencer.admin.tokens import RoleTokens
from sequencer.intake.limits import Limits
from sequencer.service import SequencerOptions, SequencerService
from sequencer.states import State, Switch
from sequencer.store import Store
from tests.e2e.toy_program import toy_inputs
from tests.sequencer.api.test_claims import problem
from tests.sequencer.api.world import LIMITS, eventually
from tests.world import ETHER, TERMS, ToyWorld

OWN = "an-owner's-token-for-tests"
OPTIONS = SequencerOptions(Limits(age=Duration(0)), LIMITS, poll=0.05, max_lag=1e12)


class Running:
    """One life of a sequencer: started when made."""

    def __init__(self, folder, client, options=OPTIONS, database=None):
        self.store = Store.open(database or f"sqlite:///{folder}/sequencer.db")
        self.service = SequencerService(client, self.store, Programs(folder / "models"), options, lambda: {"a": 1})
        self.service.start()
        self.server = serve(self.service.api(), "127.0.0.1", 0).start()
        self.admin = serve(self.service.admin(RoleTokens.of({"own": OWN})), "127.0.0.1", 0).start()
        self.url = self.server.url

    def hand_in(self, posted):
        return httpx.post(f"{self.url}/v1/claims", json=SignedClaim.of(posted).model_dump(), timeout=30)

    def state(self, claim_id):
        return httpx.get(f"{self.url}/v1/claims/{claim_id}", timeout=30).json()["state"]

    def stop(self):
        self.server.stop()
        self.admin.stop()
        self.service.stop()


class ServiceWorld(ToyWorld):
    """``l1``: as the account that pays for batches sees it."""

    def __post_init__(self):
        super().__post_init__()
        self.l1 = self.client("sequencer")
        self.claimant = self.client("claimant", deposit=100 * ETHER)

    def claim(self, seed):
        return self.sign(self.claimant, toy_inputs(seed))


@pytest.fixture(scope="module")
def scene():
    return ServiceWorld()


@pytest.fixture
def running(scene, tmp_path):
    running = Running(tmp_path, scene.l1)
    yield running
    running.stop()


def test_what_is_handed_in_is_posted_and_becomes_final_without_anybody_doing_anything(scene, running):
    answer = running.hand_in(scene.claim(1))
    assert answer.status_code == 201
    claim = answer.json()["claim_id"]
    eventually(lambda: running.state(claim) == "posted")
    scene.chain.advance(TERMS.window + 1)
    scene.chain.mine()
    eventually(lambda: running.state(claim) == "final")
    assert httpx.get(f"{running.url}/readyz").status_code == 200
    eventually(lambda: 'touchstone_sequencer_claims{state="final"} 1.0' in httpx.get(f"{running.url}/metrics").text)
    metrics = httpx.get(f"{running.url}/metrics").text
    for name in ("batches_posted_total", "claims_posted_total", "batch_gas_total", "l1_known_block", "account_wei"):
        assert f"touchstone_sequencer_{name}" in metrics
    fees = next(line for line in metrics.splitlines() if line.startswith("touchstone_sequencer_batch_fees_wei_total "))
    assert float(fees.split()[1]) > 0
    assert "touchstone_sequencer_pending_bytes" in metrics


def test_a_paused_intake_takes_nothing_and_a_stopped_batcher_posts_nothing(scene, running):
    running.store.switches.set(Switch.BATCHER_STOPPED, True)
    waiting = running.hand_in(scene.claim(2)).json()["claim_id"]
    running.store.switches.set(Switch.INTAKE_PAUSED, True)
    problem(running.hand_in(scene.claim(3)), 503, "paused")
    headers = {"authorization": f"Bearer {OWN}"}
    assert running.state(waiting) == "pending"
    assert httpx.post(f"{running.admin.url}/admin/intake/resume", headers=headers).status_code == 200
    assert httpx.post(f"{running.admin.url}/admin/batcher/start", headers=headers).status_code == 200
    assert running.hand_in(scene.claim(3)).status_code == 201
    eventually(lambda: running.state(waiting) == "posted")


def test_more_claims_than_may_wait_are_turned_away(scene, tmp_path):
    running = Running(tmp_path, scene.l1, replace(OPTIONS, limits=Limits(age=Duration(3600)), pending=2))
    try:
        assert [running.hand_in(scene.claim(seed)).status_code for seed in (4, 5)] == [201, 201]
        eventually(lambda: running.hand_in(scene.claim(6)).status_code == 503)
        assert "wait to be posted" in problem(running.hand_in(scene.claim(7)), 503, "busy")
    finally:
        running.stop()


def test_nothing_that_was_accepted_is_lost_when_the_process_is_told_to_end(scene, tmp_path):
    running = Running(tmp_path, scene.l1, replace(OPTIONS, limits=Limits(age=Duration(3600))))
    claims, accepted, ending = [scene.claim(seed) for seed in range(8)], [], threading.Event()

    def hand_in(posted):
        ending.wait(20)
        try:
            answer = running.hand_in(posted)
        except httpx.TransportError:
            return
        if answer.status_code == 201:
            accepted.append(wire.claim_id_of(answer.json()["claim_id"]))

    threads = [threading.Thread(target=hand_in, args=(posted,)) for posted in claims[1:]]
    for thread in threads:
        thread.start()
    hand_in_first = running.hand_in(claims[0])
    accepted.append(wire.claim_id_of(hand_in_first.json()["claim_id"]))
    ending.set()
    running.stop()
    for thread in threads:
        thread.join(30)
    again = Running(tmp_path, scene.l1)
    try:
        for claim in accepted:
            eventually(lambda claim=claim: again.store.claims.state(claim) is State.POSTED)
        for claim in accepted:
            found = httpx.get(f"{again.url}/v1/claims/{wire.hex_of(claim)}").json()
            status = scene.l1.status(
                read(ClaimFields, found["claim"]).value, read(InclusionProof, found["inclusion"]).value
            )
            assert status is ClaimStatus.POSTED
    finally:
        again.stop()


def test_a_sequencer_without_money_for_gas_is_not_ready_and_says_why(scene, tmp_path):
    rich = scene.chain.wei_of(scene.l1.account)
    running = Running(tmp_path, scene.l1, replace(OPTIONS, poor=10 * rich))
    try:
        eventually(lambda: httpx.get(f"{running.url}/readyz").status_code == 503)
        assert "left for gas" in httpx.get(f"{running.url}/readyz").json()["checks"]["account"]
    finally:
        running.stop()


def test_a_chain_that_stands_still_makes_it_not_ready(scene, tmp_path):
    running = Running(tmp_path, scene.l1, replace(OPTIONS, max_lag=-1e12))
    try:
        assert "stands still" in problem(httpx.get(f"{running.url}/readyz"), 503, "not-ready")
    finally:
        running.stop()


def test_the_configuration_that_is_shown_has_no_secret():
    assert "hunter2" not in repr(SequencerOptions(prover_token="hunter2"))
