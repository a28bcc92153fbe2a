"""Where in the user's source an equation or an error came from."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend import source_info_util

_LIBRARY = Path(jax.__file__).parent
_PROJECT = Path(__file__).parents[2]
_FOREIGN = (
    str(_LIBRARY),
    str(Path(np.__path__[0])),
    *(str(_PROJECT / package) for package in ("prover", "rollup", "touchstone")),
)
"""Folders whose code is never the user's."""

_IMPORTER = Path(__file__).parent.parent / "onnx"


def source_of(eqn: Any) -> str:
    """``file:line (function)`` of the user's code that made the equation; empty if there is none.

    Of an imported model, the name of its node: the line would be one of the importer's.
    """
    summary = source_info_util.summarize(eqn.source_info)
    if summary and summary.startswith(str(_IMPORTER)):
        return str(eqn.source_info.name_stack)
    if not summary or summary.startswith((str(_LIBRARY), "<")):
        return ""
    path, _, rest = summary.partition(":")
    return f"{_shorter(path)}:{_line(rest)}"


def line_of(error: BaseException) -> str:
    """``file:line (function)`` of the user's code in which an error was raised, or which called what raised it; empty if there is none."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        code = frame.f_code
        if not code.co_filename.startswith(_FOREIGN):
            return f"{_shorter(code.co_filename)}:{line} ({code.co_qualname})"
    return ""


def _shorter(path: str) -> str:
    source = Path(path)
    try:
        return str(source.relative_to(Path.cwd()))
    except ValueError:
        return "/".join(source.parts[-2:])


def _line(rest: str) -> str:
    """``line:column (function)`` without the column."""
    numbers, _, function = rest.partition(" ")
    return " ".join(part for part in (numbers.split(":")[0], function) if part)
