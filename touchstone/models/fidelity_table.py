"""How close a program comes to its float function, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prover.fidelity import Fidelity, divergence_text
from touchstone.columns import aligned

COLUMNS = ("", "largest", "mean", "of range", "top-1", "cosine", "KL", "saturated")
NAME = 24
"""Characters of an output's name that are shown."""

INDENT = " " * 10


def fidelity_table(measured: Mapping[str, Fidelity | None], word: str = "") -> list[str]:
    """A row an output, by the samples that it was measured on; nothing for what was not measured. ``word``: whose figures they are."""
    rows: list[Sequence[str]] = []
    for which, fidelity in measured.items():
        rows += [] if fidelity is None else _rows(which, fidelity)
    if not rows:
        return []
    rows.insert(0, COLUMNS)
    return [f"fidelity  against the float function{word}", *(f"{INDENT}{line}" for line in aligned(rows, {0}))]


def _rows(which: str, fidelity: Fidelity) -> list[Sequence[str]]:
    blank = [""] * (len(COLUMNS) - 1)
    rows: list[Sequence[str]] = [(f"{which}, {fidelity.samples} samples", *blank)]
    for output in fidelity.outputs:
        name = output.name if len(output.name) <= NAME else output.name[: NAME - 3] + "..."
        real = output.real
        rows.append(
            (
                f"  {name}",
                f"{output.largest:.3g}",
                f"{output.mean:.3g}",
                f"{100 * output.relative:.4f} %" if real else "-",
                "-" if output.agreement is None else f"{100 * output.agreement:.2f} %",
                "-" if output.cosine is None else f"{output.cosine:.7f}",
                "-" if output.kl is None else divergence_text(output.kl),
                f"{output.saturated:,} of {output.elements:,}" if real else "-",
            )
        )
        if output.infinite:
            rows.append((f"  {output.infinite:,} elements of {name} are infinite or NaN in float", *blank))
    if fidelity.saturated_inputs:
        rows.append((f"  {fidelity.saturated_inputs:,} input elements saturated", *blank))
    return rows
