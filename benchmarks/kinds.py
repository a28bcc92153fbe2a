"""What part of a network an op is, from its form and from where its source line stands."""

from __future__ import annotations

import re

from rollup.form.ops import Constant, Monoid, Op, Value
from rollup.form.program import Program

PRODUCTS = "products with weights"
BETWEEN_VALUES = "products of values"
EPILOGUES = "epilogues of products"
NORMS = "norms"
SOFTMAX = "softmax"
ROTATION = "rotation"
LOOKUPS = "look-ups"
REDUCTIONS = "other reductions"
ELEMENTS = "element by element, and movement"
LOOPS = "loops"

KINDS = (PRODUCTS, EPILOGUES, BETWEEN_VALUES, NORMS, SOFTMAX, ROTATION, LOOKUPS, REDUCTIONS, ELEMENTS, LOOPS)
"""In the order of the table."""

EXPONENTIALS = ("exp", "exp2")


def is_product(op: Op) -> bool:
    return op.monoid is Monoid.SUM and op.factors == 2


def kind(program: Program, descriptor: int) -> str:
    """One of KINDS, never EPILOGUES: these are parts of ops. An op's name holds its primitive and the function of its source line."""
    op, name = program.ops[descriptor], program.name(descriptor)
    primitive = name.split(" ", 1)[0]
    function = (re.findall(r"\((\w+)\)$", name) or [""])[0].lower()
    if op.repeat > 1:
        return LOOPS
    if "norm" in function:
        return NORMS
    if is_product(op):
        factors = op.accesses[:2]
        return PRODUCTS if any(isinstance(one.source, Constant) for one in factors) else BETWEEN_VALUES
    if any(part in function for part in ("turn", "rotate", "rotary")):
        return ROTATION
    if primitive in (*EXPONENTIALS, "reduce_max") or (op.monoid is Monoid.SUM and _sums_exponentials(program, op)):
        return SOFTMAX
    if any(one.indirect is not None for one in op.accesses):
        return LOOKUPS
    return ELEMENTS if op.monoid is Monoid.NONE else REDUCTIONS


def _sums_exponentials(program: Program, op: Op) -> bool:
    source = op.accesses[0].source
    if not isinstance(source, Value) or source.base < len(program.header.inputs):
        return False
    return program.name(program.locate(source.base)[0]).startswith(EXPONENTIALS)
