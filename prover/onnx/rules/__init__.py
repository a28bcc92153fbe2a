"""One rule per ONNX op, in one table (``prover.onnx.node.RULES``); a file holds a family."""

from prover.onnx import control
from prover.onnx.rules import (
    activation,
    attention,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    movement,
    normalisation,
    pooling,
    quantisation,
    recurrent,
    reduction,
    resize,
    sampling,
    spectral,
)

__all__ = [
    "activation",
    "attention",
    "control",
    "convolution",
    "creation",
    "elementwise",
    "indexing",
    "linear",
    "movement",
    "normalisation",
    "pooling",
    "quantisation",
    "recurrent",
    "reduction",
    "resize",
    "sampling",
    "spectral",
]
