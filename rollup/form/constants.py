"""A program's constants in files and in memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from rollup.errors import EncodingError
from rollup.form.encoding import (
    TensorType,
)
from rollup.merkle import tensor_root
from rollup.types import Root


def load_constant(folder: Path, root: Root, dtype: str, shape: list[int]) -> np.ndarray:
    path = folder / f"{root.hex()}.bin"
    if dtype not in {"int8", "int16", "int32", "int64"} or any(n < 1 for n in shape):
        raise EncodingError(
            f"constant {path.name} has dtype {dtype!r} and shape {shape}; integers with positive dimensions are expected"
        )
    expected = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    try:
        size = path.stat().st_size
        regular = path.is_file()
    except FileNotFoundError:
        raise EncodingError(f"{path} is missing; fetch the complete program") from None
    except OSError as error:
        raise EncodingError(f"{path} can't be read ({error}); fetch the complete program") from None
    if not regular:
        raise EncodingError(f"{path} is no regular file; fetch the complete program")
    if size != expected:
        raise EncodingError(f"{path} has {size} bytes, its shape {shape} of {dtype} needs {expected}; fetch it again")
    array = np.memmap(path, dtype=np.dtype(dtype).newbyteorder("<"), mode="r", shape=tuple(shape))
    if constant_root(array) != root:
        raise EncodingError(f"{path} does not hash to its name; it was altered, fetch it again")
    return array


def let_go(array: np.ndarray) -> None:
    """Give back the memory of a constant that is mapped from a file; it is read from there again when it is wanted."""
    mapping: object = array.base
    # What was written into a private mapping would be lost, but nobody can write into one that is read-only.
    read_only = isinstance(array, np.memmap) and array.mode == "r"
    if read_only and isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def constant_root(array: np.ndarray) -> Root:
    """Root of a constant's natural-depth tensor tree."""
    return tensor_root(stored_bytes(array))


def stored_bytes(array: np.ndarray) -> memoryview:
    """A constant's little-endian bytes, row-major; not copied where they lie so in memory (or in a mapped file) already."""
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return data.reshape(-1).view(np.uint8).data


ALIGNMENT = 64
"""Bytes; memory that begins at a multiple of it is used by an executor on the host without a copy."""


def aligned(array: np.ndarray) -> np.ndarray:
    """The array, row-major, beginning at a multiple of ``ALIGNMENT``; copied where it does not."""
    if array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0:
        return array
    memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    found = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def pack(array: np.ndarray, tensor: TensorType) -> bytes:
    """Little-endian bytes of one input or output."""
    return np.ascontiguousarray(array, dtype=tensor.dtype.numpy).tobytes()
