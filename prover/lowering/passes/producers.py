"""A float graph seen from its variables: who gives them, who reads them, what only moves their elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.lowering.graph import FloatGraph, FloatNode, Operand, Var

MOVES = frozenset({"broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "slice", "rev"})
"""Primitives that move elements of any dtype."""

MOVEMENT = MOVES | {"convert_element_type", "stop_gradient", "copy", "copy_p"}
CHOOSING = frozenset({"argmax", "argmin", "top_k", "sort"})
PRODUCTS = frozenset({"dot_general", "conv_general_dilated"})


class Producers:
    """A graph, seen from its variables: who gives them, who reads them."""

    def __init__(self, graph: FloatGraph) -> None:
        self.graph = graph
        self.results = {x for x in graph.outputs if isinstance(x, Var)}
        self.of: dict[Var, FloatNode] = {var: node for node in graph.nodes for var in node.outputs}
        self.readers: dict[Var, list[FloatNode]] = {}
        for node in graph.nodes:
            for operand in node.inputs:
                if isinstance(operand, Var):
                    self.readers.setdefault(operand, []).append(node)

    def back(self, operand: Operand, passed: Callable[[FloatNode], bool]) -> Iterator[Operand]:
        """The operand, and those before it, through the first operands of nodes that ``passed`` accepts."""
        yield operand
        while isinstance(operand, Var) and operand in self.of and passed(self.of[operand]):
            operand = self.of[operand].inputs[0]
            yield operand

    def through(self, operand: Operand, passed: Callable[[FloatNode], bool]) -> Operand:
        """The operand before all nodes that ``passed`` accepts."""
        *_, first = self.back(operand, passed)
        return first

    def moved_from(self, var: Var, gathered: bool = False) -> list[Var]:
        """The variable and those before it that hold the same elements, only elsewhere; ``gathered``: or some of them."""
        passed = MOVEMENT | {"gather"} if gathered else MOVEMENT
        before = self.back(var, lambda node: node.name in passed)
        next(before)
        return [var, *takewhile(lambda x: isinstance(x, Var) and real(x), before)]  # type: ignore[list-item]

    def last(self) -> set[Var]:
        """What lies between the last products and the results, without these, and what (moved or gathered, at most) those products
        read.
        """
        read: set[Var] = set()
        seen, ahead = set[Var](), [x for x in self.results if x in self.of]
        while ahead:
            var = ahead.pop()
            if var in seen:
                continue
            seen.add(var)
            node = self.of[var]
            operands = [x for x in node.inputs if isinstance(x, Var)]
            if node.name in PRODUCTS:
                read.update(y for x in operands if real(x) for y in self.moved_from(x, gathered=True))
            elif node.body is None:
                ahead += [x for x in operands if x in self.of]
        return (read | seen) - self.results

    def feeds_product(self, var: Var) -> bool:
        """Whether a product or convolution reads the variable as it is (moved, at most)."""
        return any(
            node.name in PRODUCTS or (node.name in MOVEMENT and self.feeds_product(node.outputs[0]))
            for node in self.readers.get(var, ())
        )

    def read_elsewhere(self, var: Var) -> bool:
        """Whether a variable has more readers than one node, or is a result."""
        return var in self.results or len(self.readers.get(var, ())) > 1

    def summed_axes(self, var: Var) -> tuple[int, ...] | None:
        """The axes along which all readers, products, sum the variable; None if they differ, or if one is no product."""
        found: set[tuple[int, ...]] = set()
        for node in self.readers.get(var, ()):
            if node.name != "dot_general" or node.inputs[0] is node.inputs[1]:
                return None
            found.add(tuple(node.params["dimension_numbers"][0][0 if node.inputs[0] is var else 1]))
        return found.pop() if len(found) == 1 and var not in self.results else None

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


def _convert(node: FloatNode) -> bool:
    return node.name in ("convert_element_type", "stop_gradient", "copy")


def real(array: Any) -> bool:
    """Whether a variable or a constant holds real numbers."""
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def size(operand: Any) -> int:
    """Elements of a variable or a constant."""
    return int(np.prod(operand.shape, dtype=np.int64))
