"""Whether the words of a request and of its answer are what a receipt's claims are about, by the caller's own model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from rollup.claim import input_root
from rollup.client.answered import SaidText
from rollup.errors import BadAnswer, TouchstoneError
from rollup.form.encoding import Header
from rollup.numbers import input_bytes
from rollup.receipt import AnswerReceipt, ReceiptAnswer, SamplingTerms


class AnswerTexts(Protocol):
    """A model file's texts (``prover.openai.texts.Texts``): what ties words to tokens."""

    @property
    def tokenizer_hash(self) -> bytes: ...

    def template_hash(self, endpoint: str) -> bytes: ...

    def asked(self, endpoint: str, request: bytes) -> Any: ...

    def prompts(self, what: Any, created: int) -> list[list[int]]: ...

    def said(self, tokens: Sequence[int], stop: Sequence[str]) -> tuple[str, str]: ...

    def inputs(
        self,
        prompt: Sequence[int],
        answer: Sequence[int],
        size: int,
        sampling: SamplingTerms,
        seed: bytes,
        cuts: Sequence[int],
    ) -> list[np.ndarray]: ...


def require_words(
    texts: AnswerTexts, receipt: AnswerReceipt, header: Header, request: bytes, said: Sequence[SaidText]
) -> None:
    """Raise BadAnswer unless request, answer and the claims' inputs are the same words."""
    if texts.tokenizer_hash != receipt.tokenizer_hash or texts.template_hash(receipt.endpoint) != receipt.template_hash:
        raise BadAnswer(
            "the model file has another tokenizer or chat template than the receipt names; give the right one"
        )
    try:
        what = texts.asked(receipt.endpoint, request)
        prompts = [prompt for prompt in texts.prompts(what, receipt.created) for _ in range(what.n)]
        if len(prompts) != len(receipt.answers):
            raise BadAnswer(f"the request asks for {len(prompts)} answers, the receipt is about {len(receipt.answers)}")
        for prompt, one, word in zip(prompts, receipt.answers, said, strict=True):
            _words(texts, receipt, header, what, prompt, one, word)
    except BadAnswer:
        raise
    except TouchstoneError as error:
        raise BadAnswer(f"the request can't have been answered so: {error}") from None


def _words(
    texts: AnswerTexts,
    receipt: AnswerReceipt,
    header: Header,
    what: Any,
    prompt: list[int],
    one: ReceiptAnswer,
    word: SaidText,
) -> None:
    at, size = f"answer {one.index}", header.inputs[0].shape[0]
    if one.prompt_tokens != len(prompt):
        raise BadAnswer(f"{at}: the request has {len(prompt)} tokens, the receipt says {one.prompt_tokens}")
    text, finish = texts.said(one.tokens, what.stop)
    if (text, finish) != (word.text, word.finish):
        raise BadAnswer(f"{at}: the receipt's tokens spell another text than the response, or end for another reason")
    before, _ = texts.said(one.tokens[:-1], ())
    if any(stop in before for stop in what.stop):
        raise BadAnswer(f"{at}: it goes on behind a stop string")
    room = size - len(prompt)
    limit = room if what.limit is None else min(room, what.limit)
    if len(one.tokens) > limit or (finish == "length" and len(one.tokens) != limit):
        raise BadAnswer(f"{at}: it has {len(one.tokens)} tokens, and the request's limit is {limit}")
    data = input_bytes(header, texts.inputs(prompt, one.tokens, size, receipt.sampling, one.seed, one.cuts))
    if input_root(header, data) != one.input_root:
        raise BadAnswer(f"{at}: the claim's input root is not that of this request and this answer")
