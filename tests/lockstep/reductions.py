"""Reductions that lowering would never make: every field of an access on its own, over operands of several leaves.

Steps of zero and of more than a leaf, several terms on a dimension, fills under every monoid, values selected along the
domain, chains of indices, a factor that is the other one's index.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np

from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import Access, Constant, Instr, Monoid, Op, Opcode, Source, Term, Value
from rollup.form.parts import Partition
from rollup.form.program import Program
from rollup.types import LEAF_BYTES, DType, Root

STACKED = 3
"""Inputs of one type, which a stack access selects among."""

LEAVES = 3
"""Leaves of an operand."""


def draw(seed: int) -> tuple[Program, list[np.ndarray]]:
    """A program of one op, and values: those of its inputs."""
    rng = random.Random(seed)
    dtype = rng.choice(list(DType))
    count = LEAVES * LEAF_BYTES // dtype.size
    inputs = [TensorType(dtype, 0, (count,))] * STACKED
    values = [_array(rng, dtype, count) for _ in inputs]
    monoid = rng.choice([m for m in Monoid for _ in range(2 if m is Monoid.SUM else 1)])
    domain: tuple[int, ...] = ()
    if monoid is not Monoid.NONE:
        domain = (*(rng.randint(1, 4) for _ in range(rng.randint(0, 2))), rng.choice((1, 2, 5, rng.randint(6, 40))))
    shape = rng.choice(((), (2,)))
    constants: dict[Root, np.ndarray] = {}
    factors = rng.choice((1, 1, 2, 2, 2)) if rng.random() < 0.97 else 0
    accesses = [_operand(rng, dtype, count, shape, domain, constants) for _ in range(factors)]
    for j in range(factors):
        if accesses[j].shape and rng.random() < 0.35:
            _chain(rng, accesses, j, shape, domain, constants)
    if factors == 2 and accesses[1].shape and accesses[0].indirect is None and rng.random() < 0.1:
        accesses[1] = replace(accesses[1], indirect=(rng.randrange(len(accesses[1].shape)), 0))
    cut = Partition.of(domain, rng.choice((1, 3, *domain[-1:], math.prod(domain[-2:]))))
    part = 0 if cut.count == 1 or monoid is Monoid.NONE else cut.size
    code = (Instr(Opcode.INDEX, (0,)), Instr(Opcode.ADD, (0, 1))) if shape else ()
    op = Op(STACKED, 1, 1, monoid, DType.I64, factors, shape, domain, tuple(accesses), code, part)
    return Program.build(inputs, [(STACKED, TensorType(DType.I64, 0, shape))], [op], constants), values


def _array(rng: random.Random, dtype: DType, count: int, low: int | None = None, high: int | None = None) -> np.ndarray:
    low, high = dtype.min if low is None else low, dtype.max if high is None else high
    return np.array([rng.choice((low, high, rng.randint(low, high))) for _ in range(count)], dtype.numpy)


def _places(
    rng: random.Random, view: tuple[int, ...], step: int, variables: int
) -> tuple[tuple[int, ...], tuple[Term, ...]]:
    """Offsets and terms; steps of ``step`` elements of the last dimension are steps of a leaf."""
    coefs = (0, 1, 1, 1, -1, -1, 2, -3, step, -step, step + 1, -step - 1, step // 2, (1 << 31) - 1, -(1 << 31))
    near = rng.random() < 0.7
    terms = []
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 5))):
        if variables and view:
            coef = rng.choice(coefs[:8] if near else coefs)
            terms.append(Term(rng.randrange(len(view)), rng.randrange(variables), coef))
    offsets = [rng.choice((0, size // 2, size - 1, rng.randint(-3, size + 2))) for size in view]
    return tuple(offsets), tuple(terms)


def _operand(
    rng: random.Random,
    dtype: DType,
    count: int,
    shape: tuple[int, ...],
    domain: tuple[int, ...],
    constants: dict[Root, np.ndarray],
) -> Access:
    inner = rng.choice((1, 4, count // 4, count))
    view = rng.choice(((count,), (count // inner, inner)))
    source: Source = Value(rng.randrange(STACKED))
    stack = 0
    if rng.random() < 0.25:
        view, source, stack = (STACKED, *view), Value(0), 1
    elif rng.random() < 0.4:
        array = _array(rng, dtype, count)
        source = Constant(constant_root(array))
        constants[source.root] = array
    offsets, terms = _places(rng, view, LEAF_BYTES // dtype.size, len(shape) + len(domain))
    if domain and not stack and rng.random() < 0.15:  # a row that skips leaves
        view, sign = (count,), rng.choice((1, -1))
        offsets = (0 if sign > 0 else count - 1,)
        terms = (Term(0, len(shape) + len(domain) - 1, sign * 2 * LEAF_BYTES // dtype.size),)
    if stack:
        offsets = (rng.randint(0, STACKED - 1), *offsets[1:])
    fill = rng.choice((0, 0, 1, -1, (1 << 63) - 1, -(1 << 63), rng.getrandbits(40)))
    return Access(source, dtype, view, offsets, terms, fill, None, stack)


def _chain(
    rng: random.Random,
    accesses: list[Access],
    number: int,
    shape: tuple[int, ...],
    domain: tuple[int, ...],
    constants: dict[Root, np.ndarray],
) -> None:
    """Gives access ``number`` an index, and mostly no further one to that."""
    access = accesses[number]
    dimension = rng.randrange(len(access.shape))
    if access.stack and rng.random() < 0.7:  # an index that selects the value, mostly one that exists
        dimension = 0
        kept = tuple(term for term in access.terms if term.dimension or rng.random() < 0.3)
        access = replace(access, offsets=(0, *access.offsets[1:]), terms=kept)
    array = _array(rng, DType.I8, 60, rng.choice((0, 0, -2)), min(100, access.shape[dimension] - rng.randint(0, 1)))
    source = Constant(constant_root(array))
    constants[source.root] = array
    offsets, terms = _places(rng, (60,), 7, rng.choice((len(shape), len(shape) + len(domain))))
    accesses[number] = replace(access, indirect=(dimension, len(accesses)))
    accesses.append(Access(source, DType.I8, (60,), offsets, terms, rng.choice((0, 3))))
    if rng.random() < 0.3:
        _chain(rng, accesses, len(accesses) - 1, shape, domain, constants)
