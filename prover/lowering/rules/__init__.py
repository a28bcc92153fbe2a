"""Lowering rules: one per JAX primitive, in one table (``RULES``)."""

from prover.lowering.rules import (
    arithmetic,
    bits,
    comparison,
    control,
    conversion,
    convolution,
    functions,
    indexing,
    linear,
    movement,
    reduction,
)
from prover.lowering.rules.context import RULES, Context

__all__ = [
    "RULES",
    "Context",
    "arithmetic",
    "bits",
    "comparison",
    "control",
    "conversion",
    "convolution",
    "functions",
    "indexing",
    "linear",
    "movement",
    "reduction",
]
