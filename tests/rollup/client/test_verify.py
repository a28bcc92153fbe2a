"""A sequencer that lies about a claim is not believed: every lie, against a real chain, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rollup import wire
from rollup.client import Client, Inference
from rollup.errors import BadAnswer, ClientError, InvalidClaim, WaitTimeout
from rollup.form.interface import Named
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from tests.rollup.client.conftest import QUICK
from tests.rollup.client.service import Service, ok, problem
from tests.rollup.client.world import MODEL, OTHER, WINDOW, ClientWorld, Made, described, toy

Json = dict[str, Any]


def serve(service: Service, made: Made, view: Json, model: Json = MODEL, answer: Json | None = None) -> str:
    route = f"GET /v1/claims/{wire.hex_of(made.claim_id)}"
    service.on("GET /v1/models/toy", ok(model))
    service.on(f"GET /v1/models/{MODEL['id']}", ok(model))
    if answer is not None:
        service.on("POST /v1/infer", ok(answer, 201))
    service.on(route, ok(view))
    return route


def inferred(client: Client, service: Service, world: ClientWorld, made: Made) -> Inference:
    serve(service, made, {}, answer=world.answer(made))
    return client.infer("toy", *made.inputs)


def test_an_honest_claim_is_verified_from_pending_to_final(
    service: Service, client: Client, world: ClientWorld
) -> None:
    made = world.make(1)
    answer = inferred(client, service, world, made)
    assert answer.claim_id == made.claim_id and answer.state == "pending"
    assert [output.dtype for output in answer.outputs] == [np.float32, np.int32]
    assert [output.tolist() for output in answer.outputs] == made.outputs
    serve(service, made, world.view(made))
    assert client.verify_inclusion(answer, world.l1).status is ClaimStatus.UNKNOWN
    world.post(made)
    serve(service, made, world.view(made))
    verified = client.verify_inclusion(made.claim_id, world.l1)
    assert verified.status is ClaimStatus.POSTED and verified.inputs_checked and not verified.final
    world.chain.advance(WINDOW + 1)
    verified = client.verify_inclusion(answer, world.l1)
    assert verified.final and verified.claim == made.posted.claim
    assert verified.outputs is not None
    assert [output.tolist() for output in verified.outputs] == made.outputs


def test_a_claim_that_this_client_did_not_ask_for_is_verified_without_its_inputs(
    service: Service, client: Client, world: ClientWorld
) -> None:
    made = world.make(2)
    world.post(made)
    serve(service, made, world.view(made))
    verified = client.verify_inclusion(made.claim_id, world.l1)
    assert verified.status is ClaimStatus.POSTED and not verified.inputs_checked


def altered(view: Json, path: str, value: Any) -> Json:
    """The view with one field changed; ``path`` like ``claim.nonce``."""
    name, _, rest = path.partition(".")
    return {**view, name: altered(view[name], rest, value) if rest else value}


def flipped(text: str, at: int = -1) -> str:
    digits = bytearray.fromhex(text[2:])
    digits[at] ^= 1
    return "0x" + digits.hex()


FIELD_LIES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "another nonce": ("claim.nonce", lambda nonce: str(int(nonce) + 1), "hash to"),
    "another model": ("claim.model_id", flipped, "hash to"),
    "another input root": ("claim.input_root", flipped, "hash to"),
    "another output root": ("claim.output_root", flipped, "hash to"),
    "another trace root": ("claim.trace_root", flipped, "hash to"),
    "another request": ("claim.request_id", flipped, "hash to"),
    "another expiry": ("claim.valid_until", lambda time: time + 1, "hash to"),
    "another claimant": ("claim.claimant", lambda _: "0x" + "11" * 20, "hash to"),
    "another id in the body": ("claim_id", flipped, "the answer is about"),
    "a signature that fits no key": ("signature", lambda _: "0x" + "00" * 64 + "1b", "signature"),
    "a signature of somebody else": ("signature", lambda text: flipped(text, 5), "signed it|signature"),
    "swapped input bytes": ("inputs", flipped, "do not hash to its input root"),
    "swapped output bytes": ("outputs", flipped, "do not hash to its output root"),
    "outputs cut short": ("outputs", lambda text: text[:-2], "do not fit its model"),
    "inputs too long": ("inputs", lambda text: text + "00", "do not fit its model"),
    "a wrong sibling": ("inclusion.siblings", lambda nodes: [flipped(nodes[0])], "leads to"),
    "no siblings": ("inclusion.siblings", lambda _: [], "leads to|does not hold"),
    "another index": ("inclusion.index", lambda index: 1 - index, "leads to"),
    "an index outside": ("inclusion.index", lambda _: 9, "does not hold"),
    "another batch": ("inclusion.batch", lambda _: 0, "leads to"),
}


@pytest.fixture(scope="module")
def pair(world: ClientWorld) -> tuple[Made, Made]:
    """Two claims in one batch, which is not the first."""
    first = world.make(3)
    world.post(first)
    claims = world.make(4), world.make(5)
    world.post(*claims)
    return claims


@pytest.mark.parametrize("lie", FIELD_LIES)
def test_a_lie_about_any_field_is_refused(
    lie: str, service: Service, client: Client, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    path, change, words = FIELD_LIES[lie]
    made, view = pair[0], world.view(pair[0])
    value: Any = view
    for name in path.split("."):
        value = value[name]
    serve(service, made, view)
    assert client.verify_inclusion(made.claim_id, world.l1).status is ClaimStatus.POSTED
    serve(service, made, altered(view, path, change(value)))
    with pytest.raises(BadAnswer, match=words):
        client.verify_inclusion(made.claim_id, world.l1)


def test_another_true_claim_in_place_of_the_one_asked_for_is_refused(
    service: Service, client: Client, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    made, other = pair
    serve(service, made, world.view(other))
    with pytest.raises(BadAnswer, match="the answer is about"):
        client.verify_inclusion(made.claim_id, world.l1)
    serve(service, made, {**world.view(other), "claim_id": wire.hex_of(made.claim_id)})
    with pytest.raises(BadAnswer, match="hash to"):
        client.verify_inclusion(made.claim_id, world.l1)


def test_a_view_without_bytes_and_signature_is_refused(
    service: Service, client: Client, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    view = {
        name: value for name, value in world.view(pair[0]).items() if name not in ("signature", "inputs", "outputs")
    }
    serve(service, pair[0], view)
    with pytest.raises(BadAnswer, match="lacks signature, inputs, outputs"):
        client.verify_inclusion(pair[0].claim_id, world.l1)


def test_what_the_client_gives_is_shown_in_a_line(service: Service, client: Client, world: ClientWorld) -> None:
    made = world.make(9)
    answer = inferred(client, service, world, made)
    identity = f"0x{made.claim_id.hex()[:8]}..."
    assert repr(answer).startswith(f"Inference({identity}, 'toy', pending, spread=[") and len(repr(answer)) < 200
    assert repr(answer.model).startswith(f"ModelView('toy', 0x{answer.model.id.hex()[:8]}..., x float32[600], ")
    world.post(made)
    serve(service, made, world.view(made))
    view = client.get(made.claim_id)
    assert repr(view).startswith(f"ClaimView({identity}, posted, about 0x{answer.model.id.hex()[:8]}... by 0x")
    assert repr(client.verify_inclusion(answer, world.l1)).startswith(f"Verified({identity}, posted at block ")


def test_a_true_claim_about_other_inputs_than_were_sent_is_refused(
    service: Service, client: Client, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    made, other = pair
    serve(service, made, world.view(made), answer=world.answer(made))
    answer = client.infer("toy", *other.inputs)
    with pytest.raises(BadAnswer, match="is not about the inputs that were sent"):
        client.verify_inclusion(answer, world.l1)


def test_outputs_other_than_those_of_the_claim_are_refused(
    service: Service, client: Client, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    made, other = pair
    serve(service, made, world.view(made), answer={**world.answer(made), "outputs": other.outputs})
    answer = client.infer("toy", *made.inputs)
    assert [output.tolist() for output in answer.outputs] == other.outputs
    with pytest.raises(BadAnswer, match="other numbers than it claimed"):
        client.verify_inclusion(answer, world.l1)


def test_an_answer_of_another_model_is_refused(service: Service, client: Client, world: ClientWorld) -> None:
    made = world.make(6, OTHER)
    world.post(made)
    serve(service, made, world.view(made), answer=world.answer(made))
    answer = client.infer("toy", *made.inputs)
    with pytest.raises(BadAnswer, match="the service ran another model"):
        client.verify_inclusion(answer, world.l1)


def test_a_model_asked_for_by_id_can_not_be_swapped(service: Service, client: Client, world: ClientWorld) -> None:
    service.on(f"GET /v1/models/{MODEL['id']}", ok(described(OTHER)))
    with pytest.raises(BadAnswer, match="the answer is about"):
        client.infer(MODEL["id"], *world.make(7).inputs)


TAKEN_FOR_INTEGERS = toy(inputs=(Named("x", "float64"), Named("y", "int16")))
RENAMED = toy(structure=[0, 1])


@pytest.mark.parametrize("other", [TAKEN_FOR_INTEGERS, RENAMED, OTHER], ids=["dtype", "structure", "policy"])
@pytest.mark.parametrize("part", ["header", "interface", "proof"])
def test_a_description_that_is_not_the_model_s_own_is_refused(
    other: Program, part: str, service: Service, client: Client
) -> None:
    """All of what a model takes and gives, and in which structure, follows from its id."""
    false = {**MODEL, part: described(other)[part]}
    if false == MODEL:
        return
    service.on("GET /v1/models/toy", ok(false))
    with pytest.raises(BadAnswer, match=r"not those of the model|not the one that proof"):
        client.model("toy")


def test_a_dtype_that_is_narrower_than_the_caller_s_rounds_no_input_unnoticed(
    service: Service, client: Client, world: ClientWorld
) -> None:
    made = world.make(8)
    for dtype in ("float16", "bfloat16"):
        model = described(toy(inputs=(Named("x", dtype), Named("y", "int16"))))
        serve(service, made, {}, model, world.answer(made))
        with pytest.raises(ClientError, match="round it"):
            client.infer("toy", made.inputs[0] + np.float32(0.001), made.inputs[1])


def test_numbers_beyond_the_model_s_range_are_refused_or_cut_and_counted(
    service: Service, client: Client, world: ClientWorld
) -> None:
    made = world.make(9, ends=3)
    world.post(made)
    far = made.inputs[0].copy()
    far[:3] *= 1e6
    serve(service, made, world.view(made), answer=world.answer(made))
    with pytest.raises(
        ClientError,
        match=r"input x has -?[0-9.e+]+ at \[\d\], and 2 more beyond; the model takes -128 to 127.996 there",
    ):
        client.infer("toy", far, made.inputs[1])
    assert not [one for one in service.asked if one.method == "POST"]
    answer = client.infer("toy", far, made.inputs[1], clamp=True)
    assert answer.clamped == 3 and client.verify_inclusion(answer, world.l1).inputs_checked
    assert client.infer("toy", *made.inputs).clamped == 0


def test_an_answer_comes_in_the_structure_of_the_function(service: Service, client: Client, world: ClientWorld) -> None:
    answer = inferred(client, service, world, world.make(9))
    assert answer.result == {"of": [answer.outputs[0]], "where": answer.outputs[1]}


@pytest.mark.parametrize("word", ["final", "invalid", "pending"])
def test_wait_final_with_l1_believes_no_word_of_the_server(word: str, service: Service, world: ClientWorld) -> None:
    made = world.make(10)
    world.post(made)
    serve(service, made, world.view(made, word))
    with Client(service.url, l1=world.l1, bounds=QUICK) as client, pytest.raises(WaitTimeout, match="is posted"):
        client.wait_final(made.claim_id, timeout=0.5)


def test_wait_final_without_l1_takes_the_servers_word(service: Service, client: Client, world: ClientWorld) -> None:
    made = world.make(11)
    route = serve(service, made, {})
    service.on(route, ok(world.view(made, "pending")), ok(world.view(made, "posted")), ok(world.view(made, "final")))
    assert client.wait_final(made.claim_id, timeout=60).state == "final"
    service.on(route, ok({**world.view(made, "invalid"), "reason": "op 3 says otherwise"}))
    with pytest.raises(InvalidClaim, match="op 3 says otherwise"):
        client.wait_final(made.claim_id, timeout=60)


def test_wait_final_outlasts_a_service_that_starts_again_but_not_a_refusal(
    service: Service, client: Client, world: ClientWorld
) -> None:
    made = world.make(12)
    route = serve(service, made, {})
    broken = problem(500, "the database is away")
    service.on(route, broken, broken, ok(world.view(made, "final")))
    assert client.wait_final(made.claim_id, timeout=60).state == "final"
    service.on(route, problem(404, "no such claim"))
    with pytest.raises(ClientError, match="no such claim"):
        client.wait_final(made.claim_id, timeout=60)


def test_a_batch_that_l1_does_not_have_yet_is_no_batch(
    service: Service, client: Client, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    made = pair[0]
    serve(service, made, altered(world.view(made), "inclusion.batch", 999))
    assert client.verify_inclusion(made.claim_id, world.l1).status is ClaimStatus.UNKNOWN


def test_a_handed_in_claim_answered_with_another_id_is_refused(
    service: Service, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    made, other = pair
    service.on("POST /v1/claims", ok({"claim_id": wire.hex_of(other.claim_id), "state": "pending"}, 201))
    with Client(service.url, l1=world.l1, bounds=QUICK) as client, pytest.raises(BadAnswer, match="was handed in"):
        client.claim(made.posted)
    service.on("POST /v1/claims", ok({"claim_id": wire.hex_of(made.claim_id), "state": "pending"}, 201))
    with Client(service.url, l1=world.l1, bounds=QUICK) as client:
        assert client.claim(made.posted) == made.claim_id


def test_a_claim_for_another_deployment_is_refused(
    service: Service, client: Client, world: ClientWorld, pair: tuple[Made, Made]
) -> None:
    other = type(world.l1).deploy(world.chain, world.chain.signer("other"), replace(world.l1.parameters))
    serve(service, pair[0], world.view(pair[0]))
    with pytest.raises(BadAnswer, match="another deployment"):
        client.verify_inclusion(pair[0].claim_id, other)


def test_nothing_is_verified_without_l1(client: Client, pair: tuple[Made, Made]) -> None:
    with pytest.raises(ClientError, match="without L1"):
        client.verify_inclusion(pair[0].claim_id)
