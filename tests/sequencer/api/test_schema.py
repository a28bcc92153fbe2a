"""Requests drawn from the public OpenAPI: none is answered by a failure of ours, each as the document says."""

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis.errors import FailedHealthCheck, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rollup import wire
from rollup.claim import join
from rollup.documents.claims import SignedClaim
from rollup.l1.requests import calls
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request
from rollup.l1.requests.events import Requested
from rollup.types import Root
from tests.sequencer.api.test_idempotency import asked
from tests.world import ETHER, INPUTS, PROGRAM

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance, content_type_conformance]


@pytest.fixture(scope="module")
def schema(world):
    """Streams of events are left out: they have no end."""
    world.prover.answer = world.inferred
    world.hand_in(world.claim(90))
    world.post_all()
    return schemathesis.openapi.from_url(f"{world.url}/openapi.json").exclude(path_regex="events$")


def requested(world):
    """The id of a request that a contract made."""
    said = Request(
        PROGRAM.id,
        Root(bytes(32)),
        ANYBODY,
        ANYBODY,
        0,
        ETHER,
        ANYBODY,
        0,
        world.chain.now() + 900,
        ANYBODY,
        0,
        0,
        0,
        NO_COMMITTEE,
        bytes(32),
        0,
    )
    inputs = join(INPUTS, PROGRAM.header.inputs)
    asked_there = world.client("requester").send(calls.ask(said, inputs, b"")).one(Requested)
    world.sync()
    return wire.hex_of(asked_there.request_id)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_no_request_is_answered_by_a_server_error(schema, mode):
    count = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=12)
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case):
            nonlocal count
            count += 1
            case.validate_response(case.call(), checks=CHECKS)

        try:
            ask()
        except (Unsatisfiable, FailedHealthCheck):
            # What takes nothing, or any word, can't be asked wrongly.
            names = {one["name"] for one in operation.definition.raw.get("parameters", [])}
            assert mode is GenerationMode.NEGATIVE and names <= {"model", "q"}
    assert count > 50


def test_every_kind_of_answer_has_the_form_that_the_document_says(schema, world):
    claim = world.http.get("/v1/claims?limit=1").json()["claims"][0]
    batch = world.http.get("/v1/batches?limit=1").json()["batches"][0]["number"]
    bodies = {"/v1/claims": SignedClaim.of(world.claim(91)).model_dump(), "/v1/infer": asked(92)}
    on_l1 = requested(world)
    places = {
        "claim_id": claim["claim_id"],
        "number": batch,
        "model": "toy",
        "request_id": on_l1,
        "account": claim["claim"]["claimant"],
    }
    seen = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == "/v1/disputes/{claim_id}":
            continue
        body = {"body": bodies[operation.path], "media_type": "application/json"} if operation.method == "post" else {}
        names = {name: value for name, value in places.items() if f"{{{name}}}" in operation.path}
        query = {"q": claim["claim_id"]} if operation.path == "/v1/search" else {}
        case = operation.Case(path_parameters=names, query=query, **body)
        response = case.call()
        assert response.status_code in (200, 201), (operation.path, response.text)
        case.validate_response(response, checks=CHECKS)
        seen.add(operation.path)
    assert len(seen) == 21
