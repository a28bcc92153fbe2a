"""A folder for what a process needs while it lives."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from rollup.files import made, writing

PREFIX = "checks-"


class Room:
    """A new folder inside ``parent`` (None: among the temporary ones); those of processes that are gone are removed."""

    def __init__(self, parent: Path | None = None) -> None:
        if parent is not None:
            made(parent)
            for left in parent.glob(f"{PREFIX}*"):
                with suppress(OSError):
                    lock = _locked(left)
                    shutil.rmtree(left, ignore_errors=True)
                    os.close(lock)
        with writing(parent or "the folder for temporary files"):
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).absolute()
            self._lock = _locked(self.folder)

    def leave(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed, or the process ends; raises OSError if it is held."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
