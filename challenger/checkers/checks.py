"""What a watcher asks of whoever runs programs for it: is this claim right, and what is its right trace?

The thread that plays games hands in orders and takes answers; ``inline`` runs them there and then, ``pool`` in processes of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from challenger.checkers.re_execute import Finding
from challenger.play.trace import ValueTrace
from rollup.claim import Claim, ClaimId
from rollup.errors import AuditError, TouchstoneError
from rollup.form.program import Program
from rollup.types import ModelId


class CheckFailed(TouchstoneError):
    """A check ended without an answer: it stalled, crashed, or wanted more memory than it may have."""


class TooLarge(AuditError):
    """A program whose checks do not fit into what one check may take."""


class Urgency(IntEnum):
    """What is run first. A clock runs in a game; what failed before keeps nothing waiting that did not."""

    GAME = 0
    FRESH = 1
    AGAIN = 2


@dataclass(frozen=True)
class Order:
    """One run of a program that is held: is the claim right, or (``trace``) what is its right trace?"""

    claim_id: ClaimId
    claim: Claim
    inputs: bytes
    outputs: bytes
    urgency: Urgency = Urgency.FRESH
    trace: bool = False


@dataclass(frozen=True)
class Done:
    """``answer``: a trace if one was ordered, else a finding; or why there is none. ``seconds``: what it took."""

    order: Order
    answer: Finding | ValueTrace | Exception
    seconds: float


class HeldProgram(Protocol):
    """A program that was tested and can be run."""

    @property
    def program(self) -> Program: ...


class Checks(Protocol):
    """Whoever runs programs. ``prepare`` is for any thread, everything else for the one that plays.

    ``wakes``: whether it says by itself when something is done. ``trace_bytes``: of traces that may be held at once.
    """

    wakes: bool
    trace_bytes: int

    def prepare(self, program: Program, folder: Path | None = None) -> HeldProgram:
        """Test the program on this machine; ``folder``: where it is saved, if it is. Raises what makes it unusable."""
        ...

    def take(self, held: HeldProgram) -> None:
        """Run orders about this program from now on."""
        ...

    def room(self, model_id: ModelId) -> bool:
        """Whether another claim about the model is to be ordered now."""
        ...

    def submit(self, order: Order) -> None:
        """Run it, now or later."""
        ...

    def done(self, wait: float = 0.0) -> list[Done]:
        """What was done since the last call; waits for the first of it, ``wait`` seconds at most."""
        ...

    def failures(self, claim_id: ClaimId) -> int:
        """How often running something about the claim came to no good end, in earlier lives of the process, too."""
        ...

    def close(self) -> None:
        """End whatever runs."""
        ...
