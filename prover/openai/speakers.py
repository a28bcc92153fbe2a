"""Who generates: one small protocol, and a program of each length that draws tokens.

Whatever draws tokens, alone or for several conversations at once, stands behind ``Speaking``; the endpoint knows no more of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import Generic, Protocol, TypeVar

import numpy as np

from prover.language.conversations import Answer, Conversations, Crowded
from prover.language.generation import Generator
from prover.model import Model
from prover.openai.schemas import refused
from prover.openai.texts import Texts, sampling_of
from rollup.receipt import EMBEDDINGS, SamplingTerms
from rollup.service.limits import busy
from rollup.service.problem import Problem


class Speaking(Protocol):
    """Generates with one program."""

    def stream(
        self, prompt: Sequence[int], limit: int, stop: Collection[int], sampling: SamplingTerms, seed: bytes
    ) -> Iterator[int]:
        """Up to ``limit`` tokens after ``prompt``, one by one; ends after a token of ``stop``. May be used from several threads;
        closing the iterator frees whatever it holds.
        """


class ProgramSpeaking:
    """Tokens as one program draws them, of several texts in one step."""

    def __init__(self, model: Model) -> None:
        self._conversations = Conversations(Generator(model))

    def stream(
        self, prompt: Sequence[int], limit: int, stop: Collection[int], sampling: SamplingTerms, seed: bytes
    ) -> Answer:
        """Raises Problem 503 at once if too many wait."""
        try:
            return self._conversations.stream(prompt, limit, stop, sampling_of(sampling, seed))
        except Crowded as error:
            raise busy(str(error)) from None


class Embeds(Protocol):
    """Runs a program that embeds texts."""

    def __call__(self, inputs: bytes, /) -> Sequence[np.ndarray]:
        """The program's outputs for a claim's input bytes. May be used from several threads; raises Problem 503 at once if too many
        wait.
        """


Who = TypeVar("Who")


class ByLength(Generic[Who]):
    """Programs of one kind, each with who runs it, the shortest first. ``name``: means all of them; an id means one."""

    def __init__(self, name: str, programs: Sequence[tuple[Model, Who]]) -> None:
        self._name = name
        self._programs = sorted(programs, key=lambda one: _size(one[0]))

    @property
    def models(self) -> list[Model]:
        return [model for model, _ in self._programs]

    def meant(self, name: str) -> list[tuple[Model, Who]]:
        if name == self._name:
            return list(self._programs)
        return [one for one in self._programs if one[0].program.id.hex() == name.lower().removeprefix("0x")]

    def fitting(self, name: str, positions: int | None) -> tuple[Model, Who, int]:
        """(program, who runs it, its positions): the shortest that has so many, else the longest; None: the longest."""
        programs = self.meant(name)
        wide = [one for one in programs if positions is not None and positions <= _size(one[0])]
        model, who = (wide or programs[-1:])[0]
        return model, who, _size(model)


class ServedLanguage:
    """A language model that is served: its texts, and its programs: those that write texts, and those that embed them.

    ``name``: what it is asked for by; its programs' ids are names of it, too.
    """

    def __init__(
        self,
        texts: Texts,
        speaking: Sequence[tuple[Model, Speaking]],
        embedding: Sequence[tuple[Model, Embeds]] = (),
    ) -> None:
        self.texts = texts
        self.speaking, self.embedding = ByLength(self.name, speaking), ByLength(self.name, embedding)

    @property
    def name(self) -> str:
        return self.texts.language.name

    def serves(self, name: str, endpoint: str | None = None) -> bool:
        """Whether a program for this endpoint (None: for any) is meant by a name."""
        embeds, speaks = self.embedding.meant(name), self.speaking.meant(name)
        return bool(embeds or speaks if endpoint is None else embeds if endpoint == EMBEDDINGS else speaks)

    def fitting(self, name: str, longest: int, limit: int | None) -> tuple[Model, Speaking, int]:
        """The program in which the longest prompt and its answer have room, else the longest. Raises Problem if even there a prompt
        has none.
        """
        model, speaking, size = self.speaking.fitting(name, None if limit is None else longest + limit)
        if longest >= size:
            raise _too_long(
                "messages", f"{size} positions for prompt and answer together, the prompt has {longest} tokens"
            )
        return model, speaking, size

    def fitting_embedding(self, name: str, longest: int) -> tuple[Model, Embeds, int]:
        """The program for inputs of at most ``longest`` tokens. Raises Problem if none has room for the longest."""
        model, embeds, size = self.embedding.fitting(name, longest)
        if longest > size:
            raise _too_long("input", f"{size} positions, the longest input has {longest} tokens")
        return model, embeds, size


def _too_long(parameter: str, sentence: str) -> Problem:
    return refused(parameter, f"the model has {sentence}; shorten it", "context_length_exceeded")


def _size(model: Model) -> int:
    return model.program.header.inputs[0].shape[0]


class Seats:
    """How many answers may be generated at once, and how many may wait for that."""

    def __init__(self, most: int, waiting: int) -> None:
        self._most, self._waiting = most, waiting
        self._changed = Condition()
        self._taken = self._queued = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is generated, and nobody waits for it."""
        with self._changed:
            return not self._taken and not self._queued

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a seat; raises Problem 503 at once if too many wait."""
        with self._changed:
            if self._taken >= self._most and self._queued >= self._waiting:
                raise busy(f"{self._taken} answers are being generated and {self._queued} wait")
            self._queued += 1
            try:
                self._changed.wait_for(lambda: self._taken < self._most)
            finally:
                self._queued -= 1
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()
