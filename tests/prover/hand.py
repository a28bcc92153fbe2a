"""Programs written by hand for the tests: one op or segment each, with the shapes that the fast kernels look for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import ITERATION, Access, Carried, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.program import Program
from rollup.types import DType, Root

Array = np.ndarray


@dataclass
class Draft:
    """Collects inputs, constants and ops; ``program`` makes the last value the output."""

    inputs: list[TensorType]
    ops: list[Op] = field(default_factory=list)
    constants: dict[Root, Array] = field(default_factory=dict)

    def constant(self, array: Array) -> Constant:
        root = constant_root(array)
        self.constants[root] = array
        return Constant(root)

    @property
    def next(self) -> int:
        return len(self.inputs) + sum(op.repeat for op in self.ops)

    def add(self, monoid: Monoid, dtype: DType, factors: int, shape, domain, accesses, code=(), first=None) -> int:
        at = self.next if first is None else first
        self.ops.append(Op(at, 1, 1, monoid, dtype, factors, tuple(shape), tuple(domain), tuple(accesses), tuple(code)))
        return at

    def program(self) -> Program:
        last = self.ops[-1]
        return Program.build(
            self.inputs, [(self.next - 1, TensorType(last.dtype, 0, last.shape))], self.ops, self.constants
        )


def access(source, dtype: DType, shape: Sequence[int], rows, offsets=None, **more) -> Access:
    """``rows[d]``: variable -> coefficient."""
    terms = tuple(Term(d, var, coef) for d, row in enumerate(rows) for var, coef in row.items())
    return Access(source, dtype, tuple(shape), tuple(offsets or [0] * len(shape)), terms, **more)


def drafted(dtype: DType, *shapes: tuple[int, ...]) -> Draft:
    return Draft([TensorType(dtype, 0, shape) for shape in shapes])


def extreme(dtype: DType, shape: Sequence[int], seed: int = 0) -> Array:
    """Random elements, a third of them the dtype's extremes."""
    rng = np.random.default_rng(seed)
    array = rng.integers(dtype.min, dtype.max, shape, dtype.numpy, endpoint=True)
    ends = rng.choice(np.array([dtype.min, dtype.max], dtype.numpy), shape)
    return np.where(rng.random(shape) < 0.33, ends, array)


def convolution(
    dtype: DType, weight: DType, size: int, channels: int, filters: int, stride: int, pad: int, dilation: int, fill: int
) -> Program:
    """A square 3 x 3 convolution, channels last."""
    draft = drafted(dtype, (size, size, channels))
    out = (size + 2 * pad - 2 * dilation - 1) // stride + 1
    w = draft.constant(extreme(weight, (filters, 3, 3, channels), 1))
    x = access(
        Value(0),
        dtype,
        (size, size, channels),
        [{0: stride, 3: dilation}, {1: stride, 4: dilation}, {5: 1}],
        [-pad, -pad, 0],
        fill=fill,
    )
    y = access(w, weight, (filters, 3, 3, channels), [{2: 1}, {3: 1}, {4: 1}, {5: 1}])
    draft.add(Monoid.SUM, DType.I64, 2, (out, out, filters), (3, 3, channels), [x, y])
    return draft.program()


def product(x: DType, y: DType, rows: int, inner: int, columns: int, constant: bool) -> Program:
    """[rows, inner] times [inner, columns]; the second factor is a constant or an input."""
    draft = Draft([TensorType(x, 0, (rows, inner))])
    if constant:
        second = access(draft.constant(extreme(y, (columns, inner), 2)), y, (columns, inner), [{1: 1}, {2: 1}])
    else:
        draft.inputs.append(TensorType(y, 0, (inner, columns)))
        second = access(Value(1), y, (inner, columns), [{2: 1}, {1: 1}])
    first = access(Value(0), x, (rows, inner), [{0: 1}, {2: 1}])
    draft.add(Monoid.SUM, DType.I64, 2, (rows, columns), (inner,), [first, second])
    return draft.program()


def recurrent(steps: int, width: int) -> Program:
    """A scan: h = clamp((W_t h + x_t) >> 15), with weights for every step, x sliced by t; then the sum of all steps'
    h.
    """
    draft = Draft([TensorType(DType.I16, 0, (steps, width)), TensorType(DType.I16, 0, (width,))])
    weights = draft.constant(extreme(DType.I16, (steps, width, width), 3))
    first = 2
    carried = Carried(first - 1, 1, 1)
    code = [
        Instr(Opcode.CONST, (), 15),
        Instr(Opcode.SHR, (0, 1)),
        Instr(Opcode.LOAD, (2,)),
        Instr(Opcode.ADD, (2, 3)),
        Instr(Opcode.CONST, (), -32768),
        Instr(Opcode.MAX, (4, 5)),
        Instr(Opcode.CONST, (), 32767),
        Instr(Opcode.MIN, (6, 7)),
    ]
    accesses = (
        access(carried, DType.I16, (width,), [{1: 1}]),
        access(weights, DType.I16, (steps, width, width), [{ITERATION: 1}, {0: 1}, {1: 1}]),
        access(Value(0), DType.I16, (steps, width), [{ITERATION: 1}, {0: 1}]),
    )
    draft.ops.append(Op(first, 1, steps, Monoid.SUM, DType.I16, 2, (width,), (width,), accesses, tuple(code)))
    stack = access(Value(first), DType.I16, (steps, width), [{1: 1}, {0: 1}], stack=1)
    draft.add(Monoid.SUM, DType.I32, 1, (width,), (steps,), [stack])
    return draft.program()


def fibonacci(steps: int) -> Program:
    """A segment that reads two iterations back: no scan pattern, so the executor keeps a buffer."""
    draft = Draft([TensorType(DType.I64, 0, (2,)), TensorType(DType.I64, 0, (2,))])
    accesses = (
        access(Value(0, 1), DType.I64, (2,), [{0: 1}]),
        access(Value(1, 1), DType.I64, (2,), [{0: 1}]),
    )
    code = (Instr(Opcode.LOAD, (0,)), Instr(Opcode.LOAD, (1,)), Instr(Opcode.ADD, (1, 2)))
    draft.ops.append(Op(2, 1, steps, Monoid.NONE, DType.I64, 0, (2,), (), accesses, code))
    return draft.program()


def running(size: int, forward: bool, inclusive: bool) -> Program:
    """A cumulative sum along the first of two dimensions."""
    draft = drafted(DType.I32, (size, 3))
    row = {0: 1, 2: -1} if forward else {0: 1, 2: 1}
    shift = 0 if inclusive else (-1 if forward else 1)
    x = access(Value(0), DType.I32, (size, 3), [row, {1: 1}], [shift, 0])
    draft.add(Monoid.SUM, DType.I64, 1, (size, 3), (size,), [x])
    return draft.program()


def pooling(monoid: Monoid, window: int, stride: int, fill: int) -> Program:
    """Windows over the last two dimensions with one element of fill before each."""
    draft = drafted(DType.I16, (2, 9, 9))
    out = (9 + 1 - window) // stride + 1
    x = access(Value(0), DType.I16, (2, 9, 9), [{0: 1}, {1: stride, 3: 1}, {2: stride, 4: 1}], [0, -1, -1], fill=fill)
    draft.add(monoid, DType.I64, 1, (2, out, out), (window, window), [x])
    return draft.program()


def embedding(indexed: DType = DType.I16) -> Program:
    """Rows of a table by an input's values; out of range gives the fill."""
    draft = drafted(indexed, (6,))
    table = draft.constant(extreme(DType.I32, (5, 4), 4))
    rows = access(table, DType.I32, (5, 4), [{}, {1: 1}], [1, 0], fill=-9, indirect=(0, 1))
    index = access(Value(0), indexed, (6,), [{0: 1}])
    draft.add(Monoid.NONE, DType.I64, 1, (6, 4), (), [rows, index])
    return draft.program()


def along_axis() -> Program:
    """out[i, j] = x[i, n[i, j]]: the index depends on the same variables as the other coordinate."""
    draft = Draft([TensorType(DType.I16, 0, (4, 6)), TensorType(DType.I64, 0, (4, 3))])
    x = access(Value(0), DType.I16, (4, 6), [{0: 1}, {}], fill=7, indirect=(1, 1))
    index = access(Value(1), DType.I64, (4, 3), [{0: 1}, {1: 1}])
    draft.add(Monoid.NONE, DType.I16, 1, (4, 3), (), [x, index])
    return draft.program()


def lookup() -> Program:
    """A 65,536-entry table, read with an offset that makes every 16-bit value fit, and with one that doesn't."""
    draft = drafted(DType.I16, (40,))
    table = draft.constant(extreme(DType.I16, (65536,), 5))
    x = access(Value(0), DType.I16, (40,), [{0: 1}])
    inside = access(table, DType.I16, (65536,), [{}], [32768], indirect=(0, 1))
    beyond = access(table, DType.I16, (65536,), [{}], [5], fill=-(1 << 40), indirect=(0, 2))
    code = (Instr(Opcode.GATHER, (1, 0)), Instr(Opcode.GATHER, (2, 0)), Instr(Opcode.ADD, (1, 2)))
    draft.add(Monoid.NONE, DType.I64, 1, (40,), (), [x, inside, beyond], code)
    return draft.program()


def instruction(opcode: Opcode, *operands: Sequence[int]) -> Program:
    """One instruction on int64 inputs, without anything known about their ranges."""
    count = len(operands[0])
    draft = drafted(DType.I64, *[(count,)] * len(operands))
    accesses = [access(Value(v), DType.I64, (count,), [{0: 1}]) for v in range(len(operands))]
    loads = [Instr(Opcode.LOAD, (v,)) for v in range(len(operands))]
    code = [*loads, Instr(opcode, tuple(range(1, len(operands) + 1)))]
    draft.add(Monoid.NONE, DType.I64, 0, (count,), (), accesses, code)
    return draft.program()
