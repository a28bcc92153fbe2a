"""Greedy text with the integer program of a language model: one new row of the program per token.

The text is what the program itself finds best, so that a claim about it (one pass over all of it) is accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from prover.executor.incremental import BLOCK, Incremental
from prover.language.language import LanguageModel
from prover.model import Model
from rollup.errors import ExecutionError

Array = np.ndarray[Any, np.dtype[Any]]

BEST = "best"
"""The output of a language model's program that holds the most likely token after every position."""


class Generator:
    """Generates with one model; what it compiles serves all texts. One thread at a time.

    The model's first input is the sequence of tokens int32 [N], prompt and answer together; an output is named ``best``. Raises
    ExecutionError for a model without one, UnsupportedError for a program that can't be evaluated row by row.
    """

    def __init__(self, model: Model, block: int = BLOCK) -> None:
        names = [port.name for port in model.program.interface.outputs]
        if BEST not in names:
            raise ExecutionError(f"the model has outputs {names}, none is {BEST!r}; generate with a language model")
        self.model = model
        self._number, self._block = names.index(BEST), block

    @cached_property
    def incremental(self) -> Incremental:
        return Incremental(self.model.executor, output=self._number, block=self._block)

    @property
    def positions(self) -> int:
        """Tokens of a prompt and its answer together, at most."""
        return self.model.program.header.inputs[0].shape[0]

    def inputs(self, prompt: Sequence[int]) -> list[Array]:
        """What the program takes while an answer is written: the prompt in the first positions, all other inputs.

        Raises ExecutionError for a prompt that is empty or leaves no position for an answer.
        """
        if not 1 <= len(prompt) < self.positions:
            raise ExecutionError(
                f"the program has {self.positions} positions, a prompt of {len(prompt)} tokens does not fit with an answer; "
                "use a shorter prompt or a longer program"
            )
        inputs = [np.zeros(tensor.shape, tensor.dtype.numpy) for tensor in self.model.program.header.inputs]
        inputs[0][: len(prompt)] = prompt
        return inputs

    def token(self, row: Array) -> int:
        """The token that follows a position, from that position's row of the output."""
        return int(row)

    def stream(self, prompt: Sequence[int], limit: int, stop: Collection[int] = ()) -> Iterator[int]:
        """Up to ``limit`` tokens after ``prompt``, one by one, as far as the program has positions; ends after a token of ``stop``.

        Raises ExecutionError for a prompt that is empty or leaves no position for an answer.
        """
        state, rows = self.incremental.start(self.inputs(prompt), len(prompt))
        token = self.token(rows[-1])
        end = min(len(prompt) + limit, self.positions)
        for at in range(len(prompt), end):
            yield token
            if token in stop or at + 1 >= end:
                return
            state, row = self.incremental.step(state, at, token)
            token = self.token(row)


def generate(model: Model | Generator, language: LanguageModel, prompt: Sequence[int], limit: int) -> list[int]:
    """The model's greedy answer to ``prompt``: up to ``limit`` tokens, the end-of-text token included where it comes.

    ``language``: the file that the model was lowered from. A ``Generator`` instead of its model compiles for all texts once.
    """
    generator = model if isinstance(model, Generator) else Generator(model)
    eos = language.tokenizer.eos
    return list(generator.stream(prompt, limit, () if eos is None else (eos,)))
