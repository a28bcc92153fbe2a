"""Claims, inclusions and parameters survive JSON; what is no such thing is refused with a sentence that names the field."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup import wire
from rollup.batch import Inclusion
from rollup.claim import Claim, PostedClaim
from rollup.documents.claims import ClaimChange, ClaimFields, ClaimPage, InclusionProof, SignedClaim
from rollup.documents.fields import read
from rollup.documents.network import ParametersView
from rollup.errors import ClaimError
from rollup.l1.account.signing import checksummed
from rollup.settings import MOST_MONEY, Parameters

hashes = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: checksummed("0x" + raw.hex()))
claims = st.builds(
    Claim,
    hashes,
    addresses,
    st.integers(0, 2**256 - 1),
    st.integers(0, 2**64 - 1),
    hashes,
    hashes,
    hashes,
    hashes,
)
signatures = st.binary(min_size=65, max_size=65)
CLAIM = Claim(bytes(32), checksummed("0x" + "ab" * 20), 7, 1_800_000_000, bytes(32), b"\1" * 32, b"\2" * 32, b"\3" * 32)
POSTED = PostedClaim(CLAIM, bytes(65), b"in", b"out")


def through_json(data):
    return json.loads(json.dumps(data))


@given(st.builds(PostedClaim, claims, signatures, st.binary(max_size=80), st.binary(max_size=80)))
def test_a_signed_claim_survives_the_way_through_json(posted):
    assert read(SignedClaim, through_json(SignedClaim.of(posted).model_dump())).value == posted


@given(
    st.builds(Inclusion, st.integers(0, 2**53 - 1), st.integers(0, 2**32 - 1), st.lists(hashes, max_size=8).map(tuple))
)
def test_an_inclusion_survives_the_way_through_json(inclusion):
    assert read(InclusionProof, through_json(InclusionProof.of(inclusion).model_dump())).value == inclusion


def test_parameters_survive_the_way_through_json():
    for parameters in (Parameters(), replace(Parameters(), claim_bond=MOST_MONEY, arity=8)):
        assert read(ParametersView, through_json(ParametersView.of(parameters).model_dump())).value == parameters


def test_large_numbers_are_strings_because_readers_of_json_round_them():
    assert ClaimFields.of(replace(CLAIM, nonce=2**256 - 1)).model_dump()["nonce"] == str(2**256 - 1)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model_id", "0x12", "claim.model_id has 1 bytes, it must have 32"),
        ("model_id", "ab" * 32, "claim.model_id is 'abab"),
        ("trace_root", None, "claim.trace_root is null"),
        ("claimant", "0x" + "ab" * 19, "claim.claimant is"),
        ("claimant", "0xAB" + "ab" * 19, "wrong checksum"),
        ("nonce", 7, "claim.nonce is 7"),
        ("nonce", "-1", "claim.nonce is '-1'"),
        ("nonce", "٣", "claim.nonce is"),
        ("nonce", "07", "claim.nonce is '07'"),
        ("nonce", str(2**256), "below 2^256"),
        ("nonce", "9" * 100_000, "claim.nonce is '999"),
        ("valid_until", "1", "claim.valid_until is '1'"),
        ("valid_until", True, "claim.valid_until is true"),
        ("valid_until", 2**64, "claim.valid_until is a very large number"),
        ("valid_until", 1.5, "claim.valid_until is a fraction"),
        ("valid_until", float("nan"), "claim.valid_until is a fraction"),
        ("valid_until", [1, 2], "claim.valid_until is a list of 2"),
        ("request_id", {"a": 1}, "claim.request_id is an object"),
    ],
)
def test_a_bad_field_of_a_claim_is_named(field, value, said):
    data = ClaimFields.of(CLAIM).model_dump() | {field: value}
    with pytest.raises(ClaimError) as refused:
        read(ClaimFields, data, "claim")
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("signature", "0x" + "00" * 64, "signature has 64 bytes, it must have 65"),
        ("signature", "0x0", "signature is '0x0'"),
        ("inputs", "0x" + "00" * (96 * 1024 + 1), "inputs has 98305 bytes, at most 98304"),
        ("outputs", "0xzz", "outputs is '0xzz'"),
        ("outputs", 5, "outputs is 5"),
        ("claim", [], "claim is a list of 0"),
        ("claim", {"nonce": "1"}, "claim lacks model_id, claimant"),
    ],
)
def test_a_bad_field_of_a_signed_claim_is_named(field, value, said):
    with pytest.raises(ClaimError) as refused:
        read(SignedClaim, SignedClaim.of(POSTED).model_dump() | {field: value})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [
        None,
        "batch",
        {"batch": 0, "index": 0},
        {"batch": -1, "index": 0, "siblings": []},
        {"batch": 0, "index": 2**32, "siblings": []},
        {"batch": 0, "index": 0, "siblings": ["0x" + "00" * 32] * 33},
        {"batch": 0, "index": 0, "siblings": ["0x00"]},
        {"batch": 0, "index": 0, "siblings": {}},
    ],
)
def test_what_is_no_inclusion_is_refused(data):
    with pytest.raises(ClaimError, match="inclusion"):
        read(InclusionProof, data, "inclusion")


def test_an_account_is_taken_in_any_one_case_and_given_back_in_its_one_spelling():
    account = checksummed("0x" + "ab" * 20)
    for spelling in (account, account.lower(), "0x" + account[2:].upper()):
        assert wire.address_of(spelling, "claimant") == account


def test_a_sentence_about_a_huge_value_stays_short():
    with pytest.raises(ClaimError) as refused:
        wire.bytes_of("0x" + "g" * 10_000, "signature", 65)
    assert len(str(refused.value)) < 200


def test_a_list_is_read_up_to_its_first_mistake():
    """Else a short answer of nothing but mistakes would take any memory."""
    for wrong in ({}, [], 7, None):
        with pytest.raises(ClaimError, match=r"claims\.0") as refused:
            read(ClaimPage, {"claims": [wrong] * 1_000_000, "next": None})
        assert len(str(refused.value)) < 300


def test_what_a_document_does_not_have_is_left_alone_and_nothing_stands_for_something_else():
    said = {"claim_id": "0x" + "11" * 32, "state": "posted", "at": 7}
    assert read(ClaimChange, said | {"more": 1}).model_dump() == said
    for wrong in ({"at": "7"}, {"at": 7.0}, {"at": True}, {"at": -1}, {"state": "fine"}, {"claim_id": "11" * 32}):
        (name,) = wrong
        with pytest.raises(ClaimError, match=f"^an event.{name} is "):
            read(ClaimChange, said | wrong, "an event")
