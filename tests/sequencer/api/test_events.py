"""Changes of claims as server-sent events: in order, each once, resumed behind the last one seen, bounded in number."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace

import httpx
import pytest

from rollup import wire
from rollup.client import AsyncClient
from rollup.client.stream import EventReader
from rollup.errors import ClientError
from sequencer.api import feed
from sequencer.store import Store
from sequencer.store.changes import Changes
from tests.sequencer.api.test_claims import problem
from tests.sequencer.api.world import eventually


class Listener:
    """Reads a stream in a thread of its own."""

    def __init__(self, url, **headers):
        self.messages, self.comments, self.ended = [], 0, False
        self._client = httpx.Client(timeout=60)
        self._stream = self._client.stream("GET", url, headers=headers)
        self.response = self._stream.__enter__()
        assert self.response.status_code == 200
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        reader = EventReader()
        try:
            for chunk in self.response.iter_raw():
                self.comments += chunk.count(b"\n:") + chunk.startswith(b":")
                self.messages += reader.feed(chunk)
            self.ended = True
        except (httpx.HTTPError, httpx.StreamError):
            return

    @property
    def states(self):
        return [(data["claim_id"], data["state"]) for data in (json.loads(message.data) for message in self.messages)]

    def close(self):
        # A close alone waits for the thread that reads.
        with suppress(OSError):
            self.response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self.response.close()
        self._client.close()


@contextmanager
def listening(url, **headers):
    listener = Listener(url, **headers)
    try:
        yield listener
    finally:
        listener.close()


def test_every_change_comes_once_and_in_order(world):
    with listening(f"{world.url}/v1/events") as listener:
        assert listener.response.headers["content-type"].startswith("text/event-stream")
        eventually(lambda: world.parts_made[0].feed.listening)
        ids = [world.hand_in(world.claim(seed)).json()["claim_id"] for seed in range(80, 84)]
        world.post_all()
        eventually(lambda: len([one for one in listener.states if one[0] in ids]) >= 8)
        numbers = [int(message.id) for message in listener.messages]
        assert numbers == sorted(set(numbers))
        assert {message.event for message in listener.messages} == {"claim"}
        for one in ids:
            assert [state for claim, state in listener.states if claim == one] == ["pending", "posted"]


def test_a_claims_stream_begins_with_its_first_change(world):
    claim = world.hand_in(world.claim(84)).json()["claim_id"]
    world.hand_in(world.claim(85))
    world.post_all()
    with listening(f"{world.url}/v1/claims/{claim}/events") as listener:
        eventually(lambda: len(listener.messages) == 2)
        assert listener.states == [(claim, "pending"), (claim, "posted")]
        world.pass_time(world.l1.parameters.window + 1)
        eventually(lambda: len(listener.messages) == 3)
        assert listener.states[-1] == (claim, "final")
    problem(world.http.get("/v1/claims/0x" + "00" * 32 + "/events"), 404, "unknown-claim")


def test_a_stream_is_resumed_behind_the_last_event_that_was_seen(world):
    claims = [world.hand_in(world.claim(seed)).json()["claim_id"] for seed in (86, 87, 88)]
    with listening(f"{world.url}/v1/events", **{"Last-Event-ID": "0"}) as listener:
        eventually(lambda: (claims[-1], "pending") in listener.states)
        at = next(message.id for message in listener.messages if json.loads(message.data)["claim_id"] == claims[0])
    with listening(f"{world.url}/v1/events", **{"Last-Event-ID": at}) as listener:
        eventually(lambda: len(listener.messages) >= 2)
        assert listener.states[:2] == [(claims[1], "pending"), (claims[2], "pending")]
        assert int(listener.messages[0].id) > int(at)


def test_changes_that_are_no_longer_kept_leave_a_gap_that_is_told(world):
    claims = [world.hand_in(world.claim(seed)).json()["claim_id"] for seed in (93, 94)]
    world.post_all()
    short = Store(world.store.database)
    short.changes = Changes(short.database, kept=1)
    short.changes.prune(0, 10_000)
    server = world.serve(store=short)
    last = short.changes.latest()
    with listening(f"{server.url}/v1/events", **{"Last-Event-ID": "1"}) as listener:
        eventually(lambda: len(listener.messages) == 2)
        gap, message = listener.messages
        assert (gap.event, int(gap.id), json.loads(gap.data)) == ("gap", last - 1, {"after": 1, "to": last - 1})
        assert int(message.id) == last
    # How far a claim is, its own stream tells for ever.
    for claim in claims:
        with listening(f"{server.url}/v1/claims/{claim}/events") as listener:
            eventually(lambda: listener.messages)
            assert listener.states == [(claim, "posted")]

    async def follow():
        async with AsyncClient(server.url) as client:
            async for _ in client.events(after="1"):
                pass

    with pytest.raises(ClientError, match="list the claims again"):
        asyncio.run(follow())


def test_a_change_that_another_process_made_is_told_here(world):
    other = world.serve()
    with listening(f"{other.url}/v1/events") as listener:
        eventually(lambda: world.parts_made[-1].feed.listening)
        claim = world.hand_in(world.claim(89)).json()["claim_id"]
        eventually(lambda: (claim, "pending") in listener.states)


def test_streams_end_when_the_server_stops(world):
    server = world.serve()
    with listening(f"{server.url}/v1/events") as listener:
        eventually(lambda: world.parts_made[-1].feed.listening)
        server.stop()
        eventually(lambda: listener.ended)
    assert world.parts_made[-1].feed.listening == 0


def test_attack_more_listeners_than_places_are_turned_away_and_places_become_free(world):
    server = world.serve(listeners=3)
    streams = world.parts_made[-1].feed
    opened = [Listener(f"{server.url}/v1/events") for _ in range(3)]
    eventually(lambda: streams.listening == 3)
    problem(httpx.get(f"{server.url}/v1/events"), 503, "listeners")
    # Listeners keep nobody else from being answered.
    assert httpx.get(f"{server.url}/v1/network").status_code == 200
    for listener in opened:
        listener.close()
    eventually(lambda: streams.listening == 0)
    with listening(f"{server.url}/v1/events"):
        eventually(lambda: streams.listening == 1)


def test_attack_one_listener_can_not_take_all_places(world, monkeypatch):
    monkeypatch.setattr(feed, "LISTENERS_PER_CALLER", 2)
    server = world.serve(limits=replace(world.limits, proxies=("127.0.0.1",)))
    opened = [Listener(f"{server.url}/v1/events", **{"X-Forwarded-For": "192.0.2.1"}) for _ in range(2)]
    eventually(lambda: world.parts_made[-1].feed.listening == 2)
    problem(httpx.get(f"{server.url}/v1/events", headers={"X-Forwarded-For": "192.0.2.1"}), 503, "listeners")
    opened.append(Listener(f"{server.url}/v1/events", **{"X-Forwarded-For": "192.0.2.2"}))
    for listener in opened:
        listener.close()
    eventually(lambda: world.parts_made[-1].feed.listening == 0)


def test_a_quiet_stream_is_kept_open_with_comments(world):
    server = world.serve(heartbeat=0.1)
    with listening(f"{server.url}/v1/events") as listener:
        eventually(lambda: listener.comments >= 2)
        assert listener.messages == []


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
def test_attack_ids_that_no_event_has_are_refused(world, last):
    assert "Last-Event-ID" in problem(world.http.get("/v1/events", headers={"Last-Event-ID": last}), 422, "claim")
    claim = world.http.get("/v1/claims?limit=1").json()["claims"]
    for one in claim:
        url = f"/v1/claims/{wire.hex_of(wire.claim_id_of(one['claim_id']))}/events"
        problem(world.http.get(url, headers={"Last-Event-ID": last}), 422, "claim")
