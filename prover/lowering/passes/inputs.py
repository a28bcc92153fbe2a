"""How fine the grid of a real input has to be: the float function itself is asked what it makes of rounded inputs.

One format serves all elements of an input, and calibration knows its largest magnitude alone. A table whose columns differ by orders
of magnitude, a threshold between two close values, a division by a small deviation: each needs more than that, and the function tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from prover.lowering.formats import Format, Formats, integer_dtype, integer_range, is_real
from prover.lowering.graph import FloatGraph, Var
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.plan import POSTED_ELEMENTS
from rollup.errors import LoweringError
from rollup.form.encoding import TensorType
from rollup.form.program import Program
from rollup.numbers import number_text, quantised
from rollup.types import DType

KEPT_LOSS = 2.0**-12
"""Of an output's range: what the rounding of one input to int16 may change there."""

FEW_LOSS = 2.0**-15
"""The same of a small input, whose bytes are not what a claim costs."""

LOSS = 2.0**-14
"""The same of int32, which costs twice the bytes already."""

ASKED = 256
"""Most samples on which the function is asked."""

ASKED_ELEMENTS = 1 << 24
"""Elements of all values together that it may compute for them."""

FEW = 4
"""Most numbers of an input that is like a mask, whose samples say nothing of other numbers."""

COARSE = 2.0**-3
"""From this step on, other numbers than those of the samples are lost on it: a softmax tells far smaller differences apart."""

Floats = Callable[[Sequence[Any]], Sequence[np.ndarray]]
"""The float function of an input tuple's arrays, flat."""


def input_formats(
    graph: FloatGraph, ranges: dict[Var, RealRange], formats: Formats, floats: Floats, samples: Sequence[Sequence[Any]]
) -> list[Format]:
    """A format for every input of the graph; raises LoweringError for a dtype that has none."""
    size = sum(math.prod(var.shape) for node in graph.nodes for var in node.outputs)
    asked = samples[: max(1, min(ASKED, ASKED_ELEMENTS // max(1, size)))]
    found: list[Format] = []
    expected: list[Sequence[np.ndarray]] = []
    for number, var in enumerate(graph.inputs):
        if var.dtype.kind in "iub":
            found.append(Format(integer_dtype(var.dtype), 0, *integer_range(var.dtype)))
            continue
        if not is_real(var.dtype):
            raise LoweringError(
                f"an input of dtype {var.dtype} has no fixed-point format; use floats, integers or booleans"
            )
        candidates = formats.inputs(ranges[var])
        if ranges[var].hint.exact:
            exact = (form for form in candidates if all(_on_grid(sample[number], form) for sample in asked))
            found.append(next(exact, candidates[-1]))
            continue
        expected = expected or [floats(sample) for sample in asked]
        found.append(_chosen(number, var, candidates, floats, asked, expected))
    return found


def coarse(program: Program, samples: Sequence[tuple[Any, ...]]) -> list[str]:
    """What is to be known of inputs whose samples are a few numbers with a huge spread, as those of a mask are: a clause each."""
    columns = zip(*(jax.tree.leaves(sample) for sample in samples[:ASKED]), strict=True)
    ports = zip(program.interface.inputs, program.header.inputs, columns, strict=True)
    found = []
    for port, tensor, column in ports:
        step = 2.0**-tensor.scale
        if port.real and step >= COARSE and (shown := _few(column)):
            some = (
                f"{', '.join(f'{number:g}' for number in shown[:-1])} or {shown[-1]:g}"
                if shown[1:]
                else f"{shown[0]:g}"
            )
            found.append(
                f"input {port.name}: its step is {number_text(step)}, chosen for samples that are {some}; other numbers are rounded to "
                "that, so give samples with all numbers that the model will see"
            )
    return found


def _few(column: Sequence[Any]) -> list[float]:
    """The numbers of a column of samples, smallest magnitude first; nothing if they are more than a few."""
    seen: set[float] = set()
    for array in column:
        seen |= set(np.unique(np.asarray(array, np.float64)).tolist())
        if len(seen) > FEW:
            return []
    return sorted(seen, key=abs)


def _chosen(
    number: int,
    var: Var,
    candidates: Sequence[Format],
    floats: Floats,
    samples: Sequence[Sequence[Any]],
    expected: Sequence[Sequence[np.ndarray]],
) -> Format:
    """The coarsest format that loses little, or twice what the finest loses: a function that jumps loses that anyway."""
    losses: list[float] = []
    kept = FEW_LOSS if math.prod(var.shape) <= POSTED_ELEMENTS else KEPT_LOSS
    for form in candidates:
        losses.append(_loss(number, var, form, floats, samples, expected))
        if losses[-1] <= (kept if form.dtype is DType.I16 else LOSS):
            return form
    least = 2 * min(losses)
    return next(form for form, loss in zip(candidates, losses, strict=True) if loss <= least)


def _on_grid(array: Any, form: Format) -> bool:
    """Whether the format holds an array as it is."""
    scaled = np.asarray(array, np.float64) * 2.0**form.scale
    return bool(np.all((scaled == np.rint(scaled)) & (scaled >= form.low) & (scaled <= form.high)))


def _loss(
    number: int,
    var: Var,
    form: Format,
    floats: Floats,
    samples: Sequence[Sequence[Any]],
    expected: Sequence[Sequence[np.ndarray]],
) -> float:
    """What changes most, of its output's range, when the input is rounded to the format; 1 for an integer that changes."""
    tensor = TensorType(form.dtype, form.scale, var.shape)
    changed: list[float] = [0.0] * len(expected[0])
    ends = [(math.inf, -math.inf)] * len(expected[0])
    for sample, wanted in zip(samples, expected, strict=True):
        rounded = list(sample)
        exact = quantised(np.asarray(sample[number], np.float64), tensor) * 2.0**-form.scale
        rounded[number] = exact.astype(var.dtype)
        for at, (a, b) in enumerate(zip(floats(rounded), wanted, strict=True)):
            if not is_real(b.dtype):
                changed[at] = max(changed[at], float(np.any(a != b)))
                continue
            a, b = a.astype(np.float64), b.astype(np.float64)
            known = np.isfinite(a) & np.isfinite(b)
            if known.any():
                changed[at] = max(changed[at], float(np.abs(a[known] - b[known]).max()))
                ends[at] = min(ends[at][0], float(b[known].min())), max(ends[at][1], float(b[known].max()))
    return max(
        loss if not is_real(output.dtype) else loss / ((high - low) or abs(high) or 1.0) if loss else 0.0
        for loss, (low, high), output in zip(changed, ends, expected[0], strict=True)
    )
