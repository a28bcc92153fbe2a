"""Weights in the order of the native kernels, in files that are mapped into memory: every process that runs the program shares them.

A file holds the bytes, and behind them the SHA-256 of its name and of them. Whoever reads it computes that again: a file that is cut
off, damaged or another name's is packed once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from prover.start.place import own_file
from rollup.errors import FileError
from rollup.files import write_file

Array = np.ndarray

DIGEST_BYTES = hashlib.sha256().digest_size


class KeptWeights:
    """``folder``: of files that only this user can write to, since they are used for as long as the process lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def array(self, name: str, size: int, make: Callable[[], Array]) -> Array:
        """uint8 [size], read-only where it is mapped: what was kept under a name that says all of what it holds, in the key's terms,
        or else what ``make`` gives. What can't be kept stays in memory.
        """
        found = self._mapped(name, size)
        if found is not None:
            return found
        made = make()
        assert made.dtype == np.uint8 and made.shape == (size,)
        with suppress(FileError):
            write_file(self._place(name), made.tobytes() + _digest(name, made))
        kept = self._mapped(name, size)
        return made if kept is None else kept

    def _mapped(self, name: str, size: int) -> Array | None:
        """The file's bytes; None if there is no whole file of this name."""
        place = self._place(name)
        with suppress(OSError, ValueError):
            if own_file(place) and place.stat().st_size == size + DIGEST_BYTES:
                whole = np.memmap(place, np.uint8, mode="r")
                if whole[size:].tobytes() == _digest(name, whole[:size]):
                    return whole[:size]
        return None

    def _place(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()


def _digest(name: str, array: Array) -> bytes:
    found = hashlib.sha256(hashlib.sha256(name.encode()).digest())
    found.update(array.data)
    return found.digest()
