"""Arrays from files: a model's inputs for the commands that run one, and any npz file of plain arrays."""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rollup.errors import ClaimError
from rollup.form.program import parse_json

MOST_BYTES = 64 << 20

Array = np.ndarray

_DAMAGED = (
    *(ValueError, OSError, EOFError, KeyError, NotImplementedError, RuntimeError, SyntaxError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What unpacking a file that is no npz file, or a damaged one, raises."""


def read_inputs(path: Path) -> list[Array]:
    """One array per input: an npz file's arrays in their order, or the nested lists of a JSON list. Raises ClaimError."""
    try:
        if path.suffix == ".npz":
            return list(read_npz(path, MOST_BYTES).values())
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        found: Any = parse_json(path.read_text())
        if not isinstance(found, list):
            raise ValueError("it holds no list")
        return [np.asarray(one) for one in found]
    except (OSError, ValueError) as error:
        raise ClaimError(
            f"{path} can't be read as inputs ({error}); give an npz file, or a JSON list with one nested list per input, like [[0.5, 1.0]]"
        ) from None


def read_npz(path: Path, most: int) -> dict[str, Array]:
    """The arrays of an npz file by name, of ``most`` bytes together; their sizes are looked at before anything is unpacked. Raises
    ValueError for a file that holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > most:
                raise ValueError(f"its arrays have {unpacked:,} bytes, at most {most:,} are read")
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    _check_header(member, entry)
        with np.load(path) as file:
            return {key: file[key] for key in file.files}
    except _DAMAGED as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _check_header(member: Any, entry: zipfile.ZipInfo) -> None:
    """An array's header must not promise more than its file holds: room for it is made before it is read."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > entry.file_size:
        raise ValueError(f"{entry.filename} says {dtype} {shape}, which its {entry.file_size:,} bytes don't hold")
