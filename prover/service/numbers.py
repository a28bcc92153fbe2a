"""Nested lists of JSON as arrays, and arrays as nested lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from rollup.errors import ExecutionError

WORDS = {"b": "true or false", "U": "text", "S": "text", "O": "something that is no number of 64 bits"}


def array_of(nested: Any, name: str) -> np.ndarray:
    """A number or a nested list of numbers; raises ExecutionError naming the input ``name`` for anything else."""
    try:
        array = np.asarray(nested)
    except (ValueError, TypeError, OverflowError):
        raise ExecutionError(
            f"input {name} has lists of different lengths side by side, or nests too deep; send one of the model's shape"
        ) from None
    if array.size == 0 and array.dtype.kind == "f":
        # An empty list says nothing of what its elements would have been.
        return array.astype(np.int64)
    if array.dtype.kind not in "iuf" and not (array.dtype.kind == "b" and _flags(nested)):
        what = WORDS.get(array.dtype.kind, "something that is no number")
        raise ExecutionError(f"input {name} has {what} in it; send numbers alone")
    return array


def _flags(nested: Any) -> bool:
    """Whether these are booleans throughout: of a mixture NumPy would make numbers."""
    if isinstance(nested, list):
        return all(_flags(one) for one in nested)
    return isinstance(nested, bool)


def list_of(array: np.ndarray) -> Any:
    """The array as numbers of JSON; narrow floats by the value that they stand for."""
    return (array if array.dtype.kind in "iub" else array.astype(np.float64)).tolist()
