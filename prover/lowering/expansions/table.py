"""The table of expansions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Expansion = Callable[..., Any]
"""Operands and the primitive's parameters in; an array or a sequence of arrays out."""

EXPANSIONS: dict[str, Expansion] = {}


def expansion(*names: str) -> Callable[[Expansion], Expansion]:
    """Register a function as the expansion of primitives."""

    def register(fn: Expansion) -> Expansion:
        for name in names:
            assert name not in EXPANSIONS, name
            EXPANSIONS[name] = fn
        return fn

    return register
