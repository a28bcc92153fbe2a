"""The reference: evaluates any one element of any op, in exact Python integers.

The twin of Evaluator.sol; the functions carry the same names there. Slow and plain on purpose: when executor, reference and EVM
differ, this file is what the other two are measured against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product as cartesian

import numpy as np

from rollup.form.ops import (
    ARGUMENTS,
    INSTRUCTIONS,
    ITERATION,
    Access,
    Carried,
    Constant,
    Instr,
    Monoid,
    Op,
    Opcode,
    wrap,
)
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.types import LEAF_BYTES, Root

Read = Callable[[int, int, int], int]
"""(access number, value index or -1 for a constant, element) -> the integer stored there."""


def unravel(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major coordinates of a position."""
    coordinates = []
    for size in reversed(shape):
        position, coordinate = divmod(position, size)
        coordinates.append(coordinate)
    return tuple(reversed(coordinates))


def ravel(coordinates: Sequence[int], shape: Sequence[int]) -> int:
    """Row-major position of coordinates."""
    position = 0
    for coordinate, size in zip(coordinates, shape, strict=True):
        position = position * size + coordinate
    return position


def value_index(access: Access, t: int, stacked: int) -> int:
    """Trace value that the access reads in iteration t; -1 for a constant. ``stacked`` is coordinate 0 of a stack access."""
    source = access.source
    if isinstance(source, Constant):
        return -1
    base = source.init if isinstance(source, Carried) and t == 0 else source.base + source.step * t
    return (base + access.stack * stacked) % (1 << 32)


@dataclass(frozen=True)
class Step:
    """One evaluation: an op in iteration t at output coordinates i, with a way to read elements."""

    op: Op
    t: int
    i: tuple[int, ...]
    read: Read

    def variable(self, var: int, k: tuple[int, ...]) -> int:
        if var == ITERATION:
            return self.t
        return self.i[var] if var < len(self.i) else k[var - len(self.i)]

    def locate(self, number: int, k: tuple[int, ...], added: int | None = None) -> tuple[int, int] | None:
        """(value index, element) that access ``number`` addresses at (i, k), None if a coordinate lies outside.

        ``added`` is a register for the indirect coordinate; without it the index access is read.
        """
        access = self.op.accesses[number]
        coordinates = list(access.offsets)
        for term in access.terms:
            coordinates[term.dimension] += term.coef * self.variable(term.var, k)
        if access.indirect is not None:
            dimension, index = access.indirect
            coordinates[dimension] += self.load(index, k) if added is None else added
        if not all(0 <= c < size for c, size in zip(coordinates, access.shape, strict=True)):
            return None
        stacked = coordinates[0] if access.stack else 0
        element = 0
        for c, size in zip(coordinates[1:] if access.stack else coordinates, access.tensor_shape, strict=True):
            element = element * size + c
        return value_index(access, self.t, stacked), element

    def at(self, number: int, place: tuple[int, int] | None) -> int:
        """The element at a place that ``locate`` gave; the access's fill for None."""
        return self.op.accesses[number].fill if place is None else self.read(number, *place)

    def load(self, number: int, k: tuple[int, ...] = (), added: int | None = None) -> int:
        """The element that access ``number`` reads at (i, k)."""
        return self.at(number, self.locate(number, k, added))

    def term(self, k: tuple[int, ...]) -> int:
        """x * y at (i, k), modulo 2^64; 0 without factors.

        Under a sum a factor that is filled with zero settles the product: the other one is located, but not read.
        """
        places = [self.locate(number, k) for number in range(self.op.factors)]
        if self.op.monoid is Monoid.SUM and any(
            place is None and self.op.accesses[number].fill == 0 for number, place in enumerate(places)
        ):
            return 0
        return wrap(math.prod(self.at(number, place) for number, place in enumerate(places))) if places else 0

    def reduce(self) -> int:
        """The accumulator: the monoid over the whole domain; for an argument its position."""
        value, position = self.over([(0, size) for size in self.op.domain])
        return position if self.op.monoid in ARGUMENTS else value

    def partial(self, number: int) -> tuple[int, int]:
        """What part ``number`` of the domain reduces to: (value, 0), or for an argument (value, position in the whole domain)."""
        return self.over(partition(self.op).ranges(number))

    def over(self, ranges: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """The same of the part of the domain that lies between (from, to) along every axis."""
        places = list(cartesian(*(range(*along) for along in ranges)))
        terms = [self.term(k) for k in places]
        match self.op.monoid:
            case Monoid.NONE:
                return terms[0], 0
            case Monoid.SUM:
                return wrap(sum(terms)), 0
            case Monoid.MAX:
                return max(terms), 0
            case Monoid.MIN:
                return min(terms), 0
            case Monoid.ARGMAX:
                best = max(terms)
            case Monoid.ARGMIN:
                best = min(terms)
        return best, ravel(places[terms.index(best)], self.op.domain)

    def instruction(self, instr: Instr, registers: list[int]) -> int:
        """Result of one instruction, as a signed 64-bit number."""
        match instr.op:
            case Opcode.CONST:
                return instr.imm
            case Opcode.INDEX:
                return self.variable(instr.args[0], ())
            case Opcode.LOAD:
                return self.load(instr.args[0])
            case Opcode.GATHER:
                return self.load(instr.args[0], (), registers[instr.args[1]])
        exact = INSTRUCTIONS[instr.op].exact
        assert exact is not None
        return wrap(exact(*(registers[r] for r in instr.args)))

    def evaluate(self) -> int:
        """The output element: reduce, then map, then cast."""
        return self.epilogue(self.reduce())

    def epilogue(self, acc: int) -> int:
        """The output element that the op's code makes of an accumulator."""
        registers = [acc]
        for instr in self.op.code:
            registers.append(self.instruction(instr, registers))
        return wrap(registers[-1], self.op.dtype.bits)


@dataclass
class Memory:
    """Values of one execution, in trace order, with the program's constants; what the reference reads from."""

    program: Program
    values: list[np.ndarray] = field(default_factory=list)
    _seen: dict[str, np.ndarray] = field(default_factory=dict)

    def read(self, op: Op) -> Read:
        def element(number: int, value: int, position: int) -> int:
            access = op.accesses[number]
            if isinstance(access.source, Constant):
                key = self.program.seen_key(access)
                if key not in self._seen:
                    self._seen[key] = self.program.seen(access)
                return int(self._seen[key][position])
            return int(self.values[value].reshape(-1)[position])

        return element

    def element(self, value: int, position: int) -> int:
        """What element ``position`` of trace value ``value`` must be, given the values before it."""
        return self.step(value, position).evaluate()

    def step(self, value: int, position: int) -> Step:
        """The evaluation of element ``position`` of trace value ``value``."""
        descriptor, t = self.program.locate(value)
        op = self.program.ops[descriptor]
        return Step(op, t, unravel(position, op.shape), self.read(op))


def run(program: Program, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """All values of one execution, element by element: the slow path that everything else is compared with."""
    memory = Memory(program, [np.asarray(array) for array in inputs])
    for value, descriptor, _ in program.op_values():
        op = program.ops[descriptor]
        elements = [memory.element(value, position) for position in range(op.elements)]
        memory.values.append(np.array(elements, dtype=op.dtype.numpy).reshape(op.shape))
    return memory.values


def touched(
    program: Program,
    values: Sequence[np.ndarray],
    value: int,
    position: int,
    run: Callable[[Step], object] = Step.evaluate,
) -> Iterator[tuple[Root | int, int]]:
    """(constant root or trace value, leaf of its tensor) of every element that ``run`` reads of this element's evaluation, with
    repetitions.
    """
    step = Memory(program, list(values)).step(value, position)
    seen: list[tuple[Root | int, int]] = []

    def spy(number: int, at: int, element: int) -> int:
        access = step.op.accesses[number]
        source = access.source
        seen.append((source.root if isinstance(source, Constant) else at, element * access.dtype.size // LEAF_BYTES))
        return step.read(number, at, element)

    run(replace(step, read=spy))
    yield from seen
