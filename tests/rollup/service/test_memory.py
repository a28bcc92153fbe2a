"""Memory that was freed is the system's again."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from rollup.service.memory import give_back

CHUNK, COUNT = 100_000, 1000
"""Bytes: too few for a mapping of its own."""


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_freed_memory_below_what_is_in_use_is_given_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    chunks = [libc.malloc(CHUNK) for _ in range(COUNT)]
    for chunk in chunks:
        ctypes.memset(chunk, 1, CHUNK)
    # The last one keeps the heap from shrinking by itself.
    for chunk in chunks[:-1]:
        libc.free(chunk)
    before = resident()
    give_back()
    assert before - resident() > CHUNK * COUNT // 2
    libc.free(chunks[-1])
