"""Switches, status and money."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from rollup.errors import ChainError
from rollup.l1.node.embedded import EmbeddedChain
from rollup.service import logs
from rollup.service.web import serve
from sequencer.states import State, Switch
from tests.sequencer.admin.world import AdminWorld, header
from tests.world import TERMS

T = TypeVar("T")


def post(http: httpx.Client, path: str, **given: Any) -> httpx.Response:
    return http.post(f"/admin/{path}", headers=header("own"), **given)


def test_what_waits_is_posted_by_a_flush_even_while_the_batcher_is_stopped(
    world: AdminWorld, http: httpx.Client
) -> None:
    stopped = post(http, "batcher/stop").json()
    claim_id = world.take("claimant")
    assert stopped["batcher_stopped"] is True
    assert world.operator.batcher.step() is None, "the batcher posts although it is stopped"
    flushed = post(http, "batcher/flush").json()
    assert (flushed["batches"], flushed["pending"], flushed["batcher_stopped"]) == (1, 0, True)
    assert world.store.claims.state(claim_id) is State.POSTED
    assert post(http, "batcher/flush").json()["batches"] == 0
    assert post(http, "batcher/start").json()["batcher_stopped"] is False


def test_switches_survive_a_restart(tmp_path: Path) -> None:
    world = AdminWorld(tmp_path)
    for path in ("batcher/stop", "intake/pause"):
        world = _turned(world, path)
        assert world.store.switches.get(Switch.BATCHER_STOPPED) is True
    assert world.store.switches.get(Switch.INTAKE_PAUSED) is True
    for path in ("batcher/start", "intake/resume"):
        world = _turned(world, path)
    assert not any(world.store.switches.get(switch) for switch in Switch)
    world.store.close()


def _turned(world: AdminWorld, path: str) -> AdminWorld:
    """The process after a switch was turned and it was started again."""
    server = serve(world.app(), "127.0.0.1", 0).start()
    assert httpx.post(f"{server.url}/admin/{path}", headers=header("operate")).status_code == 200
    server.stop()
    return world.restarted()


def test_turning_a_switch_wakes_the_batcher(tmp_path: Path) -> None:
    woken: list[None] = []
    world = AdminWorld(tmp_path, extra={"wake": lambda: woken.append(None)})
    world.operator.turn(Switch.BATCHER_STOPPED, False)
    assert woken == [None]
    world.store.close()


def test_money_is_moved_to_the_wei(world: AdminWorld, http: httpx.Client) -> None:
    before = http.get("/admin/balances", headers=header("read")).json()
    assert before["account"] == world.l1.account
    deposited = post(http, "balances/deposit", json={"wei": "1000000007"}).json()
    assert int(deposited["balances"]["free"]) == int(before["free"]) + 1_000_000_007
    funded = post(http, "balances/fund", json={"wei": "1000"}).json()
    assert int(funded["balances"]["earned"]) == int(before["earned"]) + 1000
    withdrawn = post(http, "balances/withdraw", json={"wei": "7"}).json()
    assert int(withdrawn["balances"]["earned"]) == world.l1.earnings(world.l1.account)
    assert int(withdrawn["balances"]["earned"]) == int(before["earned"]) + 993
    announced = post(http, "balances/announce", json={"wei": "1000000000"}).json()["balances"]
    assert (announced["announced"], announced["free"]) == ("1000000000", deposited["balances"]["free"])
    early = post(http, "balances/complete")
    assert early.status_code == 409 and f"wait {TERMS.withdrawal_delay} s" in early.json()["detail"]
    world.chain.advance(TERMS.withdrawal_delay)
    gone = post(http, "balances/complete").json()["balances"]
    assert (gone["announced"], gone["leaves_at"]) == ("0", None)
    assert int(gone["free"]) == int(before["free"]) + 7 == world.l1.balance(world.l1.account)
    assert int(gone["wei"]) == world.chain.wei_of(world.l1.account)
    assert "announced no withdrawal" in post(http, "balances/complete").json()["detail"]


@pytest.mark.parametrize("wei", ["0", "-1", "1.5", "1e18", "", "00", "9" * 79, 5, None])
def test_an_amount_that_is_none_is_refused(wei: Any, http: httpx.Client) -> None:
    for way in ("deposit", "fund", "withdraw", "announce"):
        assert post(http, f"balances/{way}", json={"wei": wei}).status_code == 422


def test_more_than_there_is_can_not_be_moved_and_the_answer_says_how_much_is_missing(
    world: AdminWorld, http: httpx.Client
) -> None:
    free, earned = world.l1.balance(world.l1.account), world.l1.earnings(world.l1.account)
    for way, there in (("withdraw", earned), ("announce", free)):
        answer = post(http, f"balances/{way}", json={"wei": str(there + 3)})
        assert answer.status_code == 409 and " 3 wei too little" in answer.json()["detail"]
    for way in ("deposit", "fund"):
        answer = post(http, f"balances/{way}", json={"wei": str(10**40)})
        assert answer.status_code == 409 and "too little" in answer.json()["detail"]


def test_a_bond_shows_as_locked_while_the_claim_is_not_final(world: AdminWorld, http: httpx.Client) -> None:
    world.l1.deposit(TERMS.claim_bond)
    locked = int(http.get("/admin/balances", headers=header("read")).json()["locked"])
    world.post("sequencer")
    after = http.get("/admin/balances", headers=header("read")).json()
    assert int(after["locked"]) == locked + TERMS.claim_bond


def test_the_log_level_is_changed_and_shown(http: httpx.Client) -> None:
    before = logs.level()
    try:
        for level in ("debug", "error"):
            answer = http.put("/admin/log-level", json={"level": level}, headers=header("operate"))
            assert answer.json() == {"level": level} and logs.level() == level
            assert http.get("/admin/status", headers=header("read")).json()["log_level"] == level
        refused = http.put("/admin/log-level", json={"level": "loud"}, headers=header("operate"))
        assert refused.status_code == 422
    finally:
        logs.set_level(before)


def test_the_status_tells_everything_at_a_glance(world: AdminWorld, http: httpx.Client) -> None:
    claim_id = world.post("claimant")
    waiting = world.take("claimant")
    entry = world.store.claims.get(claim_id)
    assert entry is not None
    found = http.get("/admin/status", headers=header("read")).json()
    assert found["pending"] == 1 and found["claims"]["pending"] == 1 and found["claims"]["posted"] >= 1
    assert found["oldest_pending"] == world.chain.now()
    assert found["last_batch"]["number"] == entry.batch and found["last_batch"]["claims"] == 1
    assert found["l1"] == {
        "chain_id": world.chain.chain_id,
        "contract": world.l1.address,
        "head": world.chain.height(),
        "head_time": world.chain.now(),
        "lag": found["l1"]["lag"],
        "known": world.store.l1.head().number,
        "trouble": None,
    }
    assert found["balances"]["account"] == world.l1.account
    assert found["problems"] == {} and found["open_disputes"] == 0
    assert set(found["requests"].values()) == {0} and found["requests_spent"] == "0"
    world.operator.batcher.flush()
    assert world.store.claims.state(waiting) is State.POSTED


def test_the_configuration_is_shown_as_it_was_given(http: httpx.Client) -> None:
    settings = http.get("/admin/config", headers=header("read")).json()["settings"]
    assert settings == {"sequencer": {"port": 8080, "prover_token": "set"}}


class Unreachable(EmbeddedChain):
    """A chain whose node can be cut off; the endpoint's path is a key."""

    cut = False

    def ask(self, call: Callable[[], T]) -> T:
        if self.cut:
            raise ChainError("the node https://node.example/v3/0123secret did not answer; check the endpoint")
        return super().ask(call)


def test_the_status_answers_while_l1_does_not_and_shows_no_key_of_the_endpoint(tmp_path: Path) -> None:
    chain = Unreachable()
    world = AdminWorld(tmp_path, chain=chain)
    server = serve(world.app(), "127.0.0.1", 0).start()
    chain.cut = True
    try:
        found = httpx.get(f"{server.url}/admin/status", headers=header("read"))
        refused = httpx.get(f"{server.url}/admin/balances", headers=header("read"))
        flushed = httpx.post(f"{server.url}/admin/batcher/flush", headers=header("own"))
        audit = httpx.get(f"{server.url}/admin/audit", headers=header("read"))
    finally:
        server.stop()
        world.store.close()
    assert found.status_code == 200 and found.json()["balances"] is None
    assert "did not answer" in found.json()["l1"]["trouble"] and found.json()["l1"]["head"] is None
    assert refused.status_code == flushed.status_code == 503
    assert [entry["outcome"] for entry in audit.json()["entries"]] == ["failed", "begun"]
    assert "secret" not in found.text + refused.text + flushed.text + audit.text
