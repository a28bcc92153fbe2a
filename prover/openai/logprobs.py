"""Log-probabilities of an answer's tokens: float figures from the program's own logits, which no claim is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prover.language.generation import logits_value
from prover.openai.answers import Spoken, TextAnswers
from prover.openai.texts import Texts
from rollup.claim import arrays
from rollup.numbers import input_bytes
from rollup.receipt import CHAT, SEED_BYTES

DIGITS = 6
"""Decimals of a log-probability."""

Rows = np.ndarray[Any, np.dtype[np.float64]]


def told(answering: TextAnswers, one: Spoken, index: int) -> dict[str, Any]:
    """What the answer's ``logprobs`` holds: one pass of the program over prompt and answer."""
    count = answering.what.logprobs or 0
    rows = _rows(answering, one, index)
    shown = [_token(answering.texts, row, token, count) for row, token in zip(rows, one.tokens, strict=True)]
    return {"content": shown, "refusal": None} if answering.what.endpoint == CHAT else _completion(shown, count)


def _rows(answering: TextAnswers, one: Spoken, index: int) -> Rows:
    """float64 [tokens of the answer, vocabulary]: log-probabilities before each of them."""
    model, vocabulary = answering.model, answering.texts.vocabulary
    seed = answering.commitment(index)[:SEED_BYTES]
    made = answering.texts.inputs(one.prompt, one.tokens, answering.size, answering.sampling, seed, one.cuts)
    header = model.program.header
    inputs = arrays(input_bytes(header, made), header.inputs, "input")
    wanted = logits_value(model.program)
    held = next(array for value, array in enumerate(model.executor.stream(inputs)) if value == wanted)
    scale = model.program.meta["scales"][model.program.locate(wanted)[0]]
    first = len(one.prompt) - 1
    logits = held.reshape(-1, vocabulary)[first : first + len(one.tokens)] * 2.0**-scale
    top = logits.max(axis=-1, keepdims=True)
    found: Rows = logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
    return found


def _token(texts: Texts, row: Rows, token: int, count: int) -> dict[str, Any]:
    best = np.argsort(-row, kind="stable")[:count].tolist()
    return {**_entry(texts, row, token), "top_logprobs": [_entry(texts, row, other) for other in best]}


def _entry(texts: Texts, row: Rows, token: int) -> dict[str, Any]:
    piece = texts.piece(token)
    return {"token": piece, "logprob": round(float(row[token]), DIGITS), "bytes": list(piece.encode())}


def _completion(shown: Sequence[dict[str, Any]], count: int) -> dict[str, Any]:
    """The older form of completions."""
    starts = [0]
    for one in shown:
        starts.append(starts[-1] + len(one["token"]))
    alternatives = [{other["token"]: other["logprob"] for other in one["top_logprobs"]} for one in shown]
    return {
        "tokens": [one["token"] for one in shown],
        "token_logprobs": [one["logprob"] for one in shown],
        "top_logprobs": alternatives if count else None,
        "text_offset": starts[:-1],
    }
