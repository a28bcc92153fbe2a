"""Lowering: a float JAX function becomes a program of integers (DESIGN D2, D4).

capture -> fold constants -> simplify -> balance -> plan -> calibrate -> rules (fuse, lay out, choose formats) -> emit -> audit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from prover import keys
from prover.builder import Builder
from prover.capture import Graph, capture
from prover.draft import Const, Tensor, View
from prover.fidelity import Fidelity, fidelity_of
from prover.formats import Formats, formats_named
from prover.memory import give_back
from prover.model import Compiled, Model, described, evaluated, function_name
from prover.passes.balance import balanced
from prover.passes.calibrate import calibrate
from prover.passes.fold import fold
from prover.passes.inputs import input_formats
from prover.passes.plan import plan
from prover.passes.simplify import simplify
from prover.rules.context import Context, Item
from prover.rules.movement import copied
from rollup.audit import audit
from rollup.encoding import TensorType
from rollup.errors import LoweringError
from rollup.ops import Term
from rollup.program import Program

LOG = logging.getLogger(__name__)
REPORTED = 32
"""Calibration samples on which the fidelity of a fresh model is measured."""


def lower(
    fn: Callable[..., Any],
    *example_inputs: Any,
    formats: str | Formats = "w16a16",
    calibration: Sequence[tuple[Any, ...]] | None = None,
) -> Model:
    """Turn ``fn`` into an integer program.

    ``example_inputs``: arrays (or trees of arrays) like those of a claim; their shapes and dtypes become the program's inputs (a
    typed random key becomes its data, uint32), while arrays that ``fn`` closes over become weights. ``formats``: a name
    (``prover.formats``) or Formats. ``calibration``: a sequence of input tuples that choose the fixed-point formats; None uses the
    example inputs alone, and says so.

    Raises UnsupportedError for a primitive without a rule (naming it and its source line), LoweringError for a function that
    cannot become a program, AuditError if an op could not be adjudicated on chain.
    """
    chosen = formats if isinstance(formats, Formats) else formats_named(formats)
    if not example_inputs:
        raise LoweringError(
            "lower needs at least one example input: a claim is about an input, pass arrays of its shape and dtype"
        )
    if calibration is None:
        LOG.warning(
            "no calibration samples: formats are chosen from the example inputs alone; pass calibration=[...] for better ones"
        )
    given = list(calibration) if calibration else [tuple(example_inputs)]
    compiled: Compiled = {}
    program = _program(fn, example_inputs, chosen, given, None if calibration is None else len(given), compiled)
    model = Model(program, fn, compiled=compiled).measuring()
    report = model.fidelity(given[:REPORTED])
    model = model.noted(fidelity={"calibration": report.to_json()})
    for warning in report.warnings:
        LOG.warning(
            "%s: %s, on its own calibration samples; give formats with wider values (w16a16/8), or a target",
            program.meta["name"],
            warning,
        )
    LOG.info("lowered %s: %d ops, model id %s\n%s", program.meta["name"], len(program.ops), program.id.hex(), report)
    return model


def measured(model: Model, calibration: Sequence[tuple[Any, ...]]) -> Fidelity:
    """The fidelity of a fresh model on its calibration samples; it is known already unless there were more than ``REPORTED``."""
    found = fidelity_of(model.program.meta)
    return found if found and found.samples == len(calibration) else model.measuring().fidelity(calibration)


def _program(
    fn: Callable[..., Any],
    example_inputs: tuple[Any, ...],
    chosen: Formats,
    given: Sequence[Any],
    samples_noted: int | None,
    compiled: Compiled,
) -> Program:
    """The audited program; whatever was needed on the way there is let go of."""
    graph, in_tree, out_tree = capture(fn, example_inputs)
    samples = [_flat(sample, in_tree, graph) for sample in given]
    graph = balanced(simplify(fold(graph, inside=False)), samples)
    ranges = calibrate(graph, samples, plan(graph))

    def floats(leaves: Sequence[Any]) -> list[np.ndarray]:
        typed = [keys.typed(x, like) for x, like in zip(leaves, jax.tree.leaves(example_inputs), strict=True)]
        return evaluated(fn, compiled, jax.tree.unflatten(in_tree, typed))

    folded = fold(graph)
    builder = Builder(chosen)
    context = Context(builder, ranges)
    inputs: list[Item] = []
    types = []
    for var, form in zip(graph.inputs, input_formats(graph, ranges, chosen, floats, samples), strict=True):
        tensor = builder.add_input(form.dtype, int(np.prod(var.shape, dtype=np.int64)), form.low, form.high)
        types.append(TensorType(form.dtype, form.scale, var.shape))
        view = View(tensor, var.shape, (0,) * len(var.shape), tuple(Term(d, d, 1) for d in range(len(var.shape))))
        inputs.append(builder.loaded(view, var.shape, var.dtype, form.scale, ranges[var]))
    results = context.run(folded, inputs)
    outputs = [_output(context, item, operand) for item, operand in zip(results, graph.outputs, strict=True)]
    meta = {
        "name": function_name(fn),
        "formats": chosen.name,
        "calibration": "example inputs" if samples_noted is None else f"{samples_noted} samples",
    }
    program = builder.program(types, outputs, described(fn, graph, in_tree, out_tree), meta)
    audit(program)
    give_back()
    return program


def _flat(sample: Any, tree: Any, graph: Graph) -> list[Any]:
    """A calibration sample's arrays, checked against the example inputs."""
    if not isinstance(sample, tuple):
        raise LoweringError(
            f"a calibration sample is a tuple of inputs, not {type(sample).__name__}; write (x,) for a single input"
        )
    leaves, structure = jax.tree.flatten(sample)
    if structure != tree:
        raise LoweringError(
            f"a calibration sample has the structure {structure}, the example inputs have {tree}; give the same arguments"
        )
    leaves = [keys.data(leaf) for leaf in leaves]
    for number, (leaf, var) in enumerate(zip(leaves, graph.inputs, strict=True)):
        if np.shape(leaf) != var.shape:
            raise LoweringError(
                f"input {number} of a calibration sample has shape {np.shape(leaf)}, the example input has {var.shape}"
            )
    return [np.asarray(leaf, dtype=var.dtype) for leaf, var in zip(leaves, graph.inputs, strict=True)]


def _output(context: Context, item: Item, operand: Any) -> tuple[Tensor, TensorType]:
    """An output in memory, row-major: its tensor and its type."""
    context.builder.where = "output"
    draft = context.drafted(item, operand.dtype)
    if isinstance(item, Const) or draft.as_view() is None:
        draft = context.builder.materialised(draft if draft.order is None else replace(draft, order=None, memo={}))
    view = draft.as_view()
    assert view is not None
    if view.tensor.root is not None or not view.row_major(draft.shape):
        draft = copied(context, draft)
        view = draft.as_view()
        assert view is not None
    return view.tensor, TensorType(view.tensor.dtype, draft.scale, draft.shape)
