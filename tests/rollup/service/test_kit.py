"""Logs keep secrets, loops never die, health says what is wrong, servers stop without cutting answers off."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from rollup.errors import (
    ChainError,
    ClaimError,
    CommitmentError,
    EncodingError,
    InexactMachine,
    MoveError,
    Reverted,
    ServiceError,
)
from rollup.redact import HIDDEN, is_secret, redacted, without_credentials, without_endpoints
from rollup.service import logs
from rollup.service.health import Health
from rollup.service.loop import FAILURES, Loop
from rollup.service.problem import Problem, problem_of
from rollup.service.web import create_app, serve


@pytest.fixture
def written(capsys):
    """Everything that is logged as JSON, line by line."""
    logs.configure("info", "json")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logs.configure()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


# Logs


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "private_key",
        "privateKey",
        "API-Key",
        "token",
        "prover_token",
        "password",
        "Authorization",
        "client secret",
        "keys",
    ],
)
def test_values_under_secret_names_are_hidden(name):
    assert is_secret(name)
    assert redacted({"outer": [{name: "x"}]}) == {"outer": [{name: HIDDEN}]}


@pytest.mark.parametrize("name", ["claim_id", "keystore_file", "monkey_business", "tokens_per_second", "address"])
def test_other_values_are_shown(name):
    assert not is_secret(name)


def test_addresses_lose_their_credentials_and_in_errors_what_follows_the_host():
    url = "postgresql+psycopg://user:hunter2@host/name"
    assert without_credentials(f"at {url}") == f"at postgresql+psycopg://{HIDDEN}@host/name"
    message = "HTTPSConnectionPool(host='eth.example'): Max retries exceeded with url: /v3/abcdef (https://eth.example/v3/abcdef?k=1)"
    assert "abcdef" not in without_endpoints(message) and "eth.example" in without_endpoints(message)


def test_no_secret_reaches_the_log_by_field_message_error_or_traceback(written):
    log = logs.logger("test")
    log.info("connected to https://user:hunter2@host/", token="hunter2", settings={"key": "hunter2"})
    try:
        raise ChainError("no answer from https://eth.example/v3/hunter2")
    except ChainError as error:
        log.error("failed", error=str(error), exc_info=error)
    lines = written()
    assert len(lines) == 2 and "hunter2" not in json.dumps(lines)
    assert "ChainError" in lines[1]["exception"] and lines[1]["level"] == "error"


def test_the_level_can_be_changed_while_it_runs(written):
    log = logs.logger("test")
    log.debug("unseen")
    logs.set_level("debug")
    log.debug("seen")
    assert [line["event"] for line in written()] == ["seen"] and logs.level() == "debug"
    with pytest.raises(ServiceError, match="choose one of"):
        logs.set_level("loud")


def test_what_libraries_log_has_the_same_form(written):
    logging.getLogger("some.library").warning("about %s", "something")
    logging.getLogger("httpx").info("HTTP Request: GET https://eth.example/v3/key")
    (line,) = written()
    assert (line["event"], line["logger"], line["level"]) == ("about something", "some.library", "warning")


# Loops


def test_a_loop_survives_every_failure_and_tells_it(written):
    failures = [ChainError("the node is away"), ValueError("a bug"), KeyError("another")]
    done = threading.Event()

    def step():
        if failures:
            raise failures.pop(0)
        done.set()

    loop = Loop("fragile", step, 0.01)
    before = FAILURES.labels("fragile")._value.get()
    assert loop.stale(1.0) is not None
    loop.start()
    assert done.wait(20)
    wait_for(lambda: loop.trouble is None and loop.last_success is not None)
    assert loop.running and loop.stale(60.0) is None
    assert loop.stop(20) and not loop.running
    assert FAILURES.labels("fragile")._value.get() - before == 3
    lines = [line for line in written() if line["event"] == "loop step failed"]
    assert [line["level"] for line in lines] == ["warning", "error", "error"]
    assert "exception" not in lines[0] and "ValueError: a bug" in lines[1]["exception"]


def test_a_failing_step_is_retried_with_pauses_that_grow_up_to_half_a_minute(monkeypatch):
    pauses, loop = [], None

    def wait(pause):
        pauses.append(pause)
        loop._stopping = len(pauses) > 12

    def step():
        raise ChainError("away")

    loop = Loop("growing", step, 0.5)
    monkeypatch.setattr(loop._woken, "wait", wait)
    loop._run()
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0] and pauses[-1] == 30.0


def test_a_loop_that_is_woken_does_not_wait():
    rounds = []
    loop = Loop("sleepy", lambda: rounds.append(1), 3600)
    loop.start()
    wait_for(lambda: len(rounds) == 1)
    loop.wake()
    wait_for(lambda: len(rounds) == 2)
    assert loop.stop(20)


def test_a_loop_can_stop_itself_and_start_again():
    rounds = []

    def step():
        rounds.append(1)
        loop.stop()

    loop = Loop("once", step, 0.01)
    loop.start()
    wait_for(lambda: not loop.running)
    loop.start()
    wait_for(lambda: not loop.running)
    assert len(rounds) == 2


# Health and problems


def test_health_names_every_check_that_fails_even_one_that_breaks():
    health = Health()
    health.add("fine", lambda: None)
    health.add("bad", lambda: "the disk is full; make room")

    def broken():
        raise ValueError("at https://host/secret")

    health.add("broken", broken)
    problems = health.problems()
    assert set(problems) == {"bad", "broken"}
    assert problems["bad"] == "the disk is full; make room" and "secret" not in problems["broken"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ClaimError("x"), 422),
        (EncodingError("x"), 422),
        (CommitmentError("x"), 422),
        (MoveError("x"), 409),
        (Reverted("NonceUsed", {}, "x"), 409),
        (ChainError("x"), 503),
        (ServiceError("x"), 503),
        (InexactMachine("x"), 503),
        (Problem(418, "teapot", "A teapot", "x"), 418),
    ],
)
def test_every_expected_failure_has_its_status(error, status):
    problem = problem_of(error)
    assert (problem.status, problem.detail) == (status, "x")


# Servers


def test_a_port_that_is_taken_is_said_in_one_sentence():
    app = create_app("a", "b", Health())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ServiceError, match="can't be listened on"):
            serve(app, "127.0.0.1", other.getsockname()[1])
    with pytest.raises(ServiceError, match="can't be listened on"):
        serve(app, "203.0.113.1", 0)


def test_an_answer_that_has_begun_is_given_before_the_server_is_gone():
    app, begun, release = create_app("a", "b", Health()), threading.Event(), threading.Event()

    @app.get("/slow")
    def slow() -> str:
        begun.set()
        release.wait(20)
        return "done"

    server, answers = serve(app, "127.0.0.1", 0).start(), []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{server.url}/slow", timeout=20).json()))
    asking.start()
    assert begun.wait(20)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    wait_for(app.state.stopping.is_set)
    release.set()
    stopping.join(20)
    asking.join(20)
    assert answers == ["done"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/healthz")


PROGRAM = """
from rollup.service import logs
from rollup.service.health import Health
from rollup.service.web import create_app, serve
logs.configure("info", "json")
server = serve(create_app("child", "x", Health()), "127.0.0.1", 0)
server.run()
print("ended well", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_service_well(number):
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = json.loads(child.stderr.readline())
        assert line["event"] == "listening" and httpx.get(f"{line['url']}/healthz").status_code == 200
        os.kill(child.pid, number)
        assert child.wait(30) == 0
        assert child.stdout.read() == "ended well\n"
    finally:
        child.kill()
        child.communicate()
