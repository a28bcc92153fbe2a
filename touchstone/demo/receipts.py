"""The demo's receipt: what the OpenAI-compatible endpoint signs about an answer, and what anyone checks of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from prover.language.drawing import DrawnToken
from prover.language.sampling import Sampling
from prover.openai.answers import Spoken, TextAnswers
from prover.openai.promises import receipt_of, signed_document
from prover.openai.schemas import asked
from prover.openai.shapes import whole
from prover.openai.speakers import ProgramSpeaking, Seats, ServedLanguage
from prover.openai.texts import Texts, sampling_of
from rollup.client.answered import answered
from rollup.client.receipts import VerifiedAnswer, check_answer
from rollup.l1.account.signing import Signer
from rollup.l1.client import L1Client
from rollup.receipt import CHAT, COMPLETIONS, SEED_BYTES, body_of, canonical
from rollup.types import Timestamp
from touchstone.models.generation import Speaker

PROMISED_WITHIN = 3600
"""Seconds from a receipt until its claim is promised to stand on L1."""


@dataclass(frozen=True)
class Conversation:
    """One request and its answer, as the endpoint takes and gives them; the request is to be sampled, with a seed of the caller's."""

    answering: TextAnswers

    @classmethod
    def of(cls, speaker: Speaker, question: str, sampling: Sampling, seed: int, limit: int, now: int) -> Conversation:
        """``seed``: the caller's number, from which the sampling's follows; ``now``: L1's time. The answer is generated here."""
        endpoint = CHAT if speaker.language.tokenizer.chats else COMPLETIONS
        language = ServedLanguage(Texts(speaker.language), [(speaker.model, ProgramSpeaking(speaker.model))])
        words = {"messages": [{"role": "user", "content": question}]} if endpoint == CHAT else {"prompt": question}
        drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k, "seed": seed}
        request = canonical({"model": language.name, "max_tokens": limit, **words, **drawn})
        answering = TextAnswers.of(asked(endpoint, request), request, language, None, now)
        for _ in answering.pieces(Seats(1, 1), lambda: None):
            pass
        return cls(answering)

    @property
    def said(self) -> Spoken:
        return self.answering.spoken[0]

    @property
    def answer(self) -> list[DrawnToken]:
        """The tokens, as the program draws them."""
        return [token for token in self.said.tokens if isinstance(token, DrawnToken)]

    @property
    def sampling(self) -> Sampling:
        return sampling_of(self.answering.sampling, self.answering.commitment(0)[:SEED_BYTES])

    def signed(self, l1: L1Client, prover: Signer, nonce: int) -> bytes:
        """The answer's bytes with its receipt. ``nonce``: of the claim that ``prover`` promises with it."""
        document = whole(self.answering, f"chatcmpl-{secrets.token_hex(12)}", [None])
        until, block = Timestamp(l1.chain.now() + PROMISED_WITHIN), l1.chain.height()
        receipt, _ = receipt_of(self.answering, canonical(document), lambda: nonce, prover.address, until, block)
        return body_of(document, signed_document(receipt, prover, l1.domain)[1])

    def verified(self, body: bytes, l1: L1Client) -> VerifiedAnswer:
        """What a caller that has the model file checks, against L1 alone. Raises BadAnswer."""
        answering = self.answering
        return check_answer(answered(body), l1, answering.texts, answering.request, answering.model.program.id)
