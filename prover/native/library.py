"""The shared object with the kernels: loading it, whether it may be used here, and its functions.

``TOUCHSTONE_KERNELS``: other kernels than the machine's best (``portable``, ``avx2``, ``avx512``, ``neon``), to measure them.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

import jax
import numpy as np

from rollup.native.load import load

Array = np.ndarray

OBJECT = "touchstone_products"
TARGET = "touchstone_product"
"""Name of the product among XLA's foreign functions."""

CHOICE = "TOUCHSTONE_KERNELS"

_loading = Lock()
"""Constants of a large program are brought into their form by several threads, of which one loads the object."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Library:
    """The loaded object. ``kernels``: the name of the kernels that run here."""

    handle: ctypes.CDLL
    kernels: str

    @property
    def sources(self) -> str:
        """Hash of the sources that the object was built from."""
        return bytes(self.handle.touchstone_sources()).decode()

    def packed_bytes(self, terms: int, columns: int, sub: int, narrow: bool) -> int:
        return int(self.handle.touchstone_packed_bytes(terms, columns, sub, narrow))

    def pack(self, matrix: Array, sub: int, narrow: bool, bound: int) -> Array:
        """uint8 [bytes]: weights [columns, terms] (any integers of 16 bits) in the order in which the kernels read them."""
        words = np.ascontiguousarray(matrix, np.int16)
        columns, terms = words.shape
        packed = aligned(self.packed_bytes(terms, columns, sub, narrow))
        self.handle.touchstone_pack(words.ctypes.data, terms, columns, sub, narrow, bound, packed.ctypes.data)
        return packed

    def run(self, kernels: str, plan: Array, operands: Sequence[Array], result: Array, threads: int = 1) -> None:
        """A product without XLA, into ``result``; raises ValueError saying what is wrong with the plan."""
        buffers = [*operands, result]
        error = ctypes.create_string_buffer(200)
        failed = self.handle.touchstone_run(
            kernels.encode(),
            plan.ctypes.data,
            plan.size,
            (ctypes.c_void_p * len(buffers))(*(b.ctypes.data for b in buffers)),
            (ctypes.c_int64 * len(buffers))(*(b.size for b in buffers)),
            (ctypes.c_int32 * len(buffers))(*(b.itemsize for b in buffers)),
            len(buffers),
            threads,
            error,
            len(error),
        )
        if failed:
            raise ValueError(error.value.decode())


def aligned(size: int) -> Array:
    """uint8 [size] zeros at an address that is a multiple of 64."""
    room = np.zeros(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size]


def library() -> Library | None:
    """The object of this machine, its product known to XLA; None where it can't be used (a log line says why)."""
    with _loading:
        return _library()


@cache
def _library() -> Library | None:
    loaded = load(Path(__file__).parent, OBJECT)
    reason = loaded.reason
    if loaded.library is not None:
        reason = _unusable(loaded.library)
        if not reason:
            target = jax.ffi.pycapsule(loaded.library.touchstone_product)  # type: ignore[no-untyped-call]
            jax.ffi.register_ffi_target(TARGET, target, platform="cpu")
            return declared(loaded.library)
    if not loaded.meant:
        _log.warning("products run on XLA's kernels, several times slower, to the same bits: %s", reason)
    return None


def declared(handle: ctypes.CDLL) -> Library:
    """An object's functions, with their types."""
    handle.touchstone_sources.restype = ctypes.c_char_p
    handle.touchstone_packed_bytes.restype = ctypes.c_int64
    handle.touchstone_packed_bytes.argtypes = [*[ctypes.c_int64] * 3, ctypes.c_int32]
    handle.touchstone_pack.restype = None
    handle.touchstone_pack.argtypes = [
        ctypes.c_void_p,
        *[ctypes.c_int64] * 3,
        ctypes.c_int32,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    pointers, numbers = [ctypes.c_void_p] * 3, [ctypes.c_int32] * 2
    handle.touchstone_run.argtypes = [
        ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64, *pointers, *numbers, ctypes.c_char_p, ctypes.c_int32
    ]  # fmt: skip
    return Library(handle, handle.touchstone_kernels(os.environ.get(CHOICE, "").encode()).decode())


def _unusable(handle: ctypes.CDLL) -> str:
    """Why the object can't be used with this jaxlib, on this machine; "" if it can."""
    handle.touchstone_kernels.restype = ctypes.c_char_p
    handle.touchstone_kernels.argtypes = [ctypes.c_char_p]
    chosen = os.environ.get(CHOICE, "")
    if handle.touchstone_kernels(chosen.encode()) is None:
        return f"{CHOICE} is {chosen!r}, and this machine does not run such kernels"
    built, here = int(handle.touchstone_ffi_version()), _ffi_version()
    # A newer minor version takes what was built for an older one.
    if here // 1000 != built // 1000 or here < built:
        return f"they were built for version {_shown(built)} of XLA's foreign functions, and jaxlib has {_shown(here)}"
    return ""


def _ffi_version() -> int:
    """Of jaxlib's foreign functions: 1000 times the major version, and the minor one."""
    header = (Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h").read_text()
    major, minor = (int(header.split(f"#define XLA_FFI_API_{part} ")[1].split()[0]) for part in ("MAJOR", "MINOR"))
    return 1000 * major + minor


def _shown(version: int) -> str:
    return f"{version // 1000}.{version % 1000}"
