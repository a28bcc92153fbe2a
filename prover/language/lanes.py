"""Texts of one program that are written together: a prompt is read block by block, then every step adds a token to each text."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prover.executor.incremental import RowState
from prover.language.drawing import DrawnToken
from prover.language.generation import Generator
from prover.language.prefixes import Prefixes

Array = np.ndarray[Any, np.dtype[Any]]

WIDTHS = (1, 2, 4, 8, 16)
"""Texts of a step: other numbers are filled up to these, since each is compiled."""


FEW = 4
"""Tokens of a prompt that are read in steps, beside the others' new ones: a block would cost more."""


@dataclass(eq=False)
class Written:
    """A text that is written: up to ``limit`` (at least one) tokens after a prompt, given to ``tell`` one by one.

    ``tokens``: the prompt, then what was told; ``inputs``: the program's for it; ``draw``: the token after a position, from that
    position's row of the logits; ``known``: rows that its state holds.
    """

    tokens: list[int]
    inputs: list[Array]
    limit: int
    stop: Collection[int]
    draw: Callable[[Array, int], DrawnToken]
    tell: Callable[[DrawnToken], None]
    cancelled: bool = False
    told: int = field(default=0, init=False)
    known: int = field(default=0, init=False)
    key: bytes = field(default=b"", init=False)


class Lanes:
    """The texts of one program. One thread at a time.

    ``most``: texts at once; ``cache_bytes``: memory of prefixes that are kept when a text ends.
    """

    def __init__(self, generator: Generator, most: int, cache_bytes: int) -> None:
        self.generator, self.most = generator, most
        self.prefixes = Prefixes(cache_bytes)
        self._reading: tuple[Written, RowState] | None = None
        self._writing: list[Written | None] = []
        self._state: RowState | None = None

    @property
    def texts(self) -> list[Written]:
        """Those that are read or written now."""
        reading = [self._reading[0]] if self._reading else []
        return [*reading, *(text for text in self._writing if text is not None)]

    @property
    def ready(self) -> bool:
        """Whether another text may be added."""
        return self._reading is None and len(self.texts) < self.most

    @property
    def width(self) -> int:
        """Texts that a step is compiled for, now."""
        return len(self._writing)

    def add(self, text: Written) -> None:
        """Begin to read a text's prompt, from the longest beginning of it that is known."""
        machine = self.generator.incremental
        text.key = b"".join(text.inputs[v].tobytes() for v in machine.cache_inputs)
        # The row of the last token is what says the next one.
        found = self.prefixes.find(text.key, text.tokens[:-1])
        if found is None:
            state = machine.begin(text.inputs)
        else:
            prefix, text.known = found
            state = machine.resumed(text.inputs, prefix, text.known)
        if text.known and len(text.tokens) - text.known <= FEW:
            self._join(text, state)
        else:
            self._reading = text, state

    def round(self) -> None:
        """One block of the prompt that is read, and one token of every text that is written."""
        self._leave()
        if self._reading is not None:
            self._read(*self._reading)
        if any(self._writing):
            self._write()
        if not self.texts:
            self.clear()

    def clear(self) -> None:
        """Forget all texts, and give back the memory of their lanes."""
        self._reading, self._writing, self._state = None, [], None

    def _read(self, text: Written, state: RowState) -> None:
        machine = self.generator.incremental
        stop = min(len(text.tokens), text.known + machine.block)
        state, rows = machine.extend(state, text.inputs[0], text.known, stop)
        text.known = stop
        self._reading = text, state
        if stop == len(text.tokens):
            self._reading = None
            if self._tell(text, rows[-1]):
                self._keep(text, state, 0)
            else:
                self._join(text, state)

    def _write(self) -> None:
        assert self._state is not None
        writing = [(lane, text) for lane, text in enumerate(self._writing) if text is not None]
        given = {lane: (text.known, text.tokens[text.known]) for lane, text in writing}
        self._state, rows = self.generator.incremental.step_lanes(self._state, given)
        for lane, text in writing:
            text.known += 1
            if text.known == len(text.tokens) and self._tell(text, rows[lane]):
                self._keep(text, self._state, lane)
                self._writing[lane] = None

    def _tell(self, text: Written, row: Array) -> bool:
        """Tell the next token; whether it is the last."""
        token = text.draw(row, len(text.tokens) - 1)
        text.tokens.append(token)
        text.told += 1
        text.tell(token)
        return token in text.stop or text.told == text.limit or len(text.tokens) == self.generator.positions

    def _keep(self, text: Written, state: RowState, lane: int) -> None:
        prefix = self.generator.incremental.prefix(state, text.known, lane)
        self.prefixes.keep(text.key, text.tokens[: text.known], prefix)

    def _leave(self) -> None:
        """Free the lanes of texts that nobody reads any more, and narrow the step where half as many will do."""
        if self._reading is not None and self._reading[0].cancelled:
            self._reading = None
        for lane, text in enumerate(self._writing):
            if text is not None and text.cancelled:
                assert self._state is not None
                self._keep(text, self._state, lane)
                self._writing[lane] = None
        count = sum(text is not None for text in self._writing) + (self._reading is not None)
        if self._state is not None and count and _width(count) < self.width:
            self._resize(_width(count))

    def _join(self, text: Written, state: RowState) -> None:
        if None not in self._writing:
            self._resize(_width(len(self._writing) + 1))
        lane = self._writing.index(None)
        assert self._state is not None
        self._state = self._state.put(lane, state)
        self._writing[lane] = text

    def _resize(self, width: int) -> None:
        """Move the texts that are written to a state of another width."""
        if self._state is None:
            self._state, self._writing = self.generator.incremental.stacked(width), [None] * width
            return
        lanes = [lane for lane, text in enumerate(self._writing) if text is not None]
        texts = [self._writing[lane] for lane in lanes]
        free = width - len(lanes)
        self._state = self._state.picked([*lanes, *[0] * free])
        self._writing = [*texts, *[None] * free]


def _width(count: int) -> int:
    return next(width for width in WIDTHS if width >= count)
