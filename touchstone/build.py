"""Lower a JAX function of one's own, for ``touchstone model build``."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prover import Model, lower
from rollup.errors import LoweringError
from touchstone.compare import function

Array = np.ndarray


def build(name: str, samples: str, formats: str = "w16a16") -> Model:
    """Lower ``module:function``; ``samples`` is an npz file or another ``module:function``, and serves as example inputs,
    for calibration and for the fidelity report. Raises LoweringError.
    """
    columns = read_samples(samples)
    rows = [tuple(row) for row in zip(*columns, strict=True)]
    return lower(function(name), *rows[0], formats=formats, calibration=rows)


def read_samples(source: str) -> list[Array]:
    """One array per input, the samples along the first axis; raises LoweringError for anything else."""
    columns = _from_file(Path(source)) if source.endswith(".npz") else _from_function(source)
    if not columns or any(column.ndim == 0 for column in columns) or len({len(column) for column in columns}) != 1:
        shapes = [column.shape for column in columns]
        raise LoweringError(
            f"{source} gives arrays of shapes {shapes}; give one array per input, each with as many samples along the first axis"
        )
    if not len(columns[0]):
        raise LoweringError(f"{source} gives no samples; at least one is needed to choose number formats")
    return columns


def _from_file(path: Path) -> list[Array]:
    try:
        with np.load(path) as file:
            return [file[key] for key in file.files]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise LoweringError(f"{path} is no npz file of plain arrays ({error}); write it with numpy.savez") from None


def _from_function(name: str) -> list[Array]:
    given: Any = function(name)()
    columns: Sequence[Any] = given if isinstance(given, tuple | list) else [given]
    try:
        return [np.asarray(column) for column in columns]
    except ValueError as error:
        raise LoweringError(f"{name} returned no arrays ({error}); return one array per input, or a tuple") from None


def summary(model: Model) -> list[tuple[str, str]]:
    """What a person wants to know of a fresh model: (label, value)."""
    program = model.program
    trace = sum(tensor.bytes for tensor in program.header.inputs) + sum(op.bytes * op.repeat for op in program.ops)
    fidelity = program.meta["fidelity"]
    outputs = fidelity["outputs"]
    return [
        ("model", "0x" + program.id.hex()),
        ("ops", f"{sum(op.repeat for op in program.ops)} ({len(program.ops)} descriptors)"),
        ("trace", f"{trace:,} bytes in {program.header.values} values"),
        (
            "fidelity",
            f"over {fidelity['samples']} samples: largest difference "
            f"{100 * max(output['relative'] for output in outputs):.3g} % of the range, "
            f"agreement {100 * min(output['agreement'] for output in outputs):.2f} %, "
            f"{fidelity['saturated_inputs']} input elements saturated",
        ),
    ]
