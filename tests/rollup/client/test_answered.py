"""Every form in which a caller may hold an answer leads to the same bytes; what is none says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rollup.client.answered import answered
from rollup.documents.receipts import ReceiptDocument
from rollup.errors import BadAnswer
from rollup.l1.account.receipts import receipt_id
from rollup.receipt import DONE, SignedReceipt, body_of, canonical, event_of, stream_of
from tests.rollup.test_receipt import DOMAIN, RECEIPT, SIGNER

NAME = receipt_id(RECEIPT, DOMAIN)
DOCUMENT = ReceiptDocument.of(
    SignedReceipt(RECEIPT, SIGNER.sign(NAME)), NAME, DOMAIN.chain_id, DOMAIN.contract
).model_dump()
HEAD = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m", "system_fingerprint": "fp_1"}
MESSAGE = {"role": "assistant", "content": "h\u00e9", "refusal": None}
CHOICE = {"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": None}
USAGE = {"prompt_tokens": 2, "completion_tokens": 6, "total_tokens": 8}
ANSWER: dict[str, Any] = {**HEAD, "choices": [CHOICE], "usage": USAGE}
CHUNKS: list[dict[str, Any]] = [
    {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": end, "logprobs": None}]}
    for delta, end in (({"role": "assistant", "content": "a"}, None), ({"content": "b"}, None), ({}, "length"))
]
LAST = {**HEAD, "choices": [], "touchstone": DOCUMENT}
BODY = body_of(ANSWER, DOCUMENT)
STREAM = stream_of(CHUNKS) + event_of(LAST) + DONE


class Parsed:
    """As client libraries give objects."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return self._document


@pytest.mark.parametrize("form", [BODY, BODY.decode(), json.loads(BODY), Parsed(json.loads(BODY))])
def test_a_whole_answer_has_the_bytes_in_front_of_its_receipt(form: Any) -> None:
    found = answered(form)
    assert found.response == canonical(ANSWER) and found.receipt.id == NAME and found.request is None
    assert answered(found) is found


@pytest.mark.parametrize("form", [STREAM, bytearray(STREAM), [*CHUNKS, LAST], map(Parsed, [*CHUNKS, LAST])])
def test_a_stream_has_the_bytes_in_front_of_the_event_with_its_receipt(form: Any) -> None:
    assert answered(form).response == stream_of(CHUNKS)


def test_a_receipt_file_has_all_bytes(tmp_path: Path) -> None:
    file = {"receipt": DOCUMENT, "request": "{}", "response": canonical(ANSWER).decode()}
    (tmp_path / "file.json").write_text(json.dumps(file))
    for form in (file, json.dumps(file), tmp_path / "file.json"):
        found = answered(form)
        assert (found.request, found.response) == (b"{}", canonical(ANSWER))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (BODY.replace(b'"model":"m"', b'"model": "m"'), "not in the form in which they are signed"),
        (BODY + b"\n", "not in the form in which they are signed"),
        (BODY.replace(b'{"choices"', b'{"a":1,"a":1,"choices"'), "no JSON|not in the form"),
        (canonical(ANSWER), "has no receipt: its member 'touchstone' is missing"),
        (stream_of(CHUNKS) + DONE, "holds no receipt; it ended early"),
        (STREAM + b"\n", "not in the form in which they are sent|no JSON"),
        (STREAM.removesuffix(DONE), "not in the form in which they are sent"),
        (STREAM.replace(DONE, DONE + DONE), "no JSON|not in the form"),
        (CHUNKS, "the last chunk of the stream holds no receipt"),
        ([], "holds no receipt"),
        ([7], "a int is no part of an answer"),
        (7, "a int is no answer"),
        (b"nonsense", "no JSON"),
        (b"[]", "no JSON object"),
        ({**ANSWER, "touchstone": {"id": "0x12"}}, "the receipt of the answer can't be read"),
        (Path("/nothing/there"), "can't be read"),
    ],
)
def test_what_is_no_answer_says_why(form: Any, words: str) -> None:
    with pytest.raises(BadAnswer, match=words):
        answered(form)


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 0, "delta": {"content": "words"}, "finish_reason": None, "logprobs": None},
        {"index": 0, "delta": {"refusal": "words"}, "finish_reason": None, "logprobs": None},
        {"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None},
        {"index": 0, "delta": {}, "text": "words", "finish_reason": None, "logprobs": None},
    ],
)
def test_the_event_with_the_receipt_which_no_hash_covers_says_nothing(choice: dict[str, Any]) -> None:
    last = {**LAST, "choices": [choice]}
    for form in (stream_of(CHUNKS) + event_of(last) + DONE, [*CHUNKS, last]):
        with pytest.raises(BadAnswer, match="says something besides"):
            answered(form)
