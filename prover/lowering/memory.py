"""Memory that is free again, given back: what counts against a machine is what is resident."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """The C library's ``malloc_trim``; None where it has none."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


def give_back() -> None:
    """Return to the system what has been freed: JAX allocates from many threads, each of which keeps what it once had.

    Does nothing where the C library cannot.
    """
    trim = _trim()
    if trim is not None:
        trim(0)
