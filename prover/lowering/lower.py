"""Lowering: a float JAX function becomes a program of integers.

capture -> fold constants -> simplify -> balance -> plan -> calibrate -> divide channels -> compensate (8-bit weights) -> rules (fuse, lay
out, choose formats) -> emit -> audit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from prover import progress
from prover.fidelity import FAR, Fidelity, fidelity_of
from prover.interfaces import described, function_name
from prover.lowering import keys
from prover.lowering.capture import capture
from prover.lowering.channels.dividing import narrowed
from prover.lowering.channels.exponents import narrow_operands
from prover.lowering.channels.magnitudes import Magnitudes
from prover.lowering.channels.operands import unseen, weight_operands
from prover.lowering.emit.builder import Builder
from prover.lowering.emit.lazy import Const
from prover.lowering.emit.views import ProgramTensor, StridedView
from prover.lowering.formats import Format, Formats, formats_named, is_real, uncut
from prover.lowering.graph import FloatGraph, Var
from prover.lowering.memory import give_back
from prover.lowering.passes.balance import balanced
from prover.lowering.passes.calibrate import RealRange, calibrate
from prover.lowering.passes.compensate import compensated
from prover.lowering.passes.fold import fold
from prover.lowering.passes.inputs import coarse, input_formats
from prover.lowering.passes.levels import levelled, levels, roots
from prover.lowering.passes.noise import rounding_costs
from prover.lowering.passes.plan import plan
from prover.lowering.passes.simplify import simplified
from prover.lowering.precision import pairs
from prover.lowering.rules.context import Context, Item
from prover.lowering.rules.movement import copied
from prover.model import Compiled, Model, evaluated
from rollup.audit import audit
from rollup.errors import LoweringError
from rollup.form.encoding import TensorType
from rollup.form.ops import Term
from rollup.form.program import Program
from rollup.types import DType

LOG = logging.getLogger(__name__)
REPORTED = 32
"""Calibration samples on which the fidelity of a fresh model is measured."""

CLOSE = 2.5e-3
"""Of an output's range: how close a program shall come that is lowered again, since it was farther than ``FAR`` from the float function."""

WIDER = "give formats with wider values (w16a16/8)"
"""The remedy for what rounding costs."""

LARGEST = 16.0
"""Times that the largest difference of an output exceeds the root mean square that is expected of rounding."""

ATTEMPTS = 3
"""Times that a program is lowered again; each allows less noise than the one before."""

NOISE_SAMPLES = 2
"""Calibration samples on which the cost of rounding is measured."""


def lower(
    fn: Callable[..., Any],
    *example_inputs: Any,
    formats: str | Formats = "w16a16",
    calibration: Sequence[tuple[Any, ...]] | None = None,
) -> Model:
    """Turn ``fn`` into an integer program.

    ``example_inputs``: arrays (or trees of arrays) like those of a claim; their shapes and dtypes become the program's inputs (a
    typed random key becomes its data, uint32), while arrays that ``fn`` closes over become weights. ``formats``: a name
    (``prover.lowering.formats``) or Formats. ``calibration``: a sequence of input tuples that choose the fixed-point formats; None uses the
    example inputs alone, and says so.

    Raises UnsupportedError for a primitive without a rule (naming it and its source line), LoweringError for a function that
    cannot become a program, AuditError if an op could not be adjudicated on chain.
    """
    if calibration is None:
        LOG.warning(
            "no calibration samples: formats are chosen from the example inputs alone; pass calibration=[...] for better ones"
        )
    model = lowered(fn, *example_inputs, formats=formats, calibration=calibration)
    report, name = fidelity_of(model.program.meta), model.program.meta["name"]
    assert report is not None
    for warning in report.warnings:
        remedy = f"; {WIDER}, or a target" if warning in report.distances else ""
        LOG.warning("%s: %s, on its own calibration samples%s", name, warning, remedy)
    for note in coarse(model.program, calibration or [tuple(example_inputs)]):
        LOG.warning("%s: %s", name, note)
    return model


def lowered(
    fn: Callable[..., Any],
    *example_inputs: Any,
    formats: str | Formats = "w16a16",
    calibration: Sequence[tuple[Any, ...]] | None = None,
) -> Model:
    """As ``lower``, for whoever says himself what is to be known of the model."""
    chosen = formats if isinstance(formats, Formats) else formats_named(formats)
    if not example_inputs:
        raise LoweringError(
            "lower needs at least one example input: a claim is about an input, pass arrays of its shape and dtype"
        )
    given = list(calibration) if calibration else [tuple(example_inputs)]
    compiled: Compiled = {}
    noted = None if calibration is None else len(given)
    program, known = _program(fn, example_inputs, chosen, given, noted, compiled)
    model, report = _measured(program, fn, given, compiled)
    for attempt in range(ATTEMPTS):
        allowed = CLOSE / LARGEST / 4**attempt
        finer = _finer(fn, example_inputs, given, program, known, allowed) if report.distance > FAR else None
        if finer is None:
            break
        wider, known = _program(fn, example_inputs, chosen, given, noted, compiled, replace(known, ranges=finer))
        other, found = _measured(wider, fn, given, compiled)
        if found.distance > report.distance / 2:
            # Something else than rounding is lost: nobody pays for bits that do not help.
            break
        model, program, report = other, wider, found
    model = model.noted(fidelity={"calibration": report.to_json()})
    LOG.info("lowered %s: %d ops, model id %s\n%s", program.meta["name"], len(program.ops), program.id.hex(), report)
    return model


def _measured(
    program: Program, fn: Callable[..., Any], given: Sequence[Any], compiled: Compiled
) -> tuple[Model, Fidelity]:
    model = Model(program, fn, compiled=compiled).measuring()
    return model, model.fidelity(given[:REPORTED])


def measured(model: Model, calibration: Sequence[tuple[Any, ...]]) -> Fidelity:
    """The fidelity of a fresh model on its calibration samples; it is known already unless there were more than ``REPORTED``."""
    found = fidelity_of(model.program.meta)
    return found if found and found.samples == len(calibration) else model.measuring().fidelity(calibration)


@dataclass(frozen=True)
class _Known:
    """What samples said, to lower a function once more: levels of its norms, ranges by number of the variable, formats of the inputs.

    ``narrow``: whether operands of products were narrowed; if it is lowered again, they are not.
    """

    levels: list[np.ndarray | None]
    ranges: list[RealRange]
    inputs: list[Format]
    narrow: bool = False


def _program(
    fn: Callable[..., Any],
    example_inputs: tuple[Any, ...],
    chosen: Formats,
    given: Sequence[Any],
    samples_noted: int | None,
    compiled: Compiled,
    known: _Known | None = None,
) -> tuple[Program, _Known]:
    """The audited program, and what the samples said of it unless it is ``known``; whatever else was needed is let go of."""
    progress.at("trace the function")
    graph, in_tree, out_tree = capture(fn, example_inputs)
    samples = [_flat(sample, in_tree, graph) for sample in given]
    progress.at("fold constants")
    graph = simplified(graph)
    numbers = {var: number for number, (var, _) in enumerate(graph.variables())}
    graph = balanced(graph, samples)

    def floats(leaves: Sequence[Any]) -> list[np.ndarray]:
        typed = [keys.typed(x, like) for x, like in zip(leaves, jax.tree.leaves(example_inputs), strict=True)]
        return evaluated(fn, compiled, jax.tree.unflatten(in_tree, typed))

    if known is None:
        graph, found, ranges, seen = _observed(graph, samples)
        progress.at("choose the inputs' formats")
        forms = input_formats(graph, ranges, chosen, floats, samples)
        known = _Known(found, [ranges[var] for var, _ in graph.variables()], forms)
    else:
        graph = levelled(graph, known.levels)
        ranges, seen = dict(zip((var for var, _ in graph.variables()), known.ranges, strict=True)), {}
    progress.at("fold loops")
    folded = fold(graph)
    narrow = []
    if chosen.divides:
        progress.at("divide channels")
        narrow = narrow_operands(weight_operands(folded), ranges, seen, chosen)
    divided, known = narrowed(folded, ranges, narrow), replace(known, narrow=bool(narrow))
    progress.at("round weights")
    builder = Builder(chosen)
    rounded = compensated(folded, samples, ranges, chosen, divided.raised)
    context = Context(builder, divided.ranges, rounded, divided.raised)
    inputs: list[Item] = []
    types = []
    for var, form in zip(graph.inputs, known.inputs, strict=True):
        tensor = builder.add_input(form, int(np.prod(var.shape, dtype=np.int64)), is_real(var.dtype))
        types.append(TensorType(form.dtype, form.scale, var.shape))
        view = StridedView(
            tensor, var.shape, (0,) * len(var.shape), tuple(Term(d, d, 1) for d in range(len(var.shape)))
        )
        inputs.append(builder.loaded(view, var.shape, var.dtype, form.scale, ranges[var]))
    results = context.run(divided.graph, inputs)
    outputs = [_output(context, item, operand) for item, operand in zip(results, graph.outputs, strict=True)]
    if all(tensor.input is not None for tensor, _ in outputs):
        # There is no program without ops.
        outputs[0] = _output(context, results[0], graph.outputs[0], copy=True)
    meta = {
        "name": function_name(fn),
        "formats": chosen.name,
        "calibration": "example inputs" if samples_noted is None else f"{samples_noted} samples",
    }
    interface = described(fn, graph, in_tree, out_tree, [_ends(tensor) for tensor, _ in outputs])
    progress.at("emit")
    program = builder.program(types, outputs, interface, meta, numbers)
    progress.at("audit")
    audit(program)
    give_back()
    return program, known


def _observed(
    graph: FloatGraph, samples: Sequence[Sequence[Any]]
) -> tuple[FloatGraph, list[np.ndarray | None], dict[Var, RealRange], Magnitudes]:
    """The graph with its norms' groups at one level, these levels, the range of every array, and the magnitudes of the channels of
    what products with weights read.
    """
    extremes, seen = roots(graph), unseen(weight_operands(graph))
    ranges = calibrate(graph, samples, plan(graph), extremes, seen)
    found = levels(graph, extremes)
    if any(level is not None for level in found):
        graph = levelled(graph, found)
        seen = unseen(weight_operands(graph))
        ranges = calibrate(graph, samples, plan(graph), channels=seen)
    return graph, found, ranges, seen


def _finer(
    fn: Callable[..., Any],
    example_inputs: tuple[Any, ...],
    given: Sequence[Any],
    program: Program,
    known: _Known,
    allowed: float,
) -> list[RealRange] | None:
    """The ranges with a hint for more bits wherever rounding costs the results more than is ``allowed``; None if that changes nothing.

    ``allowed``: root mean square of what all rounding that is left may change, of a result's range.
    """
    graph, in_tree, _ = capture(fn, example_inputs)
    samples = [_flat(sample, in_tree, graph) for sample in given]
    graph = simplified(graph)
    steps = {
        pair.var: 2.0 ** -program.meta["scales"][j]
        for j, pair in enumerate(pairs(program, graph))
        if pair is not None and is_real(pair.var.dtype)
    }
    lowered = levelled(balanced(graph, samples), known.levels)
    numbers = {var: number for number, (var, _) in enumerate(lowered.variables())}
    try:
        costs = rounding_costs(graph, samples[:NOISE_SAMPLES], steps)
    except NotImplementedError:
        # JAX has no derivative of something: nobody can say what rounding costs.
        return list(known.ranges) if known.narrow else None
    found = list(known.ranges)
    dearest = sorted((var for var in costs if var in numbers), key=lambda var: -costs[var])
    for at, var in enumerate(dearest):
        if sum(costs[other] for other in dearest[at:]) <= allowed**2:
            break
        observed = found[numbers[var]]
        found[numbers[var]] = replace(observed, hint=replace(observed.hint, costly=True))
    return None if found == known.ranges and not known.narrow else found


def _flat(sample: Any, tree: Any, graph: FloatGraph) -> list[Any]:
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
    return [_cast(leaf, var, number) for number, (leaf, var) in enumerate(zip(leaves, graph.inputs, strict=True))]


def _cast(leaf: Any, var: Var, number: int) -> np.ndarray:
    """A sample's array in the dtype that the function computes with."""
    with np.errstate(over="ignore"):
        cast = np.asarray(leaf, dtype=var.dtype)
    lost = np.isinf(cast) & np.isfinite(leaf) if is_real(var.dtype) else np.zeros((), np.bool_)
    if lost.any():
        raise LoweringError(
            f"input {number} of a calibration sample holds {np.asarray(leaf)[lost][0]}, which {var.dtype} can't hold; give samples "
            "within its range"
        )
    return cast


def _output(context: Context, item: Item, operand: Any, copy: bool = False) -> tuple[ProgramTensor, TensorType]:
    """An output in memory, row-major: its tensor and its type. ``copy``: whether it gets an op of its own in any case."""
    context.builder.where = "output"
    lazy = context.lazy_op(item, operand.dtype)
    if isinstance(item, Const) or lazy.as_view() is None:
        lazy = context.builder.materialised(lazy if lazy.order is None else replace(lazy, order=None, memo={}))
    view = lazy.as_view()
    assert view is not None
    if copy or view.tensor.root is not None or not view.row_major(lazy.shape):
        lazy = copied(context, lazy)
        view = lazy.as_view()
        assert view is not None
    return view.tensor, TensorType(view.tensor.dtype, lazy.scale, lazy.shape)


def _ends(tensor: ProgramTensor) -> tuple[int, int] | None:
    """Where an output's format ends, as an interface says it of reals: nothing where that is its dtype's ends."""
    low, high = tensor.ends or uncut(tensor.dtype)
    found = max(low, DType.I64.min), min(high, DType.I64.max)
    return None if found == (tensor.dtype.min, tensor.dtype.max) else found
