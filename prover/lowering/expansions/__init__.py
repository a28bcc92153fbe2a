"""Expansions: primitives that JAX itself writes with simpler ones, so that every step of them is calibrated and traced.

``EXPANSIONS`` maps a primitive to a JAX function of its operands and parameters. Constant operands arrive as NumPy arrays. An
expansion that cannot serve raises UnsupportedError with the reason and the remedy; where its own primitive is applied again, that
application is left to a rule.
"""

from prover.lowering.expansions import functions, ordering, products, random, scatter
from prover.lowering.expansions.table import EXPANSIONS

__all__ = ["EXPANSIONS", "functions", "ordering", "products", "random", "scatter"]
