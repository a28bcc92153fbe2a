"""Amounts and names that must not be confused with one another, as types."""

from __future__ import annotations

from enum import IntEnum
from typing import NewType

import numpy as np

Root = NewType("Root", bytes)
"""32 bytes of SHA-256: a leaf, a node or the root of a tree."""

ModelId = Root
"""The program root."""

Gindex = NewType("Gindex", int)
"""Generalised index of a tree node: the root is 1, the children of g are 2 g and 2 g + 1."""

ValueIndex = NewType("ValueIndex", int)
"""Position of a value in the trace: inputs first, then the output of every op in order."""

Timestamp = NewType("Timestamp", int)
"""Seconds since the epoch, as L1 counts them."""

Duration = NewType("Duration", int)
"""Seconds."""

LEAF_BYTES = 1024


class DType(IntEnum):
    """Element type of a tensor: two's complement, little endian, ``1 << code`` bytes."""

    I8 = 0
    I16 = 1
    I32 = 2
    I64 = 3

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return 1 << self.value

    @property
    def bits(self) -> int:
        return 8 << self.value

    @property
    def min(self) -> int:
        return -(1 << (self.bits - 1))

    @property
    def max(self) -> int:
        return (1 << (self.bits - 1)) - 1

    @property
    def numpy(self) -> np.dtype[np.signedinteger]:
        """The little-endian NumPy dtype."""
        return np.dtype(f"<i{self.size}")

    @classmethod
    def of(cls, dtype: np.dtype) -> DType:
        """The DType of a NumPy signed integer dtype; raises KeyError for any other."""
        return {"int8": cls.I8, "int16": cls.I16, "int32": cls.I32, "int64": cls.I64}[np.dtype(dtype).name]

    @classmethod
    def holding(cls, low: int, high: int) -> DType:
        """The smallest dtype that holds every integer of [low, high]."""
        for dtype in cls:
            if dtype.min <= low and high <= dtype.max:
                return dtype
        raise OverflowError(f"no dtype holds [{low}, {high}]")


def hex_of(data: bytes) -> str:
    """Bytes as people and JSON write them: ``0x`` and two hex digits each."""
    return "0x" + data.hex()
