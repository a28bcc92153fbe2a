"""What the campaign needs of a model: how it is lowered, what it is asked, whether its answers are the float model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from prover import Model
from tests.models.rows import Row

Sample = tuple[Any, ...]
"""A claim's inputs, as the model's function takes them."""


@dataclass(frozen=True)
class Case:
    """A real model.

    ``package``: the distribution that carries it. ``fn``: its float function. ``lowered``: its program, calibrated on samples of
    their own. ``samples``: held-out inputs, which chose no format. ``answers``: rows that compare the program with the float model in
    its task's own terms.
    """

    name: str
    package: str
    fn: Callable[[], Callable[..., Any]]
    lowered: Callable[[], Model]
    samples: Callable[[], Sequence[Sample]]
    answers: Callable[[Model], list[Row]]
