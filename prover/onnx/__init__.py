"""The ONNX front end: a model file becomes a JAX float function, which is lowered like any other."""

from prover.onnx.model import OnnxModel, load_onnx
from prover.onnx.node import NeedsConstant

__all__ = ["NeedsConstant", "OnnxModel", "load_onnx"]
