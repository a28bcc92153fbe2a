"""Where a service keeps what it compiles and tests for its next start."""

from __future__ import annotations

from pathlib import Path

from prover.start import Starts
from prover.start.place import private
from rollup.errors import SettingsError
from rollup.service import logs

STARTS = "starts"
"""The folder in a service's cache."""

_log = logs.logger("touchstone.services")


def start_folder(given: Path | None, cache: Path | None) -> Path | None:
    """Where a service keeps what it compiles: the folder that was named, else one inside its cache, if others can't write there.

    Raises SettingsError if others can write to the one that was named.
    """
    if given is not None:
        return private(given)
    if cache is None:
        return None
    try:
        return private(cache / STARTS)
    except SettingsError as error:
        _log.warning("nothing that is compiled is kept", why=str(error))
        return None


def starts_of(given: Path | None, cache: Path | None) -> Starts:
    """What earlier starts of a service found out."""
    return Starts(start_folder(given, cache))
