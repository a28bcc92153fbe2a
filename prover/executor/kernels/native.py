"""Sums of products on native kernels: which ops they compute, weights in their order, and the call inside a compiled program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.executor.kernels.access import pad
from prover.executor.kernels.dot import DotPlan, domain_variables
from prover.native.geometry import CLAIM, Roles, Strides, array_numbers, row_major, strides_of
from prover.native.instructions import MOST_ARRAYS, MOST_INSTRUCTIONS, TileCode, tile_code
from prover.native.library import TARGET, library
from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import INT8, INT16, Range
from rollup.form.affine import extents, variables
from rollup.form.ops import ITERATION, Access, Constant, Op, Opcode

if TYPE_CHECKING:
    from prover.executor.kernels.kernel import Kernel

Array = np.ndarray

PLAN_VERSION = 1
PACKED = "packed"
"""Name of weights in the kernels' order."""

MOST_TERMS = 2 * 65535
MOST_LIMB_BITS = 31
_SIZES = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


@dataclass(frozen=True)
class NativePlan:
    """How the native kernels compute a sum of products.

    ``x``, ``y``: numbers of the factors whose rows and whose columns are multiplied; ``limbs``: of x, each of at most 16 bits, the
    lower one of ``limb_bits``; ``low``: 32 bits hold the sum; ``constant``: y is weights, packed when the program is loaded, as bytes
    if ``narrow``; ``bound``: of the sum of \\|y\\| in a group; ``sub``: pairs of a sub-block.
    """

    x: int
    y: int
    batch: tuple[int, ...]
    row: tuple[int, ...]
    column: tuple[int, ...]
    term: tuple[int, ...]
    limbs: int
    limb_bits: int
    low: bool
    constant: bool
    narrow: bool
    bound: int
    sub: int



def _limbs(reach: Range) -> tuple[int, int, int] | None:
    """(limbs, bits of the lower one, largest magnitude of a limb) of x; None where two limbs do not hold it."""
    if reach.inside(INT16):
        return 1, 0, 1 << 15
    bits = max(reach.low.bit_length() if reach.low >= 0 else (-reach.low - 1).bit_length(), reach.high.bit_length()) + 1
    if bits > MOST_LIMB_BITS:
        return None
    lower = bits // 2
    return 2, lower, max((1 << lower) - 1, 1 << (bits - 1 - lower))


def _sub(terms: int) -> int:
    """Pairs of a sub-block: many, unless they would be mostly padding."""
    pairs = (terms + 1) // 2
    return next((sub for sub in (32, 16, 8) if -pairs % sub * 8 <= pairs), 4)


def plan_native(
    op: Op, reach: OpIntervals, dot: DotPlan | None, low: bool, weights: Callable[[int], Range]
) -> NativePlan | None:
    """How to compute the op natively; None if it is nothing for these kernels, or they can't run here.

    ``low``: 32 bits hold the sum; ``weights``: least and greatest number of a constant factor.
    """
    if dot is None or library() is None or jax.default_backend() != "cpu":
        return None
    sizes = extents(op)
    outer = {var for var in range(len(op.shape)) if sizes[var] > 1}
    if {*dot.batch, *dot.free_x, *dot.free_y} != outer or set(domain_variables(op)) != set(dot.contract):
        return None
    if any(access.indirect is not None for access in op.accesses[:2]):
        return None
    found = [_assigned(op, reach, dot, x, low, weights) for x in (0, 1)]
    options = [plan for plan in found if plan is not None]
    # Results are written along columns: those of the last dimension, if there is a choice.
    return min(options, key=lambda plan: (not plan.constant, plan.limbs, -max(plan.column, default=-1)), default=None)


def _assigned(
    op: Op, reach: OpIntervals, dot: DotPlan, x: int, low: bool, weights: Callable[[int], Range]
) -> NativePlan | None:
    """The plan with factor ``x`` as rows."""
    y = 1 - x
    sizes = extents(op)
    if isinstance(op.accesses[x].source, Constant):
        return None
    constant = isinstance(op.accesses[y].source, Constant)
    limbs = _limbs(reach.accesses[x])
    held = weights(y) if constant else reach.accesses[y]
    if limbs is None or not held.inside(INT16):
        return None
    table = Strides(0, {var: abs(_step(op.accesses[x], var, sizes)) for var in dot.contract})
    term = tuple(sorted(dot.contract, key=lambda var: -table.by[var]))
    terms = int(np.prod([sizes[var] for var in term]))
    if terms > MOST_TERMS:
        return None
    rows, columns = (dot.free_y, dot.free_x) if x else (dot.free_x, dot.free_y)
    return NativePlan(
        x, y, dot.batch, rows, columns, term, limbs[0], limbs[1], low, constant, constant and held.inside(INT8),
        ((1 << 31) - 1) // limbs[2], _sub(terms),
    )  # fmt: skip


def _step(access: Access, var: int, sizes: Mapping[int, int]) -> int:
    return sum(
        term.coef * step
        for term in access.terms
        for step in [row_major(access.shape)[term.dimension]]
        if term.var == var
    )


def packed(plan: NativePlan, matrix: Array) -> Array:
    """uint8 [..., bytes] of weights [..., batch, columns, terms], the terms in the plan's order."""
    found = library()
    assert found is not None
    lead = matrix.shape[:-3]
    flat = matrix.reshape([-1, *matrix.shape[-3:]])
    rows = [np.concatenate([found.pack(part, plan.sub, plan.narrow, plan.bound) for part in one]) for one in flat]
    return np.stack(rows).reshape([*lead, -1])


@dataclass
class _Reads:
    """The arrays that the code reads, and how: number among the plan's arrays by what is read."""

    kernel: Kernel
    roles: Roles
    operands: list[jax.Array]
    arrays: list[tuple[int, Strides, int]]
    known: dict[tuple[str, int], tuple[int, int]]

    def add(self, key: tuple[str, int], array: jax.Array | None, strides: Strides) -> tuple[int, int]:
        if key not in self.known:
            operand, itemsize = 0, 0
            if array is not None:
                self.operands.append(array)
                operand, itemsize = len(self.operands), array.dtype.itemsize
            used = {var for var, step in strides.by.items() if step}
            level = 2 if used & {*self.roles.row} else 1 if used & {*self.roles.column} else 0
            self.known[key] = (len(self.arrays), level)
            self.arrays.append((operand, strides, itemsize))
        return self.known[key]


class NotFused(Exception):
    """The code reads something that the kernels can't, or is too long."""


def product(
    kernel: Kernel,
    t: jax.Array | int,
    operand: Callable[[int], jax.Array],
    prepared: Mapping[str, jax.Array],
    given: Mapping[int, jax.Array],
) -> tuple[jax.Array, bool]:
    """(output or sums [claims or 1, *op.shape], whether the code has run), inside a traced function.

    Arguments as of ``Kernel.__call__``.
    """
    plan = kernel.native
    assert plan is not None
    try:
        return _call(kernel, plan, t, operand, prepared, given, True), True
    except NotFused:
        return _call(kernel, plan, t, operand, prepared, given, False), False


def _source(kernel: Kernel, number: int, operand: Callable[[int], jax.Array]) -> tuple[jax.Array, Access]:
    """A source with its fill around it where the access leaves it, and the access that sees it so."""
    array, access = operand(number), kernel.op.accesses[number]
    if access.indirect is None:
        padded = pad(array, access, extents(kernel.op))
        if padded is not None:
            return padded
    return array, access


def _call(
    kernel: Kernel,
    plan: NativePlan,
    t: jax.Array | int,
    operand: Callable[[int], jax.Array],
    prepared: Mapping[str, jax.Array],
    given: Mapping[int, jax.Array],
    fused: bool,
) -> jax.Array:
    op, sizes = kernel.op, extents(kernel.op)
    sources = {
        number: _source(kernel, number, operand)
        for number in (plan.x, plan.y)
        if not (number == plan.y and plan.constant)
    }
    loaded = _loaded(kernel) if fused else {}
    sources |= {
        number: _source(kernel, number, operand)
        for number in loaded
        if number not in sources and f"{number}" not in prepared
    }
    claims = max([1, *(array.shape[0] for array, _ in sources.values())])
    sizes = {**sizes, CLAIM: claims}
    lead = (CLAIM,) if claims > 1 else ()
    roles = Roles(
        plan.batch if plan.constant else (*lead, *plan.batch),
        (*lead, *plan.row) if plan.constant else plan.row,
        plan.column,
        plan.term,
        sizes,
    )
    factors = {
        number: strides_of(sources[number][1], sizes, sources[number][0].shape[0])
        for number in (plan.x, plan.y)
        if number in sources
    }
    if any(found is None for found in factors.values()):
        raise AssertionError("a factor leaves its source, which was padded")
    blank = Strides(0, {})
    x, y = factors[plan.x] or blank, factors.get(plan.y) or blank
    steps = row_major((claims, *op.shape))
    out = Strides(0, {var: steps[var + 1] for var in (CLAIM, *range(len(op.shape))) if sizes[var] > 1})
    scalars = [jnp.asarray(t, jnp.int64), *(given[register] for register in sorted(given))]
    weights = prepared[f"{plan.y}:{PACKED}"] if plan.constant else sources[plan.y][0].reshape(-1)
    reads = _Reads(kernel, roles, [sources[plan.x][0].reshape(-1), weights, jnp.stack(scalars)], [], {})
    if fused:
        tile, result = _code(kernel, plan, reads, sources, prepared, sorted(given))
        dtype = op.dtype.numpy
    else:
        tile = TileCode(None)  # type: ignore[arg-type]
        result = None
        dtype = np.dtype(np.int32 if plan.low else np.int64)
    instructions, last, registers = ([], 0, 1) if result is None else tile.finished(result)
    if (
        len(instructions) > MOST_INSTRUCTIONS
        or len(reads.arrays) > MOST_ARRAYS
        or len(tile.constants) > MOST_INSTRUCTIONS
    ):
        raise NotFused
    runs = roles.merged([x, y, out, *(strides for _, strides, _ in reads.arrays)])
    numbers = [PLAN_VERSION, *roles.numbers(runs)]
    numbers += [
        plan.limbs - 1,
        plan.limb_bits,
        int(plan.low),
        int(not plan.constant),
        int(plan.narrow),
        plan.bound,
        plan.sub,
    ]
    numbers += array_numbers(x, runs, reads.operands[0].dtype.itemsize)
    numbers += array_numbers(y, runs, 1 if plan.constant else reads.operands[1].dtype.itemsize)
    numbers += array_numbers(out, runs, dtype.itemsize)
    numbers.append(len(reads.arrays))
    for place, strides, itemsize in reads.arrays:
        numbers += [place, *array_numbers(strides, runs, itemsize)]
    numbers.append(len(tile.constants))
    numbers += [number for constant in tile.constants for number in constant]
    numbers += [registers, len(instructions)]
    numbers += [number for it in instructions for number in it]
    numbers += [last, int(not plan.low if result is None else result.wide)]
    shape = jax.ShapeDtypeStruct((claims, *op.shape), dtype)
    return jax.ffi.ffi_call(TARGET, shape)(*reads.operands, plan=np.array(numbers, np.int64))


def _loaded(kernel: Kernel) -> dict[int, None]:
    """Accesses that live instructions read."""
    code = [kernel.op.code[n - 1] for n in sorted(kernel.live) if n and n not in kernel.hoisted]
    return {instr.args[0]: None for instr in code if instr.op in (Opcode.LOAD, Opcode.GATHER)}


def _code(
    kernel: Kernel,
    plan: NativePlan,
    reads: _Reads,
    sources: Mapping[int, tuple[jax.Array, Access]],
    prepared: Mapping[str, jax.Array],
    given: Sequence[int],
) -> tuple[TileCode, Any]:
    op, sizes = kernel.op, reads.roles.sizes

    def dense(key: tuple[str, int], array: jax.Array, used: Sequence[int]) -> tuple[int, int]:
        steps = row_major([sizes[var] for var in used])
        by = {var: step for var, step in zip(used, steps, strict=True) if sizes[var] > 1}
        return reads.add(key, array.reshape(-1), Strides(0, by))

    def hoisted(number: int) -> tuple[int, int] | None:
        used = kernel.hoisted.get(number)
        return None if used is None else dense(("hoisted", number), prepared[f"r{number}"], used)

    def access(number: int) -> tuple[int, int]:
        if f"{number}" in prepared:
            if number in kernel.laid:
                raise NotFused
            used = [var for var in variables(op.accesses[number], extents(op)) if var != ITERATION]
            return dense(("access", number), prepared[f"{number}"], used)
        array, seen = sources[number]
        strides = strides_of(seen, sizes, array.shape[0])
        indirect = seen.indirect is not None
        if strides is None or (indirect and seen.indirect[1] != number):  # type: ignore[index]
            raise NotFused
        return reads.add(("access", number), array.reshape(-1), strides)

    def load(number: int) -> tuple[int, int]:
        if op.accesses[number].indirect is not None:
            raise NotFused
        return access(number)

    def index(var: int) -> tuple[int, int]:
        return reads.add(("index", var), None, Strides(0, {var: 1}))

    def gather(number: int) -> tuple[int, int]:
        if op.accesses[number].indirect is None:
            raise NotFused
        return access(number)

    positions = {register: at for at, register in enumerate(given, start=1)}
    return tile_code(op.code, kernel.reach, kernel.live, plan.low, positions, hoisted, load, index, gather)
