"""Text with the integer program of a language model: one new row of the program's logits per token, and a token drawn from it.

The text is what the program itself draws, so that a claim about it (one pass over all of it) is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from prover.executor.incremental import BLOCK, Incremental
from prover.language.drawing import Drawer, DrawnToken
from prover.language.language import LanguageModel
from prover.language.sampling import GREEDY, Sampling
from prover.model import Model
from rollup.errors import ExecutionError
from rollup.form.ops import Constant, Monoid
from rollup.form.program import Program

Array = np.ndarray[Any, np.dtype[Any]]

OUTPUTS = {"drawn", "accepted"}
"""What a language model's program gives."""


def logits_value(program: Program) -> int:
    """The trace value that holds a language model's logits, [positions, vocabulary]: the one whose arg-max is taken for every position.

    Raises ExecutionError for a program without one.
    """
    for op in reversed(program.ops):
        source = op.accesses[0].source if op.accesses else None
        if op.monoid is Monoid.ARGMAX and source is not None and not isinstance(source, Constant):
            return source.base
    raise ExecutionError("the program takes no arg-max, so it has no logits; generate with a language model")


class Generator:
    """Generates with one model; what it compiles serves all texts. One thread at a time.

    The model's first input is the sequence of tokens int32 [N], prompt and answer together. Raises ExecutionError for a model whose
    outputs are not those of a language model, UnsupportedError for a program that can't be evaluated row by row.
    """

    def __init__(self, model: Model, block: int = BLOCK) -> None:
        names = [port.name for port in model.program.interface.outputs]
        if set(names) != OUTPUTS:
            raise ExecutionError(
                f"the model has outputs {names}, not {sorted(OUTPUTS)}; generate with a language model"
            )
        self.model = model
        self._block, self._logits = block, logits_value(model.program)
        op, _ = model.program.locate(self._logits)
        self._vocabulary = model.program.ops[op].shape[1]
        self._step = 2.0 ** -model.program.meta["scales"][op]

    @cached_property
    def incremental(self) -> Incremental:
        """The rows of the logits, integers."""
        return Incremental(self.model.executor, block=self._block, value=self._logits)

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

    def drawing(self, sampling: Sampling) -> Callable[[Array, int], DrawnToken]:
        """What draws the tokens of one answer, from a position's row of the logits and the position.

        Raises ExecutionError for a top-k beyond the vocabulary.
        """
        drawer = Drawer(sampling, self.positions, self._vocabulary)
        return lambda row, position: drawer.draw(row * self._step, position)

    def stream(
        self, prompt: Sequence[int], limit: int, stop: Collection[int] = (), sampling: Sampling = GREEDY
    ) -> Iterator[DrawnToken]:
        """Up to ``limit`` tokens after ``prompt``, one by one, as far as the program has positions; ends after a token of ``stop``.

        Raises ExecutionError for a prompt that is empty or leaves no position for an answer, and for a top-k beyond the vocabulary.
        """
        draw = self.drawing(sampling)
        state, rows = self.incremental.start(self.inputs(prompt), len(prompt))
        token = draw(rows[-1], len(prompt) - 1)
        end = min(len(prompt) + limit, self.positions)
        for at in range(len(prompt), end):
            yield token
            if token in stop or at + 1 >= end:
                return
            state, row = self.incremental.step(state, at, token)
            token = draw(row, at)

    def drawn(self, values: Sequence[np.ndarray], position: int, sampling: Sampling) -> DrawnToken:
        """The token after a position that the values of an execution draw, be it a false one."""
        logits = values[self._logits].reshape(self.positions, self._vocabulary)
        return self.drawing(sampling)(logits[position], position)


def generate(
    model: Model | Generator,
    language: LanguageModel,
    prompt: Sequence[int],
    limit: int,
    sampling: Sampling = GREEDY,
) -> list[DrawnToken]:
    """The model's answer to ``prompt``: up to ``limit`` tokens, the end-of-text token included where it comes.

    ``language``: the file that the model was lowered from. A ``Generator`` instead of its model compiles for all texts once.
    """
    generator = model if isinstance(model, Generator) else Generator(model)
    eos = language.tokenizer.eos
    return list(generator.stream(prompt, limit, () if eos is None else (eos,), sampling))
