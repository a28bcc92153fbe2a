"""``touchstone admin`` against a real server: every route has a command, every command does what it says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from rollup.form.ops import Monoid
from rollup.service import logs
from rollup.service.web import serve
from sequencer.states import State, Switch
from tests.prover import hand
from tests.sequencer.admin.world import SECRETS, WRONG, AdminWorld
from tests.world import PROGRAM, TERMS
from touchstone.cli import main
from touchstone.cli.admin.commands import ROUTES

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminWorld]:
    made = AdminWorld(tmp_path_factory.mktemp("sequencer"))
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def url(world: AdminWorld) -> Iterator[str]:
    # The server shares this process: what it logs must not come between what a command prints.
    with capture_logs():
        server = serve(world.app(), "127.0.0.1", 0).start()
        yield server.url
        server.stop()


@pytest.fixture
def run(url: str) -> Run:
    """Runs ``touchstone admin`` with the token of a role; ``role`` None: without one."""

    def ran(*arguments: str, role: str | None = "own", at: str = url, **given: Any) -> Result:
        environ = {"TOUCHSTONE_ADMIN_URL": at, "TOUCHSTONE_ADMIN_TOKEN": SECRETS[role] if role else None}
        return CliRunner(env=environ).invoke(main, ["admin", *arguments], **given)

    return ran


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_admin_route_has_a_command(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    routes = {
        (method.upper(), path)
        for path, operations in paths.items()
        for method in operations
        if path.startswith("/admin")
    }
    assert len(routes) >= 18
    assert routes == set(ROUTES)


def test_status_config_and_audit_are_readable(run: Run, world: AdminWorld) -> None:
    world.post("claimant")
    shown = run("status", role="read")
    assert shown.exit_code == 0
    for words in ("batcher", "posts", "1 posted", world.l1.account, "no problems"):
        assert words in shown.stdout
    assert "sequencer.prover_token  set" in run("config", role="read").stdout
    run("batcher", "start", role="operate")
    run("batcher", "start", role="operate")
    audit = run("audit", "--limit", "2", role="read")
    assert "POST /admin/batcher/start" in audit.stdout and "more: --cursor" in audit.stdout
    cursor = document(run("audit", "--limit", "2", "--json", role="read"))["next"]
    assert document(run("audit", "--limit", "2", "--cursor", cursor, "--json", role="read"))["entries"]


def test_the_switches(run: Run, world: AdminWorld) -> None:
    assert "stopped" in run("batcher", "stop", role="operate").stdout
    assert world.store.switches.get(Switch.BATCHER_STOPPED)
    claim_id = world.take("claimant")
    assert document(run("batcher", "flush", "--json"))["batches"] == 1
    assert world.store.claims.state(claim_id) is State.POSTED
    assert "posts" in run("batcher", "start").stdout
    assert "paused" in run("intake", "pause").stdout
    assert world.store.switches.get(Switch.INTAKE_PAUSED)
    assert "open" in run("intake", "resume").stdout


def test_the_log_level(run: Run) -> None:
    before = logs.level()
    try:
        assert "error" in run("log-level", "error").stdout
        assert logs.level() == "error"
    finally:
        logs.set_level(before)
    assert run("log-level", "loud").exit_code == 2


def test_money_in_ether_and_in_wei(run: Run, world: AdminWorld) -> None:
    assert run("balances", "deposit", "0.5 ether").exit_code == 0
    free = world.l1.balance(world.l1.account)
    assert f"({free} wei)" in run("balances", "show", role="read").stdout
    run("balances", "fund", "5000 wei")
    shown = run("balances", "withdraw", "1000 wei").stdout
    earned = world.l1.earnings(world.l1.account)
    assert f"({earned} wei)" in shown and "transaction" in shown
    assert "1000 wei (1000 wei), from " in run("balances", "announce", "1000 wei").stdout
    assert "wait" in run("balances", "complete").output
    world.chain.advance(world.l1.parameters.withdrawal_delay)
    run("balances", "complete")
    assert world.l1.balance(world.l1.account) == free - 1000
    assert "no amount" in run("balances", "deposit", "much").output


def test_a_model_is_added_from_its_folder_and_retired(run: Run, world: AdminWorld, tmp_path: Path) -> None:
    PROGRAM.save(tmp_path / "toy")
    added = document(run("models", "add", str(tmp_path / "toy"), "--name", "toy", "--json"))
    assert added["model"]["id"] == f"0x{PROGRAM.id.hex()}"
    assert PROGRAM.id in world.programs
    listed = run("models", "list", role="read").stdout
    assert "toy" in listed and PROGRAM.id.hex() in listed
    assert "Retire it?" in run("models", "retire", "toy").output
    assert "yes" in run("models", "retire", "toy", "--yes").stdout
    known = world.store.models.named("toy")
    assert known is not None and known.retired
    assert "yes" not in run("models", "restore", "toy").stdout.split("toy", 1)[1].split()[0]
    known = world.store.models.named("toy")
    assert known is not None and not known.retired
    assert "toy" in run("models", "add", str(tmp_path / "toy"), "--name", "toy").stdout


def test_a_name_moves_to_a_new_version_and_the_old_one_stays_reachable(
    run: Run, world: AdminWorld, tmp_path: Path
) -> None:
    PROGRAM.save(tmp_path / "first")
    second = hand.pooling(Monoid.MAX, 2, 2, 0)
    second.save(tmp_path / "second")
    assert run("models", "add", str(tmp_path / "first"), "--name", "toy").exit_code == 0
    refused = run("models", "add", str(tmp_path / "second"), "--name", "toy")
    assert refused.exit_code == 1 and "or replace it (that model stays reachable by its id)" in refused.output
    assert run("models", "add", str(tmp_path / "second"), "--name", "toy", "--replace").exit_code == 0
    now, before = world.store.models.named("toy"), world.store.models.get(PROGRAM.id)
    assert now is not None and now.id == second.id and not now.retired
    assert before is not None and before.name == f"toy-{PROGRAM.id.hex()[:16]}" and not before.retired
    # And back again.
    assert run("models", "add", str(tmp_path / "first"), "--name", "toy", "--replace").exit_code == 0
    assert world.store.models.named("toy").id == PROGRAM.id  # type: ignore[union-attr]


def test_a_model_has_one_name_and_changes_it_only_when_told_to(run: Run, world: AdminWorld, tmp_path: Path) -> None:
    PROGRAM.save(tmp_path / "toy")
    assert run("models", "add", str(tmp_path / "toy"), "--name", "toy").exit_code == 0
    refused = run("models", "add", str(tmp_path / "toy"), "--name", "other")
    assert refused.exit_code == 1
    assert "is offered as 'toy' already" in refused.output and "or replace it ('toy' is free then)" in refused.output
    assert world.store.models.named("toy") is not None and world.store.models.named("other") is None
    assert run("models", "add", str(tmp_path / "toy"), "--name", "other", "--replace").exit_code == 0
    assert world.store.models.named("toy") is None and world.store.models.named("other") is not None


def test_a_folder_without_a_model_is_refused_before_it_is_sent(run: Run, tmp_path: Path) -> None:
    result = run("models", "add", str(tmp_path), "--name", "nothing")
    assert result.exit_code == 1 and "manifest.json" in result.stderr


def test_a_dispute_is_shown_and_a_move_forced(run: Run, world: AdminWorld) -> None:
    claim_id = f"0x{world.post('liar', WRONG).hex()}"
    assert "transaction" in run("disputes", "move", claim_id, "challenge", role="operate").stdout
    shown = run("disputes", "show", claim_id, role="read").stdout
    assert "challenged" in shown and "defender" in shown and world.l1.account in shown
    assert claim_id in run("disputes", "list", "--open", role="read").stdout
    assert claim_id not in run("disputes", "list", "--ended", role="read").stdout
    two = [f"--child=0x{'11' * 32}", f"--child=0x{'22' * 32}"]
    assert "hashes to" in run("disputes", "move", claim_id, "reveal", *two).stderr
    world.chain.advance(TERMS.clock + 1)
    assert document(run("disputes", "move", claim_id, "timeout", "--json"))["gas"] > 0
    assert document(run("disputes", "show", claim_id, "--json"))["state"] == "invalid"


@pytest.mark.parametrize(
    ("arguments", "role", "words"),
    [
        (("balances", "withdraw", "1000000 ether"), "own", "too little"),
        (("balances", "withdraw", "1 wei"), "read", "needs the role own"),
        (("models", "retire", "nothing", "--yes"), "own", "no model nothing"),
        (("disputes", "show", "0x" + "00" * 32), "read", "nobody has challenged"),
        (("models", "retire", "../status", "--yes"), "own", "nothing at this path"),
        (("audit", "--cursor", "x"), "read", "cursor"),
    ],
)
def test_a_refusal_is_the_servers_sentence_and_exit_code_1(
    arguments: tuple[str, ...], role: str | None, words: str, run: Run
) -> None:
    for more in ((), ("--json",)):
        result = run(*arguments, *more, role=role)
        assert result.exit_code == 1 and result.stdout == ""
        assert result.stderr.startswith("touchstone: ") and words in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_the_token_may_come_from_a_file_and_is_no_flag(run: Run, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRETS["read"] + "\n")
    (tmp_path / "token").chmod(0o600)
    assert run("config", "--token-file", str(tmp_path / "token"), role=None).exit_code == 0
    assert run("config", "--token", SECRETS["read"], role=None).exit_code == 2


def test_where_nobody_answers_the_sentence_names_the_place(run: Run) -> None:
    result = run("status", at="http://127.0.0.1:9")
    assert result.exit_code == 1 and "http://127.0.0.1:9 can't be asked" in result.stderr
    assert SECRETS["own"] not in result.output


class Impostor:
    """An HTTP server that answers everything alike, and remembers what it was told."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        asked: list[str | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.headers["authorization"])
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return None

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Impostor:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, b"\xff\xfe"),
        (200, b"[]"),
        (200, b'{"settings": 1}'),
        (204, b""),
        (500, b"{}"),
        (500, b'{"detail": 5}'),
    ],
)
def test_attack_an_answer_that_is_none_is_one_sentence(status: int, body: bytes, run: Run) -> None:
    with Impostor(status, body, {}) as impostor:
        result = run("config", at=impostor.url)
    assert result.exit_code == 1 and result.stderr.startswith("touchstone: "), result.output
    assert len(result.stderr.splitlines()) == 1


def test_attack_a_redirect_does_not_carry_the_token_elsewhere(run: Run) -> None:
    with Impostor(200, b"{}", {}) as thief, Impostor(307, b"", {"location": thief.url}) as impostor:
        assert run("config", at=impostor.url).exit_code == 1
        assert impostor.asked == [f"Bearer {SECRETS['own']}"]
        assert thief.asked == []


def test_attack_what_a_server_says_can_not_command_the_terminal(run: Run) -> None:
    body = json.dumps({"settings": {"name": "\x1b]0;owned\x07 [red]x[/red]"}}).encode()
    with Impostor(200, body, {}) as impostor:
        shown = run("config", at=impostor.url)
    assert shown.exit_code == 0 and "[red]x[/red]" in shown.stdout
    refusal = json.dumps({"detail": "\x1b[2Jgone"}).encode()
    with Impostor(409, refusal, {}) as impostor:
        refused = run("config", at=impostor.url)
    assert "gone" in refused.stderr
    assert "\x1b" not in shown.output + refused.output and "\x07" not in shown.output


@pytest.mark.parametrize(
    ("arguments", "role", "sentence"),
    [
        (("status",), None, "name its file with --token-file, or set TOUCHSTONE_ADMIN_TOKEN"),
        (("disputes", "show", "0x12"), "read", "'0x12' is no claim's id; write it as 0x and 64 hex digits"),
        (("disputes", "move", "12", "reveal"), "operate", "'12' is no claim's id; write it as 0x and 64 hex digits"),
    ],
)
def test_what_can_be_known_without_asking_is_said_with_its_remedy(
    run: Run, arguments: tuple[str, ...], role: str | None, sentence: str
) -> None:
    result = run(*arguments, role=role)
    assert result.exit_code != 0
    assert sentence in result.output
