"""What lowering and measuring are at: whoever waits for them is told the stage and the op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressStep:
    """One step of long work: ``number`` of ``of`` in its ``stage`` (0 of 0 where a stage has no steps), at ``what``.

    ``what``: the primitive and its source line, or the op; empty where the stage says everything.
    """

    stage: str
    number: int = 0
    of: int = 0
    what: str = ""

    def __str__(self) -> str:
        where = f" {self.number:,} of {self.of:,}" if self.of else ""
        return f"{self.stage}{where}{self.what and f': {self.what}'}"


Listener = Callable[[ProgressStep], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("_LISTENER", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """``listener`` is called before every step that this thread takes in the block; it must be quick."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def at(stage: str, number: int = 0, of: int = 0, what: str = "") -> None:
    """Tell whoever listens that a step begins."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(ProgressStep(stage, number, of, what))
