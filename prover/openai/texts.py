"""A language model's texts: from a request to tokens, from tokens to what was said, and to a claim's input.

The endpoint answers with it, and whoever holds the same model file checks a receipt with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from prover.language.drawing import DrawnToken
from prover.language.language import LanguageModel, load_gguf
from prover.language.sampling import Sampling
from prover.openai.schemas import AskedEmbeddings, AskedText, asked, asked_embeddings
from prover.openai.templates import ChatTemplate
from rollup.errors import LoweringError
from rollup.receipt import EMBEDDINGS, MILLION, NO_TEMPLATE, SamplingTerms

GUARD = "\ufdd0"
"""Stands inside of a stranger's words that read like a special token; Unicode says that no text has it."""

REPLACEMENT = "\ufffd"


class GuardedText(LoweringError):
    """A message holds the one character that no message may hold."""


class Texts:
    """The texts of one model file."""

    def __init__(self, language: LanguageModel) -> None:
        """Raises LoweringError for a file without a tokenizer that is supported."""
        self.language = language
        self._tokenizer = language.tokenizer

    @classmethod
    def load(cls, path: str | Path) -> Texts:
        """Of a GGUF file; its weights are not read."""
        return cls(load_gguf(path))

    @property
    def vocabulary(self) -> int:
        return self.language.config.vocabulary

    @cached_property
    def tokenizer_hash(self) -> bytes:
        """SHA-256 of the vocabulary, the merges or scores, the kinds of tokens, the special ones, and how a text is cut: all that the
        file says under ``tokenizer.ggml.``, in the order of its keys.
        """
        found = sha256()
        for key, value in sorted(self.language.file.metadata.items()):
            if key.startswith("tokenizer.ggml."):
                for part in (key.encode(), _plain(value)):
                    found.update(len(part).to_bytes(8, "big") + part)
        return found.digest()

    def template_hash(self, endpoint: str) -> bytes:
        """SHA-256 of the chat template, or zero for an endpoint that has no use for one."""
        if endpoint != "chat/completions":
            return NO_TEMPLATE
        return sha256(self._tokenizer.template.encode()).digest()

    @cached_property
    def _template(self) -> ChatTemplate:
        tokenizer, where = self._tokenizer, str(self.language.file.path.name)
        if not tokenizer.template:
            raise LoweringError(f"{where} has no chat template; use completions with a prompt that is written out")
        named = {"bos_token": tokenizer.bos, "eos_token": tokenizer.eos, "pad_token": tokenizer.pad}
        special = {name: "" if number is None else tokenizer.token(number) for name, number in named.items()}
        return ChatTemplate(tokenizer.template, special, where)

    def asked(self, endpoint: str, request: bytes) -> AskedText | AskedEmbeddings:
        """What a request's bytes ask for; raises Problem for what is refused."""
        return asked_embeddings(request) if endpoint == EMBEDDINGS else asked(endpoint, request)

    def prompts(self, what: AskedText | AskedEmbeddings, created: int) -> list[list[int]]:
        """The tokens of each prompt. ``created``: what a chat template takes for the time.

        Raises LoweringError for a text that the vocabulary can't express, TemplateRefusal for a conversation that the template
        refuses.
        """
        if isinstance(what, AskedEmbeddings) or what.messages is None:
            return [self._written_out(prompt) for prompt in what.prompts]
        messages = [{"role": role, "content": self._guarded(content)} for role, content in what.messages]
        return [self._tokenizer.encode_rendered(self._template.render(messages, created), GUARD)]

    def _written_out(self, prompt: str | tuple[int, ...]) -> list[int]:
        if isinstance(prompt, tuple):
            for token in prompt:
                if token >= self.vocabulary:
                    raise LoweringError(f"{token} is no token; ids lie from 0 to {self.vocabulary - 1}")
            return list(prompt)
        return [*self._tokenizer.prefix, *self._tokenizer.encode(prompt, special=False)]

    def _guarded(self, words: str) -> str:
        """A stranger's words, in which nothing is a special token, nor becomes one with what the template puts beside them."""
        if GUARD in words:
            raise GuardedText("a message holds the character U+FDD0, which no text has; leave it out")
        for token in self._tokenizer.special:
            while token in words:
                words = words.replace(token, f"{token[0]}{GUARD}{token[1:]}")
        return self._edges(words)

    def _edges(self, words: str) -> str:
        """Break what is the end of a special token where the words begin, and the beginning of one where they end."""
        first = max((_overlap(token, words, False) for token in self._tokenizer.special), default=0)
        last = max((_overlap(token, words, True) for token in self._tokenizer.special), default=0)
        if last:
            at = len(words) - last + 1
            words = words[:at] + GUARD + words[at:]
        return GUARD + words if first else words

    def stops(self) -> frozenset[int]:
        """Tokens that end an answer: the end-of-text token, and what ends a turn of a conversation."""
        named = [
            self._tokenizer.eos,
            *(self.language.file.metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eot", "eom")),
        ]
        return frozenset(number for number in named if isinstance(number, int) and 0 <= number < self.vocabulary)

    def text(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens)

    def piece(self, token: int) -> str:
        """One token's own text, special ones included."""
        return self._tokenizer.decode([token], special=True)

    def said(self, tokens: Sequence[int], stop: Sequence[str]) -> tuple[str, str]:
        """(the answer's text up to the first stop string, why it ended: ``stop`` or ``length``)."""
        whole = self.text(tokens)
        at = min((found for one in stop if (found := whole.find(one)) >= 0), default=-1)
        if at >= 0:
            return whole[:at], "stop"
        return whole, "stop" if len(tokens) and tokens[-1] in self.stops() else "length"

    def inputs(
        self,
        prompt: Sequence[int],
        answer: Sequence[int],
        size: int,
        sampling: SamplingTerms,
        seed: bytes,
        cuts: Sequence[int] = (),
    ) -> list[np.ndarray]:
        """The program's integers for a claim about an answer. ``cuts``: as in a receipt. Raises LoweringError for what does not fit
        ``size`` positions, or what the program does not take.
        """
        pairs = zip(cuts[::2], cuts[1::2], strict=True) if cuts else repeat((0, 0))
        drawn = [DrawnToken(token, pair) for token, pair in zip(answer, pairs, strict=False)]
        made = self.language.claim_input(prompt, drawn, size, sampling_of(sampling, seed))
        return [np.asarray(one) for one in made]

    def embedding_inputs(self, prompt: Sequence[int], size: int) -> list[np.ndarray]:
        """The program's integers for a claim about an embedding. Raises LoweringError as ``inputs``."""
        return [np.asarray(one) for one in self.language.embedding_input(prompt, size)]


def sampling_of(terms: SamplingTerms, seed: bytes) -> Sampling:
    """A receipt's terms and a seed as a program takes them."""
    return Sampling(terms.temperature / MILLION, terms.top_p / MILLION, terms.top_k, seed)


def _plain(value: Any) -> bytes:
    """A value of a file's metadata as bytes that mean nothing else."""
    if isinstance(value, np.ndarray):
        fixed = value.dtype.newbyteorder("<")
        return b"".join((fixed.str.encode(), value.astype(fixed).tobytes()))
    if isinstance(value, list):
        return b"".join(len(part).to_bytes(4, "big") + part for part in map(_plain, value))
    return f"{type(value).__name__}:{value}".encode()


def _overlap(token: str, words: str, end: bool) -> int:
    """Characters of the longest proper part of a token with which the words end (or begin)."""
    for size in range(min(len(token) - 1, len(words)), 0, -1):
        if words.endswith(token[:size]) if end else words.startswith(token[-size:]):
            return size
    return 0
