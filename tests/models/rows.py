"""Rows of the table: a measure, what it must be at least, and whether it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Show = Callable[[float], str]


@dataclass(frozen=True)
class Row:
    """One measured figure. ``met``: None where nothing is required."""

    model: str
    measure: str
    value: float
    shown: str
    required: str
    met: bool | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def plain(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def precise(value: float) -> str:
    return f"{value:.6f}"


def at_least(model: str, measure: str, value: float, bound: float, show: Show = plain) -> Row:
    return Row(model, measure, float(value), show(value), f"at least {show(bound)}", bool(value >= bound))


def at_most(model: str, measure: str, value: float, bound: float, show: Show = plain) -> Row:
    return Row(model, measure, float(value), show(value), f"at most {show(bound)}", bool(value <= bound))


def within(model: str, measure: str, ratio: float, bound: float) -> Row:
    """A ratio that may not exceed ``bound``, nor lie below its reciprocal."""
    return Row(model, measure, float(ratio), precise(ratio), f"within {bound}", bool(1 / bound <= ratio <= bound))


def every(model: str, measure: str, good: int, count: int) -> Row:
    """All of ``count``, of which there must be some."""
    return Row(model, measure, float(good), f"{good} of {count}", "all", bool(good == count and count > 0))


def figure(model: str, measure: str, value: float, show: Show = plain) -> Row:
    """Something that is published and has no bound."""
    return Row(model, measure, float(value), show(value), "", None)


HEAD = ("model", "measure", "value", "required", "")


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    met = {None: "", True: "met", False: "NOT MET"}
    return [(row.model, row.measure, row.shown, row.required, met[row.met]) for row in rows]


def text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [HEAD, *cells(rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(_padded(line, widths) for line in lines)


def _padded(line: Iterable[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
