"""Alerts reach whoever wants them, and whatever their receivers do, the watcher goes on."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from challenger.reports.alerts import ALERTS, SEVERITIES, Alert, Kind, Severity, to_all, to_log, to_metric
from challenger.reports.webhook import Persistence, Webhook, deliver
from rollup.claim import ClaimId
from rollup.errors import ClientError
from rollup.http import Request
from rollup.service.fetch import get_exactly
from rollup.service.logs import logger
from tests.challenger.hostile import head, serving, whole

CLAIM = ClaimId(b"\x07" * 32)
FALSE = Alert(Kind.FALSE_CLAIM, "claim 7 is false", CLAIM)
EAGER = Persistence(tries=4, timeout=1.0, pause=0.01, longest=0.05, queue=3)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def accept(connection: socket.socket, line: str, body: bytes) -> None:
    connection.sendall(whole(b"", 204))


def test_every_kind_has_a_severity_and_a_name() -> None:
    assert set(SEVERITIES) == set(Kind)
    assert Alert(Kind.LOST, "").severity is Severity.CRITICAL
    assert Alert(Kind.LOST, "", raised=Severity.INFO).severity is Severity.INFO


def test_the_log_gets_the_sentence_at_its_severity() -> None:
    with capture_logs() as lines:
        to_log(logger("watcher"))(FALSE)
        to_log(logger("watcher"))(Alert(Kind.BALANCE_LOW, "no money is left"))
    assert [(line["event"], line["log_level"], line["kind"]) for line in lines] == [
        ("claim 7 is false", "warning", "false-claim"),
        ("no money is left", "error", "balance-low"),
    ]
    assert lines[0]["claim_id"] == "0x" + "07" * 32 and "claim_id" not in lines[1]


def test_the_metric_counts_by_kind() -> None:
    counted = ALERTS.labels("false-claim", "warning")._value
    before = counted.get()
    to_metric(FALSE)
    assert counted.get() == before + 1


def test_a_sink_that_fails_keeps_no_other_from_its_alert() -> None:
    told: list[Alert] = []

    def fail(alert: Alert) -> None:
        raise OSError("the disk is full")

    to_all([fail, told.append, fail])(FALSE)
    assert told == [FALSE]


def test_a_webhook_that_fails_first_gets_the_alert_in_the_end() -> None:
    def recovering(connection: socket.socket, line: str, body: bytes) -> None:
        tries = len(server.requests)
        if tries == 1:
            return
        connection.sendall(whole(b"", {2: 500, 3: 302}.get(tries, 200)))

    with serving(recovering) as server:
        hook = Webhook(server.url + "/hook", "a-secret", EAGER)
        hook(FALSE)
        eventually(lambda: len(server.requests) == 4)
        hook.stop()
        line, request, body = server.requests[-1]
    assert line == "POST /hook HTTP/1.1"
    assert "authorization: bearer a-secret" in request.lower()
    assert json.loads(body) == {
        "kind": "false-claim",
        "severity": "warning",
        "claim_id": "0x" + "07" * 32,
        "sentence": "claim 7 is false",
    }


def test_a_webhook_that_hangs_blocks_nobody_and_fills_no_memory() -> None:
    held = threading.Event()

    def hang(connection: socket.socket, line: str, body: bytes) -> None:
        if len(server.requests) == 1:
            held.wait(20)
        accept(connection, line, body)

    with serving(hang) as server:
        hook = Webhook(server.url, None, Persistence(tries=1, timeout=20, queue=3))
        hook(Alert(Kind.TROUBLE, "0"))
        eventually(lambda: len(server.requests) == 1)
        for number in range(1, 100):
            hook(Alert(Kind.TROUBLE, str(number)))
        held.set()
        eventually(lambda: len(server.requests) == 4)
        hook.stop()
        told = [json.loads(body)["sentence"] for _, _, body in server.requests]
    # The oldest were dropped: what is new matters more.
    assert told == ["0", "97", "98", "99"]


def test_a_webhook_that_never_answers_is_given_up() -> None:
    with serving(lambda *_: None) as server:
        hook = Webhook(server.url, None, EAGER)
        hook(FALSE)
        eventually(lambda: len(server.requests) == EAGER.tries)
        hook(Alert(Kind.WON, "later"))
        eventually(lambda: len(server.requests) == 2 * EAGER.tries)
        hook.stop()
        assert json.loads(server.requests[-1][2])["kind"] == "won"


def test_a_webhook_that_sends_without_end_is_not_listened_to() -> None:
    def talk(connection: socket.socket, line: str, body: bytes) -> None:
        connection.sendall(head(200))
        while True:
            connection.sendall(bytes(1 << 20))

    with serving(talk) as server:
        hook = Webhook(server.url, None, EAGER)
        hook(FALSE)
        hook(FALSE)
        eventually(lambda: len(server.requests) == 2)
        hook.stop()


def test_no_secret_is_shown_by_a_webhook_or_its_errors() -> None:
    with serving(lambda connection, *_: connection.sendall(whole(b"", 403))) as server:
        hook = Webhook(f"{server.url}/T0/secret-path", "a-secret", EAGER)
        with pytest.raises(ClientError) as refused:
            deliver(Request("POST", hook.url, content=b"{}", headers={"authorization": "Bearer a-secret"}), 5)
        hook.stop()
    assert "secret" not in repr(hook) + str(refused.value)
    assert str(refused.value) == f"{server.url} answered 403; expected 2xx"


def test_who_is_out_of_time_asks_nobody() -> None:
    with serving(accept) as server:
        with pytest.raises(ClientError, match="no time is left"):
            get_exactly(server.url, 10, 0.0)
        with pytest.raises(ClientError, match="can't be asked"):
            get_exactly("http://[nonsense", 10, 1.0)
        assert server.requests == []
