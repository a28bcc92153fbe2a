"""The prover: JAX functions become programs (``lower``), programs are executed, traces committed."""

from prover.lower import lower
from prover.model import Model, load

__all__ = ["Model", "load", "lower"]
