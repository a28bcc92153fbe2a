"""``Conversations``: answers for several callers at once, written together by one thread.

Every caller gets the tokens that it would get alone. Who waits is taken in order; between two steps of the texts that are written, at
most one block of one new prompt of each program is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Thread

from prover.language.drawing import DrawnToken
from prover.language.generation import Generator
from prover.language.lanes import WIDTHS, Lanes, Written
from prover.language.sampling import GREEDY, Sampling
from rollup.errors import ExecutionError

LANES = 8
"""Texts of one program that are written at the same time."""

WAITING = 64
"""Requests that wait at most."""

CACHE_BYTES = 256 << 20
"""Memory of what ended texts leave behind, of each program."""


class Crowded(ExecutionError):
    """As many requests wait as may; one asks again later."""


class Answer(Iterator[DrawnToken]):
    """The tokens of one answer, as they come. ``positions``: of the program that writes it.

    ``close`` ends it early and frees its lane, as does forgetting it. Raises ExecutionError where the next token would be, if its
    writing failed or the conversations were closed.
    """

    def __init__(self, positions: int) -> None:
        self.positions = positions
        self._tokens: SimpleQueue[DrawnToken | Exception | None] = SimpleQueue()
        self._text: Written | None = None

    def __next__(self) -> DrawnToken:
        if self._text is None:
            raise StopIteration
        token = self._tokens.get()
        if isinstance(token, DrawnToken):
            return token
        self._text = None
        if token is None:
            raise StopIteration
        raise token

    def close(self) -> None:
        if self._text is not None:
            self._text.cancelled = True
            self._text = None

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True)
class _Waiting:
    lanes: Lanes
    text: Written
    tokens: SimpleQueue[DrawnToken | Exception | None]


class Conversations:
    """Writes answers with one model. ``generators``: its programs, of different lengths.

    ``lanes``: texts of a program that are written at the same time, at most; ``waiting``: requests that wait, at most; ``cache_bytes``:
    memory of what ended texts leave behind, of each program. Any number of threads may ask. Raises ExecutionError for numbers that
    nothing can be written with.
    """

    def __init__(
        self,
        *generators: Generator,
        lanes: int = LANES,
        waiting: int = WAITING,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        sizes = [generator.positions for generator in generators]
        if not generators or len(set(sizes)) < len(sizes):
            raise ExecutionError(f"programs of {sizes} positions; give one of each length, and at least one")
        if not 1 <= lanes <= WIDTHS[-1] or waiting < 1:
            raise ExecutionError(
                f"{lanes} lanes and {waiting} waiting requests; give 1 to {WIDTHS[-1]} lanes and room to wait"
            )
        self._most_waiting = waiting
        self._lanes = [Lanes(g, lanes, cache_bytes) for g in sorted(generators, key=lambda g: g.positions)]
        self._waiting: list[_Waiting] = []
        self._taken: dict[Written, SimpleQueue[DrawnToken | Exception | None]] = {}
        self._changed = Condition()
        self._closed = False
        self._thread: Thread | None = None

    def fitting(self, tokens: int) -> Generator:
        """The shortest program with positions for so many tokens; raises ExecutionError if none has."""
        return self._fitting(tokens).generator

    def stream(
        self, prompt: Sequence[int], limit: int, stop: Collection[int] = (), sampling: Sampling = GREEDY
    ) -> Answer:
        """Up to ``limit`` tokens after ``prompt``, one by one; ends after a token of ``stop``.

        The shortest program that fits both writes them; the longest one as many as it has positions for. Raises Crowded if too many
        wait, ExecutionError for a prompt that is empty or leaves no position for an answer, for a top-k beyond the vocabulary, or if the
        conversations were closed.
        """
        longest = self._lanes[-1].generator.positions
        lanes = self._fitting(min(len(prompt) + max(limit, 1), max(longest, len(prompt) + 1)))
        inputs, draw = lanes.generator.inputs(prompt), lanes.generator.drawing(sampling)
        answer = Answer(lanes.generator.positions)
        if limit < 1:
            return answer
        text = Written(list(prompt), inputs, limit, frozenset(stop), draw, answer._tokens.put)
        with self._changed:
            if self._closed:
                raise ExecutionError("the conversations were closed; nothing is written any more")
            self._waiting = [one for one in self._waiting if not one.text.cancelled]
            if len(self._waiting) >= self._most_waiting:
                raise Crowded(f"{self._most_waiting} requests wait already; ask again later, or allow more of them")
            self._waiting.append(_Waiting(lanes, text, answer._tokens))
            answer._text = text
            if self._thread is None:
                self._thread = Thread(target=self._work, name="conversations", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return answer

    def close(self) -> None:
        """Stop; who still waits for tokens gets an ExecutionError. Returns when nothing is computed any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _fitting(self, tokens: int) -> Lanes:
        for lanes in self._lanes:
            if tokens <= lanes.generator.positions:
                return lanes
        raise ExecutionError(
            f"{tokens} tokens of prompt and answer do not fit the longest program of {self._lanes[-1].generator.positions} "
            "positions; use a shorter prompt or a longer program"
        )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting or any(one.texts for one in self._lanes))
                if self._closed:
                    error = ExecutionError("the conversations were closed before the answer was whole")
                    for queue in [*(one.tokens for one in self._waiting), *self._taken.values()]:
                        queue.put(error)
                    return
                taken = self._next()
            for lanes in self._lanes:
                self._advance(lanes, [one for one in taken if one.lanes is lanes])

    def _next(self) -> list[_Waiting]:
        """Take, for each program that is ready, the request that has waited longest."""
        self._waiting = [one for one in self._waiting if not one.text.cancelled]
        taken: list[_Waiting] = []
        for lanes in self._lanes:
            first = next((one for one in self._waiting if one.lanes is lanes), None)
            if first is not None and lanes.ready:
                taken.append(first)
                self._waiting.remove(first)
                self._taken[first.text] = first.tokens
        return taken

    def _advance(self, lanes: Lanes, taken: Sequence[_Waiting]) -> None:
        """One round of a program's texts; the ends of those that ended, and what went wrong, are told."""
        before = [*lanes.texts, *(one.text for one in taken)]
        try:
            for one in taken:
                lanes.add(one.text)
            lanes.round()
        # Whatever it was: who waits for a token must hear of it, and the others go on.
        except Exception as error:
            lanes.clear()
            for text in before:
                self._taken.pop(text).put(ExecutionError(f"writing failed: {error or type(error).__name__}; ask again"))
            return
        now = set(lanes.texts)
        for text in before:
            if text not in now:
                self._taken.pop(text).put(None)
