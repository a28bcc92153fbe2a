"""Questions inside an element, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def inside(asked: Mapping[str, Any]) -> str:
    """Element, level, and which parts of the reduction; from level 1 on the partial result that is disputed."""
    from rollup.game.question import question_of_json
    from rollup.types import Gindex

    covers = question_of_json(Gindex(1), asked).covers()
    parts = f"part {covers.start}" if len(covers) == 1 else f"parts {covers.start}-{covers.stop - 1}"
    said = asked["value"]
    if said is not None and asked["monoid"].startswith("arg"):
        said = f"{said} at {asked['position']}"
    words = f"element {asked['element']}, level {asked['level']}, {parts} of {asked['parts']}"
    return words if said is None else f"{words}, {asked['monoid']} {said}"
