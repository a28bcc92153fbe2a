"""Random sums of products, run by the native kernels without XLA and compared with an independent path, element by element.

Every number that the kernels branch on is drawn: roles and orders of variables, strides (reversed, spread, overlapping windows), fill
around sources, dtypes, magnitudes up to the ends, terms around the borders of pairs, sub-blocks and blocks, rows and columns around
those of tiles, claims, iterations, code with loads and look-ups, kernels and threads.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from unittest.mock import patch

import numpy as np

from prover.executor.kernels import native
from prover.executor.kernels.gather import holding
from prover.executor.kernels.kernel import Kernel
from prover.executor.selftest import Independent
from rollup.audit.intervals import intervals
from rollup.form.affine import spans
from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import Access, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.program import Program
from rollup.types import DType, Root
from tests.lockstep.programs import canonical
from tests.prover import hand

Array = np.ndarray

TERMS = (17, 18, 31, 33, 63, 64, 65, 100, 127, 130, 255, 520, 1030)
ROWS = (1, 1, 2, 3, 5, 7, 15, 16, 17, 33, 63, 66, 130, 300)
COLUMNS = (1, 2, 8, 15, 16, 17, 31, 33, 64, 257)
SAMPLES = 6


class Runs(Protocol):
    """Whatever runs a product: a ``Library``, or another build."""

    def run(self, kernels: str, plan: Array, operands: Sequence[Array], result: Array, threads: int = 1) -> None:
        """The product, into ``result``."""
        ...


@dataclass
class Drawn:
    """A program that ends with a product, its kernel, and [claims, ...] of every value before it."""

    program: Program
    kernel: Kernel
    values: list[Array]
    t: int

    def call(self) -> tuple[native.Call, bool]:
        """The kernel's call of the library, and whether the op's code runs there."""
        plan = self.kernel.native
        assert plan is not None
        given: Any = native.Given(self.t, self._operand, self._prepared(), {})  # type: ignore[arg-type]
        # NumPy's arrays all the way: JAX would compile a program for every shape.
        with patch.object(native, "pad", _padded):
            try:
                return native.described(self.kernel, plan, given, True), True
            except native.NotFused:
                return native.described(self.kernel, plan, given, False), False

    def _operand(self, number: int) -> Array:
        access = self.program.ops[-1].accesses[number]
        if isinstance(access.source, Constant):
            return np.asarray(self.program.seen(access)).reshape([1, *access.shape])
        return self.values[access.source.base].reshape([-1, *access.shape])

    def _prepared(self) -> dict[str, Array]:
        return {name: p.array[self.t] if p.iterated else p.array for name, p in self.kernel.prepared.items()}

    def expected(self, claim: int, position: int, fused: bool) -> int:
        op = self.program.ops[-1]
        sources = [
            self.program.seen(a) if isinstance(a.source, Constant) else self.values[a.source.base][claim]
            for a in op.accesses
        ]
        if not fused:
            op = replace(op, code=(), dtype=DType.I64)
        return Independent(op, self.t, sources).element(position)


def _padded(source: Array, access: Access, sizes: Mapping[int, int]) -> tuple[Array, Access] | None:
    """``prover.executor.kernels.access.pad`` on NumPy's arrays."""
    reach = spans(access, sizes)
    around = [(max(0, -low), max(0, high - size + 1)) for (low, high), size in zip(reach, access.shape, strict=True)]
    if not any(low or high for low, high in around):
        return None
    wide = source.astype(holding(source.dtype, access.fill))
    inner = np.pad(wide, [(0, 0), *around], constant_values=access.fill)
    offsets = tuple(offset + low for offset, (low, _) in zip(access.offsets, around, strict=True))
    return inner, replace(access, shape=inner.shape[1:], offsets=offsets)


def draw(seed: int) -> Drawn | None:
    """A product that the native kernels take; None if this seed's is nothing for them."""
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    claims = rng.choice((1, 1, 1, 2, 5))
    repeat = rng.choice((1, 1, 1, 3))
    terms, rows, columns = rng.choice(TERMS), rng.choice(ROWS), rng.choice(COLUMNS)
    while rows * columns * terms * claims > 1 << 20:
        rows, columns = max(1, rows // 2), max(1, columns // 3)
    batch = rng.choice((1, 1, 1, 2, 3))
    roles = {"b": batch, "r": rows, "c": columns}
    outer = rng.sample("brc", 3)
    shape = tuple(roles[name] for name in outer)
    domain = (terms,) if rng.random() < 0.6 else (max(1, terms // 4), 4)
    place = {name: outer.index(name) for name in outer}
    constants: dict[Root, Array] = {}
    inputs: list[TensorType] = []
    values: list[Array] = []
    weights = rng.random() < 0.7
    x = _factor(rng, numbers, ("b", "r"), place, shape, domain, repeat, claims, inputs, values, None, False)
    y = _factor(
        rng,
        numbers,
        ("b", "c"),
        place,
        shape,
        domain,
        repeat,
        claims,
        inputs,
        values,
        constants if weights else None,
        True,
    )
    accesses, code = [x, y] if rng.random() < 0.5 else [y, x], list[Instr]()
    _code(rng, numbers, shape, claims, accesses, code, inputs, values, constants)
    dtype = rng.choice((DType.I16, DType.I32, DType.I64, DType.I8))
    clamps = _clamps(rng, inputs, values)
    moved = {clamped.accesses[0].source: Value(clamped.first) for clamped in clamps}
    accesses = [replace(access, source=moved.get(access.source, access.source)) for access in accesses]
    first = len(inputs) + len(clamps)
    op = canonical(Op(first, 1, repeat, Monoid.SUM, dtype, 2, shape, domain, tuple(accesses), tuple(code)))
    constants = {a.source.root: constants[a.source.root] for a in op.accesses if isinstance(a.source, Constant)}
    program = Program.build(inputs, [(first, TensorType(dtype, 0, shape))], [*clamps, op], constants)
    kernel = Kernel.of(program, op, intervals(program)[-1])
    values += [
        values[clamped.accesses[0].source.base] for clamped in clamps if isinstance(clamped.accesses[0].source, Value)
    ]
    return Drawn(program, kernel, values, rng.randrange(repeat)) if kernel.native is not None else None


def _clamps(rng: random.Random, inputs: list[TensorType], values: list[Array]) -> list[Op]:
    """Ops that clamp wide inputs to what they hold (so that nothing is cut), as programs do before a product."""
    found: list[Op] = []
    for number, (tensor, array) in enumerate(zip(inputs, values, strict=True)):
        bits = max(int(array.max()).bit_length(), int(-int(array.min()) - 1).bit_length()) + rng.choice((0, 0, 1, 3))
        if tensor.dtype in (DType.I32, DType.I64) and bits < 32 and rng.random() < 0.8:
            code = (
                Instr(Opcode.CONST, (), (1 << bits) - 1),
                Instr(Opcode.MIN, (0, 1)),
                Instr(Opcode.CONST, (), -(1 << bits)),
                Instr(Opcode.MAX, (2, 3)),
            )
            terms = tuple(Term(d, d, 1) for d in range(len(tensor.shape)))
            seen = Access(Value(number), tensor.dtype, tensor.shape, (0,) * len(tensor.shape), terms)
            at = len(inputs) + len(found)
            found.append(canonical(Op(at, 1, 1, Monoid.NONE, tensor.dtype, 1, tensor.shape, (), (seen,), code)))
    return found


def _numbers(
    rng: random.Random, numbers: np.random.Generator, dtype: DType, shape: tuple[int, ...], narrow: bool
) -> Array:
    """All of some magnitude or in one part smaller, extremes among them, or nothing else."""
    top = min(
        dtype.max, (1 << rng.choice((3, 7, 14, 15))) - 1 if narrow else (1 << rng.choice((7, 15, 16, 20, 24, 30))) - 1
    )
    kind = rng.random()
    if kind < 0.15:
        found = numbers.choice(np.array([-top - 1, top], np.int64), shape)
    elif kind < 0.3:
        found = np.full(shape, rng.choice((-top - 1, top)), np.int64)
    else:
        found = numbers.integers(-top - 1, top, shape, np.int64, endpoint=True)
        if kind < 0.5:
            found[numbers.random(shape) < 0.01] = -top - 1
    if shape and rng.random() < 0.3:
        # Small up to somewhere, or from there on.
        axis = rng.randrange(len(shape))
        at = rng.randrange(shape[axis] + 1)
        part = [slice(None)] * len(shape)
        part[axis] = rng.choice((slice(None, at), slice(at, None)))
        found[tuple(part)] >>= rng.choice((2, 6, 15))
    return found.astype(dtype.numpy)


def _factor(
    rng: random.Random,
    numbers: np.random.Generator,
    names: tuple[str, str],
    place: dict[str, int],
    shape: tuple[int, ...],
    domain: tuple[int, ...],
    repeat: int,
    claims: int,
    inputs: list[TensorType],
    values: list[Array],
    constants: dict[Root, Array] | None,
    narrow: bool,
) -> Access:
    """An access over a batch variable, a free one and the domain, its dimensions in any order."""
    variables = [*(place[name] for name in names), *(len(shape) + d for d in range(len(domain)))]
    sizes = dict(enumerate((*shape, *domain)))
    rng.shuffle(variables)
    dims, offsets, terms = [], [], []
    window = rng.random() < 0.2
    for d, var in enumerate(variables):
        coef = rng.choice((1, 1, 1, 1, -1, 2))
        extent = abs(coef) * (sizes[var] - 1) + 1
        cut = rng.choice((0, 0, 0, 1)) if extent > 2 else 0
        dims.append(max(1, extent - cut))
        offsets.append((extent - 1 if coef < 0 else 0) - (cut if rng.random() < 0.5 else 0))
        terms.append(Term(d, var, coef))
    if window:
        # A free variable walks along a dimension of the domain, too, as in a convolution.
        at, along = variables.index(place[names[1]]), variables.index(len(shape))
        terms.append(Term(along, variables[at], 1))
        dims[along] += sizes[variables[at]] - 1
    if repeat > 1 and constants is None:
        dims[0] += repeat - 1
        terms.append(Term(0, 255, 1))
    fill = rng.choice((0, 0, 1, -3))
    dtype = rng.choice(
        (DType.I8, DType.I16, DType.I16) if narrow else (DType.I8, DType.I16, DType.I16, DType.I32, DType.I64)
    )
    size = (claims, *dims)
    if constants is not None:
        array = _numbers(rng, numbers, dtype, tuple(dims), True)
        root = constant_root(array)
        constants[root] = array
        return Access(Constant(root), dtype, tuple(dims), tuple(offsets), tuple(terms), fill)
    wide = DType.I16 if dtype in (DType.I32, DType.I64) and rng.random() < 0.3 else dtype
    values.append(_numbers(rng, numbers, wide, size, narrow))
    inputs.append(TensorType(wide, 0, tuple(dims)))
    return Access(Value(len(inputs) - 1), wide, tuple(dims), tuple(offsets), tuple(terms), fill)


_BINARY = (
    Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.DIV, Opcode.SHL, Opcode.SHR, Opcode.AND, Opcode.OR, Opcode.XOR,
    Opcode.MIN, Opcode.MAX, Opcode.LESS, Opcode.EQUAL,
)  # fmt: skip
_CONSTANTS = (
    0,
    1,
    2,
    3,
    7,
    13,
    31,
    40,
    63,
    64,
    -1,
    -5,
    1000,
    32767,
    -32768,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 40,
    -(1 << 62),
)


def _code(
    rng: random.Random,
    numbers: np.random.Generator,
    shape: tuple[int, ...],
    claims: int,
    accesses: list[Access],
    code: list[Instr],
    inputs: list[TensorType],
    values: list[Array],
    constants: dict[Root, Array],
) -> None:
    """Any instructions on the sum, constants, variables, loads along some variables, and look-ups."""
    for _ in range(rng.choice((0, 2, 5, 9, 16))):
        count, kind = len(code), rng.random()
        registers = [rng.randint(max(0, count - 4) if rng.random() < 0.7 else 0, count) for _ in range(3)]
        if kind < 0.2:
            code.append(Instr(Opcode.CONST, (), rng.choice(_CONSTANTS)))
        elif kind < 0.25:
            code.append(Instr(Opcode.INDEX, (rng.randrange(3),)))
        elif kind < 0.4:
            accesses.append(_loaded(rng, numbers, shape, claims, inputs, values, constants))
            code.append(Instr(Opcode.LOAD, (len(accesses) - 1,)))
        elif kind < 0.5:
            table = numbers.integers(-(1 << 20), 1 << 20, 64).astype(np.int32)
            root = constant_root(table)
            constants[root] = table
            accesses.append(
                Access(Constant(root), DType.I32, (64,), (rng.choice((0, 3, -2)),), (), 7, (0, len(accesses)))
            )
            code.append(Instr(Opcode.GATHER, (len(accesses) - 1, registers[0])))
        elif kind < 0.6:
            code.append(Instr(Opcode.MULSHIFT, tuple(registers)))
        elif kind < 0.7:
            code.append(Instr(rng.choice((Opcode.ABS, Opcode.BITLEN, Opcode.ISQRT)), (registers[0],)))
        elif kind < 0.75:
            code.append(Instr(Opcode.SELECT, tuple(registers)))
        elif kind < 0.85:
            code += _idiom(rng, registers[0], count)
        else:
            code.append(Instr(rng.choice(_BINARY), tuple(registers[:2])))


def _idiom(rng: random.Random, register: int, count: int) -> list[Instr]:
    """What lowering ends products with: some of it runs as one instruction, or by a rule of its own."""
    match rng.randrange(4):
        case 0:  # a clamp
            ends = rng.choice(((-128, 127), (-32768, 32767), (-(1 << 25), (1 << 25) - 1), (-(1 << 40), 1 << 40)))
            low, high = (Instr(Opcode.CONST, (), end) for end in ends)
            return [high, Instr(Opcode.MIN, (register, count + 1)), low, Instr(Opcode.MAX, (count + 2, count + 3))]
        case 1:  # a rescale
            factor = Instr(Opcode.CONST, (), rng.choice((3, 1 << 21, (1 << 22) - 1, (1 << 31) - 1, (1 << 32) - 1)))
            shift = Instr(Opcode.CONST, (), rng.choice((0, 1, 17, 22, 31, 40)))
            return [factor, shift, Instr(Opcode.MULSHIFT, (register, count + 1, count + 2))]
        case 2:  # a product of two narrow numbers
            end = Instr(Opcode.CONST, (), rng.choice((32767, (1 << 25) - 1, (1 << 31) - 1)))
            shift = Instr(Opcode.CONST, (), rng.choice((0, 1, 15, 28)))
            small = [Instr(Opcode.ABS, (register,)), Instr(Opcode.MIN, (count + 2, count + 1))]
            product = Instr(Opcode.MUL, (count + 3, count + 3))
            return [end, *small, product, shift, Instr(Opcode.SHR, (count + 4, count + 5))]
    # A quotient of a long number, rounded to the nearest as lowering does.
    left = Instr(Opcode.CONST, (), rng.choice((0, 10, 26, 40)))
    divisor = Instr(Opcode.CONST, (), rng.choice((3, 5, -7, (1 << 22) - 1, (1 << 40) + 1)))
    return [left, Instr(Opcode.SHL, (register, count + 1)), divisor, Instr(Opcode.DIV, (count + 2, count + 3))]


def _loaded(
    rng: random.Random,
    numbers: np.random.Generator,
    shape: tuple[int, ...],
    claims: int,
    inputs: list[TensorType],
    values: list[Array],
    constants: dict[Root, Array],
) -> Access:
    used = [var for var in range(len(shape)) if rng.random() < 0.6]
    rng.shuffle(used)
    dims = tuple(shape[var] for var in used)
    terms = tuple(Term(d, var, 1) for d, var in enumerate(used))
    dtype = rng.choice((DType.I8, DType.I16, DType.I32, DType.I64))
    if rng.random() < 0.5:
        array = _numbers(rng, numbers, dtype, dims, False)
        root = constant_root(array)
        constants[root] = array
        return Access(Constant(root), dtype, dims, (0,) * len(dims), terms)
    values.append(_numbers(rng, numbers, dtype, (claims, *dims), False))
    inputs.append(TensorType(dtype, 0, dims))
    return Access(Value(len(inputs) - 1), dtype, dims, (0,) * len(dims), terms)


def wrong(drawn: Drawn, library: Runs, kernels: str, threads: int, rng: random.Random) -> Iterator[str]:
    """Elements at which the kernels differ from the op table."""
    call, fused = drawn.call()
    result = np.full(call.shape, 99, call.dtype)
    library.run(kernels, call.numbers, [np.asarray(a) for a in call.operands], result, threads)
    claims, elements = call.shape[0], math.prod(call.shape[1:])
    for _ in range(SAMPLES):
        claim, position = (
            rng.randrange(claims),
            rng.choice((0, elements - 1, rng.randrange(elements), rng.randrange(elements))),
        )
        found, expected = int(result[claim].reshape(-1)[position]), drawn.expected(claim, position, fused)
        if found != expected:
            yield f"claim {claim}, element {position}: {found}, must be {expected} ({kernels}, {threads} threads, {drawn.kernel.native})"


LONGEST = 100_000
"""Terms of a sum whose low words need all of their 32 bits."""


def longest() -> Drawn:
    """Groups of one pair each, in every one of which the low 16 bits are as large as they get."""
    draft = hand.drafted(DType.I16, (2, LONGEST))
    weights = draft.constant(np.tile(np.array([32767, 2], np.int16), (3, LONGEST // 2)))
    rows = hand.access(Value(0), DType.I16, (2, LONGEST), [{0: 1}, {2: 1}])
    columns = hand.access(weights, DType.I16, (3, LONGEST), [{1: 1}, {2: 1}])
    draft.add(Monoid.SUM, DType.I64, 2, (2, 3), (LONGEST,), [rows, columns])
    program = draft.program()
    kernel = Kernel.of(program, program.ops[-1], intervals(program)[-1])
    return Drawn(program, kernel, [np.full((1, 2, LONGEST), 32767, np.int16)], 0)


def wrong_at_length(library: Runs, kernels: str) -> bool:
    """Whether the longest sum is wrong."""
    call, _ = longest().call()
    result = np.zeros(call.shape, call.dtype)
    library.run(kernels, call.numbers, [np.asarray(a) for a in call.operands], result)
    return bool((result != LONGEST // 2 * ((1 << 30) - 1)).any())
