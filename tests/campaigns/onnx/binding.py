"""Inputs that say shapes: a program has static shapes, so they are known when it is made.

The suite gives operands such as Reshape's ``shape`` or TopK's ``k`` as inputs of the graph, where a model in use has constants or
what it computes from shapes. The importer says which inputs it must know; these, and those without elements (of which only the type
is read), are fixed to the test's values. All others stay inputs of the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from prover.onnx import NeedsConstant, OnnxModel


def bound(model: OnnxModel, inputs: Sequence[Any]) -> tuple[OnnxModel, dict[str, Any]]:
    """(the model with fixed inputs, the values of the inputs that are left, by name)."""
    left = {port.name: np.asarray(value) for port, value in zip(model.inputs, inputs, strict=True)}
    fixed: Mapping[str, Any] = {name: value for name, value in left.items() if value.size == 0}
    while True:
        model = model.fixed(**fixed)
        left = {name: value for name, value in left.items() if name not in fixed}
        try:
            jax.eval_shape(model.fn, *left.values())
        except NeedsConstant as error:
            # Inside a function the importer can't tell its inputs apart: shapes, axes and counts are integers.
            named = {name: left[name] for name in error.inputs if name in left}
            fixed = {name: value for name, value in named.items() if value.dtype.kind in "iu"} or named
            if not fixed:
                raise
            continue
        return model, left
