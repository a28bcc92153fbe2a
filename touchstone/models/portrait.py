"""A program as the page shows it: its figures, and its graph as a picture."""

from __future__ import annotations

from rollup.errors import ProgramError
from rollup.form.program import Program
from rollup.service.logs import logger
from sequencer.api.page import Portrait
from touchstone.models.anatomy import anatomy
from touchstone.models.drawing import picture

_log = logger("touchstone.portrait")


def portrait(program: Program) -> Portrait:
    """The figures of any program; without a picture where Graphviz can't draw it."""
    found = anatomy(program)
    meta = program.meta
    fidelity, formats = meta.get("fidelity"), meta.get("formats")
    figures = {
        "ops": found.executed,
        "values": program.header.values,
        "constants": len(program.constants),
        "constant_bytes": found.constant_bytes,
        "trace_bytes": found.trace_bytes,
        "gas": found.gas,
        "formats": formats if isinstance(formats, str) else None,
        "sound": found.sound,
        "fidelity": fidelity if isinstance(fidelity, dict) else None,
    }
    try:
        return Portrait(figures, picture(found))
    except ProgramError as error:
        _log.warning("a model's graph can't be drawn", model=f"0x{program.id.hex()}", error=str(error))
        return Portrait(figures, None)
