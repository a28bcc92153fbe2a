"""The watcher as it runs: rounds by themselves, programs from folders and strangers, health, metrics, alerts."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour
from challenger.publications.library import Library, Wanted
from challenger.reports.alerts import Kind
from challenger.reports.webhook import Webhook
from challenger.service import WatcherOptions, WatcherService
from challenger.watch.modes import WatchConfiguration, WatchMode
from rollup.archive import pack
from rollup.errors import AuditError, ClientError
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.service.fetch import FetchLimits
from rollup.service.web import serve
from rollup.types import ModelId, Root
from tests.arity import deep_program
from tests.challenger.hostile import Answer, serving, whole
from tests.e2e.lies import INPUTS, PROGRAMS, lie_in_op
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import toy_program
from tests.world import ETHER, TERMS

PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
PATIENCE = 60.0


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("programs") / "toy"
    PROGRAM.save(place)
    return place


@pytest.fixture
def network() -> NetworkWorld:
    return NetworkWorld(PROGRAM)


def service(
    network: NetworkWorld, options: WatcherOptions, configuration: WatchConfiguration | None = None, **more: object
) -> WatcherService:
    return WatcherService(
        network.client("watcher"),
        configuration or WatchConfiguration(max_lag=60),
        options,
        machine=Reference,
        wall=network.chain.now,
        **more,  # type: ignore[arg-type]
    )


@contextmanager
def running(one: WatcherService) -> Iterator[str]:
    """The service and its HTTP; gives the URL."""
    server = serve(one.app, "127.0.0.1", 0).start()
    one.start()
    try:
        yield server.url
    finally:
        one.stop()
        server.stop()


def metric(url: str, line: str) -> float:
    """The value of a metric's line."""
    found = [row for row in httpx.get(f"{url}/metrics").text.splitlines() if row.startswith(line + " ")]
    return float(found[0].split()[-1]) if found else 0.0


def sequencer_of(program: Program, folder: Path, model_id: ModelId | None = None) -> Answer:
    """What a sequencer with one model answers; under another id, if one is given."""
    named = (model_id or program.id).hex()

    def answer(connection: socket.socket, line: str, _: bytes) -> None:
        if line.startswith(f"GET /v1/models/0x{named}/program "):
            connection.sendall(whole(b"".join(pack(folder))))
        elif line.startswith("GET /v1/models "):
            listed = {"models": [{"id": f"0x{named}", "name": "toy", "retired": False}], "next": None}
            connection.sendall(whole(json.dumps(listed).encode()))
        else:
            connection.sendall(whole(b"", 404))

    return answer


def test_a_running_watcher_convicts_a_false_claim_and_says_so_everywhere(network: NetworkWorld, folder: Path) -> None:
    def accept(connection: socket.socket, line: str, body: bytes) -> None:
        connection.sendall(whole(b""))

    with serving(accept) as hook:
        sink = Webhook(hook.url)
        one = service(network, WatcherOptions([folder], poll=0.5, deposit=4 * TERMS.challenge_bond), sinks=[sink])
        with running(one) as url:
            account = network.client("watcher").account
            before = {name: metric(url, name) for name in COUNTERS}
            eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200, "ready")
            eventually(
                lambda: network.deployer.earnings(account) == 4 * TERMS.challenge_bond, "its balance is topped up"
            )
            right = network.claim("honest", INPUTS)
            false = lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
            eventually(lambda: answered(network, false), "the verdict")
            eventually(lambda: metric(url, WON) > before[WON], "the metrics know of it")
            after = {name: metric(url, name) - before[name] for name in COUNTERS}
            eventually(lambda: metric(url, 'touchstone_watcher_balance_wei{where="locked"}') == 0, "its bond is free")
            assert metric(url, "touchstone_watcher_head_block") == network.chain.height()
            assert metric(url, "touchstone_watcher_games_open") == 0
            assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
            assert httpx.get(f"{url}/v1/claims").status_code == 404
            eventually(lambda: any(json.loads(body)["kind"] == "won" for *_, body in hook.requests), "the webhook, too")
        sink.stop()
        kinds = [json.loads(body)["kind"] for *_, body in hook.requests]
    assert kinds[0] == "false-claim" and kinds[-1] == "won"
    assert after[RIGHT] == 1 and after[FALSE] == 1 and after[WON] == 1 and after[CHALLENGES] == 1
    assert after["touchstone_watcher_gas_total"] == one.watcher.costs.gas(false.claim_id)
    assert network.status(right) is ClaimStatus.POSTED


def answered(network: NetworkWorld, claimed: Claimed) -> bool:
    """The liar answers, if it has to; whether its claim is invalid."""
    claimed.defender.poll()
    return network.status(claimed) is ClaimStatus.INVALID


WON = "touchstone_watcher_games_won_total"
RIGHT, FALSE = (f'touchstone_watcher_claims_checked_total{{result="{result}"}}' for result in ("right", "false"))
CHALLENGES = 'touchstone_watcher_moves_total{move="challenge"}'
COUNTERS = [WON, RIGHT, FALSE, CHALLENGES, "touchstone_watcher_gas_total"]


@pytest.mark.parametrize("every", [True, False], ids=["all-models", "by-id"])
def test_a_program_is_fetched_from_a_sequencer_and_watched(
    network: NetworkWorld, folder: Path, tmp_path: Path, every: bool
) -> None:
    with serving(sequencer_of(PROGRAM, folder)) as sequencer:
        wanted = Wanted(sequencer.url, () if every else (PROGRAM.id,), every)
        network.claim("honest", INPUTS)
        one = service(
            network,
            WatcherOptions(wanted=wanted, programs=tmp_path / "cache", poll=0.05),
            WatchConfiguration(WatchMode.WATCH),
        )
        with running(one) as url:
            eventually(lambda: len(one.watcher.checked) == 1, "the claim is checked")
            assert httpx.get(f"{url}/readyz").status_code == 200
    # From the cache it is watched again without anybody's help, if it is asked for by its id.
    if not every:
        again = service(
            network,
            WatcherOptions(wanted=wanted, programs=tmp_path / "cache", poll=0.05),
            WatchConfiguration(WatchMode.WATCH),
        )
        with running(again):
            eventually(lambda: len(again.watcher.checked) == 1, "the claim is checked again")


def test_a_program_of_another_id_is_refused_and_its_claims_are_an_alert(
    network: NetworkWorld, folder: Path, tmp_path: Path
) -> None:
    other = Root(b"\x07" * 32)
    told: list[Kind] = []
    network.claim("honest", INPUTS)
    one = service(network, WatcherOptions(programs=tmp_path / "own"), sinks=[lambda alert: told.append(alert.kind)])
    with serving(sequencer_of(PROGRAM, folder, other)) as sequencer:
        library = Library(one.watcher, tmp_path / "cache", Wanted(sequencer.url, every=True))
        one.watcher.poll()
        assert told == []
        library.step()
        assert "was expected" in library.refused[other][0]
        asked = len(sequencer.requests)
        library.step()
        # It is not fetched again for a while.
        assert len(sequencer.requests) == asked + 1
    one.watcher.poll()
    assert told == [Kind.UNKNOWN_MODEL] and one.watcher.held == 0
    one.stop()


def test_a_program_that_fails_the_audit_is_not_watched_whoever_gives_it(network: NetworkWorld, tmp_path: Path) -> None:
    deep = deep_program()
    deep.save(tmp_path / "deep")
    one = service(network, WatcherOptions([tmp_path / "deep"], programs=tmp_path / "own"))
    with pytest.raises(AuditError, match="trace and tensor depth"):
        one.start()
    with serving(sequencer_of(deep, tmp_path / "deep")) as sequencer:
        library = Library(one.watcher, tmp_path / "cache", Wanted(sequencer.url, [deep.id]))
        library.step()
    assert "trace and tensor depth" in library.refused[deep.id][0]
    one.watcher.poll()
    assert one.watcher.held == 0
    one.stop()


def test_a_sequencer_that_cannot_be_asked_is_a_trouble_and_not_an_end(network: NetworkWorld, tmp_path: Path) -> None:
    one = service(network, WatcherOptions(wanted=Wanted("http://127.0.0.1:9", every=True), poll=0.05))
    with pytest.raises(ClientError):
        one.library.step()
    with running(one) as url:
        eventually(lambda: one.programs.trouble is not None, "it says what is wrong")
        answer = httpx.get(f"{url}/readyz")
        assert answer.status_code == 503 and "no program is held yet" in answer.json()["checks"]["models"]


def test_a_lagging_node_and_an_empty_purse_make_a_watcher_not_ready(network: NetworkWorld, folder: Path) -> None:
    late = [1000.0]
    poor = network.deployer.using(network.chain.signer("poor", TERMS.challenge_bond // 2))
    configuration = WatchConfiguration(max_lag=60)
    one = WatcherService(
        poor, configuration, WatcherOptions([folder]), machine=Reference, wall=lambda: network.chain.now() + late[0]
    )
    one.library.load(folder)
    one.step()
    problems = one.health.problems()
    assert "1000 s old" in problems["chain"] and "a challenge takes" in problems["bond"]
    late[0] = 0.0
    network.chain.fund(poor.account, ETHER)
    one.step()
    # The loop itself was not started, and says so.
    assert "has not succeeded" in one.health.problems()["chain"] and "bond" not in one.health.problems()
    one.stop()


def test_a_watcher_without_an_account_serves_its_numbers_too(network: NetworkWorld, folder: Path) -> None:
    reader = network.deployer.using(None)
    one = WatcherService(
        reader,
        WatchConfiguration(WatchMode.WATCH),
        WatcherOptions([folder], poll=0.05),
        machine=Reference,
        wall=network.chain.now,
    )
    lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
    with running(one) as url:
        eventually(lambda: one.watcher.false_claims(), "the lie is found")
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200, "ready")


def shortened(place: Path) -> None:
    largest = max(place.glob("constants/*.bin"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])


def altered(place: Path) -> None:
    largest = max(place.glob("constants/*.bin"), key=lambda path: path.stat().st_size)
    largest.write_bytes(bytes(byte ^ 1 for byte in largest.read_bytes()))


def garbled(place: Path) -> None:
    (place / "manifest.json").write_text("{")


def emptied(place: Path) -> None:
    (place / "manifest.json").unlink()


def replaced(place: Path) -> None:
    shutil.rmtree(place)
    place.write_text("no folder")


@pytest.mark.parametrize("damage", [shortened, altered, garbled, emptied, replaced])
def test_a_damaged_cache_is_fetched_again(
    network: NetworkWorld, folder: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    cache = tmp_path / "cache"
    with serving(sequencer_of(PROGRAM, folder)) as sequencer:
        wanted = Wanted(sequencer.url, [PROGRAM.id])
        for lives in range(3):
            one = service(network, WatcherOptions(programs=tmp_path / "own"))
            library = Library(one.watcher, cache, wanted)
            library.step()
            one.watcher.poll()
            assert one.watcher.held == 1 and library.refused == {}
            assert len(sequencer.requests) == min(1 + lives, 2)
            one.stop()
            if lives == 0:
                damage(cache / PROGRAM.id.hex())


def test_a_program_whose_test_fails_in_whatever_way_keeps_no_other_from_being_watched(
    network: NetworkWorld, folder: Path, tmp_path: Path
) -> None:
    """A stranger's model may be made to exhaust a machine, or a library."""
    other = toy_program(TracePolicy.ON_DISPUTE)
    other.save(tmp_path / "other")

    def machine(program: Program) -> Reference:
        if program.id == other.id:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return Reference(program)

    first, second = sequencer_of(other, tmp_path / "other"), sequencer_of(PROGRAM, folder)
    one = WatcherService(network.client("watcher"), WatchConfiguration(), WatcherOptions(), machine=machine)
    with serving(lambda *call: (first if other.id.hex() in call[1] else second)(*call)) as sequencer:
        library = Library(one.watcher, tmp_path / "cache", Wanted(sequencer.url, [other.id, PROGRAM.id]))
        library.step()
    one.watcher.poll()
    assert one.watcher.holds(PROGRAM.id) and "RESOURCE_EXHAUSTED" in library.refused[other.id][0]
    one.stop()


@pytest.mark.parametrize("limits", [FetchLimits(trace_bytes=1000), FetchLimits(steps=100)], ids=["memory", "time"])
def test_a_strangers_program_that_would_exhaust_the_machine_is_not_even_tested(
    network: NetworkWorld, folder: Path, tmp_path: Path, limits: FetchLimits
) -> None:
    """A kilobyte of descriptor may stand for terabytes of values."""

    def machine(program: Program) -> Reference:
        raise AssertionError("it was run")

    one = WatcherService(network.client("watcher"), WatchConfiguration(), WatcherOptions(), machine=machine)
    with serving(sequencer_of(PROGRAM, folder)) as sequencer:
        library = Library(one.watcher, tmp_path / "cache", Wanted(sequencer.url, [PROGRAM.id]), limits)
        library.step()
    assert "give its folder with --models if you trust it" in library.refused[PROGRAM.id][0]
    one.stop()
