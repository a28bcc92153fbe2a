"""Lazy ops: ops in the op form itself that are not emitted yet, with what they mean in real numbers.

A lazy op is *reduce, then map* over views of integer tensors; its last register holds ``real * 2^scale``, within certified bounds.
Moving axes, slicing, padding and element-wise code change it without emitting anything; it becomes an op (and its result a traced,
rounded value) only when something needs it in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prover.lowering.emit.views import StridedView
from prover.lowering.graph import Var
from prover.lowering.passes.calibrate import RealRange
from rollup.form.ops import Instr, Monoid, Opcode

BOX = 100
"""Variables from here on are domain dimensions while an op is lazy; below, output dimensions."""

WORD = 62
"""Most bits of magnitude that a register may certainly have, so that one more addition cannot wrap."""


@dataclass(frozen=True)
class TabledFunction:
    """A real function of one narrow integer: the lazy op equals ``fn(integer * 2^-scale)``, applied to what ``view`` reads.

    ``pending``: the code does not say it yet, a table has to.
    """

    view: StridedView
    scale: int
    fn: Callable[[Any], Any]
    length: int
    pending: bool


@dataclass(frozen=True, eq=False)
class Const:
    """A constant that is not quantised yet: its format depends on what it meets. ``stacked``: one per iteration, in front."""

    array: np.ndarray[Any, np.dtype[Any]]
    stacked: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape[1:] if self.stacked else self.array.shape)

    @property
    def finite(self) -> np.ndarray:
        """Its elements as float64, infinities and NaN as 0: what a format has to hold."""
        return np.where(np.isfinite(self.array), self.array, 0).astype(np.float64)

    @property
    def scalar(self) -> float | int | None:
        """Its value if all elements are equal, else None."""
        if self.array.size == 0 or not np.all(self.array == self.array.flat[0]):
            return None
        item: float | int = self.array.flat[0].item()
        return item


@dataclass(frozen=True, eq=False)
class LazyOp:
    """An op under construction. ``real = register * 2^-scale``; integers and booleans have scale 0 and are exact.

    ``dtype`` is the float graph's; ``order`` the order of the output dimensions in memory, if it matters; ``where`` the
    primitive and source line that the op will be named after; ``var`` the float array whose elements it gives, if it is one.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    range: RealRange
    monoid: Monoid = Monoid.NONE
    domain: tuple[int, ...] = ()
    factors: int = 0
    views: tuple[StridedView, ...] = ()
    code: tuple[Instr, ...] = ()
    bounds: tuple[tuple[int, int], ...] = ((0, 0),)
    scale: int = 0
    order: tuple[int, ...] | None = None
    chain: TabledFunction | None = None
    where: str = ""
    var: Var | None = None
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether the lazy op stands for integers or booleans."""
        return self.dtype.kind in "iub"

    @property
    def low(self) -> int:
        return self.bounds[-1][0]

    @property
    def high(self) -> int:
        return self.bounds[-1][1]

    @property
    def bits(self) -> int:
        return magnitude_bits(self.low, self.high)

    @property
    def reduces(self) -> bool:
        return self.factors > 0

    @property
    def pending(self) -> bool:
        return self.chain is not None and self.chain.pending

    @property
    def sizes(self) -> dict[int, int]:
        """Extent of every variable."""
        return {**dict(enumerate(self.shape)), **{BOX + j: n for j, n in enumerate(self.domain)}}

    def as_view(self) -> StridedView | None:
        """The view, if the lazy op is nothing but a load."""
        if self.reduces or self.pending or len(self.code) != 1 or self.code[0].op is not Opcode.LOAD:
            return None
        view = self.views[self.code[0].args[0]]
        return view if view.indirect is None else None

    def as_product(self) -> tuple[StridedView, StridedView] | None:
        """The two views, if the lazy op is nothing but their product."""
        ops = tuple(instr.op for instr in self.code)
        if self.reduces or self.pending:
            return None
        if ops == (Opcode.LOAD, Opcode.LOAD, Opcode.MUL) and set(self.code[2].args) == {1, 2}:
            return self.views[self.code[0].args[0]], self.views[self.code[1].args[0]]
        if ops == (Opcode.LOAD, Opcode.MUL) and self.code[1].args == (1, 1):
            return self.views[self.code[0].args[0]], self.views[self.code[0].args[0]]
        return None


def magnitude_bits(low: int, high: int) -> int:
    return max(abs(low), abs(high)).bit_length()
