"""One pipeline through lowering: the program's answers against onnxruntime's on every row, and what a proof costs at most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import onnxruntime

import prover
from prover.onnx.model import read
from touchstone.models.anatomy import anatomy

BATCH = 64
"""Rows of one claim."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Measured:
    """``wrong``: rows whose class is not onnxruntime's; ``error``: the largest difference of a score or value, as a share of their
    range; ``gas``: the dearest step's bound."""

    rows: int
    wrong: int
    error: float
    ops: int
    constants: int
    trace: int
    gas: int
    dearest: str


def batches(rows: Array) -> list[Array]:
    """The rows in claims, the last one filled up with its last row."""
    size = min(BATCH, len(rows))
    parts = [rows[j : j + size] for j in range(0, len(rows), size)]
    return [np.pad(part, ((0, size - len(part)), (0, 0)), mode="edge") for part in parts]


def reference(model: bytes, rows: Array) -> list[Array]:
    """onnxruntime's outputs; the maps that ZipMap makes are tables again."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    results = session.run(None, {session.get_inputs()[0].name: rows})
    return [np.asarray([list(row.values()) for row in x], np.float32) if isinstance(x, list) else x for x in results]


def measured(name: str, model: bytes, rows: Array, known: Array) -> Measured:
    """Lowered with the rows it was trained on as calibration, compared on all."""
    loaded = read(model, name, Path())
    samples = [(batch,) for batch in batches(rows[known])]
    lowered = prover.lower(loaded.fn, *samples[0], calibration=samples)
    parts = [jax.tree.leaves(lowered.predict(batch)) for batch in batches(rows)]
    got = [np.concatenate([np.asarray(part) for part in column])[: len(rows)] for column in zip(*parts, strict=True)]
    wrong, error = 0, 0.0
    for mine, other in zip(got, reference(model, rows), strict=True):
        assert mine.shape == other.shape, (name, mine.shape, other.shape)
        if other.dtype.kind in "iu":
            wrong += int(np.sum(mine != other))
        else:
            spread = float(other.max() - other.min()) or 1.0
            error = max(error, float(np.abs(mine.astype(np.float64) - other).max()) / spread)
    parts_of = anatomy(lowered.program)
    gas = parts_of.gas
    assert gas is not None, name
    dearest = max(parts_of.parts, key=lambda part: part.gas or 0)
    return Measured(
        len(rows),
        wrong,
        error,
        len(lowered.program.ops),
        parts_of.constant_bytes,
        parts_of.trace_bytes,
        gas,
        dearest.made_by.split()[0],
    )
