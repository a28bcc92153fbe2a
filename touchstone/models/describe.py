"""A program in words, for ``touchstone model show``."""

from __future__ import annotations

from collections.abc import Sequence

from prover.fidelity import fidelity_of
from rollup.form.encoding import TensorType
from rollup.numbers import number_text
from touchstone.columns import aligned
from touchstone.models.anatomy import POLICIES, Anatomy, Part, dims
from touchstone.models.fidelity_table import fidelity_table

WIDTH = 120
COLUMNS = ("op", "times", "output", "scale", "reduces", "code", "constants", "trace", "gas bound", "made by")
WORDS = {2, 4, 9}
"""Columns of text; the others are numbers, set to the right."""

AUTHOR = ", as the model's author says (touchstone model audit --against computes it again)"

CELL = 22
"""Characters of a shape or a reduction."""


def describe(found: Anatomy) -> str:
    """Model id, trace, constants, inputs, outputs, fidelity, and a table of all ops with totals; at most 120 columns."""
    program = found.program
    header = program.header
    lines = [
        f"model     {program.id.hex()}",
        f"trace     {header.values:,} values, {found.trace_bytes:,} bytes, committed {POLICIES[header.policy]}; "
        f"{1 << program.depth:,} leaves in the tree ({header.trace_depth} + {header.tensor_depth} levels)",
        f"constants {len(program.constants):,}, {found.constant_bytes:,} bytes",
        f"products  {found.weighted:,} with weights, {found.wide:,} of them of values of more than 16 bits",
    ]
    ports = program.interface
    lines += [
        f"input     {port.name}, {port.dtype}, value {value}: {_tensor(tensor)}{_ends(tensor) if port.real else ''}"
        for value, (port, tensor) in enumerate(zip(ports.inputs, header.inputs, strict=True))
    ]
    lines += [
        f"output    {port.name}, {port.dtype}, value {value}: {_tensor(tensor)}"
        for port, (value, tensor) in zip(ports.outputs, header.outputs, strict=True)
    ]
    lines += fidelity_table(
        {"calibration": fidelity_of(program.meta), "held out": fidelity_of(program.meta, "held_out")}, AUTHOR
    )
    lines += ["", *table(found.parts)]
    if not found.sound:
        lines.append("not well-formed, so that no proof has a bound: touchstone model audit says what is wrong")
    return "\n".join(line if len(line) <= WIDTH else line[: WIDTH - 3] + "..." for line in lines)


def table(parts: Sequence[Part]) -> list[str]:
    """A row an op, and one of totals: bytes are added up (a constant of several ops once), of the gas bounds it is the largest."""
    rows = [COLUMNS, *map(_row, parts)]
    gas = max((part.gas for part in parts if part.gas is not None), default=None)
    total = (
        str(len(parts)), f"{sum(part.times for part in parts):,}", "", "", "", f"{sum(part.instructions for part in parts):,}",
        f"{sum(part.fresh for part in parts):,}", f"{sum(part.trace_bytes for part in parts):,}", _number(gas),
        "in all (gas: the dearest)",
    )  # fmt: skip
    rows.append(total)
    lines = aligned(rows, WORDS)
    rule = "-" * min(WIDTH, max(map(len, lines)))
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _row(part: Part) -> tuple[str, ...]:
    over = f"{part.reduction} {dims(part.domain)}" if part.domain else "-"
    over += f" by {part.part}" if part.part else ""
    return (
        str(part.op),
        f"{part.times:,}",
        _cut(part.output),
        "-" if part.scale is None else str(part.scale),
        _cut(over),
        str(part.instructions),
        f"{part.constants:,}" if part.constants else "-",
        f"{part.trace_bytes:,}",
        _number(part.gas),
        brief(part.made_by),
    )


def brief(made_by: str) -> str:
    """``primitive file:line (function)`` without the file's folders and the functions around the innermost named one."""
    primitive, _, place = made_by.partition(" ")
    file, _, function = place.partition(" ")
    named = [part for part in function.strip("()").split(".") if part and not part.startswith("<")]
    return " ".join(part for part in (primitive, file.rpartition("/")[2], f"({named[-1]})" if named else "") if part)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _cut(text: str) -> str:
    return text if len(text) <= CELL else text[: CELL - 3] + "..."


def _ends(tensor: TensorType) -> str:
    """An input's step and range as reals."""
    unit = 2.0**-tensor.scale
    low, high = (f"{end * unit:.6g}" for end in (tensor.dtype.min, tensor.dtype.max))
    return f", step {number_text(unit)}, {low} to {high}"


def _tensor(tensor: TensorType) -> str:
    return f"{tensor.dtype.name.lower()}[{dims(tensor.shape)}], real = integer * 2^{-tensor.scale}"
