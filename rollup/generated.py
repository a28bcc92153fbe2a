"""Documents that are written from code or from measurements: how each is written, and found stale."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def settle(page: Path, text: str, command: str, arguments: Sequence[str]) -> int:
    """Write ``text`` to ``page``, or with ``--check`` say whether the one on disk is stale; returns an exit code.

    ``command``: what writes it anew.
    """
    if "--check" in arguments:
        if not page.exists() or page.read_text() != text:
            print(f"{page.name} is stale; run {command}", file=sys.stderr)
            return 1
        return 0
    page.parent.mkdir(exist_ok=True)
    page.write_text(text)
    return 0
