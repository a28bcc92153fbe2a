"""Answers as OpenAI's clients read them: whole ones, and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prover.openai.answers import Piece, TextAnswers
from rollup.receipt import CHAT, MEMBER

Json = dict[str, Any]


def usage_of(answering: TextAnswers) -> Json:
    """A prompt is counted once, however many answers there are to it."""
    asked = sum(map(len, answering.prompts))
    said = sum(len(one.tokens) for one in answering.spoken)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _head(answering: TextAnswers, name: str, chunk: bool) -> Json:
    chat = answering.what.endpoint == CHAT
    kind = ("chat.completion" if chat else "text_completion") + (".chunk" if chunk and chat else "")
    return {
        "id": name,
        "object": kind,
        "created": answering.created,
        "model": answering.what.model,
        "system_fingerprint": f"fp_{answering.model.program.id.hex()[:10]}",
    }


def whole(answering: TextAnswers, name: str, logprobs: Sequence[Json | None]) -> Json:
    """The answer's document, without its receipt. ``logprobs``: of each answer, if they were asked for."""
    choices = [
        {
            "index": index,
            "finish_reason": one.finish,
            "logprobs": told,
            **(
                {"message": {"role": "assistant", "content": one.text, "refusal": None}}
                if answering.what.endpoint == CHAT
                else {"text": one.text}
            ),
        }
        for index, (one, told) in enumerate(zip(answering.spoken, logprobs, strict=True))
    ]
    return {**_head(answering, name, False), "choices": choices, "usage": usage_of(answering)}


def chunk_of(answering: TextAnswers, name: str, piece: Piece, first: bool) -> Json:
    """One piece of a stream. ``first``: of this answer; then it says who speaks."""
    said: Json = {"text": piece.text}
    if answering.what.endpoint == CHAT:
        content = {"content": piece.text} if piece.text or first else {}
        said = {"delta": {**({"role": "assistant"} if first else {}), **content}}
    choice = {"index": piece.index, "finish_reason": piece.finish, "logprobs": None, **said}
    return {**_head(answering, name, True), "choices": [choice]}


def usage_chunk(answering: TextAnswers, name: str) -> Json:
    """What follows the last piece if the caller wants to know how many tokens there were."""
    return {**_head(answering, name, True), "choices": [], "usage": usage_of(answering)}


def receipt_chunk(answering: TextAnswers, name: str, receipt: Mapping[str, Any]) -> Json:
    """The last chunk. It has a choice that says nothing, since there are callers who look at the first one of every chunk."""
    return chunk_of(answering, name, Piece(0, ""), False) | {MEMBER: dict(receipt)}
