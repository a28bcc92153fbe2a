"""Memory that starting took and nothing needs any longer."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Return freed memory to the operating system, where the C library can (glibc): tests, compilation and packed weights leave it spread
    over the memory of several threads, and it would be counted as this process's until it ends.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
