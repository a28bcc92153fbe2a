"""Compare somebody's program with the float model that it claims to be: its outputs, or all of its values."""

from __future__ import annotations

from collections.abc import Sequence

from prover.language.language import EMBEDDING_OUTPUTS
from prover.lowering.precision import Compared
from prover.model import Model
from rollup.form.program import Program
from touchstone.columns import aligned
from touchstone.models.origins import opened
from touchstone.models.samples import Sample, read_samples

COLUMNS = ("value", "format", "scale", "float range", "rms", "largest", "saturated", "made by")
TEXT = {1, 3, 7}
"""Columns of text; the others are numbers, set to the right."""

LOST = "precision is lost here"


def by_value(program: Program, source: str, samples: str) -> list[Compared]:
    """The same of every value, from input to output; raises LoweringError, too, where the program was lowered from something else."""
    model, rows = fitted(program, source, samples)
    return model.compared(rows)


def fitted(program: Program, source: str, samples: str) -> tuple[Model, list[Sample]]:
    """The program with its float model (a JAX function, an ONNX or a GGUF file), and samples as ``touchstone.models.samples`` reads them.

    Raises LoweringError or ExecutionError for a model or samples that do not fit the program.
    """
    outputs = {port.name for port in program.interface.outputs}
    origin = opened(source, embedding=source.lower().endswith(".gguf") and outputs == EMBEDDING_OUTPUTS)
    text = samples.endswith(".txt") and program.header.inputs
    length = program.header.inputs[0].elements if text else None
    # For measuring alone: what an inexact machine would change is a figure.
    model, rows = Model(program, origin.fn, compact=True), read_samples(samples, origin, length)
    model.quantize(*rows[0])
    return model, rows


def table(found: Sequence[Compared]) -> list[str]:
    """A row a value; the first one in which precision is lost is marked, and named once more below."""
    first = first_lost(found)
    rows: list[Sequence[str]] = [COLUMNS, *(_row(one, one is first) for one in found)]
    return [
        *aligned(rows, TEXT),
        "precision is lost nowhere" if first is None else f"precision is lost first in {first}",
    ]


def first_lost(found: Sequence[Compared]) -> Compared | None:
    """The first value in which precision is lost."""
    return next((one for one in found if one.lost), None)


def _row(one: Compared, first: bool) -> Sequence[str]:
    scale = "" if one.scale is None else str(one.scale)
    if one.low is None or one.high is None or one.rms is None or one.largest is None:
        figures = ["-", "-", "-"]
    else:
        figures = [f"{one.low:.4g} to {one.high:.4g}", f"{one.rms:.1e}", f"{one.largest:.1e}"]
    saturated = f"{one.saturated:,}" if one.saturated else ""
    return str(one.value), one.dtype, scale, *figures, saturated, f"{one.name}  <- {LOST}" if first else one.name
