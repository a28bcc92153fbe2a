"""When a request is sent again, and after which pause."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from rollup.client.http import Answer, Bounds

BUSY = (429, 503)
FIRST_PAUSE = 0.2


def backoff(attempt: int, luck: float, bounds: Bounds) -> float:
    """Seconds before attempt ``attempt + 1`` (attempts count from 1); ``luck`` in [0, 1) spreads callers out."""
    return min(bounds.patience, FIRST_PAUSE * 2.0 ** min(attempt - 1, 16) * (0.5 + luck))


def pause(answer: Answer | None, attempt: int, luck: float, now: datetime, bounds: Bounds) -> float | None:
    """Seconds to wait before the request is sent again; None: this answer is the last word.

    ``answer`` None stands for a lost connection. Retry-After is honoured up to ``bounds.patience``; a server that asks
    for more is answered with its own refusal.
    """
    most = bounds.attempts if answer is None else bounds.busy_attempts
    if attempt >= most or (answer is not None and answer.status not in BUSY):
        return None
    asked = retry_after(answer.headers.get("retry-after", ""), now) if answer is not None else None
    if asked is None:
        return backoff(attempt, luck, bounds)
    return None if asked > bounds.patience else max(asked, backoff(1, luck, bounds))


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header (a number, or a date); None if there is none that can be read."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
