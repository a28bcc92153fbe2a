"""What a caller may cost is bounded: in size, depth, time, rate and number, also by callers who don't keep to HTTP's manners."""

import asyncio
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest
from fastapi import Body, Request

from rollup.service.health import Health
from rollup.service.limits import Buckets, WebLimits, caller_of, check_json
from rollup.service.problem import Problem
from rollup.service.web import create_app, serve

LIMITS = WebLimits(
    body_bytes=10_000,
    nesting=8,
    body_seconds=0.5,
    header_seconds=0.5,
    stalled_seconds=0.5,
    header_bytes=4096,
    concurrent=4,
    connections=40,
    connections_per_caller=30,
    per_second=1000,
    burst=1000,
    files={"/file": 50_000},
    file_seconds=0.5,
)
RELEASE = threading.Event()


def application(limits=LIMITS):
    app = create_app("bounded", "An app to be attacked.", Health(), limits)

    @app.post("/echo")
    def echo(body: object = Body(...)) -> dict[str, str]:
        return {"type": type(body).__name__}

    @app.get("/slow")
    def slow() -> str:
        RELEASE.wait(30)
        return "done"

    @app.get("/large")
    def large() -> str:
        return "x" * 50_000_000

    @app.post("/file")
    async def file(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the inside: http://user:password@host/secret")

    return app


@pytest.fixture(scope="module")
def server():
    server = serve(application(), "127.0.0.1", 0).start()
    yield server
    RELEASE.set()
    server.stop()


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def raw(server, *parts, until=b"", patience=20):
    """What comes back for bytes that are sent as they are; b'' if the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        try:
            while not until or until not in found:
                data = connection.recv(65536)
                if not data:
                    break
                found += data
        except ConnectionError:
            pass
        return found


def slug(response):
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()["type"].removeprefix("urn:touchstone:problem:")


def test_a_good_request_is_answered(http):
    assert http.post("/echo", json={"a": [1]}).json() == {"type": "dict"}


# Size


def test_attack_an_oversized_body_is_refused_whatever_length_it_claims(http, server):
    assert slug(http.post("/echo", content=b"[" + b"1," * 10_000 + b"1]")) == "body-size"

    def endless():
        for _ in range(50):
            yield b"x" * 1000

    assert slug(http.post("/echo", content=endless())) == "body-size"
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n"
    assert b" 413 " in raw(server, head, b"x" * 60_000, until=b"body-size")
    assert http.post("/echo", json=[]).status_code == 200


def test_attack_oversized_headers_are_refused(server):
    answer = raw(server, b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 20_000)
    assert b"200" not in answer[:20]


def test_a_file_may_be_larger_than_other_bodies_but_not_endless(http):
    assert http.post("/file", content=b"x" * 40_000).json() == 40_000
    assert slug(http.post("/file", content=(b"x" * 1000 for _ in range(60)))) == "body-size"


# Depth


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'["]",', b'{"\\"}":'])
def test_attack_json_that_nests_ten_thousand_deep_is_refused_before_it_is_parsed(http, opening):
    response = http.post(
        "/echo", content=opening * (9_000 // len(opening)), headers={"content-type": "application/json"}
    )
    assert response.status_code == 422 and slug(response) == "nesting"


def test_attack_brackets_that_another_encoding_hides_are_refused(http):
    # In UTF-16 this is one character and many brackets, in bytes a string that swallows them.
    hidden = ("\u225b" + "[" * 4000).encode("utf-16-le")
    assert slug(http.post("/echo", content=hidden, headers={"content-type": "application/json"})) == "body"
    assert slug(http.post("/echo", content=b"\xff" + b"[" * 100)) == "body"


def test_strings_may_hold_any_brackets_and_escapes():
    check_json(b'["' + b"[{" * 5000 + b'\\"[[[[[[[[[[[[", "\\\\"]', 8)
    with pytest.raises(Problem):
        check_json(b'"a" [[[[[[[[[', 8)


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b'{"a": Infinity}', b"1" * 5000, b"1e999999"])
def test_attack_numbers_that_json_does_not_know_break_nothing(http, number):
    response = http.post("/echo", content=number, headers={"content-type": "application/json"})
    assert response.status_code in (200, 400, 422)


# Time


def test_attack_a_body_that_trickles_is_cut_off(server):
    begun = time.monotonic()
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n"
    assert b" 408 " in raw(server, head, b"[", until=b"slow-body")
    assert b" 408 " in raw(server, head.replace(b"/echo", b"/file"), b"[", until=b"slow-body")
    assert time.monotonic() - begun >= 2 * LIMITS.body_seconds


def test_attack_headers_that_never_end_are_cut_off(server):
    assert raw(server, b"GET /healthz HTTP/1.1\r\nhost:") == b""
    assert raw(server) == b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        while b"ok" not in connection.recv(65536):
            pass
        connection.sendall(b"GET /healthz HTT")
        begun = time.monotonic()
        with suppress(ConnectionError):
            assert connection.recv(65536) == b""
        assert time.monotonic() - begun >= LIMITS.header_seconds / 2


def test_attack_an_answer_that_is_not_read_is_given_up(server):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.settimeout(20)
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        held = server.holders
        assert wait_for(lambda: held.total() >= 1)
        assert wait_for(lambda: held.total() == 0)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# Number and rate


def test_attack_more_requests_than_can_be_worked_on_are_turned_away(server, http):
    answers = []

    def ask():
        with httpx.Client(base_url=server.url, timeout=60) as client:
            # Whoever finds no place because a probe has it comes again.
            while (status := client.get("/slow").status_code) == 503:
                pass
            answers.append(status)

    threads = [threading.Thread(target=ask) for _ in range(LIMITS.concurrent)]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: http.post("/echo", json=[]).status_code == 503)
    assert slug(http.post("/echo", json=[])) == "busy"
    # Whoever watches over the service is answered all the same.
    assert http.get("/healthz").status_code == http.get("/metrics").status_code == 200
    RELEASE.set()
    for thread in threads:
        thread.join()
    assert answers == [200] * LIMITS.concurrent
    assert http.post("/echo", json=[]).status_code == 200


def test_attack_one_caller_does_not_get_all_connections(server):
    opened = []
    try:
        for _ in range(LIMITS.connections_per_caller + 10):
            opened.append(socket.create_connection(("127.0.0.1", server.port)))
        assert wait_for(lambda: 0 < server.holders.total() <= LIMITS.connections_per_caller)
    finally:
        for connection in opened:
            connection.close()
    assert wait_for(lambda: server.holders.total() == 0)


def test_a_caller_that_asks_too_often_is_told_when_to_come_back():
    app = application(WebLimits(per_second=0.01, burst=3))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as client:
            return [await client.post("/echo", json=[]) for _ in range(4)] + [await client.get("/healthz")]

    *answers, health = asyncio.run(ask())
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert slug(answers[-1]) == "rate" and 99 <= int(answers[-1].headers["retry-after"]) <= 101
    assert health.status_code == 200


def test_a_bucket_fills_again_and_holds_no_more_than_a_burst():
    now = [0.0]
    buckets = Buckets(per_second=2, burst=4, callers=10, clock=lambda: now[0])
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert buckets.take("b") == 0
    now[0] = 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    now[0] = 1000.0
    assert [buckets.take("a") == 0 for _ in range(5)] == [True] * 4 + [False]


def test_attack_large_bodies_are_paid_for_like_as_many_requests():
    limits = WebLimits(body_bytes=2 << 20, per_second=0.01, burst=10)
    app = application(limits)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as client:
            body = b'"' + b"x" * (1 << 20) + b'"'
            return [
                await client.post("/echo", content=body, headers={"content-type": "application/json"}) for _ in "123"
            ]

    # Eight tokens each: the second one was begun with two that were left.
    assert [one.status_code for one in asyncio.run(ask())] == [200, 200, 429]


def test_attack_any_number_of_callers_takes_bounded_memory():
    buckets = Buckets(per_second=1, burst=1, callers=100)
    for number in range(10_000):
        buckets.take(f"caller {number}")
    assert len(buckets) == 100


@pytest.mark.parametrize(
    ("host", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("testclient", "testclient"),
    ],
)
def test_a_caller_is_an_address_and_of_ipv6_its_network(host, caller):
    assert caller_of({"client": (host, 1)}) == caller


def test_no_caller_can_say_that_it_is_somebody_else(http):
    for header in ("x-forwarded-for", "forwarded", "x-real-ip"):
        assert http.get("/healthz", headers={header: "203.0.113.9"}).status_code == 200
    app = application(WebLimits(per_second=0.01, burst=1))
    limited = serve(app, "127.0.0.1", 0).start()
    try:
        answers = [
            httpx.post(f"{limited.url}/echo", json=[], headers={"x-forwarded-for": f"203.0.113.{number}"}).status_code
            for number in range(3)
        ]
        assert answers == [200, 429, 429]
    finally:
        limited.stop()


# Errors


def test_what_nobody_expected_is_a_bare_500(http):
    response = http.get("/broken")
    assert response.status_code == 500 and slug(response) == "internal"
    assert "inside" not in response.text and "password" not in response.text
    assert http.post("/echo", json=[]).status_code == 200


def test_behind_a_proxy_that_is_named_callers_are_told_apart_by_what_it_says_and_by_nothing_else():
    def asked(server, forwarded):
        return httpx.post(f"{server.url}/echo", json=[], headers={"x-forwarded-for": forwarded}).status_code

    # One request each: who is limited is who was asked for before.
    limits = WebLimits(per_second=0.01, burst=1, proxies=("127.0.0.0/8",))
    limited = serve(application(limits), "127.0.0.1", 0).start()
    try:
        assert [asked(limited, f"203.0.113.{number}") for number in (1, 2, 1)] == [200, 200, 429]
        # A caller may write whatever it likes in front; the proxy writes behind it.
        assert asked(limited, "198.51.100.1, 203.0.113.2") == 429
        assert [asked(limited, "x" * 5000), asked(limited, "")] == [200, 200]
    finally:
        limited.stop()
    elsewhere = serve(application(replace(limits, proxies=("10.0.0.1",))), "127.0.0.1", 0).start()
    try:
        assert [asked(elsewhere, f"203.0.113.{number}") for number in (1, 2)] == [200, 429]
    finally:
        elsewhere.stop()


def test_attack_a_caller_who_reads_slowly_leaves_places_for_others():
    limits = replace(LIMITS, concurrent=4, concurrent_per_caller=2, proxies=("127.0.0.1",))
    crowded = serve(application(limits), "127.0.0.1", 0).start()
    release, done = threading.Event(), []

    @crowded._app.get("/held")
    def held() -> str:
        release.wait(30)
        return "done"

    def ask(caller, path="/held"):
        done.append(httpx.get(f"{crowded.url}{path}", headers={"x-forwarded-for": caller}, timeout=60).status_code)

    threads = [threading.Thread(target=ask, args=("203.0.113.1",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert wait_for(
            lambda: httpx.get(f"{crowded.url}/none", headers={"x-forwarded-for": "203.0.113.1"}).status_code == 503
        )
        ask("203.0.113.2", "/none")
        assert done == [404]
    finally:
        release.set()
        for thread in threads:
            thread.join()
        crowded.stop()
    assert done == [404, 200, 200]
