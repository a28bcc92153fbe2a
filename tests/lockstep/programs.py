"""Random programs: every monoid, opcode, dtype, source, fill and index that the op form has, on extreme values."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import (
    INSTRUCTIONS,
    ITERATION,
    Access,
    Carried,
    Constant,
    Instr,
    Monoid,
    Op,
    Opcode,
    Source,
    Term,
    Value,
)
from rollup.form.parts import Partition
from rollup.form.program import Program
from rollup.types import DType, Root

T = TypeVar("T")

EDGES = (0, 1, -1, 2, 63, 64, 65, -64, -65, 127, 128, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63))


@dataclass(frozen=True)
class Tensor:
    """Something that an op can read: ``stack`` is not 0 where dimension 0 selects a value."""

    dtype: DType
    shape: tuple[int, ...]
    source: Source
    stack: int = 0


@dataclass
class _Draft:
    """A program while it is drawn."""

    rng: random.Random
    inputs: list[TensorType] = field(default_factory=list)
    arrays: list[np.ndarray] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    constants: dict[Root, np.ndarray] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    """Values that ops may read from now on."""

    def number(self, low: int, high: int) -> int:
        """A number of [low, high], often an extreme one."""
        return self.rng.choice((low, high, self.rng.randint(low, high), self.rng.randint(low, high)))

    def shape(self, most_rank: int, most: int) -> tuple[int, ...]:
        shape: list[int] = []
        for _ in range(self.rng.randint(0, most_rank)):
            shape.append(self.rng.randint(1, max(1, min(9, most // max(1, math.prod(shape))))))
        return tuple(shape)

    def array(
        self, dtype: DType, shape: tuple[int, ...], low: int | None = None, high: int | None = None
    ) -> np.ndarray:
        """Elements of [low, high] (default: of the dtype), of which one style in three is all extremes."""
        lowest, highest = dtype.min if low is None else low, dtype.max if high is None else high
        count = math.prod(shape)
        style = self.rng.randrange(3)
        if style == 0:
            flat = [self.rng.choice((lowest, highest)) for _ in range(count)]
        else:
            flat = [
                self.number(lowest, highest) if style == 1 else self.rng.randint(lowest, highest) for _ in range(count)
            ]
        return np.array(flat, dtype=dtype.numpy).reshape(shape)

    def constant(self, array: np.ndarray) -> Constant:
        root = constant_root(array)
        held = self.constants.get(root)
        while held is not None and (held.dtype != array.dtype or held.size != array.size):
            # Leaves are padded with zeros: another dtype or length of mostly zeros can have the same root.
            array = array.copy()
            array.reshape(-1)[self.rng.randrange(array.size)] ^= self.rng.randint(1, 127)
            root = constant_root(array)
            held = self.constants.get(root)
        self.constants[root] = array
        return Constant(root)

    def view(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape, or another one of as many elements."""
        count = math.prod(shape)
        style = self.rng.randrange(4)
        if style == 0:
            return (count,)
        if style == 1:
            factor = self.rng.choice([f for f in range(1, min(count, 64) + 1) if count % f == 0])
            return (count // factor, factor)
        return shape

    def split(self, count: int) -> tuple[int, ...]:
        """A domain or shape of about ``count`` elements."""
        if count > 40 and self.rng.random() < 0.6:
            return (count,) if self.rng.random() < 0.7 else (self.rng.randint(1, 3), count // 3)
        return self.shape(3, count)

    def source(self, repeat: int, extra: list[Tensor], shape: tuple[int, ...] | None = None) -> tuple[Tensor, bool]:
        """A tensor to read, and whether its first dimension has to be sliced by the iteration."""
        pool = [*self.tensors, *extra]
        if self.rng.random() < 0.45 or not pool:
            dtype = self.rng.choice(list(DType))
            sliced = repeat > 1 and self.rng.random() < 0.5
            shape = shape or self.shape(3, 600)
            shape = (repeat, *shape) if sliced else shape
            held = self.constant(self.array(dtype, shape))
            return Tensor(dtype, shape, held), sliced
        return self.rng.choice(pool[-6:] if self.rng.random() < 0.5 else pool), False

    def access(
        self, tensor: Tensor, spans: list[int], free: list[int], sliced: bool, repeat: int, row: int | None
    ) -> Access:
        """A random access; ``spans[v]`` is the size of variable v, ``free`` the variables that it may use.

        ``row``: the variable that, more often than not, runs along the last dimension in steps of one.
        """
        rng = self.rng
        tail = tensor.shape[1:] if tensor.stack or sliced else tensor.shape
        viewed = self.view(tail)
        shape = (tensor.shape[0], *viewed) if tensor.stack or sliced else viewed
        terms: list[Term] = []
        offsets: list[int] = []
        for d, size in enumerate(shape):
            if d == 0 and sliced:
                terms.append(Term(0, ITERATION, 1))
                offsets.append(0)
                continue
            low = high = 0
            mine: list[int] = []
            if row is not None and d == len(shape) - 1 and rng.random() < 0.7:
                mine.append(row)
            elif free and rng.random() < 0.85:
                mine += rng.sample(free, min(len(free), rng.choice((1, 1, 1, 2))))
            for var in mine:
                coef = 1 if rng.random() < 0.65 else rng.choice((-1, -1, 2, -2, 3, 7))
                if var == row and rng.random() < 0.5:
                    coef = 1
                terms.append(Term(d, var, coef))
                reach = coef * (spans[var] - 1)
                low, high = low + min(reach, 0), high + max(reach, 0)
            slack = size - 1 - high + low
            inside = rng.randint(min(0, slack), max(0, slack)) - low
            offsets.append(inside if rng.random() < 0.75 else inside + rng.randint(-3, 3))
        if repeat > 1 and not sliced and shape and rng.random() < 0.15:
            terms.append(Term(rng.randrange(len(shape)), ITERATION, rng.choice((1, -1))))
        rng.shuffle(terms)
        fill = rng.choice((0, 0, 0, 1, -1, tensor.dtype.min, rng.choice(EDGES)))
        return Access(tensor.source, tensor.dtype, shape, tuple(offsets), tuple(terms), fill, None, tensor.stack)

    def index(self, size: int, spans: list[int], free: list[int]) -> Access:
        """An access whose values mostly are coordinates of a dimension of ``size``."""
        shape = tuple(spans[v] for v in free[:2]) or (1,)
        dtype = self.rng.choice((DType.I16, DType.I32, DType.I64))
        low, high = (-2, size + 1) if self.rng.random() < 0.3 else (0, size - 1)
        held = self.constant(self.array(dtype, shape, low, high))
        terms = tuple(Term(d, v, 1) for d, v in enumerate(free[:2]))
        return Access(held, dtype, shape, (0,) * len(shape), terms, self.rng.choice((0, -1, 1)))

    def code(self, rank: int, looks: list[int], loads: list[int], wanted: Opcode) -> tuple[Instr, ...]:
        """Random instructions of which one is ``wanted``; each but the last is likely to be read."""
        rng = self.rng
        code: list[Instr] = []
        picks = [wanted, *rng.choices(list(Opcode), k=rng.randint(0, 6))]
        rng.shuffle(picks)
        for op in picks:
            registers = len(code) + 1

            def register(registers: int = registers) -> int:
                return registers - 1 if rng.random() < 0.5 else rng.randrange(registers)

            match op:
                case Opcode.CONST:
                    code.append(
                        Instr(
                            op, (), rng.choice((*EDGES, rng.randint(-100, 100), rng.randint(-(1 << 63), (1 << 63) - 1)))
                        )
                    )
                case Opcode.INDEX:
                    code.append(Instr(op, (rng.choice([*range(rank), ITERATION]),)))
                case Opcode.LOAD:
                    if loads:
                        code.append(Instr(op, (rng.choice(loads),)))
                case Opcode.GATHER:
                    if looks:
                        number = rng.choice(looks)
                        if rng.random() < 0.7:  # a register that lies in the table's range, as lowering clamps it
                            code.append(Instr(Opcode.CONST, (), 15))
                            code.append(Instr(Opcode.AND, (registers, rng.randrange(registers))))
                            code.append(Instr(op, (number, registers + 1)))
                        else:
                            code.append(Instr(op, (number, register())))
                case Opcode.SHL | Opcode.SHR | Opcode.MULSHIFT:
                    code.append(
                        Instr(
                            Opcode.CONST,
                            (),
                            rng.choice((rng.randint(-70, 70), rng.randint(0, 40), rng.choice(EDGES), 128, 129)),
                        )
                    )
                    middle = (rng.randrange(registers),) if op is Opcode.MULSHIFT else ()
                    code.append(Instr(op, (rng.randrange(registers), *middle, registers)))
                case _:
                    arity = len(INSTRUCTIONS[op].operands.split())
                    code.append(Instr(op, tuple(register() for _ in range(arity))))
        return tuple(code)

    def op(
        self,
        first: int,
        body: int,
        repeat: int,
        extra: list[Tensor],
        monoid: Monoid,
        wanted: Opcode,
        dtype: DType,
        out: tuple[int, ...] | None,
    ) -> Op:
        """One op over what exists so far; ``out`` fixes its shape."""
        rng = self.rng
        factors = rng.choice((0, 1, 1, 2, 2, 2)) if monoid is Monoid.NONE else rng.choice((1, 2))
        long = monoid is not Monoid.NONE and rng.random() < 0.25
        domain: tuple[int, ...] = ()
        if monoid is not Monoid.NONE:
            domain = self.split(rng.randint(60, 700)) if long else self.shape(3, 24)
            # Mostly some dimension is left to reduce once those of one position are left out.
            domain = tuple(max(size, rng.choice((1, 2, 3))) for size in domain) or (rng.randint(2, 9),)
        shape = out if out is not None else self.shape(2, 3) if long else self.shape(3, rng.choice((12, 40, 120)))
        spans = [*shape, *domain]
        outputs, everything = list(range(len(shape))), list(range(len(spans)))
        row = len(spans) - 1 if domain else None
        accesses: list[Access] = []
        indices: list[Access] = []
        for _ in range(factors):
            fit = (*self.shape(1, 6), domain[-1]) if domain and rng.random() < 0.8 else None
            tensor, sliced = self.source(repeat, extra, fit)
            if fit and rng.random() < 0.6 and tensor.dtype.size > 2 and isinstance(tensor.source, Constant):
                narrow = rng.choice((DType.I8, DType.I16))
                kept = self.constant(self.array(narrow, tensor.shape))
                tensor = replace(tensor, dtype=narrow, source=kept)
            access = self.access(tensor, spans, everything, sliced, repeat, row)
            if rng.random() < 0.2 and access.shape:
                d = rng.randrange(len(access.shape))
                free = rng.choice((outputs, everything, everything[:-1]))
                indices.append(self.index(access.shape[d], spans, rng.sample(free, min(len(free), 2))))
                access = replace(access, indirect=(d, factors + len(indices) - 1))
            accesses.append(access)
        if factors == 2 and rng.random() < 0.1:
            accesses[1] = accesses[0]
        accesses += indices
        loads, looks = [], []
        for _ in range(rng.randint(0, 3) + (wanted is Opcode.LOAD)):
            loads.append(len(accesses))
            tensor, sliced = self.source(repeat, extra)
            accesses.append(self.access(tensor, spans, outputs, sliced, repeat, None))
        if wanted is Opcode.GATHER or rng.random() < 0.3:
            looks.append(len(accesses))
            table = self.constant(self.array(rng.choice(list(DType)), (rng.choice((16, 40, 700)),)))
            held = self.constants[table.root]
            offset = rng.choice((0, 0, 0, 3, -2))
            accesses.append(
                Access(table, DType.of(held.dtype), held.shape, (offset,), (), rng.choice((0, 5)), (0, len(accesses)))
            )
        code = self.code(len(shape), looks, loads, wanted)
        return canonical(Op(first, body, repeat, monoid, dtype, factors, shape, domain, tuple(accesses), code))

    def segment(
        self, first: int, body: int, repeat: int, monoids: list[Monoid], opcodes: list[Opcode], dtypes: list[DType]
    ) -> int:
        """Adds ``body`` ops that execute ``repeat`` times from trace index ``first`` on; returns the trace index behind them."""
        rng = self.rng
        loop: list[Tensor] = []
        shapes: list[tuple[DType, tuple[int, ...]] | None] = [None] * body
        if repeat > 1:
            inits = [tensor for tensor in self.tensors if not tensor.stack and math.prod(tensor.shape) <= 60]
            for init in rng.sample(inits, min(len(inits), 2)):
                j = rng.randrange(body)
                source = init.source
                if shapes[j] is None and isinstance(source, Value):
                    shapes[j] = (init.dtype, init.shape)
                    carried = Carried(first + j - body, body, source.base)
                    loop.append(Tensor(init.dtype, init.shape, carried))
        added: list[Op] = []
        for j in range(body):
            fixed = shapes[j]
            dtype, out = (dtypes[j], None) if fixed is None else fixed
            op = self.op(first + j, body, repeat, loop, monoids[j], opcodes[j], dtype, out)
            added.append(op)
            same = Value(first + j, body if repeat > 1 else 0)
            tensor = Tensor(dtype, op.shape, same)
            if repeat > 1:
                loop.append(tensor)
            else:
                self.tensors.append(tensor)
        self.ops += added
        if repeat > 1:
            for j, op in enumerate(added):
                last, all_of_it = Value(first + (repeat - 1) * body + j), Value(first + j)
                self.tensors.append(Tensor(op.dtype, op.shape, last))
                self.tensors.append(Tensor(op.dtype, (repeat, *op.shape), all_of_it, body))
        return first + body * repeat


def canonical(op: Op) -> Op:
    """Another op in the one encoding that the audit takes: what says nothing is left out, and the rest is in order."""
    sizes = {**dict(enumerate((*op.shape, *op.domain))), ITERATION: op.repeat}
    accesses = [_canonical_terms(_unstacked(access), sizes) for access in op.accesses]
    read = _read(op.factors, accesses)
    moved = {term.var for number in read for term in accesses[number].terms}
    outer = len(op.shape)
    kept = [d for d, size in enumerate(op.domain) if size > 1 and outer + d in moved]
    renamed = {outer + d: outer + n for n, d in enumerate(kept)}
    accesses = [
        replace(
            access,
            terms=tuple(
                replace(term, var=renamed.get(term.var, term.var))
                for term in access.terms
                if term.var < outer or term.var == ITERATION or term.var in renamed
            ),
        )
        for access in accesses
    ]
    read |= {instr.args[0] for instr in op.code if instr.op in (Opcode.LOAD, Opcode.GATHER)}
    numbers = {number: n for n, number in enumerate(sorted(read))}
    accesses = [
        replace(access, indirect=None if access.indirect is None else (access.indirect[0], numbers[access.indirect[1]]))
        for number, access in enumerate(accesses)
        if number in read
    ]
    code = tuple(
        replace(instr, args=(numbers[instr.args[0]], *instr.args[1:]))
        if instr.op in (Opcode.LOAD, Opcode.GATHER)
        else instr
        for instr in op.code
    )
    domain = tuple(op.domain[d] for d in kept)
    monoid = op.monoid if domain else Monoid.NONE
    return replace(op, monoid=monoid, domain=domain, accesses=tuple(accesses), code=code)


def _read(factors: int, accesses: list[Access]) -> set[int]:
    """The factors and their indices."""
    read = set(range(factors))
    for number in range(factors):
        while (indirect := accesses[number].indirect) is not None and indirect[1] not in (number, *range(factors)):
            number = indirect[1]
            read.add(number)
    return read


def _unstacked(access: Access) -> Access:
    """A stack of one value read without a stack."""
    if not access.stack or access.shape[0] > 1:
        return access
    terms = tuple(replace(term, dimension=term.dimension - 1) for term in access.terms if term.dimension)
    indirect = access.indirect
    if indirect is not None:
        indirect = (indirect[0] - 1, indirect[1]) if indirect[0] else None
    return replace(access, shape=access.shape[1:], offsets=access.offsets[1:], terms=terms, indirect=indirect, stack=0)


def _canonical_terms(access: Access, sizes: dict[int, int]) -> Access:
    added: dict[tuple[int, int], int] = {}
    for term in access.terms:
        if sizes[term.var] > 1:
            added[term.dimension, term.var] = added.get((term.dimension, term.var), 0) + term.coef
    return replace(access, terms=tuple(Term(d, var, coef) for (d, var), coef in sorted(added.items()) if coef))


def draw(seed: int) -> tuple[Program, list[np.ndarray]]:
    """A random program and inputs for it; the seed decides everything.

    Monoids, opcodes and dtypes are dealt from shuffled decks, so that a few programs see all of them.
    """
    draft = _Draft(random.Random(seed))
    rng = draft.rng
    for _ in range(rng.randint(1, 3)):
        dtype, shape = rng.choice(list(DType)), draft.shape(3, 700)
        held = Value(len(draft.inputs))
        draft.inputs.append(TensorType(dtype, 0, shape))
        draft.arrays.append(draft.array(dtype, shape))
        draft.tensors.append(Tensor(dtype, shape, held))
    plan = [(rng.randint(1, 3), rng.choice((1, 1, rng.randint(2, 4)))) for _ in range(rng.randint(2, 4))]
    # Segments of one iteration that follow one another are one segment of the trace: either way it is the same program.
    total = sum(body for body, _ in plan)
    monoids = _deal(rng, [m for m in Monoid for _ in range(3 if m is Monoid.SUM else 1)], total)
    opcodes, dtypes = _deal(rng, list(Opcode), total), _deal(rng, list(DType), total)
    first, dealt = len(draft.inputs), 0
    for body, repeat in plan:
        cut = slice(dealt, dealt + body)
        width = 1 if repeat == 1 else body
        if repeat == 1:
            for j in range(dealt, dealt + body):
                first = draft.segment(first, width, 1, monoids[j : j + 1], opcodes[j : j + 1], dtypes[j : j + 1])
        else:
            first = draft.segment(first, width, repeat, monoids[cut], opcodes[cut], dtypes[cut])
        dealt += body
    last = draft.ops[-1]
    outputs = [(first - 1, TensorType(last.dtype, 0, last.shape))]
    ops = [replace(op, part=_part(rng, op)) for op in draft.ops]
    return Program.build(draft.inputs, outputs, ops, draft.constants), draft.arrays


def _part(rng: random.Random, op: Op) -> int:
    """Size of the parts of an op's domain, as often as not smaller than the domain, and often not along its last axis."""
    if op.monoid is Monoid.NONE:
        return 0
    sizes = (1, 2, 3, 7, math.prod(op.domain[-1:]), 2 * math.prod(op.domain[-1:]), op.domain_elements // 2)
    cut = Partition.of(op.domain, max(1, rng.choice(sizes)))
    return 0 if cut.count == 1 else cut.size


def _deal(rng: random.Random, deck: list[T], count: int) -> list[T]:
    dealt: list[T] = []
    while len(dealt) < count:
        dealt += rng.sample(deck, len(deck))
    return dealt[:count]
