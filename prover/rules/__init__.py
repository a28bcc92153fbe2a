"""Lowering rules: one per JAX primitive, in one table (``RULES``)."""

from prover.rules import control, elementwise, indexing, linear, movement, reduction
from prover.rules.context import RULES, Context

__all__ = ["RULES", "Context", "control", "elementwise", "indexing", "linear", "movement", "reduction"]
