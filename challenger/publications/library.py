"""Where a watcher's programs come from: folders that it is given, and a sequencer that it does not trust."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from challenger.watch.watcher import Watcher
from rollup.archive import Programs
from rollup.errors import ClientError
from rollup.form.program import Program
from rollup.service.fetch import FetchLimits, cost_of, models_of, program_of
from rollup.service.logs import logger
from rollup.types import ModelId

AGAIN_SECONDS = 600.0
MOST_DOUBLINGS = 8
"""How long a program that was refused is not fetched again, the first time, and how often that doubles: testing it costs
others their time.
"""

_log = logger("touchstone.library")


@dataclass(frozen=True)
class Wanted:
    """``url``: of the sequencer, if any. ``ids``: models to fetch from it; ``every``: all that it lists."""

    url: str | None = None
    ids: Sequence[ModelId] = ()
    every: bool = False


class Library:
    """Fills a watcher; ``step`` is for a thread of its own, since fetching and testing a program takes its time.

    ``folder``: where fetched programs are kept, a cache.
    """

    def __init__(
        self,
        watcher: Watcher,
        folder: Path,
        wanted: Wanted,
        limits: FetchLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watcher, self._wanted, self._monotonic = watcher, wanted, monotonic
        self._limits = limits or FetchLimits()
        self._programs = Programs(folder, self._limits.archive)
        self._had: set[ModelId] = set()
        self._refusals: dict[ModelId, int] = {}
        self.refused: dict[ModelId, tuple[str, float]] = {}
        """Why a program is not watched, and when that was found out."""
        self._tried: frozenset[ModelId] = frozenset()
        watcher.coming = self._coming

    @property
    def fetches(self) -> bool:
        """Whether ``step`` has anything to do."""
        return self._wanted.url is not None and (self._wanted.every or bool(self._wanted.ids))

    def load(self, folder: Path) -> ModelId:
        """Watch the program of a local folder; raises what makes it unusable."""
        program = Program.load(folder)
        self._watcher.hold(program, folder)
        self._had.add(program.id)
        return program.id

    def step(self) -> None:
        """Fetch, audit and offer what is wanted and not held, the small ones first; raises ClientError if the sequencer can't
        be asked.
        """
        if self._wanted.url is None:
            return
        looked_for = self._watcher.unknown | frozenset(self._wanted.ids)
        trouble: ClientError | None = None
        try:
            fetched: list[Program] = []
            for model_id in self._missing(self._wanted.url):
                try:
                    with self._refusing(model_id):
                        fetched.append(program_of(self._wanted.url, model_id, self._programs, self._limits))
                except ClientError as error:
                    trouble = error
            # One that takes long to test keeps no short one waiting.
            for program in sorted(fetched, key=lambda program: cost_of(program).steps):
                with self._refusing(program.id):
                    self._offer(program)
        finally:
            self._tried = looked_for
        if trouble is not None:
            raise trouble

    def _coming(self, model_id: ModelId) -> bool:
        """Whether nobody has looked for the program yet. One that could not be had is an alert, once it has claims."""
        wanted = self.fetches and (self._wanted.every or model_id in self._wanted.ids)
        return wanted and model_id not in self._tried

    def _missing(self, url: str) -> list[ModelId]:
        names = dict.fromkeys(self._wanted.ids)
        if self._wanted.every:
            for listed in models_of(url):
                if not listed.retired or listed.model_id in self._watcher.unknown:
                    names[listed.model_id] = None
        return [model_id for model_id in names if model_id not in self._had and not self._rests(model_id)]

    def _rests(self, model_id: ModelId) -> bool:
        why = self.refused.get(model_id)
        rest = AGAIN_SECONDS * 2 ** min(MOST_DOUBLINGS, self._refusals.get(model_id, 1) - 1)
        return why is not None and self._monotonic() - why[1] < rest

    @contextmanager
    def _refusing(self, model_id: ModelId) -> Iterator[None]:
        """Note why the program is refused. Testing a stranger's program may fail in any way; it must not keep the next one from
        being watched.
        """
        try:
            yield
        except ClientError:
            raise
        except Exception as error:
            self._refusals[model_id] = self._refusals.get(model_id, 0) + 1
            self.refused[model_id] = (str(error) or type(error).__name__, self._monotonic())
            _log.error("program refused", model=f"0x{model_id.hex()}", error=str(error))

    def _offer(self, program: Program) -> None:
        self._watcher.offer(self._watcher.prepare(program, self._programs.place(program.id)))
        self._had.add(program.id)
        self.refused.pop(program.id, None)
        _log.info("program held", model=f"0x{program.id.hex()}")
