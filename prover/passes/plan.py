"""Plan: what the graph's structure asks of its values' formats, before any sample is looked at (DESIGN D4).

A format has to hold a value's range on a grid that its consumers can live with, and the graph says which consumers it has:

- the *argument of a softmax* needs an absolute grid (its exponential multiplies whatever it loses), and room below for masks;
- an *exponential of differences from a maximum*, a sigmoid or a tanh lies within [-1, 1] whatever the inputs are;
- a *statistic* (a reduction over a row, and what is computed from it alone) has few elements and a large range, since it squares
  or sums others: it is kept whole;
- what an *arg-max or a sort* compares needs an absolute grid, or values that are close become equal;
- a *carry* of a loop is rounded in every iteration, so that errors add up;
- a *stream* (a value that additions carry on, and that no product reads directly) collects what all layers add to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.capture import Graph, Node, Operand, Var

MASK = -1e4
"""Constants from here downwards that reach a softmax are masks: nothing that a format has to hold."""

SOFTMAX_GRID = 11
"""Fraction bits of a softmax's argument."""

CHOICE_GRID = 12
"""Fraction bits of what an arg-max, a sort or a top-k compares."""

MASK_ROOM = 32.0
"""How far below every unmasked argument a format reaches, so that a masked one has an exponential of exactly zero."""

CARRY_BITS = 24
STREAM_BITS = 30
SQUARE_BITS = 62
"""Most bits of a certified sum of squares."""

STATISTIC_COUNT = 8
"""Elements that a reduction takes together at least for its result to be a statistic."""

MOVES = frozenset({"broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "slice", "rev"})
"""Primitives that move elements of any dtype."""

MOVEMENT = MOVES | {"convert_element_type", "stop_gradient", "copy", "copy_p"}
ADDITIVE = frozenset({"add", "sub", "add_any"})
PRODUCTS = frozenset({"dot_general", "conv_general_dilated"})
CHOOSING = frozenset({"argmax", "argmin", "top_k", "sort"})
BOUNDED = frozenset({"logistic", "tanh", "erf", "sin", "cos"})
POINTWISE = frozenset(
    {"add", "sub", "mul", "div", "neg", "max", "min", "sqrt", "rsqrt", "log", "log1p", "exp", "integer_pow", "square"}
    | {"abs", "add_any", "pow", "select_n", "clamp"}
)


@dataclass(frozen=True)
class Wish:
    """What a value's format should be like.

    ``bits``: of magnitude, instead of 15; ``grid``: least number of fraction bits, at the price of more bits; ``room``: added to
    the calibrated magnitude; ``unit``: within [-1, 1]; ``whole``: not rounded at all; ``rows``: products read it, along the same
    axes all of them, so that what is left of it may have a scale per row; ``fine``: a result, whose weights keep 16 bits.
    """

    bits: int | None = None
    grid: int | None = None
    room: float = 0.0
    unit: bool = False
    whole: bool = False
    rows: bool = False
    fine: bool = False


PLAIN = Wish()


@dataclass(frozen=True)
class Plan:
    """``wishes`` of variables; ``masked``: those whose elements from ``MASK`` downwards are not looked at by calibration."""

    wishes: dict[Var, Wish] = field(default_factory=dict)
    masked: frozenset[Var] = frozenset()


def plan(graph: Graph) -> Plan:
    """The wishes of all variables, scan bodies included."""
    wishes: dict[Var, Wish] = {}
    masked: set[Var] = set()
    _planned(graph, wishes, masked)
    view = Producers(graph)
    for operand in graph.outputs:
        for var in view.moved_from(operand) if isinstance(operand, Var) and real(operand) else ():
            wishes[var] = replace(wishes.get(var, PLAIN), fine=True)
    return Plan(wishes, frozenset(masked))


def _planned(graph: Graph, wishes: dict[Var, Wish], masked: set[Var]) -> None:
    view = Producers(graph)
    _statistics(view, wishes)
    _streams(view, wishes)
    for var in (*graph.inputs, *view.of):
        if var not in wishes and real(var) and view.summed_axes(var):
            wishes[var] = Wish(rows=True)
    for node in graph.nodes:
        if node.body is not None:
            _planned(node.body, wishes, masked)
            _carries(node, wishes)
        if node.name in BOUNDED:
            wishes[node.outputs[0]] = Wish(unit=True)
        if node.name in CHOOSING and isinstance(node.inputs[0], Var) and real(node.inputs[0]):
            for var in view.moved_from(node.inputs[0]):
                wishes.setdefault(var, Wish(grid=CHOICE_GRID, fine=True))
        argument = view.below_maximum(node.inputs[0]) if node.name == "exp" else None
        if argument is None:
            continue
        wishes[node.outputs[0]] = Wish(unit=True)
        room = MASK_ROOM if view.has_mask(argument) else 0.0
        for var in view.moved_from(argument):
            wishes[var] = Wish(grid=SOFTMAX_GRID, room=room)
        for var in view.masked_before(argument) if room else ():
            wishes.setdefault(var, Wish(room=room))
            masked.add(var)
        if room and isinstance(node.inputs[0], Var):
            masked.add(node.inputs[0])


def _statistics(view: Producers, wishes: dict[Var, Wish]) -> None:
    found: set[Var] = set()
    for node in view.graph.nodes:
        if not node.outputs or not real(node.outputs[0]):
            continue
        read = [x for x in node.inputs if isinstance(x, Var)]
        out = node.outputs[0]
        if node.name in ("reduce_sum", "reduce_max", "reduce_min"):
            mine = _size(read[0]) >= STATISTIC_COUNT * _size(out)
        else:
            kept = node.name in POINTWISE or (node.name in MOVEMENT and read and _size(read[0]) == _size(out))
            mine = bool(kept and read and all(x in found for x in read))
        if mine:
            found.add(out)
    for var in found:
        if var not in view.graph.outputs and not view.feeds_product(var):
            wishes[var] = Wish(whole=True)


def _streams(view: Producers, wishes: dict[Var, Wish]) -> None:
    for var in (*view.graph.inputs, *view.of):
        readers = view.readers.get(var, [])
        if not real(var) or len(readers) < 2 or view.feeds_product(var) or var in wishes:
            continue
        made = view.of.get(var)
        carried = (
            made is not None and made.name in ADDITIVE and any(x in wishes for x in made.inputs if isinstance(x, Var))
        )
        if carried or any(node.name in ADDITIVE and _size(node.outputs[0]) == _size(var) for node in readers):
            wishes[var] = Wish(bits=min([STREAM_BITS, *(view.square_bits(node, var) for node in readers)]))


def _carries(node: Node, wishes: dict[Var, Wish]) -> None:
    """What a loop carries and no product reads is rounded once an iteration: finely."""
    assert node.body is not None
    view, first = Producers(node.body), node.params["num_consts"]
    for var in node.body.inputs[first : first + node.params["num_carry"]]:
        if real(var) and var not in wishes and not view.feeds_product(var):
            wishes[var] = Wish(bits=CARRY_BITS)


class Producers:
    """A graph, seen from its variables: who gives them, who reads them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.of: dict[Var, Node] = {var: node for node in graph.nodes for var in node.outputs}
        self.readers: dict[Var, list[Node]] = {}
        for node in graph.nodes:
            for operand in node.inputs:
                if isinstance(operand, Var):
                    self.readers.setdefault(operand, []).append(node)

    def through(self, operand: Operand, passed: Callable[[Node], bool]) -> Operand:
        """The operand before all nodes of one operand that ``passed`` accepts."""
        while isinstance(operand, Var) and operand in self.of and passed(self.of[operand]):
            operand = self.of[operand].inputs[0]
        return operand

    def moved_from(self, var: Var) -> list[Var]:
        """The variable and those before it that hold the same elements, only elsewhere."""
        found = [var]
        while found[-1] in self.of and self.of[found[-1]].name in MOVEMENT:
            operand = self.of[found[-1]].inputs[0]
            if not isinstance(operand, Var) or not real(operand):
                break
            found.append(operand)
        return found

    def feeds_product(self, var: Var) -> bool:
        """Whether a product or convolution reads the variable as it is (moved, at most)."""
        return any(
            node.name in PRODUCTS or (node.name in MOVEMENT and self.feeds_product(node.outputs[0]))
            for node in self.readers.get(var, ())
        )

    def summed_axes(self, var: Var) -> tuple[int, ...] | None:
        """The axes along which all readers, products, sum the variable; None if they differ, or if one is no product."""
        found: set[tuple[int, ...]] = set()
        for node in self.readers.get(var, ()):
            if node.name != "dot_general" or node.inputs[0] is node.inputs[1]:
                return None
            found.add(tuple(node.params["dimension_numbers"][0][0 if node.inputs[0] is var else 1]))
        return found.pop() if len(found) == 1 and var not in self.graph.outputs else None

    def below_maximum(self, operand: Operand) -> Var | None:
        """x if the operand is x minus the maximum of x along some axes."""
        node = self.of.get(operand) if isinstance(operand, Var) else None
        if node is None or node.name != "sub":
            return None
        x, most = node.inputs
        most = self.through(most, lambda node: node.name in MOVEMENT)
        if isinstance(most, Var) and most in self.of and self.of[most].name in ("max", "select_n"):
            # jax.nn guards against rows of nothing but -inf.
            operands = [x for x in self.of[most].inputs if isinstance(x, Var) and real(x)]
            most = self.through(operands[0], lambda node: node.name in MOVEMENT) if len(operands) == 1 else most
        if not isinstance(x, Var) or not isinstance(most, Var) or most not in self.of:
            return None
        maximum = self.of[most]
        same = maximum.name == "reduce_max" and self.through(maximum.inputs[0], _convert) is self.through(x, _convert)
        return x if same else None

    def has_mask(self, var: Var, depth: int = 12) -> bool:
        """Whether constants from ``MASK`` downwards meet the variable in what computes it."""
        node = self.of.get(var)
        if node is None or depth == 0:
            return False
        for operand in node.inputs:
            if isinstance(operand, np.ndarray):
                if real(operand) and operand.size and float(np.min(operand)) <= MASK:
                    return True
            elif isinstance(operand, Var) and node.name not in PRODUCTS and self.has_mask(operand, depth - 1):
                return True
        return False

    def masked_before(self, var: Var) -> set[Var]:
        """The variable and those that it selects or adds from and moves, as far as masks have met them already."""
        found = {var}
        node = self.of.get(var)
        if node is not None and (node.name in MOVEMENT or node.name in ("add", "select_n")):
            for operand in node.inputs:
                if (
                    isinstance(operand, Var)
                    and real(operand)
                    and self.has_mask(operand)
                    and _size(operand) == _size(var)
                ):
                    found |= self.masked_before(operand)
        return found

    def square_bits(self, node: Node, var: Var) -> int:
        """Bits at which a sum of the squares that ``node`` takes of the variable still has a certified sum."""
        squares = node.name == "square" or (node.name == "mul" and node.inputs[0] is node.inputs[1])
        squares = squares or (node.name == "integer_pow" and node.params["y"] == 2)
        sums = [r for r in self.readers.get(node.outputs[0], ()) if r.name == "reduce_sum"] if squares else []
        counts = [_size(var) // _size(r.outputs[0]) for r in sums]
        return min([STREAM_BITS, *((SQUARE_BITS - (count - 1).bit_length()) // 2 for count in counts)])


def _convert(node: Node) -> bool:
    return node.name in ("convert_element_type", "stop_gradient", "copy")


def real(array: Any) -> bool:
    """Whether a variable or a constant holds real numbers."""
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def _size(operand: Any) -> int:
    return int(np.prod(operand.shape, dtype=np.int64))
