"""All subjects, in the order of the tables, and the number formats in which each is measured."""

from __future__ import annotations

from importlib import import_module

from benchmarks.subjects.subject import Subject
from prover.lowering.formats import formats_named
from rollup.errors import LoweringError
from tests.models.packages import missing

MODULES = {
    "digits": "images",
    "minilm": "sentences",
    "rapidocr": "pictures",
    "block": "layers",
    "smollm2": "texts",
    "gemma3": "texts",
}
"""By what keys begin with; a module is imported for its own subjects alone, since that of others takes seconds."""

FORMATS = ("w16a16", "w15a16", "w8a16")
"""By name; what lowering does not know is left out."""


def subjects() -> list[Subject]:
    """All of them."""
    names = dict.fromkeys(MODULES.values())
    return [one for name in names for one in _of(name)]


def subject(key: str) -> Subject:
    return next(one for one in _of(MODULES[key.split("-")[0]]) if one.key == key)


def _of(module: str) -> tuple[Subject, ...]:
    found: tuple[Subject, ...] = import_module(f"benchmarks.subjects.{module}").SUBJECTS
    return found


def unknown_formats() -> dict[str, str]:
    """The names that lowering does not know, and what it says of them."""
    found = {}
    for name in FORMATS:
        try:
            formats_named(name)
        except LoweringError as error:
            found[name] = str(error)
    return found


def absent(one: Subject) -> str:
    """Why a subject can't be measured here; nothing if it can."""
    lacking = missing(one.packages)
    return f"{', '.join(lacking)} is not installed" if lacking else ""
