"""The constants of a kernel in the form that it wants: laid out, multiplied out over its variables, cut into limbs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from prover.executor.kernels.gather import Derived
from prover.executor.kernels.native import PACKED, PLAN_VERSION, packed, packed_bytes
from rollup.form.affine import coefficients, extents, variables, view
from rollup.form.ops import ITERATION, Access, Constant, Opcode, Term
from rollup.form.program import Program

if TYPE_CHECKING:
    from prover.executor.kernels.kernel import Kernel

Array = np.ndarray

WHOLE = "whole"
"""Name of a weight matrix that is prepared as integers."""

TURNED = "turned"
"""Name of its transpose, if that is what lies in memory."""

_PREPARED_GROWTH = 4
_PREPARED_FREE = 1 << 20


@dataclass(frozen=True)
class Prepared:
    """A constant in the form that the kernel wants; with ``iterated``, axis 0 is the iteration."""

    array: np.ndarray
    iterated: bool


class WeightStore(Protocol):
    """Where packed weights are kept, by name."""

    def array(self, name: str, size: int, make: Callable[[], Array]) -> Array:
        """uint8 [size], read-only: what was kept under this name, or else what ``make`` gives, kept from now on if that can be."""
        ...


def prepare(kernel: Kernel, program: Program, lender: Kernel | None, weights: WeightStore | None) -> None:
    """Bring the constants that a kernel reads into its form; see ``Kernel.of``."""
    op = kernel.op
    code_reads = [op.code[n - 1] for n in kernel.live if n and n not in kernel.hoisted]
    loaded = {instr.args[0] for instr in code_reads if instr.op is Opcode.LOAD}
    looked = {instr.args[0] for instr in code_reads if instr.op is Opcode.GATHER}
    indices = {access.indirect[1] for access in op.accesses if access.indirect is not None}
    read = {*range(op.factors), *loaded, *looked, *indices}
    for number, access in enumerate(op.accesses):
        if not isinstance(access.source, Constant) or number not in read:
            continue
        array = program.seen(access)
        in_dot = kernel.plan is not None and number < 2
        factor, load = number < op.factors, number in loaded
        shared = (factor and load) or number in indices
        worth = access.indirect is None and kernel.sliding is None and _worth(kernel, access, array.size)
        if worth and (in_dot or factor != load) and (in_dot or not shared):
            if not (in_dot and lender is not None and _borrows(kernel, number, access, lender)):
                _prepare(kernel, number, access, array, in_dot, weights)
            if not shared:
                continue
        kernel.raw[program.seen_key(access)] = access


def _worth(kernel: Kernel, access: Access, size: int) -> bool:
    sizes = extents(kernel.op)
    if any(ITERATION in row and len(row) > 1 for row in coefficients(access, sizes)):
        return False
    return math.prod(sizes[var] for var in variables(access, sizes)) <= _PREPARED_GROWTH * size + _PREPARED_FREE


def _borrows(kernel: Kernel, number: int, access: Access, lender: Kernel) -> bool:
    """Take a factor's matrices from the lender if they are the same; whether they are."""
    mine, other = kernel.plan, lender.plan
    names = [name for name in lender.prepared if name.startswith(f"{number}:")]
    if mine is None or other is None or access != lender.op.accesses[number] or not names:
        return False
    # Whatever the other factor has free.
    alike = replace(other, free_x=mine.free_x) if number else replace(other, free_y=mine.free_y)
    native, lent = kernel.native, lender.native
    if (native is None) != (lent is None):
        return False
    if native is not None and lent is not None and replace(lent, row=native.row, low=native.low) != native:
        return False
    used = variables(access, extents(lender.op))
    sizes = [[extents(op)[var] for var in used] for op in (kernel.op, lender.op)]
    if mine != alike or sizes[0] != sizes[1] or ITERATION in used:
        return False
    kernel.prepared.update({name: lender.prepared[name] for name in names})
    kernel.borrowed.update(names)
    return True


def _prepare(
    kernel: Kernel, number: int, access: Access, array: np.ndarray, in_dot: bool, weights: WeightStore | None
) -> None:
    used, seen = view(array, access, extents(kernel.op))
    iterated = ITERATION in used
    if iterated:
        seen, used = np.moveaxis(seen, -1, 0), used[:-1]
    if not in_dot and number < kernel.op.factors:
        seen = _lay_out(kernel, number, access, used, seen, iterated)
    if not in_dot:
        kernel.prepared[f"{number}"] = Prepared(np.array(seen, order="C"), iterated)
        return
    rows = seen if iterated else seen[None]
    if kernel.native is not None:
        whole = _packed(kernel, number, access, Derived(used, rows), weights)
        kernel.prepared[f"{number}:{PACKED}"] = Prepared(whole if iterated else whole[0], iterated)
        return
    matrix = kernel.matrix(number, Derived(used, rows))
    parts: dict[int | str, Array]
    if not kernel.compact:
        parts = dict(enumerate(kernel.limbs(number, matrix)))
    else:
        turned = np.swapaxes(matrix, -1, -2)
        parts = {TURNED: turned} if turned.flags.c_contiguous else {WHOLE: matrix}
    for name, part in parts.items():
        whole = np.ascontiguousarray(part if iterated else part[0])
        kernel.prepared[f"{number}:{name}"] = Prepared(whole, iterated)


KEPT_BYTES = 1 << 16
"""Packed weights of fewer bytes are packed in every start: a file of their own is not worth it."""


def _packed(kernel: Kernel, number: int, access: Access, rows: Derived, weights: WeightStore | None) -> Array:
    """uint8 [iterations, bytes]: a factor [iterations, ...] in the order of the native plan."""
    native, sizes = kernel.native, extents(kernel.op)
    assert native is not None and kernel.plan is not None

    def make() -> Array:
        return packed(native, _columns(kernel, number, kernel.matrix(number, rows))).reshape(-1)

    each = packed_bytes(native, sizes)
    size = len(rows.array) * each
    if weights is None or size < KEPT_BYTES:
        return make().reshape([-1, each])
    # All that the bytes follow from; how many rows the product has is not part of it, and programs of other lengths share them.
    free = kernel.plan.free_y if number else kernel.plan.free_x
    seen = tuple((var, sizes[var]) for var in variables(access, sizes))
    roles = (len(kernel.op.shape), number, kernel.plan.batch, kernel.plan.contract, free)
    order = (native.term, native.sub, native.narrow, native.bound)
    name = repr((PLAN_VERSION, sys.byteorder, access, seen, roles, order))
    return weights.array(name, size, make).reshape([-1, each])


def _columns(kernel: Kernel, number: int, matrix: Array) -> Array:
    """A factor's matrices [..., batch, columns, terms], the terms in the order of the native plan."""
    plan, native, sizes = kernel.plan, kernel.native, extents(kernel.op)
    assert plan is not None and native is not None
    columns = np.swapaxes(matrix, -1, -2) if number else matrix
    split = columns.reshape([*columns.shape[:-1], *(sizes[var] for var in plan.contract)])
    lead = columns.ndim - 1
    order = [*range(lead), *(lead + plan.contract.index(var) for var in native.term)]
    return split.transpose(order).reshape(columns.shape)


def _lay_out(kernel: Kernel, number: int, access: Access, used: Sequence[int], seen: Array, iterated: bool) -> Array:
    """A factor with its domain variables before its output variables: a fold then reads whole rows."""
    order = sorted(used, key=lambda var: (var < len(kernel.op.shape), var))
    sizes = extents(kernel.op)
    shape = tuple(sizes[var] for var in order)
    terms = tuple(Term(d, var, 1) for d, var in enumerate(order))
    kernel.laid[number] = replace(access, shape=shape, offsets=(0,) * len(shape), terms=terms)
    lead = int(iterated)
    return np.transpose(seen, [*range(lead), *(lead + list(used).index(var) for var in order)])
