"""What a response of the OpenAI-compatible endpoint says: read strictly, so that nothing counts as proven that its reader did not see,
and nothing that its reader saw goes unread.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rollup.errors import BadAnswer, ClaimError
from rollup.receipt import CHAT, COMPLETIONS, EVENT, MEMBER, canonical, numbers_of, stream_of

Finish = Literal["stop", "length"]


class _Part(BaseModel):
    """Has no member beside its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Message(_Part):
    role: Literal["assistant"]
    content: str
    refusal: None = None


class _Delta(_Part):
    role: Literal["assistant"] = "assistant"
    content: str = ""


class _Choice(_Part):
    index: int
    logprobs: dict[str, Any] | None = None


class _Spoken(_Choice):
    """Of a chat."""

    message: _Message
    finish_reason: Finish

    @property
    def words(self) -> str:
        return self.message.content


class _Written(_Choice):
    """Of a completion."""

    text: str
    finish_reason: Finish

    @property
    def words(self) -> str:
        return self.text


class _SpokenOn(_Choice):
    delta: _Delta
    finish_reason: Finish | None

    @property
    def words(self) -> str:
        return self.delta.content


class _WrittenOn(_Choice):
    text: str
    finish_reason: Finish | None

    @property
    def words(self) -> str:
        return self.text


class _Usage(_Part):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _Head(_Part):
    """What names an answer; no client shows it as words."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str


class _Spoke(_Head):
    choices: list[_Spoken]
    usage: _Usage


class _Wrote(_Head):
    choices: list[_Written]
    usage: _Usage


class _SpokePart(_Head):
    choices: list[_SpokenOn]
    usage: _Usage | None = None


class _WrotePart(_Head):
    choices: list[_WrittenOn]
    usage: _Usage | None = None


_WHOLE = {CHAT: TypeAdapter[_Spoke | _Wrote](_Spoke), COMPLETIONS: TypeAdapter[_Spoke | _Wrote](_Wrote)}
_PARTS = {
    CHAT: TypeAdapter[_SpokePart | _WrotePart](_SpokePart),
    COMPLETIONS: TypeAdapter[_SpokePart | _WrotePart](_WrotePart),
}


@dataclass(frozen=True)
class SaidText:
    """One answer as the response words it."""

    text: str
    finish: str | None
    logprobs: bool


@dataclass(frozen=True)
class SaidNumbers:
    """One embedding as the response holds it: a list of numbers, or base64."""

    embedding: list[float] | str


Said = tuple[Sequence[SaidText | SaidNumbers], str, dict[str, Any] | None]
"""The answers in a response's bytes, by index; the model that it names; its usage."""


def said_in(response: bytes, endpoint: str) -> Said:
    """What a response with texts says. Raises BadAnswer for whatever is not in the form in which the endpoint sends it."""
    if endpoint not in _WHOLE:
        raise BadAnswer(f"the receipt is about {endpoint!r}, which answers with no text; it was changed")
    try:
        return _streamed(response, endpoint) if response.startswith(EVENT) else _whole(response, endpoint)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadAnswer(f"the response is not in the form in which it is sent: {place}: {first['msg']}") from None
    except (KeyError, TypeError, ValueError, RecursionError, ClaimError) as error:
        raise BadAnswer(f"the response can't be read as an answer ({type(error).__name__})") from None


def _whole(response: bytes, endpoint: str) -> Said:
    document = json.loads(response)
    if canonical(document) != response:
        raise BadAnswer("the response's bytes are not in the form in which they are sent; they were changed")
    answer = _WHOLE[endpoint].validate_python(document)
    if [one.index for one in answer.choices] != list(range(len(answer.choices))):
        raise BadAnswer("the response's answers are not numbered from 0")
    found = [SaidText(one.words, one.finish_reason, one.logprobs is not None) for one in answer.choices]
    return found, answer.model, answer.usage.model_dump()


def _streamed(response: bytes, endpoint: str) -> Said:
    documents = [json.loads(part.removeprefix(EVENT)) for part in response.split(b"\n\n") if part]
    # A client passes over what is no event of this form: words there are not what anybody read.
    if stream_of(documents) != response:
        raise BadAnswer("the response's bytes are not in the form in which they are sent; they were changed")
    parts = [_PARTS[endpoint].validate_python(one) for one in documents]
    texts: dict[int, str] = {}
    ends: dict[int, str] = {}
    told: set[int] = set()
    for part in parts:
        for one in part.choices:
            if one.index in ends:
                raise BadAnswer(f"answer {one.index} of the response goes on behind its end")
            texts[one.index] = texts.get(one.index, "") + one.words
            told |= {one.index} if one.logprobs is not None else set()
            if one.finish_reason is not None:
                ends[one.index] = one.finish_reason
    if sorted(texts) != list(range(len(texts))):
        raise BadAnswer("the response's answers are not numbered from 0")
    if len({part.model for part in parts}) != 1:
        raise BadAnswer("the response names several models")
    found = [SaidText(texts[index], ends.get(index), index in told) for index in range(len(texts))]
    usage = parts[-1].usage
    return found, parts[0].model, None if usage is None else usage.model_dump()


def require_silent(event: Mapping[str, Any], endpoint: str) -> None:
    """Raise BadAnswer unless the event with a receipt, which no hash covers, says nothing of its own."""
    if endpoint not in _PARTS:
        raise BadAnswer(f"the receipt is about {endpoint!r}, which is no stream; it was changed")
    try:
        last = _PARTS[endpoint].validate_python({name: value for name, value in event.items() if name != MEMBER})
    except ValidationError:
        last = None
    if last is None or last.usage or any(one.words or one.finish_reason or one.logprobs for one in last.choices):
        raise BadAnswer("the event with the receipt says something besides; it was changed")


def numbers_in(response: bytes) -> Said:
    """What a response with embeddings holds. Raises BadAnswer."""
    try:
        document = json.loads(response)
        if canonical(document) != response:
            raise BadAnswer("the response's bytes are not in the form in which they are sent; they were changed")
        found = [SaidNumbers(one["embedding"]) for one in document["data"]]
        if [(type(one["index"]), one["index"]) for one in document["data"]] != [(int, at) for at in range(len(found))]:
            raise BadAnswer("the response's embeddings are not numbered from 0")
        for one in found:
            numbers = numbers_of(one.embedding) if isinstance(one.embedding, str) else one.embedding
            if not all(type(number) in (int, float) for number in numbers):
                raise BadAnswer("the response has an embedding that is not of numbers")
        return found, str(document["model"]), document.get("usage")
    except (KeyError, TypeError, ValueError, AttributeError, struct.error, RecursionError, ClaimError) as error:
        raise BadAnswer(f"the response can't be read as embeddings ({type(error).__name__})") from None
