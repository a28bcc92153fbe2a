"""A program made by hand: every kind of source, several leaves per tensor, two inputs, two outputs, unused entries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rollup.claim import NO_ROOT
from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.ops import Access, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.program import Program
from rollup.machine.reference import Memory, run
from rollup.merkle import TraceTree, tensor_tree
from rollup.types import DType

WIDTH = 600
WEIGHTS = (np.arange(WIDTH) * 37 % 201 - 100).astype(np.int16)

Arrays = Sequence[np.ndarray]


def _at(value: int, dtype: DType, shape: tuple[int, ...], *terms: Term, fill: int = 0) -> Access:
    return Access(Value(value), dtype, shape, (0,) * len(shape), terms, fill)


def toy_program(policy: TracePolicy = TracePolicy.WITH_CLAIM, part: int = 0) -> Program:
    """Inputs x: i16[600], y: i16[4]; values 2 to 8 are ops, values 8 and 7 the outputs. ``part``: of the sum (value 4)."""
    root = constant_root(WEIGHTS)
    line = Term(0, 0, 1)
    load, const, add, sub, mul, shr = (
        Opcode.LOAD,
        Opcode.CONST,
        Opcode.ADD,
        Opcode.SUB,
        Opcode.MUL,
        Opcode.SHR,
    )
    scaled = Op(
        2, 1, 1, Monoid.NONE, DType.I32, 1, (WIDTH,), (), (_at(0, DType.I16, (WIDTH,), line),),
        (Instr(const, (), 3), Instr(mul, (0, 1)), Instr(const, (), 1), Instr(add, (2, 3))),
    )  # fmt: skip
    weights = Access(Constant(root), DType.I16, (WIDTH,), (0,), (line,))
    weighed = Op(
        3, 1, 1, Monoid.NONE, DType.I16, 2, (WIDTH,), (), (_at(2, DType.I32, (WIDTH,), line), weights),
        (Instr(const, (), 10), Instr(shr, (0, 1))),
    )  # fmt: skip
    blocks = _at(3, DType.I16, (6, 100), Term(0, 0, 1), Term(1, 1, 1))
    summed = Op(4, 1, 1, Monoid.SUM, DType.I32, 1, (6,), (100,), (blocks,), (), part=part)
    shifted = Op(
        5, 1, 1, Monoid.NONE, DType.I32, 1, (6,), (),
        (_at(4, DType.I32, (6,), line), _at(1, DType.I16, (4,), line, fill=7)),
        (Instr(load, (1,)), Instr(add, (0, 1))),
    )  # fmt: skip
    column = _at(5, DType.I32, (6,), Term(0, 1, 1))
    largest = Op(6, 1, 1, Monoid.MAX, DType.I32, 1, (1,), (6,), (column,), ())
    where = Op(7, 1, 1, Monoid.ARGMAX, DType.I32, 1, (1,), (6,), (column,), ())
    spread = Op(
        8, 1, 1, Monoid.NONE, DType.I32, 1, (6,), (), (_at(5, DType.I32, (6,), line), _at(6, DType.I32, (1,))),
        (Instr(load, (1,)), Instr(sub, (0, 1))),
    )  # fmt: skip
    return Program.build(
        [TensorType(DType.I16, 8, (WIDTH,)), TensorType(DType.I16, 0, (4,))],
        [(8, TensorType(DType.I32, 8, (6,))), (7, TensorType(DType.I32, 0, (1,)))],
        [scaled, weighed, summed, shifted, largest, where, spread],
        {root: WEIGHTS},
        policy,
        [f"toy {name}" for name in ("scale", "weigh", "sum", "shift", "max", "argmax", "spread")],
    )


def toy_inputs(seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(-2000, 2000, WIDTH).astype(np.int16), random.integers(-9, 9, 4).astype(np.int16)]


def toy_numbers(seed: int = 0) -> list[list[float] | list[int]]:
    """The same inputs as an application sends them: reals where the header has a scale."""
    real, whole = toy_inputs(seed)
    return [(real / 256).tolist(), whole.tolist()]


def values_of(program: Program, inputs: Arrays) -> list[np.ndarray]:
    """All values of one execution, by the reference."""
    return run(program, list(inputs))


def with_lie(
    program: Program, values: Arrays, at: int, element: int = 0, consistent: bool = True, by: int = 1
) -> list[np.ndarray]:
    """Values with one element of trace value ``at`` changed; with ``consistent``, everything after it follows from the
    lie.
    """
    lied = [np.array(value) for value in values]
    lied[at].reshape(-1)[element] += by
    if consistent:
        memory = Memory(program, lied[: max(at + 1, len(program.header.inputs))])
        for value, descriptor, _ in program.op_values():
            if value >= len(memory.values):
                op = program.ops[descriptor]
                elements = [memory.element(value, position) for position in range(op.elements)]
                memory.values.append(np.array(elements, dtype=op.dtype.numpy).reshape(op.shape))
        lied = memory.values
    return lied


class Published:
    """A trace whose values (or whose raw bytes, where a liar pads) are known."""

    def __init__(self, program: Program, values: Arrays, padding: tuple[int, int] | None = None) -> None:
        """``padding``: (value, byte offset) that gets a non-zero byte after the tensor's end, or in an unused entry."""
        depths = program.header.trace_depth, program.header.tensor_depth
        data = [bytearray(np.ascontiguousarray(value).tobytes()) for value in values]
        if padding is not None:
            value, offset = padding
            data += [bytearray() for _ in range(value + 1 - len(data))]
            data[value] = data[value].ljust(offset + 1, b"\x00")
            data[value][offset] = 1
        self.values = list(values)
        self.tree = TraceTree([tensor_tree(one, depths[1]).root for one in data], *depths, lambda v: bytes(data[v]))

    @property
    def root(self):
        return self.tree.root

    def node(self, gindex):
        return self.tree.node(gindex)

    def leaf_bytes(self, leaf):
        return self.tree.leaf_bytes(leaf)


def outputs_of(program: Program, values: Arrays) -> list[np.ndarray]:
    return [values[value] for value, _ in program.header.outputs]


def trace_root_in_claim(program: Program, trace: Published):
    return trace.root if program.header.policy is TracePolicy.WITH_CLAIM else NO_ROOT
