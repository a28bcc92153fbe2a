"""The audit log: what was done, what was refused, by whom; never a token, and nothing without it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollup.service.web import serve
from sequencer.states import Switch
from tests.sequencer.admin.world import SECRETS, AdminWorld, header


@pytest.fixture
def fresh(http: httpx.Client) -> Callable[[], list[dict[str, Any]]]:
    """A function that gives the entries written since the test began, oldest first."""

    def entries() -> list[dict[str, Any]]:
        answer = http.get("/admin/audit", params={"limit": 200}, headers=header("read"))
        return list(reversed(answer.json()["entries"]))

    before = {entry["id"] for entry in entries()}
    return lambda: [entry for entry in entries() if entry["id"] not in before]


def actor(role: str) -> str:
    return f"{role}:{sha256(SECRETS[role].encode()).hexdigest()[:8]}"


def test_an_action_is_written_before_and_after(http: httpx.Client, fresh: Any) -> None:
    http.post("/admin/balances/deposit", json={"wei": "5000"}, headers=header("own"))
    begun, done = fresh()
    for entry in (begun, done):
        assert (entry["role"], entry["actor"]) == ("own", actor("own"))
        assert entry["action"] == "POST /admin/balances/deposit"
        assert entry["detail"]["caller"] == "127.0.0.1"
    assert (begun["outcome"], begun["detail"]["body"]) == ("begun", '{"wei":"5000"}')
    assert done["outcome"] == "done" and done["detail"]["transaction"].startswith("0x")


@pytest.mark.parametrize(
    ("path", "body", "outcome", "why"),
    [
        ("/admin/balances/withdraw", {"wei": str(10**30)}, "refused", "of earnings"),
        ("/admin/balances/withdraw", {"wei": "all"}, "refused", "malformed"),
        ("/admin/models/nothing/retire", None, "refused", "no model nothing"),
    ],
)
def test_an_action_that_fails_is_written_with_the_reason(
    path: str, body: Any, outcome: str, why: str, http: httpx.Client, fresh: Any
) -> None:
    assert http.post(path, json=body, headers=header("own")).status_code >= 400
    assert [entry["outcome"] for entry in fresh()] == ["begun", outcome]
    assert why in fresh()[-1]["detail"]["why"]


def test_refusals_are_written_with_who_was_refused(http: httpx.Client, fresh: Any) -> None:
    http.post("/admin/batcher/stop", headers=header("read"))
    http.get("/admin/config", headers={"authorization": "Bearer not-a-token-of-anybody"})
    http.get("/admin/config")
    assert [(entry["actor"], entry["outcome"]) for entry in fresh()] == [
        (actor("read"), "refused"),
        ("nobody", "refused"),
        ("nobody", "refused"),
    ]


def test_reading_is_not_written(http: httpx.Client, fresh: Any) -> None:
    for path in ("status", "config", "audit", "balances", "models", "disputes"):
        assert http.get(f"/admin/{path}", headers=header("read")).status_code == 200
    assert fresh() == []


def test_pages_of_the_log_have_every_entry_once(http: httpx.Client) -> None:
    for _ in range(4):
        http.post("/admin/intake/resume", headers=header("operate"))
    seen, cursor = [], None
    while True:
        page = http.get(
            "/admin/audit", params={"limit": 3, **({"cursor": cursor} if cursor else {})}, headers=header("read")
        ).json()
        seen += [entry["id"] for entry in page["entries"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(set(seen), reverse=True) and len(seen) > 8


def test_a_cursor_that_was_not_given_out_is_refused(http: httpx.Client) -> None:
    for cursor in ("", "-1", "x", "9" * 60):
        assert http.get("/admin/audit", params={"cursor": cursor}, headers=header("read")).status_code == 422


def test_attack_a_huge_body_is_cut_in_the_log(http: httpx.Client, fresh: Any) -> None:
    http.put("/admin/log-level", json={"level": "x" * 100_000}, headers=header("operate"))
    assert len(fresh()[0]["detail"]["body"]) < 1000


def test_no_token_reaches_the_database(world: AdminWorld, http: httpx.Client) -> None:
    http.post("/admin/batcher/start", headers=header("own"))
    data = b"".join(path.read_bytes() for path in world.folder.glob("sequencer.db*"))
    assert b"POST /admin/batcher/start" in data
    for secret in SECRETS.values():
        assert secret.encode() not in data
        assert sha256(secret.encode()).hexdigest().encode() not in data


def test_nothing_is_done_that_can_not_be_written_down(world: AdminWorld, http: httpx.Client) -> None:
    _rename(world.folder, "audit", "elsewhere")
    try:
        answer = http.post("/admin/intake/pause", headers=header("own"))
    finally:
        _rename(world.folder, "elsewhere", "audit")
    assert answer.status_code >= 500
    assert world.store.switches.get(Switch.INTAKE_PAUSED) is False


def test_what_was_done_is_answered_as_done_though_its_end_can_not_be_written_down(tmp_path: Path) -> None:
    """The log is lost in the middle of the action, and has at least its beginning."""
    world = AdminWorld(tmp_path, extra={"wake": lambda: _rename(tmp_path, "audit", "elsewhere")})
    server = serve(world.app(), "127.0.0.1", 0).start()
    try:
        answer = httpx.post(f"{server.url}/admin/intake/pause", headers=header("own"))
    finally:
        server.stop()
    assert answer.status_code == 200 and world.store.switches.get(Switch.INTAKE_PAUSED) is True
    _rename(tmp_path, "elsewhere", "audit")
    assert [entry.outcome for entry in world.store.audit.page().entries] == ["begun"]
    world.store.close()


def _rename(folder: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(folder / "sequencer.db")) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO {name}")
