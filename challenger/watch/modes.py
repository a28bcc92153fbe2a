"""How far a watcher goes."""

from __future__ import annotations

from enum import IntEnum

from rollup.errors import ServiceError


class Mode(IntEnum):
    """Each does what those below it do, and more."""

    WATCH = 0
    """Checks claims and raises alerts; sends no transaction."""
    DEFEND = 1
    """Also answers for right claims whose claimant is about to run out of its clock."""
    CHALLENGE = 2
    """Also disputes false claims."""

    @classmethod
    def parse(cls, text: str) -> Mode:
        """A mode by its name in lower case; raises ServiceError for any other."""
        for mode in cls:
            if mode.name.lower() == text:
                return mode
        raise ServiceError(f"there is no mode {text!r}; choose one of {', '.join(mode.name.lower() for mode in cls)}")
