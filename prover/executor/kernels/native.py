"""Sums of products on native kernels: which ops they compute, weights in their order, and the call inside a compiled program."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from prover.executor.kernels.access import inside_or_paddable, pad
from prover.executor.kernels.dot import DotPlan
from prover.executor.kernels.reduce import domain_variables
from prover.native.geometry import CLAIM, MOST_DIMS, Roles, Strides, array_numbers, row_major, strides_of
from prover.native.instructions import MOST_ARRAYS, MOST_INSTRUCTIONS, narrow, tile_code
from prover.native.library import TARGET, library
from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import INT8, INT16, Range
from rollup.form.affine import extents, variables
from rollup.form.ops import ITERATION, Access, Constant, Op, Opcode

if TYPE_CHECKING:
    from prover.executor.kernels.kernel import Kernel

Array = np.ndarray

PLAN_VERSION = 2
PACKED = "packed"
"""Name of weights in the kernels' order."""

MOST_TERMS = 2 * (65535 // 32 * 32)
"""Of a sum: with padding to whole sub-blocks, as many pairs as ``MOST_PAIRS`` in product.h."""

MOST_LIMB_BITS = 31
"""Of an operand that two limbs hold."""


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


def plan_native(op: Op, reach: OpIntervals, dot: DotPlan | None) -> NativePlan | None:
    """How to compute the op natively; None if it is nothing for these kernels, or they can't run here."""
    if dot is None or library() is None or jax.default_backend() != "cpu":
        return None
    sizes = extents(op)
    outer = {var for var in range(len(op.shape)) if sizes[var] > 1}
    if {*dot.batch, *dot.free_x, *dot.free_y} != outer or set(domain_variables(op)) != set(dot.contract):
        return None
    if any(access.indirect is not None for access in op.accesses[:2]):
        return None
    found = [_assigned(op, reach, dot, x) for x in (0, 1)]
    options = [plan for plan in found if plan is not None]
    # Results are written along columns: those of the last dimension, if there is a choice.
    return min(options, key=lambda plan: (not plan.constant, plan.limbs, -max(plan.column, default=-1)), default=None)


def _assigned(op: Op, reach: OpIntervals, dot: DotPlan, x: int) -> NativePlan | None:
    """The plan with factor ``x`` as rows."""
    y = 1 - x
    sizes = extents(op)
    if isinstance(op.accesses[x].source, Constant):
        return None
    constant = isinstance(op.accesses[y].source, Constant)
    limbs = _limbs(reach.accesses[x])
    held = reach.accesses[y]
    if limbs is None or not held.inside(INT16):
        return None
    if not all(inside_or_paddable(op.accesses[number], sizes) for number in ((x,) if constant else (x, y))):
        return None
    steps = row_major(op.accesses[x].shape)
    moved = {
        var: sum(t.coef * steps[t.dimension] for t in op.accesses[x].terms if t.var == var) for var in dot.contract
    }
    term = tuple(sorted(dot.contract, key=lambda var: -abs(moved[var])))
    terms = math.prod(sizes[var] for var in term)
    if terms > MOST_TERMS:
        return None
    rows, columns = (dot.free_y, dot.free_x) if x else (dot.free_x, dot.free_y)
    # Claims are one dimension more.
    if max(map(len, (dot.batch, rows, columns, term))) >= MOST_DIMS:
        return None
    return NativePlan(
        x, y, dot.batch, rows, columns, term, limbs[0], limbs[1], narrow(reach.acc), constant, constant and held.inside(INT8),
        ((1 << 31) - 1) // limbs[2], _sub(terms),
    )  # fmt: skip


def packed_bytes(plan: NativePlan, sizes: Mapping[int, int]) -> int:
    """Of the packed weights of one iteration."""
    found = library()
    assert found is not None
    terms, columns, batches = (math.prod(sizes[var] for var in role) for role in (plan.term, plan.column, plan.batch))
    return batches * found.packed_bytes(terms, columns, plan.sub, plan.narrow)


def packed(plan: NativePlan, matrix: Array) -> Array:
    """uint8 [..., bytes] of weights [..., batch, columns, terms], the terms in the plan's order."""
    found = library()
    assert found is not None
    lead = matrix.shape[:-3]
    flat = matrix.reshape([-1, *matrix.shape[-3:]])
    rows = [np.concatenate([found.pack(part, plan.sub, plan.narrow, plan.bound) for part in one]) for one in flat]
    return np.stack(rows).reshape([*lead, -1])


class NotFused(Exception):
    """The code reads something that the kernels can't, or is too long."""


@dataclass(frozen=True)
class Call:
    """A product as the library takes it: its buffers (x, y, scalars, what the code reads; flat), the plan's numbers, its result."""

    operands: list[jax.Array]
    numbers: Array
    shape: tuple[int, ...]
    dtype: np.dtype


def invoke(call: Call) -> jax.Array:
    """The call's result, inside a traced function."""
    shape = jax.ShapeDtypeStruct(call.shape, call.dtype)  # type: ignore[no-untyped-call]
    result = jax.ffi.ffi_call(TARGET, shape)(*call.operands, plan=call.numbers)
    assert isinstance(result, jax.Array)
    return result


@dataclass(frozen=True)
class Given:
    """What a kernel is called with: the iteration (or every claim's), its sources, prepared constants (those of the iteration), and
    immediates that are arguments.
    """

    t: jax.Array | int
    operand: Callable[[int], jax.Array]
    prepared: Mapping[str, jax.Array]
    immediates: Mapping[int, jax.Array]


def product(kernel: Kernel, given: Given) -> tuple[jax.Array, bool]:
    """(output, or sums, [claims or 1, *op.shape]; whether it is the output: the code has run), inside a traced function."""
    plan = kernel.native
    assert plan is not None
    try:
        return invoke(described(kernel, plan, given, True)), True
    except NotFused:
        return invoke(described(kernel, plan, given, False)), False


def described(kernel: Kernel, plan: NativePlan, given: Given, fused: bool) -> Call:
    """The call; ``fused``: with the op's code, else for the sums alone. Raises NotFused where the code can't run natively."""
    op = kernel.op
    sources = _sources(kernel, plan, given, fused)
    claims = max([1, *(array.shape[0] for array, _ in sources.values())])
    roles = _roles(plan, {**extents(op), CLAIM: claims})
    x = _factor(sources[plan.x], roles)
    y = Strides(0, {}) if plan.constant else _factor(sources[plan.y], roles)
    steps = row_major((claims, *op.shape))
    out = Strides(0, {var: steps[var + 1] for var in (CLAIM, *range(len(op.shape))) if roles.sizes[var] > 1})
    scalars = [
        jnp.asarray(given.t if jnp.ndim(given.t) == 0 else 0, jnp.int64),
        *(given.immediates[register] for register in sorted(given.immediates)),
    ]
    columns = given.prepared[f"{plan.y}:{PACKED}"] if plan.constant else sources[plan.y][0].reshape(-1)
    reads = _Reads(kernel, roles, sources, given, [sources[plan.x][0].reshape(-1), columns, jnp.stack(scalars)])
    dtype = np.dtype(op.dtype.numpy if fused else np.int32 if plan.low else np.int64)
    code = _code_numbers(plan, reads) if fused else [0, 1, 0, 0, int(not plan.low)]
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
    numbers += [*array_numbers(out, runs, dtype.itemsize), len(reads.arrays)]
    for place, strides, itemsize in reads.arrays:
        numbers += [place, *array_numbers(strides, runs, itemsize)]
    return Call(reads.operands, np.array(numbers + code, np.int64), (claims, *op.shape), dtype)


def _sources(kernel: Kernel, plan: NativePlan, given: Given, fused: bool) -> dict[int, tuple[jax.Array, Access]]:
    """By access: a source with its fill around it where it is left, and the access that sees it so."""
    numbers = {plan.x: None} | ({} if plan.constant else {plan.y: None})
    if fused:
        code = [kernel.op.code[n - 1] for n in sorted(kernel.live) if n and n not in kernel.hoisted]
        loaded = [instr.args[0] for instr in code if instr.op in (Opcode.LOAD, Opcode.GATHER)]
        numbers |= dict.fromkeys(number for number in loaded if f"{number}" not in given.prepared)
    found = {}
    for number in numbers:
        array, access = given.operand(number), kernel.op.accesses[number]
        padded = pad(array, access, extents(kernel.op)) if access.indirect is None else None
        found[number] = padded or (array, access)
    return found


def _roles(plan: NativePlan, sizes: Mapping[int, int]) -> Roles:
    """Claims are rows where the weights are constant, and batches where they are values."""
    lead = (CLAIM,) if sizes[CLAIM] > 1 else ()
    batch, row = ((), lead) if plan.constant else (lead, ())
    return Roles((*batch, *plan.batch), (*row, *plan.row), plan.column, plan.term, sizes)


def _factor(source: tuple[jax.Array, Access], roles: Roles) -> Strides:
    found = strides_of(source[1], roles.sizes, source[0].shape[0])
    if found is None:
        raise AssertionError("a factor leaves its source; plan_native takes only what can be padded")
    return found


@dataclass
class _Reads:
    """The arrays that the code reads: number among the plan's arrays and level, by what is read."""

    kernel: Kernel
    roles: Roles
    sources: Mapping[int, tuple[jax.Array, Access]]
    given: Given
    operands: list[jax.Array]
    arrays: list[tuple[int, Strides, int]] = field(default_factory=list)
    known: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def _add(self, key: tuple[str, int], array: jax.Array | None, strides: Strides) -> tuple[int, int]:
        if key not in self.known:
            place, itemsize = 0, 0
            if array is not None:
                self.operands.append(array.reshape(-1))
                place, itemsize = len(self.operands), array.dtype.itemsize
            used = {var for var, step in strides.by.items() if step}
            level = 2 if used & {*self.roles.row} else 1 if used & {*self.roles.column} else 0
            self.known[key] = (len(self.arrays), level)
            self.arrays.append((place, strides, itemsize))
        return self.known[key]

    def _dense(self, key: tuple[str, int], array: jax.Array, used: Sequence[int]) -> tuple[int, int]:
        steps = row_major([self.roles.sizes[var] for var in used])
        by = {var: step for var, step in zip(used, steps, strict=True) if self.roles.sizes[var] > 1}
        return self._add(key, array, Strides(0, by))

    def hoisted(self, number: int) -> tuple[int, int] | None:
        used = self.kernel.hoisted.get(number)
        return None if used is None else self._dense(("register", number), self.given.prepared[f"r{number}"], used)

    def index(self, var: int) -> tuple[int, int]:
        if var == ITERATION and jnp.ndim(self.given.t):
            return self._dense(("variable", var), jnp.asarray(self.given.t, jnp.int64), [CLAIM])
        return self._add(("variable", var), None, Strides(0, {var: 1}))

    def load(self, number: int) -> tuple[int, int]:
        if self.kernel.op.accesses[number].indirect is not None:
            raise NotFused
        return self._access(number)

    def gather(self, number: int) -> tuple[int, int]:
        indirect = self.kernel.op.accesses[number].indirect
        if indirect is None or indirect[1] != number:
            raise NotFused
        return self._access(number)

    def _access(self, number: int) -> tuple[int, int]:
        op = self.kernel.op
        if f"{number}" in self.given.prepared:
            if number in self.kernel.laid:
                raise NotFused
            used = [var for var in variables(op.accesses[number], extents(op)) if var != ITERATION]
            table = self.given.prepared[f"{number}"]
            return self._dense(("access", number), table, [CLAIM, *used] if table.ndim > len(used) else used)
        array, access = self.sources[number]
        strides = strides_of(access, self.roles.sizes, array.shape[0])
        if strides is None or any(var >= len(op.shape) and var != ITERATION for var in strides.by):
            raise NotFused
        return self._add(("access", number), array, strides)


def _code_numbers(plan: NativePlan, reads: _Reads) -> list[int]:
    """Constants, registers, instructions and the result's register, as the library reads them."""
    kernel = reads.kernel
    positions = {register: at for at, register in enumerate(sorted(reads.given.immediates), start=1)}
    tile, result = tile_code(kernel.op.code, kernel.reach, kernel.live, plan.low, positions, reads)
    instructions, last, registers = tile.finished(result)
    if max(len(instructions), len(tile.constants)) > MOST_INSTRUCTIONS or len(reads.arrays) > MOST_ARRAYS:
        raise NotFused
    constants = [number for constant in tile.constants for number in constant]
    return [
        len(tile.constants),
        *constants,
        registers,
        len(instructions),
        *(n for it in instructions for n in it),
        last,
        result.wide,
    ]
