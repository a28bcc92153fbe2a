"""Which checks came to no good end, in a small file: a claim that killed the process is not the first again."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from threading import Lock

from cachetools import FIFOCache

from rollup.claim import ClaimId
from rollup.form.program import parse_json

MOST = 1024
"""Claims that are remembered; the oldest are forgotten first."""


class Notes:
    """By claim, how many runs failed or were under way when the process ended. ``path``: None keeps it in memory.

    Only an order of work follows from it, so a file that is lost or damaged is as good as an empty one. For any thread.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._counts: FIFOCache[ClaimId, int] = FIFOCache(MOST)
        if path is not None:
            with suppress(OSError, ValueError, TypeError, AttributeError):
                for text, count in parse_json(path.read_bytes()[: MOST * 200].decode()).items():
                    self._counts[ClaimId(bytes.fromhex(text))] = int(count)

    def failures(self, claim_id: ClaimId) -> int:
        with self._lock:
            return self._counts.get(claim_id, 0)

    def begin(self, claim_id: ClaimId) -> None:
        """Count the run that begins now as one that failed, until it ends well."""
        with self._lock:
            self._counts[claim_id] = self._counts.pop(claim_id, 0) + 1
            self._write()

    def end(self, claim_id: ClaimId) -> None:
        """It ended well."""
        with self._lock:
            if self._counts.pop(claim_id, None) is not None:
                self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps({claim_id.hex(): count for claim_id, count in self._counts.items()})
        beside = self._path.with_name(self._path.name + ".new")
        # A full disk must not keep a claim from being checked.
        with suppress(OSError):
            beside.write_text(text)
            beside.replace(self._path)
