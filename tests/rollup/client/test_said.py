"""What a response is read as is what its reader saw."""

from __future__ import annotations

from typing import Any

import pytest

from rollup.client.said import said_in
from rollup.errors import BadAnswer
from rollup.receipt import CHAT, COMPLETIONS, EMBEDDINGS, canonical, event_of, stream_of
from tests.rollup.client.test_answered import ANSWER, CHOICE, CHUNKS, HEAD, MESSAGE, USAGE

WRITTEN = {"index": 0, "text": "a", "finish_reason": "length", "logprobs": None}


def chat(*choices: dict[str, Any], **more: Any) -> bytes:
    return canonical({**HEAD, "choices": list(choices), "usage": USAGE, **more})


def parts(*choices: dict[str, Any]) -> bytes:
    return stream_of([{**HEAD, "choices": [one]} for one in choices])


def test_texts_ends_and_usage_are_read_from_either() -> None:
    (one,), model, usage = said_in(canonical(ANSWER), CHAT)
    assert vars(one) == {"text": "h\u00e9", "finish": "stop", "logprobs": False} and (model, usage) == ("m", USAGE)
    (one,), _, usage = said_in(stream_of(CHUNKS), CHAT)
    assert vars(one) == {"text": "ab", "finish": "length", "logprobs": False} and usage is None
    (one,), _, _ = said_in(chat(WRITTEN), COMPLETIONS)
    assert vars(one) == {"text": "a", "finish": "length", "logprobs": False}
    found, _, _ = said_in(parts(WRITTEN | {"finish_reason": None}, WRITTEN | {"index": 1}, WRITTEN), COMPLETIONS)
    assert [vars(one)["text"] for one in found] == ["aa", "a"]


@pytest.mark.parametrize(
    "response",
    [
        b"{}",
        b"[]",
        b"7",
        b"",
        b"data: x\n\n",
        chat(CHOICE)[:-1],
        chat(CHOICE) + b" ",
        chat(CHOICE).replace(b'"m"', b'"m" '),
        chat(CHOICE).replace(b'"id"', b'"id":"x","id"'),
        chat(CHOICE | {"index": 1}),
        chat(CHOICE, CHOICE),
        chat(CHOICE | {"index": 0.5}),
        chat(CHOICE | {"index": False}),
        chat(CHOICE | {"finish_reason": None}),
        chat(CHOICE | {"finish_reason": "tool_calls"}),
        chat(CHOICE | {"text": "shown"}),
        chat(CHOICE, note="words"),
        chat(WRITTEN),
        *(chat(CHOICE | {"message": MESSAGE | more}) for more in (
            {"content": None},
            {"content": ["words"]},
            {"role": "system"},
            {"refusal": "words"},
            {"tool_calls": [{"type": "function", "function": {"name": "pay", "arguments": "{}"}}]},
            {"reasoning_content": "words"},
        )),
        stream_of(CHUNKS) + canonical(CHUNKS[1]) + b"\n\n",
        stream_of(CHUNKS) + b": a comment\n\n",
        stream_of([*CHUNKS, CHUNKS[1]]),
        stream_of([CHUNKS[0], CHUNKS[1] | {"model": "other"}]),
        stream_of(CHUNKS).replace(b"\n\n", b"\r\n\r\n"),
        event_of(CHUNKS[0] | {"choices": [{"index": 1, "delta": {"content": "a"}, "finish_reason": None}]}),
        event_of(CHUNKS[0] | {"choices": [{"index": 0, "delta": {"tool_calls": []}, "finish_reason": None}]}),
    ],
)  # fmt: skip
def test_words_that_a_reader_does_not_see_or_sees_besides_are_no_answer(response: bytes) -> None:
    with pytest.raises(BadAnswer):
        said_in(response, CHAT)


def test_an_endpoint_without_texts_says_none() -> None:
    with pytest.raises(BadAnswer, match="answers with no text"):
        said_in(canonical(ANSWER), EMBEDDINGS)
