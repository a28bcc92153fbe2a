"""Where a prover's programs come from: folders given to it, and a sequencer that lists more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from prover.model import load, model_of
from prover.service.worker import Worker
from rollup.archive import Programs
from rollup.audit import audit
from rollup.errors import ClientError, TouchstoneError
from rollup.service.fetch import FetchLimits, fetch_program, models_of
from rollup.service.logs import logger
from rollup.types import ModelId

AGAIN_SECONDS = 600.0
"""A program that was refused is not fetched again before."""

_log = logger("touchstone.shelf")


class Shelf:
    """Fills a worker. ``folder``: where fetched programs are kept, a cache; ``url``: of the sequencer, if any."""

    def __init__(
        self,
        worker: Worker,
        folder: Path,
        url: str | None = None,
        limits: FetchLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker, self._url = worker, url
        self._limits, self._monotonic = limits or FetchLimits(), monotonic
        self._programs = Programs(folder, self._limits.archive)
        self.refused: dict[ModelId, tuple[str, float]] = {}
        """Why a listed program is not run here, and when that was found out."""

    def load(self, folder: Path) -> None:
        """Hold the program of a folder, by the folder's name and its own; raises what makes it unusable."""
        model = load(folder)
        audit(model.program)
        own = model.program.meta.get("name")
        names = [folder.resolve().name, own] if isinstance(own, str) and own else [folder.resolve().name]
        self._worker.hold(model, *dict.fromkeys(names))

    def step(self) -> None:
        """Hold whatever the sequencer lists and is not held yet; raises ClientError if it can't be asked."""
        if self._url is None:
            return
        trouble: ClientError | None = None
        for listed in models_of(self._url):
            why = self.refused.get(listed.model_id)
            if why is not None and self._monotonic() - why[1] < AGAIN_SECONDS:
                continue
            names = [listed.name] if listed.name else []
            held = self._worker.model(listed.model_id)
            if held is not None:
                self._worker.hold(held, *names)
                continue
            if listed.retired and listed.model_id not in self._programs:
                continue
            try:
                self._hold(listed.model_id, names)
                self.refused.pop(listed.model_id, None)
            except ClientError as error:
                trouble = error
            except TouchstoneError as error:
                self.refused[listed.model_id] = (str(error), self._monotonic())
                _log.error("program refused", model=f"0x{listed.model_id.hex()}", name=listed.name, error=str(error))
        if trouble is not None:
            raise trouble

    def _hold(self, model_id: ModelId, names: list[str]) -> None:
        if model_id not in self._programs:
            assert self._url is not None
            fetch_program(self._url, model_id, self._programs.place(model_id), self._limits)
        self._worker.hold(model_of(self._programs.get(model_id), f"model 0x{model_id.hex()}"), *names)
