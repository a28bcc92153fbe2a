"""Who gets in: every admin route, walked from the OpenAPI."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from rollup.archive import pack
from rollup.service.web import serve
from sequencer.admin.app import create_admin
from sequencer.admin.guard import ROLE, Allowance
from sequencer.admin.tokens import Role, RoleTokens, TokenError
from sequencer.states import Switch
from tests.sequencer.admin.world import SECRETS, WRONG, AdminWorld, header
from tests.world import PROGRAM

UNKNOWN = "0x" + "00" * 32

MALFORMED = (
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": SECRETS["own"]},
    {"authorization": f"Basic {SECRETS['own']}"},
    {"authorization": f"Bearer {SECRETS['own']}x"},
    {"authorization": f"Bearer {SECRETS['own']},{SECRETS['own']}"},
    {"authorization": f"Bearer {SECRETS['own'].upper()}"},
    {"x-authorization": f"Bearer {SECRETS['own']}"},
    {"cookie": f"authorization=Bearer {SECRETS['own']}"},
)


def routes(http: httpx.Client) -> dict[tuple[str, str], Role]:
    """Every admin route with the role that it says it needs."""
    paths = http.get("/openapi.json").json()["paths"]
    return {
        (method.upper(), path): Role.of(operation[ROLE])
        for path, operations in paths.items()
        for method, operation in operations.items()
        if path.startswith("/admin")
    }


def calls(world: AdminWorld, claim_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """A call of every route that does something, if it is let do it."""
    folder = world.folder / "toy"
    PROGRAM.save(folder)
    return {
        ("GET", "/admin/status"): {},
        ("GET", "/admin/config"): {},
        ("GET", "/admin/audit"): {},
        ("GET", "/admin/balances"): {},
        ("GET", "/admin/models"): {},
        ("GET", "/admin/disputes"): {},
        ("GET", "/admin/disputes/{claim_id}"): {"path": {"claim_id": claim_id}},
        ("POST", "/admin/disputes/{claim_id}/moves"): {"path": {"claim_id": claim_id}, "json": {"move": "challenge"}},
        ("POST", "/admin/batcher/stop"): {},
        ("POST", "/admin/batcher/flush"): {},
        ("POST", "/admin/batcher/start"): {},
        ("POST", "/admin/intake/pause"): {},
        ("POST", "/admin/intake/resume"): {},
        ("PUT", "/admin/log-level"): {"json": {"level": "error"}},
        ("POST", "/admin/balances/deposit"): {"json": {"wei": "1000"}},
        ("POST", "/admin/balances/fund"): {"json": {"wei": "1000"}},
        ("POST", "/admin/balances/withdraw"): {"json": {"wei": "10"}},
        ("POST", "/admin/balances/announce"): {"json": {"wei": "10"}},
        ("POST", "/admin/balances/complete"): {},
        ("POST", "/admin/models"): {"params": {"name": "toy"}, "content": b"".join(pack(folder))},
        ("POST", "/admin/models/{model}/retire"): {"path": {"model": "toy"}},
        ("POST", "/admin/models/{model}/restore"): {"path": {"model": "toy"}},
    }


def ask(http: httpx.Client, route: tuple[str, str], call: dict[str, Any], headers: dict[str, str]) -> Any:
    given = {name: value for name, value in call.items() if name != "path"}
    return http.request(route[0], route[1].format(**call.get("path", {})), headers=headers, **given)


def state(world: AdminWorld) -> tuple[Any, ...]:
    """Everything that an admin route can change."""
    account = world.l1.account
    return (
        world.chain.height(),
        world.l1.balance(account),
        world.chain.wei_of(account),
        [(model.name, model.retired) for model in world.store.models.all()],
        world.programs.list(),
        [world.store.switches.get(switch) for switch in Switch],
        world.store.claims.counts(),
        world.store.disputes.open_count(),
    )


@pytest.fixture(scope="module")
def claim_id(world: AdminWorld) -> str:
    claim = world.post("liar", WRONG)
    challenger = world.client("somebody")
    standing = world.operator.moves.claims.standing(claim)
    challenger.challenge(standing.claim, standing.inclusion, value=world.l1.parameters.challenge_bond)
    world.mirror.sync()
    world.take("honest")
    return f"0x{claim.hex()}"


def test_every_route_has_a_call_here(world: AdminWorld, http: httpx.Client, claim_id: str) -> None:
    assert set(calls(world, claim_id)) == set(routes(http))


def test_attack_without_a_token_or_with_a_wrong_one_every_route_is_refused_and_changes_nothing(
    world: AdminWorld, http: httpx.Client, claim_id: str
) -> None:
    before, refused = state(world), 0
    for route, call in calls(world, claim_id).items():
        for headers in ({}, {"authorization": "Bearer " + "0" * 64}, *MALFORMED):
            answer = ask(http, route, call, headers)
            assert answer.status_code == 401, (route, headers)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
            refused += 1
    assert refused == 11 * len(routes(http))
    assert state(world) == before


def test_attack_with_a_lower_role_every_route_is_refused_and_changes_nothing(
    world: AdminWorld, http: httpx.Client, claim_id: str
) -> None:
    before, refused = state(world), 0
    for route, call in calls(world, claim_id).items():
        for role in Role:
            if role < routes(http)[route]:
                answer = ask(http, route, call, header(role.word))
                assert answer.status_code == 403, (route, role)
                assert "www-authenticate" not in answer.headers
                refused += 1
    assert refused == sum(role - Role.READ for role in routes(http).values()) > 10
    assert state(world) == before


def test_attack_an_archive_is_not_received_before_the_token_is_known(url: str) -> None:
    """A gigabyte is announced and never sent; the refusal comes nevertheless."""
    parts = urlsplit(url)
    for role, status in (("read", b"403"), (None, b"401")):
        head = "".join(f"{name}: {value}\r\n" for name, value in header(role).items())
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
            connection.sendall(
                f"POST /admin/models?name=toy HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n{head}\r\n".encode()
            )
            assert connection.recv(12).endswith(status)


def test_attack_what_a_route_takes_is_not_told_without_the_role(http: httpx.Client) -> None:
    answer = http.post("/admin/balances/withdraw", json={"wei": -1}, headers=header("operate"))
    assert answer.status_code == 403


def test_with_every_sufficient_role_every_route_does_its_work(
    world: AdminWorld, http: httpx.Client, claim_id: str
) -> None:
    answers: dict[tuple[tuple[str, str], Role], int] = {}
    for route, call in calls(world, claim_id).items():
        if route[1].endswith("/complete"):
            world.chain.advance(world.l1.parameters.withdrawal_delay)
        for role in Role:
            if role >= routes(http)[route]:
                answers[route, role] = ask(http, route, call, header(role.word)).status_code
    done = {route for (route, _), status in answers.items() if 200 <= status < 300}
    assert done == set(routes(http))
    # The second challenge of one account about one claim is no longer possible, whoever asks.
    assert {key: status for key, status in answers.items() if not 200 <= status < 300} == {
        (("POST", "/admin/disputes/{claim_id}/moves"), Role.OWN): 409
    }


def test_health_and_metrics_are_for_everybody(http: httpx.Client) -> None:
    assert [http.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


def test_paths_that_are_no_routes_tell_nothing(http: httpx.Client) -> None:
    assert http.get("/admin").status_code == http.get("/admin/nothing").status_code == 404


def test_without_tokens_there_is_no_admin_api() -> None:
    with pytest.raises(TokenError, match="TOUCHSTONE_ADMIN_OWN_TOKEN"):
        RoleTokens.of({})


def test_a_role_without_a_token_can_not_be_used(world: AdminWorld) -> None:
    server = serve(create_admin(world.operator, RoleTokens.of({"read": SECRETS["read"]})), "127.0.0.1", 0).start()
    try:
        assert httpx.get(f"{server.url}/admin/config", headers=header("read")).status_code == 200
        assert httpx.get(f"{server.url}/admin/config", headers=header("own")).status_code == 401
        assert httpx.post(f"{server.url}/admin/batcher/stop", headers=header("read")).status_code == 403
    finally:
        server.stop()


def test_the_openapi_names_the_scheme_and_every_route_asks_for_it(http: httpx.Client) -> None:
    schema = http.get("/openapi.json").json()
    assert schema["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == path.startswith("/admin"), path


def test_attack_strangers_can_not_fill_the_disk() -> None:
    now = [0.0]
    allowance = Allowance(burst=3, per_second=0.5, clock=lambda: now[0])
    assert [allowance.take() for _ in range(5)] == [0, 0, 0, None, None]
    now[0] = 2.0
    assert allowance.take() == 2
    now[0] = 100.0
    assert [allowance.take() for _ in range(4)] == [0, 0, 0, None]
