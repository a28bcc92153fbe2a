"""The same key and body gives the same answer, whatever happens in between; another body gets none."""

import json
import threading
from hashlib import sha256

from rollup import wire
from rollup.documents.claims import SignedClaim
from sequencer.api.idempotency import HALFWAY, REPLAYED
from tests.e2e.toy_program import toy_numbers
from tests.sequencer.api.test_claims import problem


def asked(seed):
    return {"model": "toy", "inputs": toy_numbers(seed)}


def at_once(calls):
    """The answers of calls that begin together."""
    results, ready = [None] * len(calls), threading.Barrier(len(calls))

    def run(number, call):
        ready.wait()
        results[number] = call()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_same_key_and_body_gives_the_same_answer_later(world):
    posted, key = world.claim(30), {"Idempotency-Key": "later"}
    first = world.hand_in(posted, **key)
    world.post_all()
    again = world.hand_in(posted, **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content and json.loads(again.content)["state"] == "pending"
    assert REPLAYED not in first.headers and again.headers[REPLAYED] == "true"


def test_another_body_under_the_same_key_is_refused(world):
    key = {"Idempotency-Key": "other"}
    assert world.hand_in(world.claim(31), **key).status_code == 201
    assert "new key" in problem(world.hand_in(world.claim(32), **key), 409, "idempotency-key")


def test_a_refused_request_leaves_its_key_free(world):
    key, poor = {"Idempotency-Key": "free"}, world.client("poor at first")
    posted = world.claim(33, by=poor)
    problem(world.hand_in(posted, **key), 422, "claim")
    poor.deposit(10**18)
    world.sync()
    assert world.hand_in(posted, **key).status_code == 201


def test_concurrent_requests_with_one_key_are_one_claim_and_one_answer(world):
    posted, other = world.claim(34), world.claim(35)
    bodies = [SignedClaim.of(posted).model_dump()] * 6 + [SignedClaim.of(other).model_dump()] * 2

    def sent(body):
        return lambda: world.http.post("/v1/claims", json=body, headers={"Idempotency-Key": "at once"})

    answers = at_once([sent(body) for body in bodies])
    good = [one for one in answers if one.status_code == 201]
    # Whichever body came first has the key.
    assert len(good) in (2, 6) and len({one.content for one in good}) == 1
    assert {one.status_code for one in answers} == {201, 409}


def test_concurrent_inferences_with_one_key_run_once(world):
    world.prover.answer, before = world.inferred, len(world.prover.requests)
    body = asked(36)
    answers = at_once([lambda: world.http.post("/v1/infer", json=body, headers={"Idempotency-Key": "run once"})] * 5)
    assert [one.status_code for one in answers] == [201] * 5
    assert len({one.json()["claim_id"] for one in answers}) == 1
    assert len(world.prover.requests) == before + 1


def test_an_inference_that_was_signed_before_a_crash_is_handed_in_and_not_run_again(world):
    posted, body = world.claim(37), asked(37)
    content = json.dumps(body).encode()
    told = {"outputs": [[1.0]], "clamped": 3, "saturated": 2, "saturated_inside": 5}
    noted = json.dumps({"posted": SignedClaim.of(posted).model_dump(), **told}).encode()
    answers, scoped = world.store.answers, "/v1/infer crashed"
    assert answers.begin("127.0.0.1", scoped, sha256(content).digest(), 0) is None
    answers.finish("127.0.0.1", scoped, HALFWAY, noted)
    before = len(world.prover.requests)
    headers = {"Idempotency-Key": "crashed", "content-type": "application/json"}
    answer = world.http.post("/v1/infer", content=content, headers=headers)
    assert answer.status_code == 201
    assert answer.json() == {
        "claim_id": wire.hex_of(world.l1.claim_id(posted.claim)),
        **told,
        "state": "pending",
    }
    assert len(world.prover.requests) == before


def test_a_key_that_a_dead_process_left_behind_is_taken_over(world):
    posted = world.claim(38)
    content = json.dumps(SignedClaim.of(posted).model_dump()).encode()
    assert world.store.answers.begin("127.0.0.1", "/v1/claims dead", sha256(content).digest(), 0) is None
    headers = {"Idempotency-Key": "dead", "content-type": "application/json"}
    assert world.http.post("/v1/claims", content=content, headers=headers).status_code == 201


def test_attack_keys_that_are_no_text_of_ours_are_refused(world):
    posted = SignedClaim.of(world.claim(39)).model_dump()
    for key in ("", "k" * 201, "é"):
        response = world.http.post("/v1/claims", json=posted, headers={"Idempotency-Key": key.encode("utf-8")})
        assert "Idempotency-Key" in problem(response, 422, "claim")
