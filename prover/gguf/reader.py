"""Read a GGUF file: its metadata, the table of its tensors, and one tensor at a time as float32.

The file is a stranger's. Every count, length and offset is compared with the size of the file before anything is allocated, so
memory and time are bounded by what the file really holds; numbers of an array stay in the form that they have on disk. Nothing is
memory-mapped: a file that shrinks while it is read is an error and no crash. Format: the GGUF specification, versions 2 and 3.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from rollup.errors import LoweringError

VERSIONS = (2, 3)
MAX_KEYS = 1 << 14
MAX_TENSORS = 1 << 16
MAX_KEY = 1 << 16
MAX_TEXT = 1 << 20
MAX_STRINGS = 1 << 21
MAX_HEADER = 1 << 28
"""Metadata and tensor table together, in bytes; the largest vocabularies in use need some 20 MB."""
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 1 << 16
CHUNK = 1 << 18
"""Elements that are decoded at a time."""

_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "<u1",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_BOOL, _STRING, _ARRAY = 7, 8, 9

Value = bool | int | float | str | list[str] | np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TensorEntry:
    """One row of the tensor table. ``shape``: row-major, slowest dimension first; ``offset``, ``size``: bytes in the file."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    offset: int
    size: int


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file whose header holds: ``metadata`` by key, ``tensors`` by name, in the file's order."""

    path: Path
    metadata: Mapping[str, Value]
    tensors: Mapping[str, TensorEntry]

    def read(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A tensor as float32, dequantised; raises LoweringError for one with NaN or infinite elements."""
        entry = self.tensors[name]
        block, width = GGML_QUANT_SIZES[entry.kind]
        result = _aligned(entry.shape)
        flat = result.reshape(-1)
        step = max(CHUNK // block, 1) * block
        try:
            with self.path.open("rb") as stream:
                stream.seek(entry.offset)
                for start in range(0, flat.size, step):
                    part = flat[start : start + step]
                    data = stream.read(part.size // block * width)
                    if len(data) != part.size // block * width:
                        raise LoweringError(
                            f"{self.path}: tensor {name!r} ends early; the file changed, fetch it again"
                        )
                    part[:] = _decoded(data, entry.kind)
                    if not np.all(np.isfinite(part)):
                        raise LoweringError(
                            f"{self.path}: tensor {name!r} has a weight that is NaN or infinite; fetch the file again, "
                            "or convert it again from a sound checkpoint"
                        )
        except OSError as error:
            raise LoweringError(f"{self.path}: cannot be read ({error.strerror}); check the path") from error
        return result


def read_gguf(path: str | Path) -> GgufFile:
    """Read and check a file's header; raises LoweringError, naming the file and the key or tensor, for one that is not sound."""
    path = Path(path)
    try:
        if not path.is_file():
            raise LoweringError(f"{path}: no such file; give the path of a GGUF file")
        with path.open("rb") as stream:
            return _Header(path, stream, os.fstat(stream.fileno()).st_size).file()
    except OSError as error:
        raise LoweringError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _aligned(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Memory that begins at a cache line: JAX uses such an array where it is, and copies any other."""
    size = 4 * int(np.prod(shape, dtype=np.int64))
    raw = np.empty(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(np.float32).reshape(shape)


def _decoded(data: bytes, kind: GGMLQuantizationType) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Whole blocks as float32. A scale beyond float16's range gives an infinity, which the caller refuses."""
    # One long row: the decoder works on few rows at a time.
    raw = np.frombuffer(data, dtype=np.uint8).reshape(1, -1)
    with np.errstate(all="ignore"):
        return np.asarray(dequantize(raw, kind), dtype=np.float32).reshape(-1)


class _Header:
    """A cursor over the header that never reads beyond the file, nor more than MAX_HEADER bytes."""

    def __init__(self, path: Path, stream: BinaryIO, size: int) -> None:
        self.path = path
        self.stream = stream
        self.size = size
        self.at = 0
        self.strings = 0

    def error(self, sentence: str) -> LoweringError:
        return LoweringError(f"{self.path}: {sentence}")

    def take(self, count: int, what: str) -> bytes:
        if count > self.size - self.at:
            raise self.error(f"{what} reaches beyond the end of the file; it is truncated or corrupted, fetch it again")
        if count > MAX_HEADER - self.at:
            raise self.error(
                f"{what} makes the header larger than {MAX_HEADER >> 20} MiB; no model needs that, fetch it again"
            )
        data = self.stream.read(count)
        if len(data) != count:
            raise self.error(f"{what} ends early; the file changed while it was read, try again")
        self.at += count
        return data

    def number(self, form: str, what: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def text(self, limit: int, what: str) -> str:
        length = self.number("<Q", what)
        if length > limit:
            raise self.error(
                f"{what} claims {length} bytes, at most {limit} are sensible; the file is corrupted, fetch it again"
            )
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"{what} is no UTF-8 text; the file is corrupted, fetch it again") from error

    def file(self) -> GgufFile:
        if self.size < 4 or self.take(4, "the magic number") != b"GGUF":
            raise self.error("this is no GGUF file (its first four bytes are not 'GGUF'); give a model in GGUF form")
        version = self.number("<I", "the version")
        if version not in VERSIONS:
            order = ", a big-endian file" if version & 0xFFFF == 0 and version else ""
            raise self.error(f"GGUF version {version}{order} is not supported; convert it to version 3, little-endian")
        tensors, keys = self.number("<Q", "the tensor count"), self.number("<Q", "the key count")
        if keys > MAX_KEYS:
            raise self.error(f"{keys} metadata keys are claimed, at most {MAX_KEYS} are sensible; fetch the file again")
        if tensors > MAX_TENSORS:
            raise self.error(f"{tensors} tensors are claimed, at most {MAX_TENSORS} are sensible; fetch the file again")
        metadata = self.metadata(keys)
        return GgufFile(self.path, metadata, self.table(tensors, metadata))

    def metadata(self, count: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for number in range(count):
            key = self.text(MAX_KEY, f"the name of metadata key {number}")
            if key in found:
                raise self.error(f"metadata key {key!r} appears twice; fetch the file again")
            found[key] = self.value(self.number("<I", f"the type of {key!r}"), key)
        return found

    def value(self, kind: int, key: str) -> Value:
        what = f"metadata key {key!r}"
        if kind == _STRING:
            return self.text(MAX_TEXT, what)
        if kind in _SCALARS:
            value: bool | int | float = self.scalars(kind, 1, what)[0].item()
            return bool(value) if kind == _BOOL else value
        if kind != _ARRAY:
            raise self.error(f"{what} has the unknown type {kind}; the file is corrupted, fetch it again")
        inner, count = self.number("<I", what), self.number("<Q", what)
        if inner in _SCALARS:
            return self.scalars(inner, count, what)
        if inner != _STRING:
            raise self.error(f"{what} is an array of type {inner}; only arrays of numbers and strings are supported")
        self.strings += count
        if self.strings > MAX_STRINGS:
            raise self.error(f"{what} claims {count} strings, at most {MAX_STRINGS} are sensible; fetch the file again")
        return [self.text(MAX_TEXT, f"string {number} of {key!r}") for number in range(count)]

    def scalars(self, kind: int, count: int, what: str) -> np.ndarray[Any, np.dtype[Any]]:
        dtype = np.dtype(_SCALARS[kind])
        return np.frombuffer(self.take(count * dtype.itemsize, what), dtype=dtype)

    def table(self, count: int, metadata: Mapping[str, Value]) -> dict[str, TensorEntry]:
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 1 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            raise self.error("metadata key 'general.alignment' is no power of two up to 65,536; fetch the file again")
        entries: dict[str, TensorEntry] = {}
        for number in range(count):
            entry = self.entry(number)
            if entry.name in entries:
                raise self.error(f"tensor {entry.name!r} appears twice; fetch the file again")
            entries[entry.name] = entry
        base = -(-self.at // alignment) * alignment
        placed = {name: self.placed(entry, base, alignment) for name, entry in entries.items()}
        for first, second in _neighbours(placed):
            if first.offset + first.size > second.offset:
                raise self.error(
                    f"tensors {first.name!r} and {second.name!r} overlap; the file is corrupted, fetch it again"
                )
        return placed

    def entry(self, number: int) -> TensorEntry:
        name = self.text(MAX_KEY, f"the name of tensor {number}")
        what = f"tensor {name!r}"
        rank = self.number("<I", what)
        if not 1 <= rank <= MAX_DIMENSIONS:
            raise self.error(f"{what} has {rank} dimensions, 1 to {MAX_DIMENSIONS} are possible; fetch the file again")
        # The file lists the fastest dimension first.
        shape = struct.unpack(f"<{rank}Q", self.take(8 * rank, what))[::-1]
        raw, offset = self.number("<I", what), self.number("<Q", what)
        kind = self.kind(raw, what)
        block, width = GGML_QUANT_SIZES[kind]
        elements = 1
        for extent in shape:
            elements *= extent
        if elements == 0 or shape[-1] % block:
            raise self.error(
                f"{what} has the shape {shape}, which does not hold whole blocks of {block} {kind.name} elements; fetch the file again"
            )
        return TensorEntry(name, shape, kind, offset, elements // block * width)

    def kind(self, raw: int, what: str) -> GGMLQuantizationType:
        try:
            kind = GGMLQuantizationType(raw)
            _decoded(bytes(GGML_QUANT_SIZES[kind][1]), kind)
        except (ValueError, KeyError, NotImplementedError) as error:
            name = GGMLQuantizationType(raw).name if raw in GGMLQuantizationType.__members__.values() else f"type {raw}"
            raise self.error(
                f"{what} is stored as {name}, which can't be decoded here; convert the model to F16, Q8_0 or Q4_1"
            ) from error
        return kind

    def placed(self, entry: TensorEntry, base: int, alignment: int) -> TensorEntry:
        if entry.offset % alignment:
            raise self.error(
                f"tensor {entry.name!r} lies at offset {entry.offset}, no multiple of {alignment}; fetch the file again"
            )
        if entry.size > self.size - base - entry.offset:
            raise self.error(
                f"tensor {entry.name!r} of shape {entry.shape} reaches beyond the end of the file; it is truncated or corrupted, "
                "fetch it again"
            )
        return TensorEntry(entry.name, entry.shape, entry.kind, base + entry.offset, entry.size)


def _neighbours(entries: Mapping[str, TensorEntry]) -> Iterator[tuple[TensorEntry, TensorEntry]]:
    ordered = sorted(entries.values(), key=lambda entry: entry.offset)
    return pairwise(ordered)
