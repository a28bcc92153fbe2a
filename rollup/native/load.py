"""Opens a shared object of compiled code, or says why it can't be used here."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from rollup.errors import SettingsError

SWITCH = "TOUCHSTONE_NATIVE"
"""Environment variable: 0 turns all compiled code off."""


def object_path(folder: Path, name: str, architecture: str) -> Path:
    """Where a folder's object for one architecture lies."""
    return folder / "objects" / f"{name}-{architecture}-linux.so"


def sealed(data: bytes) -> bytes:
    """An object with the SHA-256 of itself behind it: the system would die of some that are damaged."""
    return data + sha256(data).digest()


@dataclass(frozen=True)
class Loaded:
    """``library``: the open object, or None; then ``reason`` says why not. ``meant``: somebody turned it off."""

    library: ctypes.CDLL | None
    reason: str = ""
    meant: bool = False


def load(folder: Path, name: str) -> Loaded:
    """The object ``name`` of a folder, for this machine. Raises SettingsError if the switch is neither 0 nor 1."""
    switch = os.environ.get(SWITCH, "")
    if switch not in ("", "0", "1"):
        raise SettingsError(f"{SWITCH} is {switch!r}; 0 turns compiled code off, 1 (or nothing) leaves it on")
    if switch == "0":
        return Loaded(None, f"{SWITCH} is 0", meant=True)
    path = object_path(folder, name, platform.machine())
    if sys.platform != "linux" or not path.exists():
        return Loaded(None, f"there is no {path.name} for {sys.platform} on {platform.machine()}")
    try:
        data = path.read_bytes()
        if data != sealed(data[: -sha256().digest_size]):
            return Loaded(None, f"{path} is damaged; install the package again")
        return Loaded(ctypes.CDLL(str(path)))
    except OSError as error:
        return Loaded(None, f"{path.name} can't be loaded: {error}")
