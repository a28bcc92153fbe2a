"""Progress of a command that takes long: a line on stderr with the stage, the op, and the seconds so far."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from prover.progress import ProgressStep, listening

PATIENCE = 2.0
"""Seconds that go by in silence."""

EVERY = 10.0
"""Seconds between two lines where stderr is no terminal; on a terminal one line is written again and again."""

REFRESH = 0.5
WIDTH = 110


@contextmanager
def told() -> Iterator[None]:
    """In the block, whoever waits is told what lowering is at, once it took ``PATIENCE`` seconds."""
    shown = _Shown(sys.stderr.isatty())
    thread = threading.Thread(target=shown.run, name="progress", daemon=True)
    thread.start()
    try:
        with listening(shown.heard):
            yield
    finally:
        shown.over.set()
        thread.join()


class _Shown:
    """The step that is under way, written by a thread of its own: a step may take long without a word."""

    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal
        self.over = threading.Event()
        self._started = time.monotonic()
        self._step: ProgressStep | None = None

    def heard(self, step: ProgressStep) -> None:
        self._step = step

    def run(self) -> None:
        wait = PATIENCE
        while not self.over.wait(wait):
            wait = REFRESH if self.terminal else EVERY
            if self._step is not None:
                line = f"{time.monotonic() - self._started:6.1f} s  {self._step}"[:WIDTH]
                click.echo(f"\r\x1b[2K{line}" if self.terminal else line, err=True, nl=not self.terminal)
        if self.terminal:
            click.echo("\r\x1b[2K", err=True, nl=False)
