"""Run-time scales: a value whose rows differ widely is read by products as int16, shifted by an amount that each row chooses.

The row's largest magnitude is an op of its own, the shifted integers another; the product's accumulator is shifted back. A row is
what a product sums: a scale lies only on axes that survive it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import BOX, LazyOp
from prover.lowering.emit.views import StridedView
from prover.lowering.rules.context import Context
from prover.lowering.rules.reduction import innermost
from rollup.form.ops import Monoid
from rollup.types import DType

MANTISSA_BITS = 15


@dataclass(frozen=True)
class Rows:
    """``mantissa``: int16 [shape]; ``peak``: view of the rows' largest squares over the mantissa's output variables."""

    mantissa: LazyOp
    peak: StridedView

    def amount(self, emitter: CodeEmitter, outputs: Mapping[int, int]) -> int:
        """Register of the row's shift; ``outputs``: variable of every dimension of the mantissa that is kept."""
        names = {d: (0, ((at, 1),)) for d, at in outputs.items()}
        return _amount(emitter, self.peak.renamed(names))


def by_row(ctx: Context, lazy: LazyOp, axes: Sequence[int]) -> Rows:
    """The lazy op in memory with a scale for everything that ``axes`` do not run along; computed once per lazy op."""
    lazy = innermost(ctx, lazy, axes)
    if "rows" not in lazy.memo:
        lazy.memo["rows"] = _scaled(ctx, lazy, axes)
    found: Rows = lazy.memo["rows"]
    return found


def _scaled(ctx: Context, lazy: LazyOp, axes: Sequence[int]) -> Rows:
    view = ctx.builder.view(lazy)
    kept = [d for d in range(len(lazy.shape)) if d not in axes]
    names = {d: (0, ((at, 1),)) for at, d in enumerate(kept)} | {d: (0, ((BOX + j, 1),)) for j, d in enumerate(axes)}
    factor = view.renamed(names)
    domain = tuple(lazy.shape[d] for d in axes)
    most = max(lazy.low * lazy.low, lazy.high * lazy.high)
    shape = tuple(lazy.shape[d] for d in kept)
    squares = LazyOp(
        shape,
        np.dtype(np.int64),
        lazy.range,
        Monoid.MAX,
        domain,
        2,
        (factor, factor),
        (),
        ((0, most),),
        where=lazy.where,
    )
    peak = ctx.builder.view(ctx.builder.read(ctx.builder.emit(squares, DType.I64), squares))
    peak = peak.renamed({at: (0, ((d, 1),)) for at, d in reversed(list(enumerate(kept)))})
    emitter = CodeEmitter(replace(lazy, memo={}))
    register = emitter.shr(len(lazy.code), _amount(emitter, peak))
    register = emitter.clamp(register, DType.I16.min, DType.I16.max)
    mantissa = emitter.done(register, lazy.scale)
    stored = ctx.builder.read(ctx.builder.emit(mantissa, DType.I16), mantissa)
    return Rows(stored, peak)


def _amount(emitter: CodeEmitter, peak: StridedView) -> int:
    """Bits that a row's largest magnitude has beyond a mantissa's: half the bit length of its square, rounded up."""
    length = emitter.bitlen(emitter.load(peak))
    half = emitter.shr(length, emitter.const(1))
    return emitter.maximum(emitter.sub(half, emitter.const(MANTISSA_BITS)), emitter.const(0))


def shifted_back(emitter: CodeEmitter, register: int, amount: int) -> int:
    """``register * 2^amount``."""
    return emitter.shl(register, amount)
