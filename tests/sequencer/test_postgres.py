"""A sequencer on PostgreSQL: the database may go away and come back, and several processes may share it."""

import time
from dataclasses import replace

import httpx
import pytest

from rollup import wire
from rollup.types import Duration
from sequencer.intake.limits import Limits
from tests.postgres import Postgres
from tests.sequencer.api.test_claims import problem
from tests.sequencer.api.test_events import listening
from tests.sequencer.api.world import ApiWorld, eventually
from tests.sequencer.test_service import OPTIONS, OWN, Running, ServiceWorld

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def scene():
    return ServiceWorld()


def test_a_database_that_crashes_is_a_503_without_its_address_and_nothing_that_was_accepted_is_lost(scene, tmp_path):
    with Postgres() as server:
        waits = replace(OPTIONS, limits=Limits(age=Duration(3600)))
        running = Running(tmp_path, scene.l1, waits, server.database())
        inside = (str(server.port), "postgres", "127.0.0.1", "psycopg", "Operational")
        owner = {"authorization": f"Bearer {OWN}"}
        try:
            with listening(f"{running.url}/v1/events", **{"Last-Event-ID": "0"}) as listener:
                accepted = [running.hand_in(scene.claim(seed)) for seed in range(100, 110)]
                server.crash()
                assert [answer.status_code for answer in accepted] == [201] * 10
                late = scene.claim(110)
                said = [
                    problem(running.hand_in(late), 503, "service"),
                    problem(httpx.get(f"{running.url}/v1/claims"), 503, "service"),
                    problem(httpx.get(f"{running.url}/v1/models/toy"), 503, "service"),
                    problem(httpx.get(f"{running.admin.url}/admin/status", headers=owner), 503, "service"),
                    problem(httpx.post(f"{running.admin.url}/admin/batcher/stop", headers=owner), 503, "service"),
                ]
                eventually(lambda: "database" in httpx.get(f"{running.url}/readyz").json()["checks"])
                eventually(lambda: "batcher" in httpx.get(f"{running.url}/readyz").json()["checks"])
                said.append(problem(httpx.get(f"{running.url}/readyz"), 503, "not-ready"))
                assert httpx.get(f"{running.url}/healthz").status_code == 200
                assert not [word for sentence in said for word in inside if word in sentence], said
                server.restart()
                eventually(lambda: httpx.get(f"{running.url}/readyz").status_code == 200, 60)
                assert running.hand_in(late).status_code == 201
                flushed = httpx.post(f"{running.admin.url}/admin/batcher/flush", headers=owner, timeout=60)
                assert flushed.json()["pending"] == 0
                ids = [answer.json()["claim_id"] for answer in accepted]
                eventually(lambda: {running.state(claim) for claim in ids} == {"posted"})
                # A stream that was open goes on, and misses nothing.
                told = {(claim, state) for claim in ids for state in ("pending", "posted")}
                eventually(lambda: told <= set(listener.states))
                assert len(listener.states) == len(set(listener.states))
        finally:
            running.stop()


def test_of_two_sequencers_on_one_database_both_accept_one_posts_and_the_other_takes_over(scene, tmp_path, postgres):
    database, options = postgres.database(), replace(OPTIONS, lease=1.0)
    both = [Running(tmp_path, scene.l1, options, database) for _ in range(2)]
    try:
        with listening(f"{both[1].url}/v1/events", **{"Last-Event-ID": "0"}) as listener:
            claims = [both[number % 2].hand_in(scene.claim(120 + number)).json()["claim_id"] for number in range(6)]
            for state in ("pending", "posted"):
                eventually(lambda state=state: {(claim, state) for claim in claims} <= set(listener.states))
            assert len(listener.states) == len(set(listener.states))
        held = both[0].store.leases.holder("batcher", time.time())
        both.sort(key=lambda one: one.service.lease.holder == held)
        survivor, holder = both
        assert holder.service.lease.holder == held
        for loop in holder.service.loops:
            loop.stop()
        more = [one.hand_in(scene.claim(130 + number)).json()["claim_id"] for number, one in enumerate(both)]
        # It holds the lease still, and posts nothing any more.
        eventually(lambda: {survivor.state(claim) for claim in more} == {"posted"})
        assert survivor.store.leases.holder("batcher", time.time()) == survivor.service.lease.holder
        heads = survivor.store.batches.page().entries
        batches = [survivor.store.batches.get(head.number) for head in heads]
        standing = [wire.hex_of(claim) for batch in batches for claim in batch.claims]
        assert [standing.count(claim) for claim in claims + more] == [1] * 8
    finally:
        for one in both:
            one.stop()


WORDS = ["%00", "x%00y", "%F0%9F%98%80", "%ED%A0%80", "a' OR 1=1 --", "%25", "_" * 150, "0x" + "00" * 32]


def answers(world):
    """(status, kind) of whatever is stored or looked up by a caller's own words."""
    posted = world.claim(1)
    asked = [world.hand_in(posted, **{"Idempotency-Key": key}) for key in ("a' --", "~" * 200, "a' --")]
    world.post_all()
    listings = (
        "claims",
        "batches",
        "disputes",
        "claims?limit=1",
        "claims?cursor=1",
        "claims?cursor=999999999999999999",
    )
    asked += [world.http.get(f"/v1/{listing}") for listing in listings]
    for word in WORDS:
        for place in (
            "models/{}",
            "models/{}/program",
            "claims/{}",
            "disputes/{}",
            "claims?model={}",
            "claims?cursor={}",
        ):
            asked.append(world.http.get("/v1/" + place.format(word)))
    largest = {"nonce": (1 << 256) - 1, "valid_until": (1 << 64) - 1, "request_id": b"\xff" * 32}
    asked.append(world.hand_in(world.claim(2, **largest)))
    world.post_all()
    claim = asked[-1].json()["claim_id"]
    found = world.http.get(f"/v1/claims/{claim}").json()
    assert (found["state"], found["claim"]["nonce"]) == ("posted", str(largest["nonce"]))
    assert found["claim"]["valid_until"] == largest["valid_until"]
    return [(answer.status_code, answer.json().get("type"), len(answer.json())) for answer in asked]


def test_callers_words_and_extreme_numbers_are_answered_alike_by_both_databases(tmp_path, postgres):
    found = []
    for name, database in (("sqlite", None), ("postgresql", postgres.database())):
        (tmp_path / name).mkdir()
        world = ApiWorld(tmp_path / name, database=database)
        try:
            found.append(answers(world))
        finally:
            world.stop()
    assert found[0] == found[1]
    assert {status for status, _, _ in found[0]} == {200, 201, 404, 422}
