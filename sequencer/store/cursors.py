"""Cursors of listings: opaque to whoever pages, an increasing number to us."""

from __future__ import annotations

from rollup.errors import ClaimError


def decode(cursor: str | None) -> int | None:
    """The number behind a cursor; raises ClaimError for one that was not given out."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise ClaimError(f"the cursor {cursor[:40]!r} was not given out here; take it from 'next' of the page before")
    return int(cursor)
