"""Kernels that differ in numbers alone are compiled once: constants are arguments anyway, immediates that differ become some.

The layers of a deep model are equal up to weights, formats (immediates of the code) and trace indices. Kernels of equal *signature* are
joined: the joint kernel's intervals hold for every member, so that whatever is exact for the joint one is exact for each.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import reduce

from prover.executor.kernels.kernel import Kernel
from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import INT32, Range
from rollup.form.ops import Access, Constant, Instr, Opcode, Value
from rollup.types import Root

_CONSTANT = Constant(Root(b""))
_VALUE = Value(0)


def _blank(access: Access) -> Access:
    return replace(access, source=_CONSTANT if isinstance(access.source, Constant) else _VALUE)


def signature(kernel: Kernel) -> Hashable:
    """Equal for kernels that differ only in which values and constants they read and in the immediates of their code.

    What the intervals decide about a kernel is part of it: the plan of its product, which registers fit 32 bits.
    """
    op, reach = kernel.op, kernel.reach
    code = tuple(Instr(Opcode.CONST) if instr.op is Opcode.CONST else instr for instr in op.code)
    return (
        replace(op, first=0, accesses=tuple(map(_blank, op.accesses)), code=code),
        kernel.plan,
        kernel.conv,
        kernel.native,
        kernel.sliding,
        tuple(sorted(kernel.hoisted.items())),
        tuple((name, p.array.dtype.str, p.iterated) for name, p in sorted(kernel.prepared.items())),
        tuple((number, _blank(access)) for number, access in sorted(kernel.laid.items())),
        tuple(r.inside(INT32) for r in (*reach.registers, *reach.exact)),
        reach.magnitude < 1 << 31,
    )


def differing(kernels: Sequence[Kernel]) -> tuple[int, ...]:
    """Registers whose immediate is not the same in all of the kernels (of equal signature)."""
    codes = [kernel.op.code for kernel in kernels]
    return tuple(
        number
        for number, instr in enumerate(codes[0], start=1)
        if instr.op is Opcode.CONST and number in kernels[0].live and any(c[number - 1].imm != instr.imm for c in codes)
    )


def joint(kernels: Sequence[Kernel]) -> Kernel:
    """The first of the kernels (of equal signature), with intervals that hold for all of them."""
    if len(kernels) == 1:
        return kernels[0]
    reaches = [kernel.reach for kernel in kernels]

    def hulls(parts: Sequence[Sequence[Range]]) -> tuple[Range, ...]:
        return tuple(reduce(Range.hull, column) for column in zip(*parts, strict=True))

    reach = OpIntervals(
        hulls([r.accesses for r in reaches]),
        reduce(Range.hull, [r.acc for r in reaches]),
        hulls([r.registers for r in reaches]),
        hulls([r.exact for r in reaches]),
        reduce(Range.hull, [r.output for r in reaches]),
        max(r.magnitude for r in reaches),
        (),
    )
    return replace(kernels[0], reach=reach)
