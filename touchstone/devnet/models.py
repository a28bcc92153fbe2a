"""The models that a development network offers: lowered once, kept in a folder, and handed to the sequencer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from prover import Model, lower
from rollup.archive import pack
from rollup.errors import ServiceError, TouchstoneError
from rollup.files import made
from rollup.form.program import Program
from touchstone.cli.remote import AnswerError, Api
from touchstone.devnet.plan import MODELS

PATIENCE = 900.0
"""Seconds that the sequencer has to audit and register a model."""

PAUSE = 0.5


def _digits() -> Model:
    from touchstone.demo.demo import lowered
    from touchstone.demo.digits import digits

    return lowered(digits())


def _iris() -> Model:
    from touchstone.demo.iris import irises, network

    sizes, _ = irises()
    return lower(network(), sizes[0], calibration=[(one,) for one in sizes])


BUILDERS: Mapping[str, Callable[[], Model]] = dict(zip(MODELS, (_digits, _iris), strict=True))
"""By the name under which the models are offered."""


def prepare(folder: Path, say: Callable[[str], None]) -> dict[str, Path]:
    """The models' folders inside ``folder``; a model is lowered if there is none, or none that loads."""
    made(folder)
    found = {}
    for name, build in BUILDERS.items():
        place = folder / name
        if not _loads(place):
            say(f"lowering {name} ...")
            shutil.rmtree(place, ignore_errors=True)
            build().save(place)
        found[name] = place
    return found


def _loads(place: Path) -> bool:
    try:
        Program.load(place)
    except TouchstoneError:
        return False
    return True


def offer(folders: Mapping[str, Path], url: str, token: str | None, wait: float, say: Callable[[str], None]) -> None:
    """Hand the models to the sequencer whose admin API is at ``url``; waits up to ``wait`` seconds until it is ready.

    Raises AnswerError if it refuses, ServiceError if it does not become ready.
    """
    _until_ready(Api(url, 5.0), wait)
    api = Api(url, PATIENCE, token)
    for name, folder in folders.items():
        answer = api.ask("POST", "/admin/models", query={"name": name}, content=pack(folder))
        say(f"{name} is offered as {answer['model']['id']}")


def _until_ready(api: Api, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            api.ask("GET", "/readyz")
            return
        except AnswerError as error:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"the sequencer did not become ready within {wait:g} s ({error}); its log says why"
                ) from None
        time.sleep(PAUSE)
