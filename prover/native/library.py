"""The shared object with the kernels: loading it, whether it may be used here, and its functions.

``TOUCHSTONE_NATIVE=0`` turns it off; ``portable``, ``avx2`` or ``avx512`` choose kernels that the machine might not have chosen itself.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import numpy as np

Array = np.ndarray

TARGET = "touchstone_product"
"""Name of the product among XLA's foreign functions."""

_OBJECTS = Path(__file__).parent / "objects"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Library:
    """The loaded object. ``kernels``: the name of the kernels that run here."""

    handle: ctypes.CDLL
    kernels: str

    @property
    def source(self) -> str:
        """Hash of the sources that the object was built from."""
        return bytes(self.handle.touchstone_source()).decode()

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


def wanted() -> str:
    """What ``TOUCHSTONE_NATIVE`` asks for: "0" for none, a name of kernels, "" for the best."""
    asked = os.environ.get("TOUCHSTONE_NATIVE", "")
    return "" if asked == "1" else asked


@cache
def library() -> Library | None:
    """The object of this machine, its product known to XLA; None where it can't be used (a log line says why)."""
    if wanted() == "0":
        return None
    try:
        return _load()
    except (OSError, AttributeError, RuntimeError) as error:
        _log.warning("native kernels are not used, XLA's are: %s", error)
        return None


def _load() -> Library:
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    path = _OBJECTS / f"{machine}-{platform.system().lower()}.so"
    if not path.exists():
        raise OSError(f"there is no object for {platform.system()} on {machine}")
    handle = ctypes.CDLL(str(path))
    handle.touchstone_source.restype = ctypes.c_char_p
    handle.touchstone_kernels.restype = ctypes.c_char_p
    handle.touchstone_kernels.argtypes = [ctypes.c_char_p]
    handle.touchstone_packed_bytes.restype = ctypes.c_int64
    handle.touchstone_packed_bytes.argtypes = [ctypes.c_int64] * 3 + [ctypes.c_int32]
    handle.touchstone_pack.argtypes = [
        ctypes.c_void_p,
        *[ctypes.c_int64] * 3,
        ctypes.c_int32,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    handle.touchstone_pack.restype = None
    handle.touchstone_run.argtypes = [
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_int32,
        ctypes.c_char_p,
        ctypes.c_int32,
    ]
    kernels = handle.touchstone_kernels(wanted().encode())
    if kernels is None:
        raise RuntimeError(f"TOUCHSTONE_NATIVE={wanted()} names kernels that this machine does not run")
    _check_version(handle)
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(handle.touchstone_product), platform="cpu")
    return Library(handle, kernels.decode())


def _check_version(handle: ctypes.CDLL) -> None:
    """Raises RuntimeError unless XLA's foreign function interface is of the version that the object was built for."""
    built = int(handle.touchstone_ffi_version())
    header = (Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h").read_text()
    found = {part: int(header.split(f"#define XLA_FFI_API_{part} ")[1].split()[0]) for part in ("MAJOR", "MINOR")}
    here = 1000 * found["MAJOR"] + found["MINOR"]
    if here // 1000 != built // 1000 or here < built:
        raise RuntimeError(
            f"the object needs version {built / 1000:.3f} of XLA's foreign functions, jaxlib has {here / 1000:.3f}"
        )
