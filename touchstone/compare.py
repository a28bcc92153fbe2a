"""Compare somebody's program with the float model that it claims to be."""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from prover.fidelity import Fidelity
from prover.model import Model
from rollup.errors import LoweringError
from rollup.program import Program


def function(name: str) -> Callable[..., Any]:
    """The function that ``module:function`` names, the working directory included in the search."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LoweringError(f"{name!r} names no function ({error}); write it as package.module:function") from None
    if not callable(found):
        raise LoweringError(f"{name!r} is a {type(found).__name__}; name a function of the model's inputs")
    result: Callable[..., Any] = found
    return result


def compare(program: Program, name: str, samples: Path) -> Fidelity:
    """Fidelity against ``module:function`` on the samples of an npz file: one array per input, samples along the first axis."""
    try:
        with np.load(samples) as file:
            arrays = [file[key] for key in file.files]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise LoweringError(f"{samples} is no npz file of plain arrays ({error}); write it with numpy.savez") from None
    inputs = program.header.inputs
    if len(arrays) != len(inputs) or any(array.shape[1:] != t.shape for array, t in zip(arrays, inputs, strict=True)):
        shapes = ", ".join(f"(n, {', '.join(map(str, tensor.shape))})" for tensor in inputs)
        raise LoweringError(f"{samples} has arrays of shapes {[a.shape for a in arrays]}, the program takes {shapes}")
    if len({len(array) for array in arrays}) != 1 or not len(arrays[0]):
        raise LoweringError(
            f"{samples} has {[len(array) for array in arrays]} samples; give as many, and at least one, for every input"
        )
    return Model(program, function(name)).fidelity([tuple(row) for row in zip(*arrays, strict=True)])
