"""The prover: JAX functions become programs (``lower``), programs are executed, traces committed."""

from prover.language import LanguageModel, load_gguf
from prover.lower import lower
from prover.model import Model, load

__all__ = ["LanguageModel", "Model", "load", "load_gguf", "lower"]
