"""Language models from files: the float function, the program's function, and what a claim about a text takes as input.

A claim about a generated text is one pass over prompt and answer together: the program's input are the padded tokens, the prompt's
length and the whole length, and how the answer was sampled; its output is ``accepted``, next to the token that is drawn after every
position. Consumers require ``accepted``.

A claim about a text's embedding is one pass, too, of a program of its own: its input are the padded tokens and their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.gguf.config import TransformerConfig, read_config
from prover.gguf.reader import GgufFile, read_gguf
from prover.gguf.tokenizer import Tokenizer
from prover.gguf.transformer import forward, hidden
from prover.gguf.weights import GgufWeights, check_tensors, read_weights
from prover.language.drawing import DrawnToken, drawn, in_range
from prover.language.sampling import GREEDY, Sampling
from rollup.errors import LoweringError
from rollup.receipt import MILLION

Ints = np.ndarray[Any, np.dtype[np.int32]]
ClaimInput = tuple[Ints, np.int32, np.int32, np.ndarray[Any, np.dtype[np.uint32]], np.int32, np.int32, np.int32, Ints]
"""tokens int32 [N], the prompt's length, the whole length; seed uint32 [2], temperature, top-p, top-k, cuts int32 [2, N]."""
EmbeddingInput = tuple[Ints, np.int32]
"""tokens int32 [N], how many of them count."""

EMBEDDING_OUTPUTS = {"embedding", "accepted"}
"""What a program that embeds texts gives."""


def load_gguf(path: str | Path) -> LanguageModel:
    """A language model from a GGUF file, of one of ``prover.gguf.architecture.ARCHITECTURES``.

    The header, the configuration and every tensor's place and shape are checked here; tokens and weights are read when they are
    first used, and checked then. Raises LoweringError, naming the file and the key or tensor, for a file that is not sound or is of
    a kind that is not supported.
    """
    file = read_gguf(path)
    config = read_config(file)
    check_tensors(file, config)
    return LanguageModel(file, config)


@dataclass(frozen=True)
class LanguageModel:
    """A language model with its tokenizer. Weights are float32 and are held once (four bytes a parameter)."""

    file: GgufFile = field(repr=False)
    config: TransformerConfig

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.file.path.stem

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The file's tokenizer; raises LoweringError if it is of an unsupported kind (token ids work without)."""
        tokenizer = Tokenizer(self.file)
        if tokenizer.size > self.config.vocabulary:
            raise LoweringError(
                f"{self.file.path}: {tokenizer.size} tokens, but the model knows {self.config.vocabulary}; fetch the file again"
            )
        return tokenizer

    @cached_property
    def weights(self) -> GgufWeights:
        return read_weights(self.file, self.config)

    def logits(self, tokens: Any) -> Any:
        """float32 [N, vocabulary] of ``tokens`` int32 [N]; row i is about the token after position i."""
        return _logits(self.config, self.weights, tokens)

    @cached_property
    def fn(self) -> Callable[..., dict[str, Any]]:
        """The program's function, named after the model.

        ``tokens`` int32 [N]: prompt, answer, padding; ``prompt``, ``length`` int32: tokens of the prompt, of prompt and answer.
        ``seed`` uint32 [2], ``temperature``, ``top_p`` (in millionths) and ``top_k`` int32: see ``Sampling``; ``cuts`` int32 [2, N]: after
        every position the last token that top-k keeps, and the last one that top-p keeps, see ``drawing``.
        ``drawn`` int32 [N]: the token that is drawn after every position (what cuts hold is right for, at a temperature other than 0);
        ``accepted`` bool: 1 <= prompt < length <= N, the parameters are in range, and every token of the answer is the one that is drawn
        after the position before it, with the right cuts.
        """

        def fn(
            tokens: Any, prompt: Any, length: Any, seed: Any, temperature: Any, top_p: Any, top_k: Any, cuts: Any
        ) -> dict[str, Any]:
            logits = self.logits(tokens)
            token, right = drawn(logits, seed, temperature, top_p, top_k, cuts)
            sound = in_range(temperature, top_p, top_k, self.config.vocabulary)
            return {"drawn": token, "accepted": sound & _accepted(token, right, tokens, prompt, length)}

        fn.__name__ = self.name
        return fn

    @cached_property
    def embedding(self) -> Callable[..., dict[str, Any]]:
        """The function of the program that embeds texts, named after the model.

        ``tokens`` int32 [N]: text, padding; ``length`` int32: tokens of the text.
        ``embedding`` float32 [width]: the mean of the text's states behind the last norm, of Euclidean norm 1 (what llama.cpp gives with
        ``--pooling mean``); ``accepted`` bool: 1 <= length <= N.
        """

        def fn(tokens: Any, length: Any) -> dict[str, Any]:
            within = np.arange(tokens.shape[0], dtype=np.int32) < length
            states = jnp.where(within[:, None], _hidden(self.config, self.weights, tokens), 0.0)
            mean = jnp.sum(states, axis=0) / jnp.maximum(length, 1)
            unit = mean * jax.lax.rsqrt(jnp.sum(jnp.square(mean)))
            return {"embedding": unit, "accepted": (length >= 1) & (length <= tokens.shape[0])}

        fn.__name__ = f"{self.name}-embedding"
        return fn

    def embedding_input(self, tokens: Sequence[int], size: int) -> EmbeddingInput:
        """What a claim about the embedding of ``tokens`` takes as input, padded to ``size`` positions.

        Raises LoweringError for no token, one outside the vocabulary, or more than positions.
        """
        if not len(tokens):
            raise LoweringError("an embedding is of at least one token; give a text that is not empty")
        return self._padded(tokens, size), np.int32(len(tokens))

    def claim_input(
        self, prompt: Sequence[int], answer: Sequence[int], size: int, sampling: Sampling = GREEDY
    ) -> ClaimInput:
        """What a claim about ``answer`` to ``prompt`` takes as input, padded to ``size`` positions.

        ``answer``: as a generator gave it, where top-k or top-p keeps less than all: its tokens know their cuts. Raises LoweringError
        for an empty part, a token outside the vocabulary, more tokens than positions or one that does not know its cuts,
        ExecutionError for a top-k beyond the vocabulary.
        """
        tokens = [*prompt, *answer]
        if not len(prompt) or not len(answer):
            raise LoweringError("a claim about a text needs at least one token of a prompt and one of an answer")
        padded = self._padded(tokens, size)
        sampling.check(self.config.vocabulary)
        return (
            padded,
            np.int32(len(prompt)),
            np.int32(len(tokens)),
            sampling.words,
            np.int32(sampling.heat),
            np.int32(sampling.share),
            np.int32(sampling.top_k),
            _cuts(len(prompt), answer, size, sampling),
        )

    def samples(self, pieces: Sequence[Sequence[int]], size: int) -> list[ClaimInput]:
        """Inputs that choose number formats, one of each piece of text: its last token is the answer."""
        return [self.claim_input(piece[:-1], piece[-1:], size) for piece in pieces]

    def example(self, text: str, size: int) -> ClaimInput:
        """An example or calibration input: the first ``size`` tokens of a text, its last token being the answer."""
        ids = self.tokenizer.encode(text)[:size]
        if len(ids) < 2:
            raise LoweringError(f"an example needs at least 2 tokens, {text[:40]!r} has {len(ids)}; give a longer text")
        return self.claim_input(ids[:-1], ids[-1:], size)

    def generate(self, prompt: Sequence[int], count: int, stop: bool = True) -> list[int]:
        """Up to ``count`` most likely tokens after ``prompt``, one by one, in float32.

        ``stop``: end after the eos token, which is part of the answer. One compiled pass over all positions per token: a reference,
        made to be obviously right. Whether a given answer is the greedy one is seen in one pass, by ``fn``.
        """
        if not len(prompt) or count < 1:
            raise LoweringError("generation needs at least one token of a prompt, and a count of at least 1")
        if len(prompt) + count > self.config.context:
            raise LoweringError(f"{len(prompt)} + {count} tokens exceed the model's context of {self.config.context}")
        self.config.check_length(len(prompt) + count)
        size = min(_rounded(len(prompt) + count), self.config.longest or self.config.context)
        tokens, start, *_ = self.claim_input(prompt, [self._padding] * count, size)
        eos = self._token("eos") if stop else None
        weights = jax.device_put(self.weights)
        answer: list[int] = []
        for at in range(int(start), int(start) + count):
            tokens[at] = _next(self.config, weights, tokens, at - 1)
            answer.append(int(tokens[at]))
            if answer[-1] == eos:
                break
        return answer

    def question(self, text: str) -> list[int]:
        """The prompt's tokens for a user's text: a conversation of one message if the model has a chat template, else the text."""
        tokenizer = self.tokenizer
        return tokenizer.chat([{"role": "user", "content": text}]) if tokenizer.chats else tokenizer.encode(text)

    def _padded(self, tokens: Sequence[int], size: int) -> Ints:
        if len(tokens) > size:
            raise LoweringError(
                f"{len(tokens)} tokens do not fit {size} positions; shorten the text or use a longer program"
            )
        for token in tokens:
            if not 0 <= token < self.config.vocabulary:
                raise LoweringError(f"{token} is no token; ids lie from 0 to {self.config.vocabulary - 1}")
        padded = np.full(size, self._padding, dtype=np.int32)
        padded[: len(tokens)] = tokens
        return padded

    @property
    def _padding(self) -> int:
        return self._token("padding") or 0

    def _token(self, name: str) -> int | None:
        """A token id from the metadata, if it is there and within the vocabulary; works without a tokenizer."""
        value = self.file.metadata.get(f"tokenizer.ggml.{name}_token_id")
        return value if isinstance(value, int) and 0 <= value < self.config.vocabulary else None


# Weights are arguments of what is compiled: constants of hundreds of megabytes would be copied, and take minutes.
_logits = jax.jit(forward, static_argnums=0)
_hidden = jax.jit(hidden, static_argnums=0)


def _accepted(drawn: Any, right: Any, tokens: Any, prompt: Any, length: Any) -> Any:
    """Whether every token of the answer was drawn after the position before it, with the right cuts."""
    (n,) = tokens.shape
    if n < 2:
        raise LoweringError("a sequence for a prompt and an answer has at least 2 positions")
    position = np.arange(1, n, dtype=np.int32)
    answer = (position >= prompt) & (position < length)
    wrong = answer & ((tokens[1:] != drawn[:-1]) | ~right[:-1])
    return ~jnp.any(wrong) & (prompt >= 1) & (prompt < length) & (length <= n)


def _cuts(start: int, answer: Sequence[int], size: int, sampling: Sampling) -> Ints:
    """int32 [2, size]: the cuts after every position that a token of the answer was drawn after, 0 elsewhere."""
    cuts = np.zeros((2, size), np.int32)
    if sampling.heat == 0 or (sampling.top_k == 0 and sampling.share == MILLION):
        return cuts
    for at, token in enumerate(answer, start=start - 1):
        if not isinstance(token, DrawnToken):
            raise LoweringError(
                f"token {token} of the answer does not know what top-k and top-p kept; pass the tokens on as the generator gave them"
            )
        cuts[:, at] = token.cuts
    return cuts


@partial(jax.jit, static_argnums=0)
def _next(config: TransformerConfig, weights: GgufWeights, tokens: Any, at: Any) -> Any:
    """The most likely token after position ``at``. Later positions change nothing, whatever they hold."""
    return jnp.argmax(forward(config, weights, tokens)[at])


def _rounded(length: int) -> int:
    """A length that few compilations serve: the next multiple of 32, or of an eighth of a larger power of two."""
    step = max(32, 1 << length.bit_length() >> 3)
    return -(-length // step) * step
