"""The bytes that receipts sign for: one form of JSON, an EIP-712 digest that any library computes, and documents that come back."""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from rollup.claim import Address
from rollup.documents.fields import read
from rollup.documents.receipts import ReceiptDocument
from rollup.errors import ClaimError
from rollup.l1.account.receipts import receipt_id
from rollup.l1.account.signing import Domain, Signer, recover
from rollup.receipt import (
    MILLION,
    AnswerReceipt,
    ReceiptAnswer,
    SamplingTerms,
    SignedReceipt,
    body_of,
    canonical,
    embedding_of,
    nonce_of,
    numbers_of,
    seed_commitment,
)
from rollup.types import Root, Timestamp

SIGNER = Signer.from_key(b"\x11" * 32)
DOMAIN = Domain(31337, Address("0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"))
ANSWERS = tuple(
    ReceiptAnswer(
        n,
        7 + n,
        Root(bytes([n]) * 32),
        bytes([n + 2]) * 32,
        bytes([n + 3]) * 8,
        5,
        (1, 2, 70_000),
        (0, 3, 1, 2, 3, 4)[: 6 * n],
    )
    for n in range(2)
)
RECEIPT = AnswerReceipt(
    "chat/completions",
    b"\x01" * 32,
    b"\x02" * 32,
    Root(b"\x03" * 32),
    b"\x04" * 32,
    b"\x05" * 32,
    SamplingTerms(700_000, 900_000, 40),
    b"nonce",
    False,
    Timestamp(1_800_000_000),
    Timestamp(1_800_003_600),
    12,
    SIGNER.address,
    ANSWERS,
)


def test_any_library_of_eip_712_computes_the_id() -> None:
    types = {
        "Answer": "uint32 index,uint256 claimNonce,bytes32 inputRoot,bytes32 seedCommitment,bytes8 seed,"
        "uint32 promptTokens,uint32[] tokens,uint32[] cuts",
        "Receipt": "string endpoint,bytes32 requestHash,bytes32 responseHash,bytes32 modelId,bytes32 tokenizerHash,bytes32 templateHash,"
        "uint32 temperature,uint32 topP,uint32 topK,bytes nonce,bool serverChose,uint64 created,uint64 postedBy,uint64 block,"
        "address prover,Answer[] answers",
        "EIP712Domain": "string name,string version,uint256 chainId,address verifyingContract",
    }
    answers = [
        {
            "index": one.index,
            "claimNonce": one.claim_nonce,
            "inputRoot": one.input_root,
            "seedCommitment": one.seed_commitment,
            "seed": one.seed,
            "promptTokens": one.prompt_tokens,
            "tokens": list(one.tokens),
            "cuts": list(one.cuts),
        }
        for one in ANSWERS
    ]
    message = {
        "endpoint": RECEIPT.endpoint,
        "requestHash": RECEIPT.request_hash,
        "responseHash": RECEIPT.response_hash,
        "modelId": RECEIPT.model_id,
        "tokenizerHash": RECEIPT.tokenizer_hash,
        "templateHash": RECEIPT.template_hash,
        "temperature": 700_000,
        "topP": 900_000,
        "topK": 40,
        "nonce": b"nonce",
        "serverChose": False,
        "created": RECEIPT.created,
        "postedBy": RECEIPT.posted_by,
        "block": 12,
        "prover": SIGNER.address,
        "answers": answers,
    }
    domain = {"name": "Touchstone", "version": "1", "chainId": 31337, "verifyingContract": DOMAIN.contract}
    typed = {
        "types": {
            name: [dict(zip(("type", "name"), field.split(), strict=True)) for field in fields.split(",")]
            for name, fields in types.items()
        },
        "primaryType": "Receipt",
        "domain": domain,
        "message": message,
    }
    name = receipt_id(RECEIPT, DOMAIN)
    signed = Account.sign_message(encode_typed_data(full_message=typed), b"\x11" * 32)
    assert bytes(signed.message_hash) == name
    assert recover(name, bytes(signed.signature)) == SIGNER.address


def test_a_document_comes_back_as_the_receipt_that_it_is() -> None:
    name = receipt_id(RECEIPT, DOMAIN)
    document = ReceiptDocument.of(SignedReceipt(RECEIPT, SIGNER.sign(name)), name, DOMAIN.chain_id, DOMAIN.contract)
    again = read(ReceiptDocument, json.loads(document.model_dump_json()))
    assert again.value.receipt == RECEIPT and again == document
    with pytest.raises(ClaimError, match="not numbered from 0"):
        replace(RECEIPT, answers=ANSWERS[::-1])
    with pytest.raises(ClaimError, match="about no answer"):
        replace(RECEIPT, answers=())
    with pytest.raises(ClaimError, match="cuts where nothing is cut"):
        replace(RECEIPT, sampling=SamplingTerms())
    with pytest.raises(ClaimError, match="request hash has 3 bytes"):
        replace(RECEIPT, request_hash=b"abc")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (123456.789, "123456.789"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        ({"b": 1, "a": [True, None, '\u00e9\n"\u2028']}, '{"a":[true,null,"\u00e9\\n\\"\u2028"],"b":1}'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'),
    ],
)
def test_json_has_one_form_which_is_that_of_rfc_8785(value: object, text: str) -> None:
    assert canonical(value).decode() == text


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_what_is_read_from_it_has_the_same_form_again(value: object) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_can_t_hold_is_refused(value: object) -> None:
    with pytest.raises(ClaimError):
        canonical(value)


def test_a_receipt_is_cut_off_where_it_was_put() -> None:
    body = body_of({"b": 1, "a": 2}, {"id": "x"})
    assert body == b'{"a":2,"b":1,"touchstone":{"id":"x"}}'
    assert (
        canonical({name: value for name, value in json.loads(body).items() if name != "touchstone"}) == b'{"a":2,"b":1}'
    )


def test_seeds_follow_from_nonce_index_and_request() -> None:
    found = {
        seed_commitment(nonce_of(seed), index, request)
        for seed in (1, -1)
        for index in (0, 1)
        for request in (b"a" * 32, b"b" * 32)
    }
    assert len(found) == 8
    assert SamplingTerms.of(0, 5, 6) == SamplingTerms() == SamplingTerms(0, MILLION, 0)


def test_an_embedding_in_base64_is_the_nearest_float32_numbers_little_endian() -> None:
    numbers = [0.0, 1.0, -0.5, 1 + 2.0**-25, 3 * 2.0**-28]
    assert embedding_of(numbers, False) == numbers
    packed = embedding_of(numbers, True)
    assert isinstance(packed, str) and b64decode(packed)[:12] == bytes.fromhex("000000000000803f000000bf")
    assert numbers_of(packed) == (0.0, 1.0, -0.5, 1.0, 3 * 2.0**-28)
    for wrong in ("?", "AAAA"):
        with pytest.raises((ValueError, struct.error)):
            numbers_of(wrong)
