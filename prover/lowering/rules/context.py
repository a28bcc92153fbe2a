"""What a lowering rule works with: lazy ops and constants in, lazy ops out, the builder, and calibrated ranges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover import progress
from prover.lowering.channels.operands import Raised
from prover.lowering.emit.builder import Builder
from prover.lowering.emit.emitter import CodeEmitter, reindexed
from prover.lowering.emit.lazy import WORD, Const, LazyOp, TabledFunction
from prover.lowering.emit.views import Stands
from prover.lowering.expansions import EXPANSIONS
from prover.lowering.formats import MARGIN, TAIL_BITS, horizon, scale_for
from prover.lowering.graph import FloatGraph, FloatNode, Operand, Stacked, Var
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.fold import computed
from rollup.errors import UnsupportedError
from rollup.types import DType

Item = LazyOp | Const
Rule = Callable[["Context", FloatNode, Sequence[Item]], "Sequence[Item] | Item"]

RULES: dict[str, Rule] = {}
"""The one table: primitive -> rule."""

TABLE_CHAIN = 4
"""Arithmetic of this many steps on one narrow value becomes a table, rounded once."""

KEPT_BITS = 28
"""Bits of a calibrated magnitude that are worth more than room beyond it."""

LONGEST_CODE = 120
MOST_VIEWS = 24


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a function as the lowering of primitives."""

    def register(fn: Rule) -> Rule:
        for name in names:
            assert name not in RULES, name
            RULES[name] = fn
        return fn

    return register


def unsupported(node: FloatNode, why: str, remedy: str) -> UnsupportedError:
    place = f" at {node.where}" if node.where else ""
    return UnsupportedError(f"{node.name}{place}: {why}; {remedy}")


@dataclass(frozen=True)
class Fix:
    """A register with its scale and the calibrated range of what it means."""

    register: int
    scale: int
    range: RealRange


@dataclass
class Context:
    """Lowers one graph (or a scan's body) with a builder.

    ``rounded``: by a product's result the integers of its weights, where a pass chose them; ``raised``: what they are multiplied by
    first, where its operand's channels were divided by it.
    """

    builder: Builder
    ranges: dict[Var, RealRange]
    rounded: Mapping[Var, np.ndarray] = field(default_factory=dict)
    raised: Mapping[Var, Raised] = field(default_factory=dict)

    def run(self, graph: FloatGraph, inputs: Sequence[Item]) -> list[Item]:
        """Lower every node; the lazy ops or constants of the outputs."""
        env: dict[Var, Item] = dict(zip(graph.inputs, inputs, strict=True))
        uses = graph.uses()

        def read(operand: Operand) -> Item:
            if isinstance(operand, Var):
                return env[operand]
            return Const(operand.array, stacked=True) if isinstance(operand, Stacked) else Const(np.asarray(operand))

        for number, node in enumerate(graph.nodes):
            lowered = RULES.get(node.name)
            if lowered is None:
                raise unsupported(
                    node,
                    "there is no lowering rule for this primitive",
                    f"supported are {', '.join(sorted({*RULES, *EXPANSIONS}))}",
                )
            self.builder.where = f"{node.name} {node.where}".rstrip()
            progress.at("lower", number + 1, len(graph.nodes), self.builder.where)
            if any(var.dtype.kind == "c" for var in node.outputs):
                raise unsupported(node, "it gives complex numbers", "compute with real and imaginary parts")
            operands = [read(x) for x in node.inputs]
            known = node.body is None and all(isinstance(x, Const) for x in operands)
            results = _computed(node, operands) if known else lowered(self, node, operands)
            items = [results] if isinstance(results, (LazyOp, Const)) else list(results)
            for var, item in zip(node.outputs, items, strict=True):
                env[var] = self._settled(standing(item, var), uses.get(var, 0))
        return [read(x) for x in graph.outputs]

    def _settled(self, item: Item, uses: int) -> Item:
        """A lazy op that is read more than once is computed once, unless it is as good as free."""
        if isinstance(item, LazyOp) and not (item.reduces and item.where):
            item = replace(item, where=self.builder.where)
        if (
            isinstance(item, Const)
            or uses <= 1
            or item.as_view() is not None
            or item.chain is not None
            or not item.views
        ):
            return item
        return self.builder.materialised(item)

    def range(self, node: FloatNode, output: int = 0) -> RealRange:
        return self.ranges[node.outputs[output]]

    def blank(self, node: FloatNode, output: int = 0) -> LazyOp:
        """An empty lazy op with the shape, dtype and range of a node's output."""
        var = node.outputs[output]
        return LazyOp(var.shape, var.dtype, self.ranges[var])

    def tensor(self, item: Item) -> LazyOp:
        """An operand as something that can be read from memory; constants are stored in their own best format."""
        return self.builder.materialised(self.lazy_op(item))

    def lazy_op(self, item: Item, dtype: Any = None) -> LazyOp:
        """An operand as a lazy op."""
        if isinstance(item, LazyOp):
            return item
        array = item.array
        finite = item.finite
        magnitude = float(np.abs(finite).max()) if array.size else 0.0
        observed = RealRange(float(finite.min()), float(finite.max()), magnitude)
        blank = LazyOp(item.shape, np.dtype(dtype) if dtype is not None else array.dtype, observed)
        emitter = CodeEmitter(blank)
        scale = 0 if blank.exact else dyadic_scale(finite, magnitude)
        return emitter.done(self.builder.load_const(emitter, item, scale), scale)

    def narrowed(self, lazy: LazyOp) -> LazyOp:
        """A lazy op that products and sums can read: a real input may hold all that its dtype holds, so one of 32 or 64 bits is stored
        once more, in bounds.
        """
        view = lazy.as_view()
        if lazy.exact or view is None or view.tensor.input is None or view.tensor.dtype.size < DType.I32.size:
            return lazy
        if "narrowed" not in lazy.memo:
            emitter = CodeEmitter(replace(lazy, memo={}))
            fix = self.fit(emitter, Fix(len(lazy.code), lazy.scale, lazy.range), WORD - 1)
            narrow = emitter.done(fix.register, fix.scale)
            wide = replace(lazy.range, hint=replace(lazy.range.hint, last=True))
            lazy.memo["narrowed"] = self.builder.stored(narrow, self.builder.formats.value(wide))
        found: LazyOp = lazy.memo["narrowed"]
        return found

    def chain(self, item: Item) -> TabledFunction | None:
        """The chain of an operand: its own, or the start of one if it loads a narrow integer."""
        if isinstance(item, Const):
            return None
        if item.chain is not None:
            return item.chain
        view = item.as_view()
        if view is None or item.high - item.low >= 1 << 16:
            return None
        return TabledFunction(view, item.scale, _meant(item.range), 0, False)

    def merged(self, node: FloatNode, items: Sequence[Item]) -> tuple[CodeEmitter, list[Fix | Const]]:
        """An emitter over all operands of an element-wise node: at most one of them keeps its reduction."""
        shape = node.outputs[0].shape
        ops: list[Item] = []
        for item in items:
            if isinstance(item, LazyOp):
                item = self.stretched(self.builder.realised(item), shape)
            ops.append(item)
        base = next((j for j, d in enumerate(ops) if isinstance(d, LazyOp) and d.reduces), None)
        for j, lazy in enumerate(ops):
            if isinstance(lazy, LazyOp) and j != base and lazy.reduces:
                ops[j] = self.builder.materialised(lazy)
        if base is None:
            base = next(j for j, d in enumerate(ops) if isinstance(d, LazyOp))
        while sum(len(d.code) for d in ops if isinstance(d, LazyOp)) > LONGEST_CODE or self._views(ops) > MOST_VIEWS:
            longest = max((j for j, d in enumerate(ops) if isinstance(d, LazyOp)), key=lambda j: len(ops[j].code))  # type: ignore[union-attr]
            ops[longest] = self.builder.materialised(ops[longest])  # type: ignore[arg-type]
        first = ops[base]
        assert isinstance(first, LazyOp)
        orders = [d.order for d in ops if isinstance(d, LazyOp) and d.order is not None]
        emitter = CodeEmitter(replace(first, shape=shape, order=orders[0] if orders else None))
        operands: list[Fix | Const] = []
        own = len(first.code)
        for j, lazy in enumerate(ops):
            if isinstance(lazy, Const):
                operands.append(lazy)
            else:
                operands.append(Fix(own if j == base else emitter.include(lazy), lazy.scale, lazy.range))
        return emitter, operands

    @staticmethod
    def _views(ops: Sequence[Item]) -> int:
        return sum(len(d.views) for d in ops if isinstance(d, LazyOp) and len(d.views) > 1)

    def stretched(self, lazy: LazyOp, shape: tuple[int, ...]) -> LazyOp:
        """The lazy op over an element-wise node's shape; what would be reduced again for every copy is stored first."""
        if lazy.shape == shape:
            return lazy
        if lazy.reduces or (lazy.views and len(lazy.code) > 1):
            lazy = self.builder.materialised(lazy)
        return reindexed(lazy, shape, stretch(lazy.shape, shape))

    def finish(self, node: FloatNode, emitter: CodeEmitter, fix: Fix, chain: TabledFunction | None = None) -> LazyOp:
        """The node's output lazy op."""
        var = node.outputs[0]
        return emitter.done(fix.register, fix.scale, dtype=var.dtype, range=self.ranges[var], chain=chain)

    def fit(self, emitter: CodeEmitter, fix: Fix, bits: int) -> Fix:
        """At most ``bits`` bits of magnitude: low bits are rounded off, as long as ``KEPT_BITS`` of what is calibrated are left; what is
        still too much saturates, at twice its margin over calibration or above.
        """
        if emitter.bits(fix.register) <= bits:
            return fix
        # A statistic may be a sum of squares of a value with a tail.
        margin = MARGIN * 4.0**TAIL_BITS if fix.range.hint.whole else self.builder.formats.margin(fix.range)
        reach = 2 * margin * fix.range.magnitude + fix.range.room
        bound = int(reach * 2.0**fix.scale) + 1 if fix.scale < 1000 else 0
        register = fix.register
        # Nobody would be told of what is cut here.
        bound = max(bound, (1 << bits + max(0, bound.bit_length() - KEPT_BITS)) - 1)
        if bound.bit_length() < emitter.bits(register):
            register = emitter.clamp(register, -bound, bound)
        excess = emitter.bits(register) - bits
        if excess > 0:
            return Fix(emitter.shift(register, -excess), fix.scale - excess, fix.range)
        return Fix(register, fix.scale, fix.range)

    def constant(self, emitter: CodeEmitter, const: Const, scale: int) -> int:
        return self.builder.load_const(emitter, const, scale, WORD - 1)


def standing(item: Item, var: Var) -> Item:
    """The item, known to give the elements of ``var``, and so the tensor that it reads as a whole, if it does."""
    if isinstance(item, Const) or item.shape != var.shape:
        return item
    view = item.as_view()
    if view is not None and view.tensor.stands is None and view.tensor.root is None and view.permutes(item.shape):
        view.tensor.stands = Stands(var, view.order(item.shape))
    return replace(item, var=var)


def _meant(observed: RealRange) -> Callable[[Any], Any]:
    """The real number that a stored one means: an infinity beyond its horizon."""
    if not observed.deep:
        return lambda x: x
    reach = horizon(observed)
    return lambda x: jnp.where(jnp.abs(x) > reach, jnp.sign(x) * jnp.inf, x)


def _computed(node: FloatNode, items: Sequence[Item]) -> list[Item]:
    """The results of a node of constants; an unrolled loop makes some."""
    operands = [Stacked(x.array) if x.stacked else x.array for x in items if isinstance(x, Const)]
    return [Const(x.array, True) if isinstance(x, Stacked) else Const(x) for x in computed(node, operands)]


def stretch(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """Implicit broadcasting of an operand: a scalar, or dimensions of size one that grow."""
    return [(0, ()) if n == 1 and n != new[d] else (0, ((d, 1),)) for d, n in enumerate(old)]


def dyadic_scale(array: np.ndarray, magnitude: float, bits: int = 24) -> int:
    """Smallest scale that represents the constants exactly, at most the one that uses ``bits`` bits."""

    best = scale_for(magnitude, bits)
    for scale in range(best):
        scaled = np.asarray(array, dtype=np.float64) * 2.0**scale
        if np.array_equal(scaled, np.rint(scaled)):
            return scale
    return best
