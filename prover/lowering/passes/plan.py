"""Plan: what the graph's structure asks of its values' formats, before any sample is looked at.

A format has to hold a value's range on a grid that its consumers can live with, and the graph says which consumers it has:

- the *argument of a softmax* needs an absolute grid (its exponential multiplies whatever it loses), and room below for masks;
- an *exponential of differences from a maximum*, a sigmoid or a tanh lies within [-1, 1] whatever the inputs are;
- a *statistic* (a reduction over a row, and what is computed from it alone) has few elements and a large range, since it squares
  or sums others: it is kept whole;
- what an *arg-max or a sort* compares needs an absolute grid, or values that are close become equal;
- what a *table of constants* is compared with (the decisions of trees) needs a grid on which the constants lie apart;
- a *carry* of a loop is rounded in every iteration, so that errors add up;
- an *angle* needs an absolute grid, and what it is a multiple of: a sine forgets how many turns it makes;
- what the *last product* before a result reads, and what lies behind it, decides how exact the result can be: kept wide if small;
- a *result* is what people read: a small one has all of int32, beside which its rounding is nothing;
- an *exponential of what is certainly not positive* (a kernel's, of a distance) lies within [0, 1], and needs no margin;
- a *stream* (a value that additions carry on, and that no product reads directly) collects what all layers add to it;
- a *product of many* (multiplied pair by pair) is as wrong as all its factors and partial products together: finely rounded;
- what is *drawn* (computed from random bits alone) lies within an interval that is known, and keeps the bits' own grid in it;
- a *threshold* (a probability, or a sum of some) that a drawn number is compared with is as fine, and so is what it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from prover.lowering.graph import FloatGraph, FloatNode, Operand, Stacked, Var
from prover.lowering.passes.drawn import drawn
from prover.lowering.passes.hints import PLAIN, RESULT_BITS, FormatHint, FormatPlan, Within
from prover.lowering.passes.infinity import BELOW, MASK_ROOM, chosen, has_mask, infinite, masked_before, ordered
from prover.lowering.passes.producers import CHOOSING, MOVEMENT, Producers, real, size
from prover.lowering.passes.signs import UNKNOWN, signs

SOFTMAX_GRID = 11
"""Fraction bits of a softmax's argument."""

CHOICE_GRID = 12
"""Fraction bits of what an arg-max, a sort or a top-k compares."""

LAST_ELEMENTS = 1 << 12
"""Most elements of a value that is kept wide because what is left between it and a result is at most one product."""

POSTED_ELEMENTS = 1 << 10
"""Most elements of a result that has all of int32: the 2 KiB more that are posted for them cost a fifth of what a claim costs anyway."""

ANGLE_GRID = 14
"""Fraction bits of an angle."""

TURN = 8.0
"""Within this of zero (tanh, erf) or a little beyond (logistic, softmax) a bounded function makes its turn from one end to the other."""

CARRY_BITS = 24
DECIDING_BITS = 30
DRAWN_BITS = 30
DRAWN_FACTOR_BITS = 23

THRESHOLD_GRID = 18
"""Fraction bits of a softmax's argument whose probabilities are thresholds."""
STREAM_BITS = 30
SQUARE_BITS = 62
"""Most bits of a certified sum of squares."""

STATISTIC_COUNT = 8
"""Elements that a reduction takes together at least for its result to be a statistic."""

ADDITIVE = frozenset({"add", "sub", "add_any"})
BOUNDED = frozenset({"logistic", "tanh", "erf", "sin", "cos"})
TURNING = frozenset({"logistic", "tanh", "erf"})
PERIODIC = frozenset({"sin", "cos"})
COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "lt_to", "le_to"})
CUMULATED = MOVEMENT | {"cumsum", "div", "exp", "sub"}
"""What makes thresholds of logits."""

POINTWISE = frozenset(
    {"add", "sub", "mul", "div", "neg", "max", "min", "sqrt", "rsqrt", "log", "log1p", "exp", "integer_pow", "square"}
    | {"abs", "add_any", "pow", "select_n", "clamp"}
)


def plan(graph: FloatGraph) -> FormatPlan:
    """The hints of all variables, scan bodies included."""
    found = FormatPlan()
    _plan(graph, found)
    view = Producers(graph)
    for var in view.last():
        if real(var) and size(var) <= LAST_ELEMENTS:
            hint = found.hints.get(var, PLAIN)
            narrow = hint.within is Within.UNIT and not view.feeds_product(var)
            found.hints[var] = replace(hint, last=True, within=Within.ANY if narrow else hint.within)
    _results(view, view.results, found.hints)
    _turns(view, found.hints)
    return found


def _plan(graph: FloatGraph, found: FormatPlan) -> None:
    view, hints = Producers(graph), found.hints
    _statistics(view, hints)
    _streams(view, hints)
    _deciding(view, hints)
    _factors(view, hints)
    for var in (*graph.inputs, *view.of):
        if var not in hints and real(var) and view.summed_axes(var):
            hints[var] = FormatHint(rows=True)
    arguments: set[Var] = set()
    masks: set[Var] = set()
    signed = signs(graph)
    for node in graph.nodes:
        if node.body is not None:
            _plan(node.body, found)
            _carries(node, hints)
        _bounded(view, node, hints)
        _choices(view, node, hints)
        if node.name == "exp" and isinstance(node.inputs[0], Var) and signed.get(node.inputs[0], UNKNOWN).no_positive:
            _within(hints, node.outputs[0], Within.ONE)
        argument = view.below_maximum(node.inputs[0]) if node.name == "exp" else None
        if argument is not None:
            arguments.update(_softmax(view, node, argument, hints))
            if has_mask(view, argument):
                masks |= masked_before(view, argument)
    _randomness(view, hints)
    _infinities(view, arguments, masks, found)


def _within(hints: dict[Var, FormatHint], var: Var, within: Within) -> None:
    hints[var] = replace(hints.get(var, PLAIN), within=within)


def _bounded(view: Producers, node: FloatNode, hints: dict[Var, FormatHint]) -> None:
    """What bounded functions give, and the angles that turning ones take."""
    if node.name in BOUNDED:
        hints[node.outputs[0]] = FormatHint(within=Within.UNIT)
    if node.name in PERIODIC:
        _angles(view, node.inputs[0], hints)
    if _shares(view, node, hints):
        _within(hints, node.outputs[0], Within.SHARE)


def _choices(view: Producers, node: FloatNode, hints: dict[Var, FormatHint]) -> None:
    if node.name in CHOOSING and isinstance(node.inputs[0], Var) and real(node.inputs[0]):
        for var in view.moved_from(node.inputs[0]):
            hints.setdefault(var, FormatHint(grid=CHOICE_GRID, fine=True))


def _softmax(view: Producers, node: FloatNode, argument: Var, hints: dict[Var, FormatHint]) -> list[Var]:
    """Hints for an exponential of differences from a maximum; the variables that its argument is seen as."""
    hints[node.outputs[0]] = FormatHint(within=Within.UNIT)
    moved = view.moved_from(argument)
    for var in moved:
        hints[var] = FormatHint(grid=SOFTMAX_GRID, infinity=MASK_ROOM)
    below = next(x for x in node.inputs if isinstance(x, Var))
    hints[below] = replace(hints.get(below, PLAIN), infinity=MASK_ROOM)
    return [*moved, below]


def _randomness(view: Producers, hints: dict[Var, FormatHint]) -> None:
    """Hints for what is drawn, and for what is compared with it."""
    from_bits = drawn(view.graph)
    for node in view.graph.nodes:
        if node.name in COMPARISONS and any(isinstance(x, Var) and x in from_bits for x in node.inputs):
            _thresholds(view, [x for x in node.inputs if isinstance(x, Var) and x not in from_bits], hints)
    for var, interval in from_bits.items():
        hint = hints.get(var, PLAIN)
        if hint.within is not Within.UNIT:
            bits = DRAWN_FACTOR_BITS if view.feeds_product(var) else DRAWN_BITS
            hints[var] = replace(hint, bits=bits, grid=None, whole=False, reach=interval)


def _infinities(view: Producers, arguments: set[Var], masks: set[Var], found: FormatPlan) -> None:
    """Where masks and other infinities are; ``arguments``: of softmaxes, ``masks``: what masks them."""
    for var in chosen(view):
        for sign in (1, -1):
            if has_mask(view, var, sign):
                found.masked[var] = sign
    found.masked.update(dict.fromkeys([*arguments, *masks], -1))
    infinities = dict.fromkeys(masks, BELOW)
    for var, signs_of in infinite(view, arguments).items():
        infinities[var] = infinities.get(var, frozenset()) | signs_of
    found.infinite.update(infinities)
    found.ordered.update(ordered(view, infinities) - arguments)


def _shares(view: Producers, node: FloatNode, hints: dict[Var, FormatHint]) -> bool:
    """Whether a node divides exponentials of differences from a maximum by their sum, as softmax does."""
    if node.name != "div":
        return False
    part, total = (view.through(x, lambda node: node.name in MOVEMENT) for x in node.inputs)
    made = view.of.get(total) if isinstance(total, Var) else None
    if made is None or made.name != "reduce_sum" or not isinstance(part, Var):
        return False
    source = view.of.get(part)
    exponentials = source is not None and source.name == "exp" and hints.get(part, PLAIN).within is Within.UNIT
    return exponentials and view.through(made.inputs[0], lambda node: node.name in MOVEMENT) is part


def _results(view: Producers, results: Iterable[Var], hints: dict[Var, FormatHint]) -> None:
    """A result, and what only moves its elements, is fine; a small one that no product reads is only rounded to int32.

    What is bounded has room for all that is possible there, however little of it the samples show.
    """
    for result in results:
        moved = view.moved_from(result) if real(result) else []
        # What moves a bounded function's values has its bounds.
        source = hints.get(moved[-1], PLAIN) if moved else PLAIN
        for var in moved:
            hint = replace(hints.get(var, PLAIN), fine=True)
            if var in view.of and size(var) <= POSTED_ELEMENTS and not view.feeds_product(var):
                within = Within.ANY if source.within is Within.ANY else Within.ONE
                hint = replace(hint, bits=RESULT_BITS, within=within)
            else:
                kept = Within.ONE if hint.within is Within.ONE else Within.ANY
                hint = replace(hint, within=source.within if source.within in (Within.UNIT, Within.SHARE) else kept)
            hints[var] = hint
        made = view.of.get(moved[-1]) if moved else None
        if made is not None and made.body is not None:
            inside = made.body.outputs[made.outputs.index(moved[-1])]
            if isinstance(inside, Var) and made.outputs.index(moved[-1]) >= made.params["num_carry"]:
                # A carry's format follows from what the loop does with it.
                _results(Producers(made.body), [inside], hints)


def _turns(view: Producers, hints: dict[Var, FormatHint]) -> None:
    """What a bounded function makes a result of is kept as far as the function turns: the result is right there, whatever samples show."""
    for node in view.graph.nodes:
        argument = node.inputs[0] if node.name in TURNING else None
        if node.name == "exp":
            argument = view.below_maximum(node.inputs[0])
        for var in view.moved_from(argument) if isinstance(argument, Var) else ():
            hint = hints.get(var, PLAIN)
            if hint.last or hint.bits == RESULT_BITS:
                hints[var] = replace(hint, least=TURN)


def _thresholds(view: Producers, compared: list[Var], hints: dict[Var, FormatHint]) -> None:
    """Finer formats for what is compared with a drawn number, and for what that is made of."""
    found: set[Var] = set()
    while compared:
        var = compared.pop()
        if var in found or not real(var):
            continue
        found.add(var)
        hint = hints.get(var, PLAIN)
        if hint.grid is not None:
            hints[var] = replace(hint, grid=max(hint.grid, THRESHOLD_GRID))
        elif not hint.whole:
            within = Within.ANY if hint.within is Within.UNIT else hint.within
            hints[var] = replace(hint, within=within, bits=DRAWN_BITS)
        made = view.of.get(var)
        if made is not None and made.name in CUMULATED:
            compared += [x for x in made.inputs if isinstance(x, Var)]


def _statistics(view: Producers, hints: dict[Var, FormatHint]) -> None:
    found: set[Var] = set()
    for node in view.graph.nodes:
        if not node.outputs or not real(node.outputs[0]):
            continue
        read = [x for x in node.inputs if isinstance(x, Var)]
        out = node.outputs[0]
        if node.name in ("reduce_sum", "reduce_max", "reduce_min"):
            mine = size(read[0]) >= STATISTIC_COUNT * size(out)
        else:
            kept = node.name in POINTWISE or (node.name in MOVEMENT and read and size(read[0]) == size(out))
            mine = bool(kept and read and all(x in found for x in read))
        if mine:
            found.add(out)
    for var in found:
        if var not in view.results and not view.feeds_product(var):
            hints[var] = FormatHint(whole=True)


def _streams(view: Producers, hints: dict[Var, FormatHint]) -> None:
    for var in (*view.graph.inputs, *view.of):
        readers = view.readers.get(var, [])
        if not real(var) or len(readers) < 2 or view.feeds_product(var) or var in hints:
            continue
        made = view.of.get(var)
        carried = (
            made is not None and made.name in ADDITIVE and any(x in hints for x in made.inputs if isinstance(x, Var))
        )
        if carried or any(node.name in ADDITIVE and size(node.outputs[0]) == size(var) for node in readers):
            hints[var] = FormatHint(bits=min([STREAM_BITS, *(_square_bits(view, node, var) for node in readers)]))


def _angles(view: Producers, operand: Operand, hints: dict[Var, FormatHint]) -> None:
    """A grid for an angle, and for what it is a multiple of: as much finer as the multiple is larger."""
    grid = ANGLE_GRID
    while isinstance(operand, Var) and real(operand) and grid > 0:
        hints.setdefault(operand, FormatHint(grid=grid))
        node = view.of.get(operand)
        if node is not None and node.name in ("mul", "div") and isinstance(node.inputs[1], np.ndarray):
            most = float(np.abs(node.inputs[1]).max())
            grid += (math.frexp(most)[1] if most else 0) * (1 if node.name == "mul" else -1)
        elif node is None or node.name not in MOVEMENT:
            break
        operand = node.inputs[0]


def _deciding(view: Producers, hints: dict[Var, FormatHint]) -> None:
    for node in view.graph.nodes:
        if node.name not in COMPARISONS:
            continue
        for x, other in (node.inputs, node.inputs[::-1]):
            if not isinstance(x, Var) or isinstance(other, (Var, Stacked)) or not real(x):
                continue
            if np.size(other) > 1 and np.any(other != np.ravel(other)[0]):
                for var in view.moved_from(x, gathered=True):
                    hints[var] = FormatHint(bits=DECIDING_BITS, exact=True)


def _factors(view: Producers, hints: dict[Var, FormatHint]) -> None:
    """Finer formats for what is multiplied with itself in halves, time and again."""
    made: dict[Var, Var] = {}
    for node in view.graph.nodes:
        if node.name == "mul" and real(node.outputs[0]):
            sources = [view.through(x, lambda node: node.name == "slice") for x in node.inputs]
            if isinstance(sources[0], Var) and sources[0] is sources[1] and sources[0] not in node.inputs:
                out = node.outputs[0]
                # What is left over, or known already, stands beside the products.
                joined = [r.outputs[0] for r in view.readers.get(out, ()) if r.name == "concatenate"]
                made |= dict.fromkeys([out, *joined], sources[0])
    for out, source in made.items():
        if source in made or out in made.values():
            for var in (source, out):
                if not view.feeds_product(var):
                    hints.setdefault(var, FormatHint(bits=STREAM_BITS))


def _carries(node: FloatNode, hints: dict[Var, FormatHint]) -> None:
    """What a loop carries and no product reads is rounded once an iteration: finely."""
    assert node.body is not None
    view, first = Producers(node.body), node.params["num_consts"]
    for var in node.body.inputs[first : first + node.params["num_carry"]]:
        if real(var) and var not in hints and not view.feeds_product(var):
            hints[var] = FormatHint(bits=CARRY_BITS)


def _square_bits(view: Producers, node: FloatNode, var: Var) -> int:
    """Bits at which a sum of the squares that ``node`` takes of the variable still has a certified sum."""
    squares = node.name == "square" or (node.name == "mul" and node.inputs[0] is node.inputs[1])
    squares = squares or (node.name == "integer_pow" and node.params["y"] == 2)
    sums = [r for r in view.readers.get(node.outputs[0], ()) if r.name == "reduce_sum"] if squares else []
    counts = [size(var) // size(r.outputs[0]) for r in sums]
    return min([STREAM_BITS, *((SQUARE_BITS - (count - 1).bit_length()) // 2 for count in counts)])
