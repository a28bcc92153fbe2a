"""Who generates: one small protocol, and a program of each length that draws tokens.

Whatever draws tokens, alone or for several conversations at once, stands behind ``Speaking``; the endpoint knows no more of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import Protocol

from prover.language.conversations import Answer, Conversations, Crowded
from prover.language.generation import Generator
from prover.model import Model
from prover.openai.schemas import refused
from prover.openai.texts import Texts, sampling_of
from rollup.receipt import SamplingTerms
from rollup.service.limits import busy


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


class ServedLanguage:
    """A language model that is served: its texts, and its programs by length, each with who generates with it.

    ``name``: what it is asked for by; its programs' ids are names of it, too.
    """

    def __init__(self, texts: Texts, programs: Sequence[tuple[Model, Speaking]]) -> None:
        self.texts = texts
        self._programs = sorted(programs, key=lambda one: _size(one[0]))

    @property
    def name(self) -> str:
        return self.texts.language.name

    @property
    def models(self) -> list[Model]:
        return [model for model, _ in self._programs]

    def programs(self, name: str) -> list[tuple[Model, Speaking]]:
        """Those that are meant by a name: all, or the one with this id."""
        if name == self.name:
            return list(self._programs)
        return [one for one in self._programs if one[0].program.id.hex() == name.lower().removeprefix("0x")]

    def fitting(self, name: str, longest: int, limit: int | None) -> tuple[Model, Speaking, int]:
        """(program, who generates, its positions): the shortest in which the longest prompt and its answer have room, else the
        longest. Raises Problem if even there a prompt has none.
        """
        programs = self.programs(name)
        for model, speaking in programs:
            if limit is not None and longest + limit <= _size(model):
                return model, speaking, _size(model)
        model, speaking = programs[-1]
        size = _size(model)
        if longest >= size:
            raise refused(
                "messages",
                f"the model has {size} positions for prompt and answer together, the prompt has {longest} tokens; shorten it",
                "context_length_exceeded",
            )
        return model, speaking, size


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
