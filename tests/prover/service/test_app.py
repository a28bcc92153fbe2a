"""The prover over HTTP: what it signs L1 would take, what it publishes hashes to the claim, what it refuses it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from prover.service.archive import Archive
from prover.service.worker import InferenceWorker
from rollup import wire
from rollup.claim import NO_ROOT, Address, join, problems
from rollup.documents.claims import GroupRequest, SignedClaim
from rollup.documents.fields import read
from rollup.game.position import descendant, leaf_gindex
from rollup.group import Group
from rollup.l1.account import signing
from rollup.l1.events import ClaimPosted
from rollup.merkle import TraceTree, hash_leaf, hash_node, tensor_tree
from rollup.types import Gindex, Root
from tests.e2e.toy_program import toy_inputs, toy_numbers, toy_program, values_of
from tests.prover.service.world import BEARER, ProverWorld, served
from tests.world import TERMS


@pytest.fixture(scope="module")
def world() -> ProverWorld:
    return ProverWorld()


@pytest.fixture(scope="module")
def prover(world: ProverWorld) -> Iterator[tuple[httpx.Client, InferenceWorker, Archive]]:
    worker = world.worker()
    archive = Archive(worker.trace)
    with served(worker, archive) as http:
        yield http, worker, archive


@pytest.fixture
def http(prover: tuple[httpx.Client, InferenceWorker, Archive]) -> httpx.Client:
    return prover[0]


def inferred(http: httpx.Client, seed: int = 0, model: str = "toy") -> dict[str, Any]:
    answer = http.post("/v1/infer", json={"model": model, "inputs": toy_numbers(seed)}, headers=BEARER)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["detail"]


def answered(http: httpx.Client, world: ProverWorld, **changes: Any) -> httpx.Response:
    body = {
        "model_id": wire.hex_of(world.program.id),
        "inputs": wire.hex_of(join(toy_inputs(4), world.program.header.inputs)),
        "request_id": "0x" + "ab" * 32,
        "nonce": "77",
        "valid_until": world.chain.now() + 600,
    }
    return http.post("/v1/answer", json=body | changes, headers=BEARER)


def test_a_request_is_answered_by_a_claim_that_names_it_on_the_very_bytes(
    http: httpx.Client, world: ProverWorld
) -> None:
    answer = answered(http, world)
    assert answer.status_code == 200, answer.text
    posted = read(SignedClaim, answer.json()["posted"]).value
    claim = posted.claim
    assert (claim.request_id, claim.nonce) == (b"\xab" * 32, 77)
    assert claim.valid_until == world.chain.now() + 600
    assert posted.inputs == join(toy_inputs(4), world.program.header.inputs)
    assert signing.recover(world.deployer.claim_id(claim), posted.signature) == claim.claimant
    assert http.get("/v1/models").json()["claimant"] == claim.claimant
    same = read(SignedClaim, inferred(http, 4)["posted"]).value
    assert (same.inputs, same.outputs, same.claim.output_root) == (posted.inputs, posted.outputs, claim.output_root)
    again = read(SignedClaim, answered(http, world).json()["posted"]).value
    assert again == posted, "the same attempt is the same claim"


def test_no_claim_outlives_what_the_prover_allows_and_bytes_that_do_not_fit_are_named(
    http: httpx.Client, world: ProverWorld
) -> None:
    late = answered(http, world, valid_until=world.chain.now() + 10**6)
    assert read(SignedClaim, late.json()["posted"]).value.claim.valid_until <= world.chain.now() + 3600
    assert "asks for 1208" in refusal(answered(http, world, inputs="0x12"), 422)
    assert "no model" in refusal(answered(http, world, model_id="0x" + "12" * 32), 404)
    assert "nonce" in refusal(answered(http, world, nonce=77), 422)
    body = {
        "model_id": "0x" + "12" * 32,
        "inputs": "0x",
        "request_id": "0x" + "12" * 32,
        "nonce": "1",
        "valid_until": 1,
    }
    assert "bearer token" in refusal(http.post("/v1/answer", json=body), 401)


def test_what_is_signed_is_posted_by_l1_as_it_is(http: httpx.Client, world: ProverWorld) -> None:
    body = inferred(http, 1)
    posted = read(SignedClaim, body["posted"]).value
    program = toy_program()
    assert list(problems(posted, program.header)) == []
    assert signing.claim_id(posted.claim, world.deployer.domain) == bytes.fromhex(body["claim_id"][2:])
    right = values_of(program, toy_inputs(1))
    assert body["outputs"] == [(right[8] / 256.0).tolist(), right[7].tolist()]
    client = world.client("prover")
    client.deposit(TERMS.claim_bond)
    receipt = world.client("sequencer").post_batch([posted])
    assert receipt.one(ClaimPosted).claim_id == bytes.fromhex(body["claim_id"][2:])


def test_nonces_are_random_and_ids_stand_for_names(http: httpx.Client) -> None:
    bodies = [inferred(http, 2), inferred(http, 2), inferred(http, 2, "0x" + toy_program().id.hex())]
    assert len({body["posted"]["claim"]["nonce"] for body in bodies}) == 3
    assert len({body["posted"]["claim"]["trace_root"] for body in bodies}) == 1


def test_every_node_leaf_and_value_hashes_to_the_claimed_root(http: httpx.Client) -> None:
    root = inferred(http, 3)["posted"]["claim"]["trace_root"]
    described = http.get(f"/v1/trace/{root}").json()
    program = toy_program()
    depths = program.header.trace_depth, program.header.tensor_depth
    assert (described["trace_depth"], described["tensor_depth"]) == depths
    assert described["values"] == program.header.values and described["model_id"] == "0x" + program.id.hex()
    nodes = {Gindex(1): Root(bytes.fromhex(root[2:]))}
    depth = sum(depths)
    for level in range(depth):
        levels = min(3, depth - level)
        for gindex in (Gindex(1 << level), Gindex((2 << level) - 1)):
            row = http.get(f"/v1/trace/{root}/children/{gindex}", params={"levels": levels}).content
            below = [Root(row[at : at + 32]) for at in range(0, len(row), 32)]
            assert len(below) == 1 << levels
            nodes |= {descendant(gindex, levels, j): node for j, node in enumerate(below)}
            while len(below) > 1:
                below = [hash_node(a, b) for a, b in zip(below[::2], below[1::2], strict=True)]
            assert below == [nodes[gindex]] if gindex in nodes else len(below) == 1
    for leaf in range(0, 1 << depth, 5):
        data = http.get(f"/v1/trace/{root}/leaves/{leaf}").content
        parent = leaf_gindex(leaf, depth) >> 1
        pair = http.get(f"/v1/trace/{root}/children/{parent}").content
        assert hash_leaf(data) == pair[32 * (leaf & 1) :][:32]
    values = [http.get(f"/v1/trace/{root}/values/{v}").content for v in range(described["values"])]
    assert values == [value.tobytes() for value in values_of(program, toy_inputs(3))]
    tree = TraceTree([tensor_tree(data, depths[1]).root for data in values], *depths, lambda v: values[v])
    assert "0x" + tree.root.hex() == root


def test_on_dispute_nothing_is_hashed_until_the_trace_is_asked_for(
    prover: tuple[httpx.Client, InferenceWorker, Archive],
) -> None:
    http, _, archive = prover
    body = inferred(http, 4, "later")
    assert body["posted"]["claim"]["trace_root"] == "0x" + NO_ROOT.hex()
    refusal(http.get(f"/v1/trace/0x{NO_ROOT.hex()}"), 404)
    posted = read(SignedClaim, body["posted"]).value
    trace = archive.of(posted.claim.model_id, posted.inputs)
    assert http.get(f"/v1/trace/0x{trace.root.hex()}/leaves/0").content == trace.tree.leaf_bytes(0)


def test_without_the_token_nothing_is_inferred(http: httpx.Client, world: ProverWorld) -> None:
    body = {"model": "toy", "inputs": toy_numbers()}
    for header in (None, "", "Bearer", "Bearer wrong", "bearer", f"Basic {BEARER['authorization']}", "Bearer \xff"):
        headers = {} if header is None else {"authorization": header.encode("latin-1")}
        answer = http.post("/v1/infer", json=body, headers=headers)
        assert "bearer token" in refusal(answer, 401)
    worker = world.worker()
    with served(worker, Archive(worker.trace), token=None) as closed:
        assert "without a token" in refusal(closed.post("/v1/infer", json=body, headers=BEARER), 401)
        assert "without a token" in refusal(
            closed.post("/v1/infer", json=body, headers={"authorization": "Bearer"}), 401
        )


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ([toy_numbers()[0]], "takes 2 input arrays, 1 were given"),
        ([*toy_numbers(), 1], "takes 2 input arrays, 3 were given"),
        ([toy_numbers()[0][:-1], toy_numbers()[1]], "has shape (599,), the model takes (600,)"),
        ([toy_numbers()[0], [[1, 2], [3, 4]]], "has shape (2, 2), the model takes (4,)"),
        ([toy_numbers()[0], [1, 2, [3], 4]], "different lengths"),
        ([toy_numbers()[0], [1, 2, 3, 0.5]], "the model takes integers"),
        ([toy_numbers()[0], [1, 2, 3, 40000]], "outside of I16"),
        ([toy_numbers()[0], [1, 2, 3, 10**30]], "no number of 64 bits"),
        ([toy_numbers()[0], [1, 2, 3, None]], "no number of 64 bits"),
        ([toy_numbers()[0], [1, 2, 3, "4"]], "text"),
        ([toy_numbers()[0], [1, 2, 3, {}]], "no number of 64 bits"),
        ([toy_numbers()[0], []], "has shape (0,)"),
        ([toy_numbers()[0], "1234"], "text"),
        ([toy_numbers()[0], None], "no number of 64 bits"),
    ],
)
def test_inputs_that_do_not_fit_are_named(http: httpx.Client, inputs: Any, why: str) -> None:
    answer = http.post("/v1/infer", json={"model": "toy", "inputs": inputs}, headers=BEARER)
    assert why in refusal(answer, 422)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(http: httpx.Client, number: str) -> None:
    body = f'{{"model": "toy", "inputs": [[{", ".join([number] * 600)}], [1, 2, 3, 4]]}}'
    answer = http.post("/v1/infer", content=body, headers=BEARER | {"content-type": "application/json"})
    assert "finite" in refusal(answer, 422 if number == "1e999" else 400)


def test_reals_beyond_the_format_are_refused_or_cut_and_counted(http: httpx.Client) -> None:
    body = {"model": "toy", "inputs": [[1e30] * 600, [1, 2, 3, 4]]}
    said = refusal(http.post("/v1/infer", json=body, headers=BEARER), 422)
    assert "input input0 has 1e+30 at [0], and 599 more beyond; the model takes -128 to 127.996 there" in said
    answer = http.post("/v1/infer", json={**body, "clamp": True}, headers=BEARER)
    posted = read(SignedClaim, answer.json()["posted"]).value
    assert answer.json()["clamped"] == 600
    assert set(np.frombuffer(posted.inputs[:1200], "<i2")) == {32767}


def test_other_bodies_models_and_methods_are_refused(http: httpx.Client) -> None:
    def post(body: Any) -> httpx.Response:
        return http.post("/v1/infer", json=body, headers=BEARER)

    assert "there are: toy, later" in refusal(post({"model": "nothing", "inputs": []}), 404)
    for body in ([], 7, {}, {"model": "toy"}, {"model": 7, "inputs": []}, {"model": "toy", "inputs": {}}):
        refusal(post(body), 422)
    assert "extra" in refusal(post({"model": "toy", "inputs": toy_numbers(), "more": 1}), 422).lower()
    refusal(http.get("/v1/infer"), 405)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/trace/0x" + "ab" * 32, 404),
        ("/v1/trace/0x" + "ab" * 32 + "/leaves/0", 404),
        ("/v1/trace/{root}/children/0", 422),
        ("/v1/trace/{root}/children/-1", 422),
        ("/v1/trace/{root}/children/x", 422),
        ("/v1/trace/{root}/children/1?levels=9", 422),
        ("/v1/trace/{root}/children/1?levels=0", 422),
        ("/v1/trace/{root}/children/64?levels=1", 404),
        ("/v1/trace/{root}/children/32?levels=2", 404),
        ("/v1/trace/{root}/children/" + "9" * 4000, 404),
        ("/v1/trace/{root}/leaves/64", 404),
        ("/v1/trace/{root}/leaves/" + "9" * 4000, 404),
        ("/v1/trace/{root}/leaves/-1", 422),
        ("/v1/trace/{root}/values/9", 404),
        ("/v1/trace/{root}/values/-1", 422),
        ("/v1/trace/{root}/nothing", 404),
        ("/v1/trace/0x1234", 404),
        ("/v1/trace/zz", 404),
    ],
)
def test_places_that_no_trace_has_are_named(http: httpx.Client, path: str, status: int) -> None:
    root = inferred(http, 5)["posted"]["claim"]["trace_root"]
    assert refusal(http.get(path.format(root=root)), status)


def test_models_are_listed_with_their_tensors(http: httpx.Client) -> None:
    toy, later = http.get("/v1/models").json()["models"]
    assert (toy["name"], toy["policy"], later["policy"]) == ("toy", "with claim", "on dispute")
    assert toy["inputs"][0] == {"name": "input0", "shape": [600], "dtype": "float64", "integer": "i16", "scale": 8}
    assert toy["inputs"][1] == {"name": "input1", "shape": [4], "dtype": "int16", "integer": "i16", "scale": 0}
    assert [tensor["dtype"] for tensor in toy["outputs"]] == ["float64", "int32"]


def test_too_many_inferences_of_one_model_are_told_to_come_back(world: ProverWorld) -> None:
    worker = world.worker(queue=1)
    held = worker.find("toy")
    with served(worker, Archive(worker.trace)) as http:
        held.turns._running = 1
        answer = http.post("/v1/infer", json={"model": "toy", "inputs": toy_numbers()}, headers=BEARER)
        assert "wait" in refusal(answer, 503) and answer.headers["retry-after"] == "1"
        later = http.post("/v1/infer", json={"model": "later", "inputs": toy_numbers()}, headers=BEARER)
        assert later.status_code == 200


def test_a_group_of_claims_that_were_signed_here_is_signed(http: httpx.Client, world: ProverWorld) -> None:
    """The claims of one prover come with consecutive nonces and one validity, so that L1 takes them together."""
    signed = [read(SignedClaim, inferred(http, seed)["posted"]).value for seed in range(3)]
    assert len({one.claim.valid_until for one in signed}) == 1
    body = GroupRequest.of(signed).model_dump()
    answer = http.post("/v1/groups", json=body, headers=BEARER)
    assert answer.status_code == 200, answer.text
    group = Group(tuple(signed), bytes.fromhex(answer.json()["signature"][2:]))
    sequencer = world.client("sequencer")
    sequencer._send("RollupChain", "depositFor", group.first.claimant, value=3 * TERMS.claim_bond)
    receipt = sequencer.post_groups([group])
    assert [event.group for event in receipt.events if isinstance(event, ClaimPosted)] == [0, 0, 0]
    assert http.post("/v1/groups", json=body).status_code == 401


def test_a_group_with_anything_that_was_not_signed_here_is_refused(http: httpx.Client) -> None:
    signed = [read(SignedClaim, inferred(http, seed)["posted"]).value for seed in range(3)]
    changed = replace(signed[1], claim=replace(signed[1].claim, output_root=Root(bytes(32))))
    stranger = replace(signed[1], claim=replace(signed[1].claim, claimant=Address("0x" + "1" * 40)))
    unsigned = replace(signed[1], signature=bytes(65))
    for wrong, why in ((changed, "was not signed by"), (stranger, "one claimant"), (unsigned, "the signature")):
        body = GroupRequest.of([signed[0], wrong, signed[2]]).model_dump()
        assert why in refusal(http.post("/v1/groups", json=body, headers=BEARER), 422)
    gap = GroupRequest.of([signed[0], signed[2]]).model_dump()
    assert "make several groups" in refusal(http.post("/v1/groups", json=gap, headers=BEARER), 422)
