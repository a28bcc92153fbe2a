"""One descriptor as a JAX function: operands in, the output's elements out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.kernels import code, dot, reduce, sliding
from prover.executor.kernels.access import look
from prover.executor.kernels.conv import ConvPlan, convolve, plan_conv
from prover.executor.kernels.gather import Derived, Scalars
from prover.executor.kernels.hoist import hoist, sharpened
from prover.executor.kernels.native import PACKED, Given, NativePlan, plan_native, product
from prover.executor.kernels.prepare import TURNED, WHOLE, Prepared, WeightStore, prepare
from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import Range
from rollup.form.affine import coefficients, extents, span, stays_inside, variables
from rollup.form.ops import ITERATION, Access, Constant, Instr, Op, Opcode, live
from rollup.form.program import Program

Array = np.ndarray
Operand = Callable[[int], jax.Array]
"""Access number -> its source [claims or 1, *access.shape]."""

COMPACT_BLOCK = 1 << 22
"""Elements of such a matrix that are floats at the same time."""


@dataclass
class Kernel:
    """A descriptor, what is proven about it, and how it is computed.

    ``prepared`` holds constants in kernel form by name (access number, limb); ``raw`` the accesses to constants that are
    read as they are, by ``Program.seen_key``. ``laid`` are factors whose prepared constant has its own layout, domain
    variables first, and the access that sees it. ``hoisted`` registers are constants (prepared as ``r<number>``) over
    these variables.
    """

    op: Op
    reach: OpIntervals
    plan: dot.DotPlan | None
    conv: ConvPlan | None
    sliding: sliding.Sliding | None
    native: NativePlan | None = None
    prepared: dict[str, Prepared] = field(default_factory=dict)
    raw: dict[str, Access] = field(default_factory=dict)
    laid: dict[int, Access] = field(default_factory=dict)
    hoisted: dict[int, tuple[int, ...]] = field(default_factory=dict)
    borrowed: set[str] = field(default_factory=set)
    compact: bool = False

    @classmethod
    def of(
        cls,
        program: Program,
        op: Op,
        reach: OpIntervals,
        lender: Kernel | None = None,
        compact: bool = False,
        weights: WeightStore | None = None,
    ) -> Kernel:
        """Choose how to compute ``op`` and bring its constants into that form.

        ``lender``: the kernel of the same op for all of its rows; weights that both use in the same form are not prepared again
        but named in ``borrowed``. ``compact``: weights of products stay integers, and become floats in every call. ``weights``:
        where packed weights are kept.
        """
        ahead = hoist(program, op)
        plan = dot.plan_dot(op, reach)
        kernel = cls(op, sharpened(op, reach, ahead), plan, plan_conv(op, plan), sliding.plan_sliding(op))
        kernel.compact = compact
        kernel.native = plan_native(op, kernel.reach, plan)
        kernel.hoisted = {number: found.used for number, found in ahead.items()}
        kernel.prepared = {f"r{number}": Prepared(found.array, False) for number, found in ahead.items()}
        prepare(kernel, program, lender, weights)
        if (
            kernel.native is not None
            and kernel.native.constant
            and f"{kernel.native.y}:{PACKED}" not in kernel.prepared
        ):
            kernel.native = None
        return kernel

    def release(self) -> None:
        """Forget the prepared arrays, which are on the device by now; their dtypes stay."""
        self.prepared = {
            name: Prepared(np.empty(0, found.array.dtype), found.iterated) for name, found in self.prepared.items()
        }

    @cached_property
    def live(self) -> frozenset[int]:
        """Registers that the result needs, hoisted ones included."""
        return frozenset(live(self.op.code, known=self.hoisted))

    @cached_property
    def shaped(self) -> Op:
        """The op as the reduction computes it: with the laid-out factors' own accesses."""
        accesses = (self.laid.get(number, access) for number, access in enumerate(self.op.accesses))
        return replace(self.op, accesses=tuple(accesses))

    def matrix(self, number: int, found: Derived) -> Any:
        """A factor as the product's matrix."""
        assert self.plan is not None
        found = dot.sum_alone(found, reduce.full_variables(self.op, 1 - number), self.op)
        return dot.matrix(self.plan, number == 1, found.array, found.used, extents(self.op))

    def limbs(self, number: int, matrix: Any) -> list[Any]:
        """Such a matrix as floats, cut into limbs."""
        assert self.plan is not None
        return dot.limbs(matrix, self.plan.limbs[number], self.plan.widths[number], self.plan.dtype)

    def _matrices(self, number: int, found: Derived) -> list[Any]:
        """A factor as matrices of limbs, ready for the product."""
        return self.limbs(number, self.matrix(number, found))

    @property
    def block(self) -> int:
        """Elements of the largest array that one claim may need."""
        sizes = extents(self.op)
        if self.plan is None:
            return self.op.elements
        used = [
            math.prod(sizes[var] for var in reduce.full_variables(self.op, number))
            for number in (0, 1)
            if not isinstance(self.op.accesses[number].source, Constant)
        ]
        return max([self.op.elements, *used])

    def __call__(
        self,
        t: jax.Array | int,
        operand: Operand,
        prepared: Mapping[str, jax.Array],
        claims: int,
        given: Mapping[int, jax.Array] | None = None,
    ) -> jax.Array:
        """The output [claims, *shape] in the op's dtype.

        ``t``: the iteration, or that of every claim, where no operand is read by it. ``prepared``: the kernel's prepared constants by
        name, those of this iteration. ``given``: immediates (int64 scalars) by register, where they are not the op's own.
        """
        op = self.op
        scalars: Scalars = {ITERATION: t} if op.repeat > 1 else {}

        def source(number: int) -> jax.Array:
            return prepared[f"{number}"][None] if number in self.laid else operand(number)

        read = reduce.AccessReader(source)
        if self.native is not None:
            acc, finished = product(self, Given(t, operand, prepared, given or {}))
            if finished:
                return jnp.broadcast_to(acc, [claims, *op.shape])
        elif self.plan is not None and self.conv is not None:
            (weights,) = self._factor(1 - self.conv.image, read, scalars, prepared)
            found = convolve(self.conv, self.plan, op, operand(self.conv.image), weights[0])
            acc = dot.counted(op, dot.to_integer(found.array, self.reach.acc), found.used)
        elif self.plan is not None:
            acc = dot.dot(self.plan, op, self._products(read, scalars, prepared))
        elif self.sliding is not None:
            acc = sliding.sliding_sum(self.sliding, op, read, scalars)
        else:
            acc = reduce.general(self.shaped, read, scalars, self.reach, claims)
        registers = {0: code.settle(acc, self.reach.acc)}
        for number in sorted(self.live - {0}):
            if number in self.hoisted:
                ahead = Derived(self.hoisted[number], prepared[f"r{number}"][None]).spread(range(len(op.shape)))
                registers[number] = code.settle(ahead, self.reach.registers[number])
            elif given is not None and number in given:
                blank = [1] * (1 + len(op.shape))
                registers[number] = code.settle(jnp.full(blank, given[number]), self.reach.registers[number])
            else:
                instr = op.code[number - 1]
                registers[number] = self._instruction(number, instr, registers, read, scalars, operand, prepared)
        result = registers[len(op.code)].astype(op.dtype.numpy)
        return jnp.broadcast_to(result, [claims, *op.shape])

    def _factor(
        self, number: int, read: reduce.AccessReader, scalars: Scalars, prepared: Mapping[str, jax.Array]
    ) -> list[jax.Array]:
        assert self.plan is not None
        if f"{number}:0" in prepared:
            return [prepared[f"{number}:{limb}"][None] for limb in range(self.plan.limbs[number])]
        if (held := self._integers(number, prepared)) is not None:
            return self._floats(number, *held)
        return self._matrices(number, read(number, self.op, scalars))

    def _integers(self, number: int, prepared: Mapping[str, jax.Array]) -> tuple[jax.Array, bool] | None:
        """A weight matrix that is prepared as integers, and whether it lies transposed."""
        for name in (WHOLE, TURNED):
            if f"{number}:{name}" in prepared:
                return prepared[f"{number}:{name}"][None], name == TURNED
        return None

    def _floats(self, number: int, matrix: jax.Array, turned: bool) -> list[jax.Array]:
        limbs = self.limbs(number, matrix)
        return [jnp.swapaxes(limb, -1, -2) for limb in limbs] if turned else limbs

    def _products(self, read: reduce.AccessReader, scalars: Scalars, prepared: Mapping[str, jax.Array]) -> jax.Array:
        """The product's integers; weights that are integers become floats some columns at a time."""
        assert self.plan is not None
        found = {number: held for number in (0, 1) if (held := self._integers(number, prepared)) is not None}
        if not found:
            x, y = (self._factor(number, read, scalars, prepared) for number in (0, 1))
            return dot.products(self.plan, self.reach, x, y)
        number, (matrix, turned) = max(found.items())
        other = self._factor(1 - number, read, scalars, prepared)
        axis = 3 if number else 2
        along = 5 - axis if turned else axis
        columns = matrix.shape[along]
        step = max(1, COMPACT_BLOCK // (matrix.size // columns))
        plan, reach = self.plan, self.reach

        def columns_from(start: jax.Array | int, count: int) -> jax.Array:
            part = self._floats(number, lax.dynamic_slice_in_dim(matrix, start, count, axis=along), turned)
            return dot.products(plan, reach, *((other, part) if number else (part, other)))

        whole, rest = divmod(columns, step)
        if whole + (rest > 0) == 1:
            return columns_from(0, columns)
        # A loop, so that no two blocks are floats at the same time.
        loop = lax.map(lambda at: columns_from(at * step, step), jnp.arange(whole))
        blocks = jnp.moveaxis(loop, 0, axis)
        shape = [*blocks.shape[:axis], whole * step, *blocks.shape[axis + 2 :]]
        parts = [blocks.reshape(shape)] + ([columns_from(whole * step, rest)] if rest else [])
        return jnp.concatenate(parts, axis=axis)

    def _instruction(
        self,
        number: int,
        instr: Instr,
        registers: Mapping[int, jax.Array],
        read: reduce.AccessReader,
        scalars: Scalars,
        operand: Operand,
        prepared: Mapping[str, jax.Array],
    ) -> jax.Array:
        op, sizes = self.op, extents(self.op)
        rank = len(op.shape)
        mine = self.reach.registers[number]
        blank = [1] * (1 + rank)
        match instr.op:
            case Opcode.CONST:
                given = jnp.full(blank, instr.imm, jnp.int64)
            case Opcode.INDEX:
                var = instr.args[0]
                if var == ITERATION:
                    given = jnp.asarray(t_of(scalars), jnp.int64).reshape([-1, *blank[1:]])
                else:
                    shape = [1, *(n if d == var else 1 for d, n in enumerate(op.shape))]
                    given = lax.broadcasted_iota(jnp.int64, shape, var + 1)
            case Opcode.LOAD:
                given = self._load(instr.args[0], read, scalars, prepared).spread(range(rank))
            case Opcode.GATHER:
                access, register = op.accesses[instr.args[0]], registers[instr.args[1]]
                inside = self._look_inside(access, self.reach.registers[instr.args[1]])
                if access.indirect is None:
                    given = read(instr.args[0], op, scalars).spread(range(rank))
                else:
                    given = look(operand(instr.args[0]), access, sizes, scalars, range(rank), register, inside)
            case _:
                ranges = [self.reach.registers[r] for r in instr.args]
                return code.apply(instr.op, [registers[r] for r in instr.args], ranges, self.reach.exact[number])
        return code.settle(given, mine)

    def _load(
        self, number: int, read: reduce.AccessReader, scalars: Scalars, prepared: Mapping[str, jax.Array]
    ) -> Derived:
        if f"{number}" in prepared:
            access, sizes = self.op.accesses[number], extents(self.op)
            used = tuple(var for var in variables(access, sizes) if var != ITERATION)
            table = prepared[f"{number}"]
            return Derived(used, table if table.ndim > len(used) else table[None])
        return read(number, self.op, scalars)

    def _look_inside(self, access: Access, register: Range) -> bool:
        if access.indirect is None:
            return True
        dimension, sizes = access.indirect[0], extents(self.op)
        low, high = span(access.offsets[dimension], coefficients(access, sizes)[dimension], sizes)
        fits = low + register.low >= 0 and high + register.high < access.shape[dimension]
        return fits and stays_inside(access, sizes, dimension)


def t_of(scalars: Scalars) -> jax.Array | int:
    """The iteration, 0 outside of segments."""
    return scalars.get(ITERATION, 0)
