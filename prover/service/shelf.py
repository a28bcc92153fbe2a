"""Where a prover's programs come from: folders given to it, and a sequencer that lists more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from prover.model import Model, load
from prover.service.worker import InferenceWorker
from prover.start import Starts
from prover.start.starts import AUDIT
from rollup.archive import Programs
from rollup.audit import audit
from rollup.errors import ClientError
from rollup.service.fetch import FetchLimits, models_of, program_of
from rollup.service.logs import logger
from rollup.types import ModelId

AGAIN_SECONDS = 600.0
"""A program that was refused is not fetched again before."""

_log = logger("touchstone.shelf")


class Shelf:
    """Fills a worker. ``folder``: where fetched programs are kept, a cache; ``url``: of the sequencer, if any; ``needed``:
    models of claims that are to be defended, whether they are still listed or not; ``starts``: what earlier starts found out.
    """

    def __init__(
        self,
        worker: InferenceWorker,
        folder: Path,
        url: str | None = None,
        needed: Callable[[], set[ModelId]] = set,
        limits: FetchLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        starts: Starts | None = None,
    ) -> None:
        self._starts = starts or Starts()
        self._worker, self._url, self._needed = worker, url, needed
        self._limits, self._monotonic = limits or FetchLimits(), monotonic
        self._programs = Programs(folder, self._limits.archive)
        self.refused: dict[ModelId, tuple[str, float]] = {}
        """Why a listed program is not run here, and when that was found out."""

    def load(self, folder: Path) -> None:
        """Hold the program of a folder, by the folder's name and its own; raises what makes it unusable."""
        model = load(folder)
        self._starts.once(model.program.id, AUDIT, lambda: audit(model.program))
        own = model.program.meta.get("name")
        names = [folder.resolve().name, own] if isinstance(own, str) and own else [folder.resolve().name]
        self._worker.hold(model, *dict.fromkeys(names))

    def restore(self) -> None:
        """Hold what was fetched in an earlier life: claims about it must be defended also while the sequencer is away."""
        for model_id in self._programs.list():
            if model_id not in self._worker and model_id not in self.refused:
                try:
                    self._hold(model_id, [])
                except ClientError:
                    # What was damaged is fetched again with the others.
                    continue
                except Exception as error:
                    self._refuse(model_id, error)

    def step(self) -> None:
        """Hold whatever was fetched before, or the sequencer lists, and is not held yet; raises ClientError if it can't be
        asked.
        """
        self.restore()
        if self._url is None:
            return
        listing = [(one.model_id, one.name) for one in models_of(self._url) if not one.retired]
        listing += [(model_id, "") for model_id in self._needed() - {model_id for model_id, _ in listing}]
        trouble: ClientError | None = None
        for model_id, name in listing:
            names = [name] if name else []
            why = self.refused.get(model_id)
            if why is not None and self._monotonic() - why[1] < AGAIN_SECONDS:
                continue
            if (held := self._worker.model(model_id)) is not None:
                self._worker.hold(held, *names)
                continue
            try:
                self._hold(model_id, names)
                self.refused.pop(model_id, None)
            except ClientError as error:
                trouble = error
            # Testing a stranger's program may fail in any way; it must not keep the next one from being held.
            except Exception as error:
                self._refuse(model_id, error)
        if trouble is not None:
            raise trouble

    def _refuse(self, model_id: ModelId, error: Exception) -> None:
        self.refused[model_id] = (str(error) or type(error).__name__, self._monotonic())
        _log.error("program refused", model=f"0x{model_id.hex()}", error=str(error))

    def _hold(self, model_id: ModelId, names: list[str]) -> None:
        cache, url = self._programs, self._url
        program = cache.get(model_id) if url is None else program_of(url, model_id, cache, self._limits)
        self._worker.hold(Model(program), *names)
