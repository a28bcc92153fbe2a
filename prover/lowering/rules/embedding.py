"""Embeddings: rows of a large constant, stored as the weights that an output projection stores, with a factor per row."""

from __future__ import annotations

from collections.abc import Mapping

from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import Const
from prover.lowering.emit.views import SELF, StridedView
from prover.lowering.formats import is_real, scale_for
from prover.lowering.graph import FloatNode
from prover.lowering.rules.context import Context, Item
from prover.lowering.rules.linear import weights
from prover.lowering.rules.multipliers import Multipliers
from rollup.form.ops import Term

LARGE_ELEMENTS = 1 << 16
GRID_BITS = 30
"""Bits that the largest row keeps."""


def embeds(node: FloatNode, item: Item) -> bool:
    """Whether a gather takes whole rows of a large real constant by one index."""
    numbers, sizes = node.params["dimension_numbers"], node.params["slice_sizes"]
    return (
        isinstance(item, Const)
        and not item.stacked
        and is_real(item.array.dtype)
        and item.array.ndim > 1
        and item.array.size >= LARGE_ELEMENTS
        and tuple(numbers.start_index_map) == tuple(numbers.collapsed_slice_dims) == (0,)
        and not numbers.operand_batching_dims
        and tuple(sizes[1:]) == item.shape[1:]
    )


def embedded(ctx: Context, emitter: CodeEmitter, const: Const, index: int, along: Mapping[int, int]) -> tuple[int, int]:
    """(register, scale) of row ``index`` (a register, inside the constant); ``along``: output variable of every other dimension."""
    rank = len(const.shape)
    w = weights(ctx, const, [0], list(range(1, rank)), fine=True)
    scale = scale_for(float(w.factor.max()) * 2.0**15, GRID_BITS)
    m = Multipliers.of(w.factor * 2.0**scale, 15)
    terms = tuple(Term(d, along[d], 1) for d in range(1, rank))
    rows = StridedView(w.view.tensor, const.shape, (0,) * rank, terms, indirect=(0, SELF))
    factors = ctx.builder.constant(m.packed.reshape(-1))
    look = StridedView(factors, (const.shape[0],), (0,), (), indirect=(0, SELF))
    element, packed = emitter.gather(rows, index), emitter.gather(look, index)
    return m.applied(emitter, element, packed, w.view.tensor.low, w.view.tensor.high), scale
