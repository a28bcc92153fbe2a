"""Hostile and unlucky services: nothing of theirs is accepted, nothing hangs, nothing crashes."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from rollup import wire
from rollup.claim import ClaimId
from rollup.client import AsyncClient, Bounds, Client
from rollup.errors import BadAnswer, ClientError
from tests.rollup.client.conftest import QUICK
from tests.rollup.client.service import Handler, Reply, Service, hang_up, ok, problem, raw, stream
from tests.rollup.client.world import MODEL, answered

CLAIM = ClaimId(bytes(range(32)))
ROUTE = f"GET /v1/claims/{wire.hex_of(CLAIM)}"
SHORT = Bounds(bytes=1 << 16, seconds=0.4, attempts=2, busy_attempts=2, patience=0.05)


def head_drips(handler: Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nX-More: ")


def body_drips(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    handler.drip(b" ")


def silence(handler: Handler) -> None:
    handler.close_connection = True
    handler.server.service.stopped.wait()


def endless(handler: Handler) -> None:
    handler.close_connection = True
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.service.stopped.is_set():
        handler.wfile.write(b"[" + b"0," * 65536)


def short_body(handler: Handler) -> None:
    """Less than the length that was promised."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{}")


def no_http(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"220 mail.example ready\r\n")


def endless_header(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not handler.server.service.stopped.is_set():
        handler.wfile.write(b"a" * 65536)


NUISANCES: dict[str, tuple[Reply, str]] = {
    "a head that drips": (head_drips, "did not answer completely"),
    "a body that drips": (body_drips, "did not answer completely"),
    "silence": (silence, "did not answer completely"),
    "an endless body": (endless, "more than 65536 bytes"),
    "an endless header": (endless_header, "can't be asked|failed"),
    "a body that ends early": (short_body, "can't be asked"),
    "a connection that closes": (hang_up, "can't be asked"),
    "another protocol": (no_http, "can't be asked|failed"),
    "a redirect": (raw(b"", 302, Location="http://127.0.0.1:1/"), "redirect"),
    "a redirect with a body": (raw(b'{"claim_id": 1}', 308, Location="/v1/models"), "redirect"),
    "a bomb": (raw(gzip.compress(b" " * 10_000_000), Content_Encoding="gzip"), "encoding"),
    "no JSON": (raw(b"<html>it works</html>"), "no JSON"),
    "no text": (raw(b"\xff\xfe\x00"), "no JSON"),
    "nothing": (raw(b""), "no JSON"),
    "deep lists": (raw(b"[" * 30_000), "no JSON"),
    "deep objects": (raw(b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "no JSON"),
    "a very long number": (raw(b'{"claim_id":' + b"9" * 30_000 + b"}"), "no JSON|lacks"),
    "a list": (ok([]), "can't be what it says"),
    "null": (ok(None), "can't be what it says"),
    "an empty object": (ok({}), "lacks"),
    "fields of other types": (ok({"claim_id": 1, "state": [], "claim": "x"}), "claim_id is"),
    "a state that there is not": (ok({"claim_id": "0x" + "00" * 32, "state": "fine", "claim": {}}), "state is"),
    "control characters": (problem(400, "red\x1b[31m\nalert\r" + "x" * 10_000), "red  ?.31m"),
    "a problem that is none": (raw(b"[[1]]", 500), "gave no reason"),
    "a problem that nests": (raw(b"[" * 10_000, 400, Content_Type="application/problem+json"), "gave no reason"),
}


@pytest.mark.parametrize("nuisance", NUISANCES)
def test_it_ends_in_one_sentence(nuisance: str, service: Service) -> None:
    reply, words = NUISANCES[nuisance]
    service.on(ROUTE, reply)
    # What ends by its size may take its time on a busy machine.
    bounds = replace(SHORT, seconds=20) if reply is endless else SHORT
    with Client(service.url, bounds=bounds) as client, pytest.raises(ClientError, match=words) as caught:
        client.get(CLAIM)
    sentence = str(caught.value)
    assert len(sentence) < 1000 and sentence.isprintable()


@pytest.mark.parametrize(
    "model",
    [
        {**MODEL, "header": "0x"},
        {**MODEL, "header": 4},
        {**MODEL, "header": "0x" + "00" * ((1 << 18) + 1)},
        {**MODEL, "interface": MODEL["interface"] + "00"},
        {**MODEL, "interface": "0x" + "00" * ((1 << 18) + 1)},
        {**MODEL, "proof": []},
        {**MODEL, "proof": MODEL["proof"] * 30},
        {**MODEL, "proof": MODEL["proof"][:-1]},
        {**MODEL, "proof": {"0": MODEL["proof"][0]}},
        {**MODEL, "name": 4},
        {**MODEL, "id": "0x00"},
        {**MODEL, "retired": "no"},
    ],
)
def test_a_description_that_can_not_be_is_refused(model: Any, service: Service, client: Client) -> None:
    service.on("GET /v1/models/toy", ok(model))
    with pytest.raises(BadAnswer, match="can't be what it says"):
        client.model("toy")


@pytest.mark.parametrize(
    "outputs",
    [
        None,
        [],
        [[1.0] * 6],
        [[1.0] * 5, [1]],
        [[1.0] * 6, [1.5]],
        [[1.0] * 6, [1 << 40]],
        [[1.0] * 6, ["1"]],
        [[1.0] * 5 + [[1.0]], [1]],
        [[float("nan")] * 6, [1]],
        [[float("inf")] * 6, [1]],
        [[10**400] * 6, [1]],
        [{"0": 1.0}, [1]],
    ],
)
def test_outputs_that_are_none_of_the_model_are_refused(outputs: Any, service: Service, client: Client) -> None:
    service.on("GET /v1/models/toy", ok(MODEL))
    service.on(
        "POST /v1/infer",
        ok(answered(ClaimId(bytes(32)), outputs), 201),
    )
    with pytest.raises(BadAnswer, match="can't be what it says"):
        client.infer("toy", [0.5] * 600, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (([0.5] * 600,), "takes 2 inputs"),
        (([0.5] * 599, [1, 2, 3, 4]), "has shape"),
        (([0.5] * 600, [1.5, 2, 3, 4]), "convert it first"),
        (([0.5] * 600, [1, 2, 3, 1 << 20]), "outside of int16"),
        (([float("nan")] * 600, [1, 2, 3, 4]), "not finite"),
        ((["a"] * 600, [1, 2, 3, 4]), "give numbers"),
        (([[1], [2, 3]], [1, 2, 3, 4]), "no array"),
    ],
)
def test_inputs_that_do_not_fit_are_not_sent(
    inputs: tuple[Any, ...], words: str, service: Service, client: Client
) -> None:
    service.on("GET /v1/models/toy", ok(MODEL))
    with pytest.raises(ClientError, match=words):
        client.infer("toy", *inputs)
    assert service.times("POST /v1/infer") == 0


def test_pages_that_lead_in_a_circle_end(service: Service, client: Client) -> None:
    service.on(
        "GET /v1/claims",
        ok({"claims": [], "next": "a"}),
        ok({"claims": [], "next": "b"}),
        ok({"claims": [], "next": "a"}),
    )
    with pytest.raises(BadAnswer, match="leads back"):
        list(client.claims())
    service.on("GET /v1/models", ok({"models": [MODEL], "next": "a"}))
    with pytest.raises(BadAnswer, match="leads back"):
        client.models()


def test_models_are_listed_over_pages(service: Service, client: Client) -> None:
    service.on("GET /v1/models", ok({"models": [MODEL], "next": "2"}), ok({"models": [{**MODEL, "name": "b"}]}))
    assert [model.name for model in client.models()] == ["toy", "b"]
    assert [one.query for one in service.asked] == ["", "cursor=2"]


@pytest.mark.parametrize("trouble", [hang_up, problem(503, "soon", Retry_After="0"), problem(429, "slowly")])
def test_a_post_is_repeated_with_the_same_key(trouble: Reply, service: Service, client: Client) -> None:
    done = ok(answered(CLAIM, [[1.0] * 6, [1]]), 201)
    service.on("GET /v1/models/toy", ok(MODEL))
    service.on("POST /v1/infer", trouble, trouble, done)
    assert client.infer("toy", [0.5] * 600, [1, 2, 3, 4]).claim_id == CLAIM
    posts = [one for one in service.asked if one.method == "POST"]
    keys = {one.headers["Idempotency-Key"] for one in posts}
    assert len(posts) == 3 and len(keys) == 1 and len({one.body for one in posts}) == 1
    assert json.loads(posts[0].body)["inputs"][1] == [1, 2, 3, 4]
    client.infer("toy", [0.5] * 600, [1, 2, 3, 4])
    assert {one.headers["Idempotency-Key"] for one in service.asked if one.method == "POST"} > keys


@pytest.mark.parametrize(
    ("reply", "times", "status"),
    [
        (problem(503, "come back later"), 3, 503),
        (problem(429, "come back later", Retry_After="3600"), 1, 429),
        (problem(422, "come back later"), 1, 422),
        (problem(500, "come back later"), 1, 500),
    ],
)
def test_a_refusal_is_handed_on_with_status_and_problem(
    reply: Reply, times: int, status: int, service: Service, client: Client
) -> None:
    service.on(ROUTE, reply)
    with pytest.raises(ClientError, match="come back later") as caught:
        client.get(CLAIM)
    assert caught.value.status == status and caught.value.problem["detail"] == "come back later"
    assert service.times(ROUTE) == times


def test_nobody_at_home_is_a_sentence() -> None:
    with Client("http://127.0.0.1:1", bounds=SHORT) as client, pytest.raises(ClientError, match="can't be asked"):
        client.models()


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8080", "ftp://x", "http://", "http://a:b", "http://[::1", "file:///etc", "http://x?key=y"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="is no URL"):
        Client(url)


def test_a_name_goes_into_the_path_as_it_is(service: Service, client: Client) -> None:
    service.on("GET /v1/models/a%2F..%2Fb%3Fc", ok({**MODEL, "name": "odd"}))
    assert client.model("a/../b?c").name == "odd"
    for name in ("", ".", ".."):
        with pytest.raises(ClientError, match="is no model"):
            client.model(name)


STREAM = "GET /v1/events"


def event(number: int, state: str = "posted") -> str:
    data = json.dumps({"claim_id": wire.hex_of(CLAIM), "state": state, "at": number})
    return f": beat\n\nid: {number}\nevent: claim\ndata: {data}\n\n"


def test_events_go_on_where_they_were_after_a_lost_connection(service: Service, client: Client) -> None:
    service.on(
        STREAM,
        stream(event(1) + event(2)),
        problem(503, "soon"),
        stream(event(3) + "id: 4\nevent: cl"),
        stream(event(4)),
    )
    events = client.events()
    assert [next(events).at for _ in range(4)] == [1, 2, 3, 4]
    events.close()  # type: ignore[attr-defined]
    assert [one.headers.get("Last-Event-ID") for one in service.asked] == [None, "2", "2", "3"]


def test_events_can_begin_after_a_known_one(service: Service, client: Client) -> None:
    service.on(f"{ROUTE}/events", stream(event(8, "final")))
    assert next(client.events(CLAIM, after="7")).state == "final"
    assert service.asked[0].headers["Last-Event-ID"] == "7"


STREAM_TROUBLES: dict[str, tuple[Reply, str]] = {
    "it ends at once": (stream(""), "times without an event"),
    "an endless body": (endless, "sent more than 65536 bytes"),
    "a very long line": (stream("data: " + "x" * 100_000), "a line of the event stream"),
    "a very long event": (stream("data: xxxxxxxxx\n" * 10_000), "an event has more than"),
    "no JSON": (stream("event: claim\ndata: {\n\n"), "no JSON"),
    "deep JSON": (stream("event: claim\ndata: " + "[" * 10_000 + "\n\n"), "no JSON"),
    "another form": (stream("event: claim\ndata: {}\n\n"), "lacks"),
    "a page": (raw(b"<html>", Content_Type="text/html"), "no JSON"),
    "a redirect": (raw(b"", 307, Location="/"), "redirect"),
    "a refusal": (problem(404, "no such claim"), "no such claim"),
    "nobody": (hang_up, "times without an event"),
}


@pytest.mark.parametrize("trouble", STREAM_TROUBLES)
def test_a_stream_that_is_none_ends_in_a_sentence(trouble: str, service: Service) -> None:
    reply, words = STREAM_TROUBLES[trouble]
    service.on(STREAM, reply)
    bounds = replace(SHORT, seconds=20) if reply is endless else SHORT
    with Client(service.url, bounds=bounds) as client, pytest.raises(ClientError, match=words):
        list(client.events())


def test_the_asynchronous_client_serves_many_at_once(service: Service) -> None:
    service.on("GET /v1/models/toy", ok(MODEL))
    service.on(
        "POST /v1/infer",
        ok(answered(CLAIM, [[1.0] * 6, [1]]), 201),
    )
    service.on("GET /v1/claims", ok({"claims": [], "next": None}))
    service.on(STREAM, stream(event(1)))

    async def play() -> list[ClaimId]:
        async with AsyncClient(service.url, bounds=QUICK) as client:
            answers = await asyncio.gather(*(client.infer("toy", [0.5] * 600, [1, 2, 3, 4]) for _ in range(20)))
            assert [view async for view in client.claims()] == []
            async for change in client.events():
                assert change.claim_id == CLAIM
                break
            return [answer.claim_id for answer in answers]

    assert asyncio.run(play()) == [CLAIM] * 20


def test_closing_ends_what_other_threads_wait_for(service: Service) -> None:
    service.on(ROUTE, silence)
    client = Client(service.url, bounds=QUICK)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(client.get, CLAIM)
        deadline = time.monotonic() + 60
        while not service.times(ROUTE):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.close()
        with pytest.raises(ClientError, match="was closed before"):
            waiting.result(60)


def test_the_blocking_client_works_inside_a_running_loop_and_once_closed_says_so(service: Service) -> None:
    service.on("GET /v1/models/toy", ok(MODEL))

    async def play() -> str:
        with Client(service.url, bounds=QUICK) as client:
            return client.model("toy").name

    assert asyncio.run(play()) == "toy"
    client = Client(service.url)
    client.close()
    client.close()
    with pytest.raises(ClientError, match="is closed"):
        client.models()
