"""Claims over HTTP: taken once, refused with the reason, listed, and shown with the proof that the contract accepts."""

import json
import secrets
from dataclasses import replace

import pytest

from rollup import wire
from rollup.batch import fold_inclusion
from rollup.documents.claims import ClaimFields, InclusionProof, SignedClaim
from rollup.documents.fields import read
from rollup.l1.account.signing import HALF_ORDER, Domain, claim_id
from rollup.l1.answers import ClaimStatus
from rollup.types import Root


def problem(response, status, slug):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["type"] == f"urn:touchstone:problem:{slug}" and document["status"] == status
    assert document["title"] and document["detail"]
    return document["detail"]


def shown(world, claim):
    return world.http.get(f"/v1/claims/{claim}").json()


def test_a_claim_is_accepted_once_and_known_from_then_on(world):
    posted = world.claim(1)
    first, again = world.hand_in(posted), world.hand_in(posted)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (
        first.json() == again.json() == {"claim_id": wire.hex_of(world.l1.claim_id(posted.claim)), "state": "pending"}
    )
    found = shown(world, first.json()["claim_id"])
    assert read(SignedClaim, found).value == posted
    assert (found["state"], found["batch"], found["inclusion"], found["disputed"]) == ("pending", None, None, False)


def test_the_inclusion_is_the_proof_that_the_contract_accepts(world):
    ids = [world.hand_in(world.claim(seed)).json()["claim_id"] for seed in (2, 3, 4)]
    world.post_all()
    for one in ids:
        found = shown(world, one)
        assert found["state"] == "posted"
        inclusion = read(InclusionProof, found["inclusion"]).value
        assert world.l1.status(read(ClaimFields, found["claim"]).value, inclusion) is ClaimStatus.POSTED
        root = fold_inclusion(wire.claim_id_of(one), inclusion.index, inclusion.siblings)
        assert wire.hex_of(root) == found["batch"]["root"]
        assert found["final_after"] == found["batch"]["posted_at"] + world.l1.parameters.window
    batch = world.http.get(f"/v1/batches/{found['batch']['number']}").json()
    assert batch["root"] == found["batch"]["root"] and set(ids) <= set(batch["claims"])
    assert batch["count"] == len(batch["claims"])
    assert world.http.get("/v1/batches").json()["batches"][0]["number"] == batch["number"]


def test_a_claim_becomes_final_when_nobody_challenges_it(world):
    one = world.hand_in(world.claim(5)).json()["claim_id"]
    world.post_all()
    world.pass_time(world.l1.parameters.window + 1)
    found = shown(world, one)
    assert found["state"] == "final"
    assert world.l1.is_final(read(ClaimFields, found["claim"]).value, read(InclusionProof, found["inclusion"]).value)


def test_a_claim_that_anybody_posted_is_shown_without_a_signature(world):
    posted = world.claim(6)
    world.deployer.post_batch([posted])
    world.sync()
    found = shown(world, wire.hex_of(world.l1.claim_id(posted.claim)))
    assert found["state"] == "posted" and found["signature"] is None and found["taken_at"] is None


def test_listings_are_filtered_and_paged_newest_first(world):
    other = world.client("another claimant")
    other.deposit(10**18)
    world.sync()
    ids = [world.hand_in(world.claim(seed, by=other)).json()["claim_id"] for seed in range(7, 12)]
    seen, cursor = [], None
    while True:
        query = {"claimant": other.account.lower(), "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = world.http.get("/v1/claims", params=query).json()
        assert len(page["claims"]) <= 2
        assert all("inputs" not in one for one in page["claims"])
        seen += [one["claim_id"] for one in page["claims"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    pending = world.http.get("/v1/claims", params={"state": "pending", "claimant": other.account}).json()["claims"]
    assert len(pending) == 5
    of_model = {"model": wire.hex_of(bytes(32))}
    assert world.http.get("/v1/claims", params=of_model).json() == {"claims": [], "next": None}


# Attacks


def test_attack_a_forged_signature_is_refused(world):
    posted, thief = world.claim(20), world.client("thief")
    forged = replace(posted, signature=thief.sign(posted.claim, b"", b"").signature)
    assert "signed it; sign with the claimant's key" in problem(world.hand_in(forged), 422, "claim")
    noise = replace(posted, signature=secrets.token_bytes(64) + b"\x1b")
    problem(world.hand_in(noise), 422, "claim")


def test_attack_a_malleated_signature_is_refused(world):
    posted = world.claim(20)
    order = 2 * HALF_ORDER + 1
    twin = order - int.from_bytes(posted.signature[32:64], "big")
    other = posted.signature[:32] + twin.to_bytes(32, "big") + bytes([55 - posted.signature[64]])
    assert "high s" in problem(world.hand_in(replace(posted, signature=other)), 422, "claim")


@pytest.mark.parametrize("wrong", ["chain", "contract"])
def test_attack_a_signature_for_another_deployment_is_refused(world, wrong):
    posted, domain = world.claim(21), world.l1.domain
    elsewhere = (
        Domain(domain.chain_id + 1, domain.contract)
        if wrong == "chain"
        else Domain(domain.chain_id, world.l1.game_address)
    )
    signature = world.chain.signer("claimant").sign(claim_id(posted.claim, elsewhere))
    assert "signed it" in problem(world.hand_in(replace(posted, signature=signature)), 422, "claim")


def test_attack_a_nonce_is_not_used_twice_here_or_after_l1_has_it(world):
    posted = world.claim(22)
    assert world.hand_in(posted).status_code == 201
    assert "nonce" in problem(world.hand_in(world.claim(23, nonce=posted.claim.nonce)), 422, "claim")
    world.post_all()
    assert "nonce" in problem(world.hand_in(world.claim(23, nonce=posted.claim.nonce)), 422, "claim")
    replayed = world.hand_in(posted)
    assert replayed.status_code == 200 and replayed.json()["state"] == "posted"


def test_attack_claims_that_l1_would_not_take_are_refused_with_the_reason(world):
    poor = world.client("poor")
    good = world.claim(24)
    for posted, said in (
        (world.claim(24, valid_until=world.store.l1.head().time - 1), "was valid until"),
        (world.claim(24, by=poor), "deposit"),
        (world.claim(24, model_id=Root(b"\7" * 32)), "is not registered"),
        (world.claim(24, trace_root=Root(bytes(32))), "hash the trace"),
        (replace(good, outputs=bytes(len(good.outputs))), "hash to"),
        (replace(good, inputs=good.inputs + b"\0"), "bytes"),
        (replace(good, outputs=b""), "bytes"),
    ):
        assert said in problem(world.hand_in(posted), 422, "claim")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonce", "1e3"),
        ("nonce", "9" * 4000),
        ("nonce", "\u0661"),
        ("nonce", "\ud800"),
        ("nonce", 1),
        ("claimant", "0x"),
        ("claimant", None),
        ("valid_until", 2**64),
        ("valid_until", -1),
        ("valid_until", 1.5),
        ("valid_until", True),
        ("valid_until", 10**4000),
        ("input_root", "0x" + "0" * 63),
        ("trace_root", ["0x"]),
    ],
)
def test_attack_garbled_fields_are_named_and_never_break_anything(world, field, value):
    body = SignedClaim.of(world.claim(25)).model_dump()
    body["claim"][field] = value
    content = json.dumps(body).encode()
    response = world.http.post("/v1/claims", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert field in response.json()["detail"]
    assert len(response.content) < 2000


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'"claim"', b"{", b'{"claim": 1}', b"\xff\xfe", b"1" * 5000]
)
def test_attack_bodies_that_are_no_claim_are_refused(world, body):
    response = world.http.post("/v1/claims", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/v1/claims/0x12", "/v1/claims/" + "0x" + "00" * 32, "/v1/claims/%00%ff", "/v1/claims/" + "é" * 50]
)
def test_unknown_claims_are_not_found(world, path):
    problem(world.http.get(path), 404, "unknown-claim")


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 10**30},
        {"cursor": "x"},
        {"cursor": "9" * 100},
        {"cursor": "-1"},
        {"state": "lost"},
        {"claimant": "0x12"},
    ],
)
def test_attack_filters_that_make_no_sense_are_refused(world, query):
    response = world.http.get("/v1/claims", params=query)
    assert response.status_code == 422 and response.headers["content-type"] == "application/problem+json"
