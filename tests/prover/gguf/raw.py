"""GGUF files byte by byte, also such as no writer would write."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

U32, STRING, ARRAY, BOOL, F32 = 4, 8, 9, 7, 6


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    """A metadata entry."""
    return text(key) + struct.pack("<I", kind) + value


def array(kind: int, count: int, items: bytes) -> bytes:
    return struct.pack("<IQ", kind, count) + items


def tensor(name: bytes, dims: Sequence[int], kind: int = 0, offset: int = 0, rank: int | None = None) -> bytes:
    """A row of the tensor table; ``dims`` fastest first."""
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims) if rank is None else rank, *dims, kind, offset)


@dataclass(frozen=True)
class Raw:
    magic: bytes = b"GGUF"
    version: int = 3
    entries: tuple[bytes, ...] = ()
    tensors: tuple[bytes, ...] = ()
    data: bytes = bytes(256)
    keys: int | None = None
    count: int | None = None
    padding: int = field(default=32)

    def write(self, path: Path) -> Path:
        head = self.magic + struct.pack(
            "<IQQ",
            self.version,
            len(self.tensors) if self.count is None else self.count,
            len(self.entries) if self.keys is None else self.keys,
        )
        head += b"".join(self.entries) + b"".join(self.tensors)
        path.write_bytes(head + bytes(-len(head) % self.padding) + self.data)
        return path
