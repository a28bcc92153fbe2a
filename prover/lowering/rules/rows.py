"""Run-time scales: a value whose rows differ widely is read by products as int16, shifted by an amount that each row chooses.

The row's largest magnitude is an op of its own, the shifted integers another; the product's accumulator is shifted back. A row is
what a product sums: a scale lies only on axes that survive it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prover.lowering.emit.draft import BOX, Coder, Draft, View
from prover.lowering.rules.context import Context
from prover.lowering.rules.reduction import innermost
from rollup.form.ops import Instr, Monoid, Opcode
from rollup.types import DType

MANTISSA_BITS = 15


@dataclass(frozen=True)
class Rows:
    """``mantissa``: int16 [shape]; ``peak``: view of the rows' largest squares over the mantissa's output variables."""

    mantissa: Draft
    peak: View

    def amount(self, coder: Coder, outputs: Mapping[int, int]) -> int:
        """Register of the row's shift; ``outputs``: variable of every dimension of the mantissa that is kept."""
        names = {d: (0, ((at, 1),)) for d, at in outputs.items()}
        return _amount(coder, self.peak.renamed(names))


def by_row(ctx: Context, draft: Draft, axes: Sequence[int]) -> Rows:
    """The draft in memory with a scale for everything that ``axes`` do not run along; computed once per draft."""
    draft = innermost(ctx, draft, axes)
    if "rows" not in draft.memo:
        draft.memo["rows"] = _scaled(ctx, draft, axes)
    found: Rows = draft.memo["rows"]
    return found


def _scaled(ctx: Context, draft: Draft, axes: Sequence[int]) -> Rows:
    view = ctx.builder.view(draft)
    kept = [d for d in range(len(draft.shape)) if d not in axes]
    names = {d: (0, ((at, 1),)) for at, d in enumerate(kept)} | {d: (0, ((BOX + j, 1),)) for j, d in enumerate(axes)}
    factor = view.renamed(names)
    box = tuple(draft.shape[d] for d in axes)
    most = max(draft.low * draft.low, draft.high * draft.high)
    shape = tuple(draft.shape[d] for d in kept)
    squares = Draft(
        shape,
        np.dtype(np.int64),
        draft.range,
        Monoid.MAX,
        box,
        2,
        (factor, factor),
        (),
        ((0, most),),
        where=draft.where,
    )
    peak = ctx.builder.view(ctx.builder.read(ctx.builder.emit(squares, DType.I64), squares))
    peak = peak.renamed({at: (0, ((d, 1),)) for at, d in reversed(list(enumerate(kept)))})
    coder = Coder(replace(draft, memo={}))
    register = coder.shr(len(draft.code), _amount(coder, peak))
    register = coder.clamp(register, DType.I16.min, DType.I16.max)
    mantissa = coder.done(register, draft.scale)
    stored = ctx.builder.read(ctx.builder.emit(mantissa, DType.I16), mantissa)
    return Rows(stored, peak)


def _amount(coder: Coder, peak: View) -> int:
    """Bits that a row's largest magnitude has beyond a mantissa's: half the bit length of its square, rounded up."""
    length = coder.bitlen(coder.load(peak))
    half = coder.shr(length, coder.const(1))
    return coder.maximum(coder.sub(half, coder.const(MANTISSA_BITS)), coder.const(0))


def shifted_back(coder: Coder, register: int, amount: int) -> int:
    """``register * 2^amount``."""
    return coder.put(Instr(Opcode.SHL, (register, amount)))
