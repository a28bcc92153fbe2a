"""One request's answers: what a receipt is about; and texts as they are generated, in pieces."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

import numpy as np

from prover.model import Model
from prover.openai.schemas import AskedEmbeddings, AskedText, refused
from prover.openai.speakers import Seats, ServedLanguage, Speaking
from prover.openai.texts import REPLACEMENT, Texts
from rollup.receipt import MILLION, NONCE_BYTES, SEED_BYTES, SamplingTerms, nonce_of, seed_commitment

TEMPERATURE = MILLION
"""Of requests that name none, as OpenAI has it."""

Still = Callable[[], None]
"""Called between two tokens; raises Problem if the answer is to end."""


@dataclass(frozen=True)
class Piece:
    """What answer ``index`` goes on with. ``finish``: why it ended, in its last piece."""

    index: int
    text: str
    finish: str | None = None


@dataclass(frozen=True)
class Spoken:
    """One whole answer: its prompt, all tokens that were generated, and its text up to the first stop string."""

    prompt: Sequence[int]
    tokens: tuple[int, ...]
    text: str
    finish: str

    @property
    def cuts(self) -> tuple[int, ...]:
        """What the tokens know of what was kept when they were drawn, as in a receipt."""
        found = [cut for token in self.tokens for cut in getattr(token, "cuts", (0, 0))]
        return tuple(found) if any(found) else ()


@dataclass(frozen=True)
class Promised:
    """What a receipt says of one answer, and the program's input for its claim. An embedding's answer has no tokens of its own."""

    prompt: Sequence[int]
    tokens: tuple[int, ...]
    cuts: tuple[int, ...]
    inputs: Sequence[np.ndarray]


class Asked(Protocol):
    """What every request asks for."""

    @property
    def endpoint(self) -> str: ...

    @property
    def model(self) -> str: ...


@dataclass(kw_only=True)
class Answering(ABC):
    """A request that was taken. ``nonce``: what its seeds follow from; ``size``: positions of the program; ``created``: L1's time."""

    what: Asked
    request: bytes
    texts: Texts
    model: Model
    size: int
    prompts: Sequence[Sequence[int]]
    sampling: SamplingTerms
    nonce: bytes
    server_chose: bool
    created: int

    def commitment(self, index: int) -> bytes:
        return seed_commitment(self.nonce, index, sha256(self.request).digest())

    @property
    def count(self) -> int:
        """How many answers there will be."""
        return len(self.prompts)

    @abstractmethod
    def promised(self) -> list[Promised]:
        """What is signed for when the answers are whole, in order."""


@dataclass(kw_only=True)
class TextAnswers(Answering):
    """``spoken``: the answers that are whole, in order."""

    what: AskedText
    speaking: Speaking
    spoken: list[Spoken] = field(default_factory=list)

    @classmethod
    def of(cls, what: AskedText, request: bytes, language: ServedLanguage, named: str | None, now: int) -> TextAnswers:
        """``named``: the nonce in the request's header, if any; ``now``: L1's time. Raises Problem for what is refused, LoweringError
        for a text that the model can't take, TemplateRefusal for a conversation that its template refuses.
        """
        sampling = what.sampling(TEMPERATURE)
        if sampling.top_k > language.texts.vocabulary:
            raise refused(
                "top_k", f"top_k is {sampling.top_k}, the model has {language.texts.vocabulary} tokens; give less"
            )
        prompts, longest = tokens_of(language.texts, what, now, "prompt")
        model, speaking, size = language.fitting(what.model, longest, what.limit)
        nonce, server_chose = drawn_nonce(what.seed, named)
        return cls(
            what=what,
            request=request,
            texts=language.texts,
            model=model,
            speaking=speaking,
            size=size,
            prompts=prompts,
            sampling=sampling,
            nonce=nonce,
            server_chose=server_chose,
            created=now,
        )

    @property
    def count(self) -> int:
        return len(self.prompts) * self.what.n

    def promised(self) -> list[Promised]:
        found = []
        for index, one in enumerate(self.spoken):
            seed = self.commitment(index)[:SEED_BYTES]
            made = self.texts.inputs(one.prompt, one.tokens, self.size, self.sampling, seed, one.cuts)
            found.append(Promised(one.prompt, tuple(map(int, one.tokens)), one.cuts, made))
        return found

    def pieces(self, seats: Seats, still: Still) -> Iterator[Piece]:
        """Generate all answers, one after the other; raises what ``still`` raises. Close it to give its seat back."""
        with seats.one():
            asked = [prompt for prompt in self.prompts for _ in range(self.what.n)]
            for index, prompt in enumerate(asked):
                yield from self._one(index, prompt, still)

    def _one(self, index: int, prompt: Sequence[int], still: Still) -> Iterator[Piece]:
        room = self.size - len(prompt)
        limit = room if self.what.limit is None else min(room, self.what.limit)
        seed = self.commitment(index)[:SEED_BYTES]
        stop = self.what.stop
        tokens: list[int] = []
        sent = 0
        stream = self.speaking.stream(prompt, limit, self.texts.stops(), self.sampling, seed)
        with closing(stream):  # type: ignore[type-var]
            for token in stream:
                still()
                tokens.append(token)
                whole = self.texts.text(tokens)
                if any(one in whole for one in stop):
                    break
                sure = _sure(whole, stop)
                if len(sure) > sent:
                    yield Piece(index, sure[sent:])
                    sent = len(sure)
        text, finish = self.texts.said(tokens, stop)
        self.spoken.append(Spoken(prompt, tuple(tokens), text, finish))
        yield Piece(index, text[sent:], finish)


def tokens_of(texts: Texts, what: AskedText | AskedEmbeddings, now: int, parameter: str) -> tuple[list[list[int]], int]:
    """(the tokens of each prompt, how many the longest has). Raises Problem for a prompt without any, and as ``Texts.prompts``."""
    prompts = texts.prompts(what, now)
    if not min(map(len, prompts)):
        raise refused(parameter, f"the {parameter} has no token; give at least one")
    return prompts, max(map(len, prompts))


def drawn_nonce(seed: int | None, named: str | None) -> tuple[bytes, bool]:
    """(what a request's seeds follow from, whether it was drawn here): from its ``seed``, or what its header named.

    Raises Problem for two of them, or one that is too long.
    """
    if named is not None and (len(named) > NONCE_BYTES or not named.isascii() or not named.isprintable() or not named):
        raise refused("touchstone-nonce", f"the nonce in the header has 1 to {NONCE_BYTES} printable ASCII characters")
    if seed is not None and named is not None:
        raise refused("seed", "seed and the header's nonce are both given; give one of them")
    if seed is not None:
        return nonce_of(seed), False
    return (secrets.token_bytes(16), True) if named is None else (named.encode(), False)


def _sure(text: str, stop: Sequence[str]) -> str:
    """As much of a text as no later token changes: whole characters, and no beginning of a stop string."""
    text = text.rstrip(REPLACEMENT)
    held = max((_begun(text, one) for one in stop), default=0)
    return text[: len(text) - held]


def _begun(text: str, stop: str) -> int:
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
