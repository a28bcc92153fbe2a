"""Whether the words of a request and of its answer are what a receipt's claims are about, by the caller's own model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from rollup.claim import input_root
from rollup.client.said import SaidNumbers, SaidText
from rollup.errors import BadAnswer, TouchstoneError
from rollup.form.encoding import Header
from rollup.numbers import input_bytes
from rollup.receipt import EMBEDDINGS, AnswerReceipt, ReceiptAnswer, SamplingTerms


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

    def embedding_inputs(self, prompt: Sequence[int], size: int) -> list[np.ndarray]: ...


def require_words(
    texts: AnswerTexts,
    receipt: AnswerReceipt,
    header: Header,
    request: bytes,
    said: Sequence[SaidText | SaidNumbers],
) -> None:
    """Raise BadAnswer unless request, answer (of texts) and the claims' inputs are the same words."""
    if texts.tokenizer_hash != receipt.tokenizer_hash or texts.template_hash(receipt.endpoint) != receipt.template_hash:
        raise BadAnswer(
            "the model file has another tokenizer or chat template than the receipt names; give the right one"
        )
    try:
        what = texts.asked(receipt.endpoint, request)
        times = 1 if receipt.endpoint == EMBEDDINGS else what.n
        prompts = [prompt for prompt in texts.prompts(what, receipt.created) for _ in range(times)]
        if len(prompts) != len(receipt.answers):
            raise BadAnswer(f"the request asks for {len(prompts)} answers, the receipt is about {len(receipt.answers)}")
        size = header.inputs[0].shape[0]
        for prompt, one, word in zip(prompts, receipt.answers, said, strict=True):
            if one.prompt_tokens != len(prompt):
                raise BadAnswer(
                    f"answer {one.index}: the request has {len(prompt)} tokens, the receipt says {one.prompt_tokens}"
                )
            if isinstance(word, SaidText):
                _words(texts, what, size, prompt, one, word)
                inputs = texts.inputs(prompt, one.tokens, size, receipt.sampling, one.seed, one.cuts)
            else:
                inputs = texts.embedding_inputs(prompt, size)
            if input_root(header, input_bytes(header, inputs)) != one.input_root:
                raise BadAnswer(
                    f"answer {one.index}: the claim's input root is not that of this request and this answer"
                )
    except BadAnswer:
        raise
    except TouchstoneError as error:
        raise BadAnswer(f"the request can't have been answered so: {error}") from None


def _words(texts: AnswerTexts, what: Any, size: int, prompt: Sequence[int], one: ReceiptAnswer, word: SaidText) -> None:
    """Raise BadAnswer unless the receipt's tokens are the answer's text, and end where the request says."""
    at = f"answer {one.index}"
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
