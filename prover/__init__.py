"""The prover: JAX functions become programs (``lower``), programs are executed, traces committed."""

from prover.language.language import LanguageModel, load_gguf
from prover.lowering.lower import lower
from prover.model import Model, load
from prover.onnx import OnnxModel, load_onnx

__all__ = ["LanguageModel", "Model", "OnnxModel", "load", "load_gguf", "load_onnx", "lower"]
