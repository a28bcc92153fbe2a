"""Requests of contracts as the API and the client show them."""

from __future__ import annotations

import pytest

from rollup import wire
from rollup.client import Client
from rollup.errors import ClientError
from rollup.l1.requests import calls
from rollup.l1.requests.asked import Request
from rollup.l1.requests.lookup import find_request
from rollup.types import Timestamp
from tests.sequencer.api.test_claims import problem
from tests.sequencer.api.test_schema import requested


@pytest.fixture(scope="module")
def client(world):
    with Client(world.url) as found:
        yield found


def test_a_request_is_listed_shown_and_found_by_its_state(world, client):
    first, second = (wire.bytes_of(requested(world), "id", 32) for _ in range(2))
    listed = [view.request_id for view in client.requests(page=1)]
    assert listed[:2] == [second, first]
    by = world.client("requester")
    by.send(calls.cancel(find_request(world.deployer, first).request))
    world.store.requests.decide({second: "it is worth nothing"}, Timestamp(1))
    world.sync()
    assert [view.request_id for view in client.requests(state="cancelled")] == [first]
    assert second in [view.request_id for view in client.requests(state="open", requester=by.account)]
    assert not list(client.requests(state="answered")) and not list(client.requests(state="noted"))
    assert not list(client.requests(requester=world.claimant.account))
    assert [view.request_id for view in client.requests(model=world.program.id)][:2] == [second, first]
    view = client.request(second)
    found = find_request(world.deployer, second)
    assert (view.state, view.level, view.quorum, view.reason) == ("open", "none", 0, "it is worth nothing")
    assert (view.fee, view.until, view.number) == (found.request.fee, found.request.until, found.request.number)
    assert (view.answer, view.claims, view.outputs, view.told) == (None, (), None, False)
    whole = world.http.get(f"/v1/requests/0x{second.hex()}").json()
    assert whole["prover"] is whole["author"] is whole["subscription_id"] is None
    assert bytes.fromhex(whole["inputs"][2:]) == found.made.inputs
    assert Request.from_json(found.request.as_json()) == found.request


def test_what_nobody_asked_is_not_found_in_words(world, client):
    for text in ("0x" + "12" * 32, "0x12", "%00", "x" * 300):
        problem(world.http.get(f"/v1/requests/{text}"), 404, "unknown-request")
    problem(world.http.get("/v1/requests?state=asleep"), 422, "validation")
    problem(world.http.get("/v1/requests?requester=0x12"), 422, "claim")
    with pytest.raises(ClientError, match="no request"):
        client.request(bytes(32))
