"""A trace that one process computes and another one reads: a file that is mapped into memory, never copied.

``roots | padding to 64 bytes | values, each padded to 64 bytes``: the tensor roots of all values, then their little-endian
bytes, in trace order. Where each value lies follows from the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from challenger.play.trace import ValueTrace
from rollup.errors import CommitmentError
from rollup.form.constants import stored_bytes
from rollup.form.program import Program
from rollup.types import DType, Root

ALIGNMENT = 64
ROOT_BYTES = 32


def _padded(size: int) -> int:
    return size + -size % ALIGNMENT


def _types(program: Program) -> Iterator[tuple[DType, tuple[int, ...]]]:
    for tensor in program.header.inputs:
        yield tensor.dtype, tensor.shape
    for _, j, _ in program.op_values():
        yield program.ops[j].dtype, program.ops[j].shape


def file_bytes(program: Program) -> int:
    """Size of a trace's file."""
    values = sum(_padded(tensor.bytes) for tensor in program.header.inputs)
    values += sum(_padded(op.bytes) * op.repeat for op in program.ops)
    return _padded(ROOT_BYTES * program.header.values) + values


def write_trace(trace: ValueTrace, path: Path) -> None:
    """Write it, hashed; raises OSError."""
    with path.open("wb") as file:
        roots = b"".join(trace.entries)
        file.write(roots.ljust(_padded(len(roots)), b"\x00"))
        for value in trace.values:
            data = stored_bytes(value)
            file.write(data)
            file.write(bytes(-len(data) % ALIGNMENT))


def map_trace(program: Program, path: Path) -> ValueTrace:
    """The trace in a file; its name may be removed then. Raises OSError, and CommitmentError if the size is another."""
    size = path.stat().st_size
    if size != file_bytes(program):
        raise CommitmentError(f"a trace's file has {size} bytes, the program's have {file_bytes(program)}")
    data = np.memmap(path, np.uint8, "r")
    count = program.header.values
    entries = [Root(bytes(data[ROOT_BYTES * v : ROOT_BYTES * (v + 1)])) for v in range(count)]
    values, at = [], _padded(ROOT_BYTES * count)
    for dtype, shape in _types(program):
        size = int(np.prod(shape, dtype=np.int64)) * dtype.size
        values.append(np.asarray(data[at : at + size]).view(dtype.numpy).reshape(shape))
        at += _padded(size)
    return ValueTrace(program, values, entries)
