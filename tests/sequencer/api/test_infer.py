"""An inference ends in a claim about exactly what was asked, or in nothing: a prover is believed nothing."""

import json
import threading

import httpx
import numpy as np
import pytest

from rollup import wire
from rollup.documents.claims import ClaimFields, SignedClaim
from rollup.documents.fields import read
from rollup.l1.account.signing import Domain, claim_id
from rollup.service.server import serve
from sequencer.api.app import create_api
from sequencer.api.parts import Parts
from sequencer.api.prover import ProverClient, has_shape
from tests.e2e.toy_program import outputs_of, toy_inputs, values_of
from tests.sequencer.api.test_claims import problem, shown
from tests.sequencer.api.test_idempotency import asked
from tests.sequencer.api.world import TOKEN


def infer(world, body):
    return world.http.post("/v1/infer", json=body)


def test_an_inference_answers_what_is_claimed(world):
    world.prover.answer = world.inferred
    answer = infer(world, asked(40))
    assert answer.status_code == 201, answer.text
    right = outputs_of(world.program, values_of(world.program, toy_inputs(40)))
    outputs = answer.json()["outputs"]
    assert np.allclose(outputs[0], right[0] * 2.0**-8, atol=0) and outputs[1] == right[1].tolist()
    found = shown(world, answer.json()["claim_id"])
    assert found["state"] == answer.json()["state"] == "pending"
    assert answer.json()["clamped"] == 0
    sent = {"model": wire.hex_of(world.program.id), "inputs": asked(40)["inputs"], "clamp": False}
    assert world.prover.requests[-1] == sent
    assert world.prover.authorizations[-1] == f"Bearer {TOKEN}"


def test_numbers_beyond_the_model_s_range_are_refused_by_name_or_cut_and_counted(world):
    world.prover.answer = world.inferred
    body = asked(43)
    body["inputs"][0][7], body["inputs"][0][8] = 1e9, -130.0
    before = len(world.prover.requests)
    said = problem(infer(world, body), 422, "claim")
    assert (
        "input input0 has 1e+09 at [7], and 1 more beyond; the model takes -128 to 127.996 there; give smaller" in said
    )
    assert len(world.prover.requests) == before
    answer = infer(world, body | {"clamp": True})
    assert answer.status_code == 201 and answer.json()["clamped"] == 2, answer.text
    assert world.prover.requests[-1]["clamp"] is True


def test_a_model_is_named_or_given_by_id(world):
    world.prover.answer = world.inferred
    assert infer(world, asked(41) | {"model": wire.hex_of(world.program.id)}).status_code == 201
    assert "GET /v1/models" in problem(infer(world, asked(41) | {"model": "no such"}), 404, "unknown-model")
    problem(infer(world, asked(41) | {"model": "\U0001f600" * 50}), 404, "unknown-model")


def test_a_retired_model_runs_no_more(world):
    world.store.models.retire(world.program.id)
    try:
        problem(infer(world, asked(42)), 422, "retired")
    finally:
        world.offer("toy")


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [[1.0] * 600],
        [[1.0] * 599, [1] * 4],
        [[1.0] * 600, [1] * 4, [1]],
        [[[1.0]] * 600, [1] * 4],
        [["1"] * 600, [1] * 4],
        [[None] * 600, [1] * 4],
        [[1.0] * 599 + [[1.0]], [1] * 4],
        [[10**400] * 600, [1] * 4],
        [{"a": 1}, [1] * 4],
        ["x" * 600, 1],
    ],
)
def test_attack_inputs_that_the_model_does_not_take_never_reach_the_prover(world, inputs):
    before = len(world.prover.requests)
    problem(infer(world, {"model": "toy", "inputs": inputs}), 422, "claim")
    assert len(world.prover.requests) == before


@pytest.mark.parametrize(
    ("given", "shape", "right"),
    [
        ([[1, 2.0], [3, 4]], (2, 2), True),
        (1.5, (), True),
        ([1], (), False),
        ([[1, 2], [3]], (2, 2), False),
        ([[1, 2], 3], (2, 2), False),
        ([[1, [2]], [3, 4]], (2, 2), False),
        ([[1, "2"], [3, 4]], (2, 2), False),
        ([[]] * 700_000, (600,), False),
        ({"0": 1}, (1,), False),
    ],
)
def test_a_nested_list_is_looked_at_only_as_far_as_the_model_takes_it(given, shape, right):
    assert has_shape(given, shape) is right


def test_attack_numbers_that_json_does_not_know_are_refused(world):
    for number in (b"NaN", b"Infinity", b"-Infinity"):
        body = b'{"model": "toy", "inputs": [[' + number + b"]]}"
        response = world.http.post("/v1/infer", content=body, headers={"content-type": "application/json"})
        problem(response, 400, "body")


def test_the_refusal_of_a_prover_is_passed_on(world):
    world.prover.answer = lambda _: (422, json.dumps({"detail": "input x is\x1b[2J out of range"}).encode())
    assert problem(infer(world, asked(43)), 422, "prover-refused") == "input x is [2J out of range"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503, 302])
def test_a_prover_that_fails_is_no_answer(world, status):
    world.prover.answer = lambda _: (status, b'{"detail": "secret of the inside"}')
    assert "secret" not in problem(infer(world, asked(44)), 503, "prover")


# Attacks by the prover


def altered(change):
    def answer(world, body):
        status, data = world.inferred(body)
        found = json.loads(data)
        change(world, found)
        return status, json.dumps(found).encode()

    return answer


def of_another_model(world, found):
    found["posted"]["claim"]["model_id"] = wire.hex_of(b"\5" * 32)
    claim = read(ClaimFields, found["posted"]["claim"]).value
    found["claim_id"] = wire.hex_of(world.l1.claim_id(claim))


def about_other_inputs(world, found):
    other = world.claim(46)
    found |= {"posted": SignedClaim.of(other).model_dump(), "claim_id": wire.hex_of(world.l1.claim_id(other.claim))}


def under_another_id(world, found):
    found["claim_id"] = wire.hex_of(b"\6" * 32)


def for_another_contract(world, found):
    domain = Domain(world.l1.domain.chain_id, world.l1.game_address)
    found["claim_id"] = wire.hex_of(claim_id(read(ClaimFields, found["posted"]["claim"]).value, domain))


def without_outputs(world, found):
    found["posted"]["outputs"] = "0x"


def without_inputs(world, found):
    found["posted"]["inputs"] = "0x"


def without_a_signature(world, found):
    del found["posted"]["signature"]


@pytest.mark.parametrize(
    "change",
    [
        of_another_model,
        about_other_inputs,
        under_another_id,
        for_another_contract,
        without_outputs,
        without_inputs,
        without_a_signature,
    ],
    ids=lambda change: change.__name__,
)
def test_attack_a_lying_prover_gets_nothing_claimed(world, change):
    world.prover.answer = lambda body: altered(change)(world, body)
    before = world.store.claims.counts()
    problem(infer(world, asked(45)), 502, "prover-answer")
    assert world.store.claims.counts() == before


def test_attack_a_prover_with_a_forged_signature_gets_nothing_claimed(world):
    def forged(_, found):
        found["posted"]["signature"] = "0x" + "11" * 64 + "1b"

    world.prover.answer = lambda body: altered(forged)(world, body)
    before = world.store.claims.counts()
    assert infer(world, asked(47)).status_code == 422
    assert world.store.claims.counts() == before


def test_attack_the_outputs_that_a_prover_says_beside_its_claim_are_not_passed_on(world):
    world.prover.answer = lambda body: altered(lambda _, found: found.update(outputs=["lies"]))(world, body)
    answer = infer(world, asked(48))
    assert answer.status_code == 201 and "lies" not in answer.text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[" * 100_000,
        b'{"claim_id": NaN}',
        b"\xff" * 10,
        b"x" * (1 << 20),
        b"[]",
        b"1" * 5000,
        b'{"claim_id": 1, "posted": 2}',
    ],
    ids=["empty", "deep", "nan", "bytes", "huge", "list", "long number", "numbers"],
)
def test_attack_a_prover_that_answers_rubbish_breaks_nothing(world, data):
    world.prover.answer = lambda _: (200, data)
    response = infer(world, asked(49))
    assert response.status_code in (502, 503) and response.headers["content-type"] == "application/problem+json"


def test_attack_a_hanging_prover_costs_a_bounded_time_and_number_of_requests(world):
    release = threading.Event()
    world.prover.answer = lambda _: (release.wait(60), (503, b"{}"))[1]
    prover = ProverClient(world.prover.url, TOKEN, world.l1.domain, seconds=0.5, most=2)
    parts = Parts(world.store, world.l1, world.intake, world.programs, world.health, prover)
    server = serve(create_api(parts, world.limits), "127.0.0.1", 0).start()
    try:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            answers = []
            threads = [
                threading.Thread(target=lambda: answers.append(client.post("/v1/infer", json=asked(50))))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            # The rest of the API goes on.
            assert client.get("/v1/network").status_code == 200
            for thread in threads:
                thread.join()
        assert {one.status_code for one in answers} == {503}
    finally:
        release.set()
        server.stop()


def test_a_prover_that_is_not_there_is_no_answer(world):
    gone = ProverClient("http://127.0.0.1:1", TOKEN, world.l1.domain)
    for prover in (gone, None):
        parts = Parts(world.store, world.l1, world.intake, world.programs, world.health, prover)
        server = serve(create_api(parts, world.limits), "127.0.0.1", 0).start()
        try:
            response = httpx.post(f"{server.url}/v1/infer", json=asked(51))
            assert TOKEN not in problem(response, 503, "prover")
        finally:
            server.stop()
