"""A model's inputs from a file, for the commands that run one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rollup.errors import ClaimError
from rollup.program import parse_json

MOST_BYTES = 64 << 20


def read_inputs(path: Path) -> list[np.ndarray]:
    """One array per input: an npz file's arrays in their order, or the nested lists of a JSON list. Raises ClaimError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        if path.suffix == ".npz":
            with np.load(path) as file:
                return [file[key] for key in file.files]
        found: Any = parse_json(path.read_text())
        if not isinstance(found, list):
            raise ValueError("it holds no list")
        return [np.asarray(one) for one in found]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ClaimError(
            f"{path} can't be read as inputs ({error}); give an npz file, or a JSON list with one nested list per input, like [[0.5, 1.0]]"
        ) from None
