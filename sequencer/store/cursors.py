"""Cursors of listings: opaque to whoever pages, a number that falls from page to page to us."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rollup.errors import TouchstoneError
from sequencer.states import Page

T = TypeVar("T")


class CursorError(TouchstoneError):
    """A cursor that was not given out here."""


def decode(cursor: str | None) -> int | None:
    """The number behind a cursor; raises CursorError for one that was not given out."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise CursorError(f"the cursor {cursor[:40]!r} was not given out here; take it from 'next' of the page before")
    return int(cursor)


def page(found: Sequence[T], limit: int, number: Callable[[T], int]) -> Page[T]:
    """A page of at most ``limit``, of which one more was looked for."""
    kept = tuple(found[:limit])
    return Page(kept, str(number(kept[-1])) if len(found) > limit and kept else None)
