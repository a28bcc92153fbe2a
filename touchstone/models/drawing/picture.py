"""The picture of a program, from its anatomy."""

from __future__ import annotations

from rollup.errors import AuditError
from touchstone.models.anatomy import Anatomy, printable
from touchstone.models.drawing.graph import graph
from touchstone.models.drawing.svg import draw


def picture(found: Anatomy) -> str:
    """The text of an SVG file; raises AuditError for a program that is not well-formed, whose ops have no certain operands."""
    if not found.sound:
        raise AuditError(
            "the program is not well-formed and has no graph; touchstone model audit says what is wrong with it"
        )
    name = found.program.meta.get("name")
    title = printable(name) if isinstance(name, str) and name else "A program"
    subtitle = (
        f"{found.program.id.hex()[:16]}...  {found.executed:,} ops, {found.constant_bytes:,} bytes of constants, "
        f"{found.trace_bytes:,} of trace; a step costs at most {found.gas or 0:,} gas"
    )
    return draw(graph(found), title[:80], subtitle)
