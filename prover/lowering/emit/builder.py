"""The builder: lazy ops become ops, in segments; at the end, ops become a program (the passes *choose formats* and *emit*)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prover.lowering.emit.certify import certified, held
from prover.lowering.emit.cutting import cut
from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import WORD, Const, LazyOp
from prover.lowering.emit.parts import Depths, divided, encodable
from prover.lowering.emit.pending import PendingOp, PendingSegment, TracePlaces, encoded
from prover.lowering.emit.views import SELF, ProgramTensor, Stands, StridedView
from prover.lowering.formats import SCALE_LIMIT, Format, Formats, WeightFormat, quantize, scale_for
from prover.lowering.graph import Var, double_precision
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.hints import Within
from prover.saturation import ends
from rollup.errors import LoweringError
from rollup.form.constants import aligned, constant_root
from rollup.form.encoding import TensorType
from rollup.form.interface import Interface
from rollup.form.ops import ITERATION, Constant, Monoid, Op, Term
from rollup.form.program import Program
from rollup.types import DType, Root

FINE_BITS = 24
"""Bits of magnitude of a table whose entries are used further in the same op."""

BEYOND = 64.0
"""How far such entries may go beyond what the value's own format holds."""


@dataclass(frozen=True)
class Quantised:
    """Weights as integers. ``factors``: of every channel, flat; ``sum``: the largest of the sums of magnitudes over a channel."""

    tensor: ProgramTensor
    factors: np.ndarray
    sum: int


class Builder:
    """Collects ops and constants. ``where`` names the source of the ops that follow; ``loops`` tells whether a scan body is being built."""

    def __init__(self, formats: Formats) -> None:
        self.formats = formats
        self.inputs: list[ProgramTensor] = []
        self.segments: list[PendingSegment] = [PendingSegment(1)]
        self.constants: dict[Root, np.ndarray] = {}
        self.where = ""
        self._tensors: dict[tuple[Root, DType, int], ProgramTensor] = {}
        # With the weights themselves: nothing else comes to lie in their memory.
        self._quantised: dict[Any, tuple[np.ndarray, Quantised]] = {}

    @property
    def segment(self) -> PendingSegment:
        return self.segments[-1]

    def open_segment(self, repeat: int) -> int:
        """Start a segment that repeats its body; its number."""
        self.segments.append(PendingSegment(repeat))
        return len(self.segments) - 1

    def add_input(self, form: Format, elements: int, real: bool) -> ProgramTensor:
        ends = (form.low, form.high) if real else None
        self.inputs.append(ProgramTensor(form.dtype, elements, form.low, form.high, input=len(self.inputs), ends=ends))
        return self.inputs[-1]

    def constant(self, array: np.ndarray, dtype: DType | None = None) -> ProgramTensor:
        """A constant tensor, stored once; the smallest dtype that holds it unless given."""
        low, high = int(array.min()), int(array.max())
        stored = aligned(np.ascontiguousarray(array, dtype=(dtype or DType.holding(low, high)).numpy))
        root = constant_root(stored)
        key = root, DType.of(stored.dtype), stored.size
        if key not in self._tensors:
            self.constants.setdefault(root, stored)
            self._tensors[key] = ProgramTensor(key[1], stored.size, low, high, root=root)
        return self._tensors[key]

    def quantised(
        self, array: np.ndarray, channels: int, form: WeightFormat, make: Callable[[], Quantised]
    ) -> Quantised:
        """``make()`` of real weights whose first axes, ``channels`` of them, have factors.

        Once for the same memory seen in the same way: an embedding may be the head, too.
        """
        key = array.ctypes.data, array.shape, array.strides, array.dtype, channels, form
        if key not in self._quantised:
            self._quantised[key] = array, make()
        return self._quantised[key][1]

    # Constants as registers and views

    def const_view(self, array: np.ndarray, const: Const) -> StridedView:
        """View of a quantised constant over output dimensions 0.. (trailing dimensions of ``array``; a stacked one has t in front).

        Axes along which the array does not change are stored once.
        """
        lead = 1 if const.stacked else 0
        kept = array
        for axis in range(lead, array.ndim):
            first = np.take(kept, [0], axis=axis)
            if kept.shape[axis] > 1 and np.array_equal(np.broadcast_to(first, kept.shape), kept):
                kept = first
        tensor = self.constant(kept)
        axes = [axis for axis in range(kept.ndim) if kept.shape[axis] > 1 or axis < lead]
        terms = tuple(Term(j, ITERATION if axis < lead else axis - lead, 1) for j, axis in enumerate(axes))
        return StridedView(tensor, tuple(kept.shape[axis] for axis in axes), (0,) * len(axes), terms)

    def load_const(self, emitter: CodeEmitter, const: Const, scale: int, limit: int = 61) -> int:
        """Register with ``const * 2^scale``, saturated to ``limit`` bits of magnitude."""
        bound = (1 << limit) - 1
        return self.load_integers(emitter, replace(const, array=quantize(const.array, scale, -bound, bound)))

    def load_integers(self, emitter: CodeEmitter, const: Const) -> int:
        """Register with a constant of integers, as they are."""
        array = const.array
        if np.all(array == array.flat[0]):
            return emitter.const(int(array.flat[0]))
        return emitter.load(self.const_view(array, const))

    # Pending tables

    def realised(self, lazy: LazyOp, final: bool = False) -> LazyOp:
        """The lazy op with its pending table looked up; ``final``: the entries are rounded to the value's own format."""
        if not lazy.pending:
            return lazy
        chain = lazy.chain
        assert chain is not None
        base = replace(lazy, views=(), code=(), bounds=((0, 0),), chain=None, monoid=Monoid.NONE, memo={})
        emitter = CodeEmitter(base)
        register = emitter.load(chain.view)
        low, high = emitter.bounds[register]
        register, scale = self.table(emitter, register, low, high, chain.scale, chain.fn, lazy, final)
        return emitter.done(register, scale, chain=replace(chain, pending=False), var=lazy.var)

    def table(
        self,
        emitter: CodeEmitter,
        register: int,
        low: int,
        high: int,
        scale: int,
        fn: Any,
        lazy: LazyOp,
        final: bool = False,
    ) -> tuple[int, int]:
        """Look ``fn(register * 2^-scale)`` up for low <= register <= high; (register, its scale)."""
        with double_precision():
            real = np.asarray(fn(np.arange(low, high + 1, dtype=np.float64) * math.ldexp(1.0, -scale)))
        if lazy.exact:
            entries, out = real.astype(np.int64), 0
        else:
            form = self.formats.value(lazy.range)
            if not final:
                # What is stored later is cut there, at an end that is known; here it goes on.
                reach = self.formats.reach(lazy.range)
                most = float(np.max(np.abs(real), initial=0.0, where=np.isfinite(real)))
                scale = scale_for(max(reach, min(most, reach * BEYOND)), FINE_BITS)
                form = Format(DType.I32, scale, -(1 << FINE_BITS), (1 << FINE_BITS) - 1)
            entries, out = quantize(real, form.scale, form.low, form.high), form.scale
        tensor = self.constant(entries)
        view = StridedView(tensor, (entries.size,), (-low,), (), fill=0, indirect=(0, SELF))
        return emitter.gather(view, register, inside=True), out

    # Into memory

    def materialised(self, lazy: LazyOp) -> LazyOp:
        """A lazy op that is nothing but a load; emits an op (once per lazy op) unless it is one already."""
        if lazy.as_view() is not None:
            return lazy
        if "read" not in lazy.memo:
            lazy.memo["read"] = self._materialise(lazy)
        read: LazyOp = lazy.memo["read"]
        return read

    def view(self, lazy: LazyOp) -> StridedView:
        view = self.materialised(lazy).as_view()
        assert view is not None
        return view

    def _materialise(self, lazy: LazyOp) -> LazyOp:
        lazy = self.realised(lazy, final=True)
        if lazy.exact:
            emitter = CodeEmitter(lazy)
            wrapped = emitter.done(emitter.wrapped(len(lazy.code), lazy.dtype), 0, var=lazy.var)
            return self.read(self.emit(wrapped, DType.holding(wrapped.low, wrapped.high)), wrapped)
        hint = lazy.range.hint
        whole = hint.whole and lazy.reduces
        if whole and lazy.scale >= SCALE_LIMIT:
            # Not as fine as it is: no scale goes farther.
            emitter = CodeEmitter(lazy)
            register = emitter.shift(len(lazy.code), SCALE_LIMIT - 1 - lazy.scale)
            lazy = emitter.done(register, SCALE_LIMIT - 1, var=lazy.var)
        if (whole or hint.exact) and abs(lazy.scale) < SCALE_LIMIT:
            return self.read(self.emit(lazy, DType.holding(lazy.low, lazy.high)), lazy)
        return self.stored(lazy, self.formats.value(lazy.range))

    def stored(self, lazy: LazyOp, form: Format) -> LazyOp:
        """The lazy op in memory in a given format: reals rounded and saturated, integers wrapped as JAX wraps them."""
        lazy = self.realised(lazy, final=True)
        emitter = CodeEmitter(lazy)
        register, left = len(lazy.code), form.scale - lazy.scale
        if left > 0 and emitter.bits(register) + left >= WORD:
            # What the format cannot hold (an infinity of a mask) saturates before it is moved to a finer grid.
            register = emitter.clamp(register, (form.low >> left) - 1, (form.high >> left) + 1)
        register = emitter.shift(register, left)
        register = emitter.wrapped(register, lazy.dtype) if lazy.exact else emitter.clamp(register, form.low, form.high)
        rounded = emitter.done(register, form.scale, var=lazy.var)
        ends = None if lazy.exact else form.ends(lazy.range)
        return self.read(self.emit(rounded, form.dtype, ends), rounded)

    def read(self, tensor: ProgramTensor, like: LazyOp) -> LazyOp:
        """Load of an op's output (emitted from ``like``) over the same output space."""
        order = like.order or tuple(range(len(like.shape)))
        terms = tuple(Term(position, var, 1) for position, var in enumerate(order))
        view = StridedView(tensor, tuple(like.shape[d] for d in order), (0,) * len(order), terms)
        return self.loaded(view, like.shape, like.dtype, like.scale, like.range)

    def loaded(self, view: StridedView, shape: tuple[int, ...], dtype: Any, scale: int, observed: RealRange) -> LazyOp:
        """A lazy op that loads ``view``; narrow reals get a chain to hang functions on."""
        emitter = CodeEmitter(LazyOp(shape, np.dtype(dtype), observed))
        return emitter.done(emitter.load(view), scale)

    def emit(self, lazy: LazyOp, dtype: DType, ends: tuple[int, int] | None = None) -> ProgramTensor:
        """Append an op; its output. ``ends``: see ``ProgramTensor``."""
        looped, var = self.segment.repeat > 1, lazy.var
        lazy, found = certified(lazy, dtype, looped)
        low, high = held(lazy, dtype, found)
        order = lazy.order or tuple(range(len(lazy.shape)))
        segment, position = len(self.segments) - 1, len(self.segment.ops)
        stands = None if var is None else Stands(var, order)
        tensor = ProgramTensor(
            dtype, math.prod(lazy.shape), low, high, segment=segment, position=position, ends=ends, stands=stands
        )
        self.segment.ops.append(PendingOp(lazy, dtype, order, tensor, lazy.where or self.where))
        return tensor

    # The program

    def program(
        self,
        inputs: Sequence[TensorType],
        outputs: Sequence[tuple[ProgramTensor, TensorType]],
        interface: Interface,
        meta: dict[str, Any],
        numbers: Mapping[Var, int],
    ) -> Program:
        """``numbers``: those of the float graph's arrays, by which the metadata say what a value stands for."""
        while self._cut(inputs):
            pass
        ops = [encoded(op, first, place) for op, first, place in self._placed(len(inputs))]
        pending = [op for segment in self.segments for op in segment.ops]
        place = TracePlaces(self.segments, self._firsts(len(inputs)), -1)
        pairs = [(place.index(tensor), tensor_type) for tensor, tensor_type in outputs]
        used = {access.source.root for op in ops for access in op.accesses if isinstance(access.source, Constant)}
        constants = {root: array for root, array in self.constants.items() if root in used}
        sizes = Depths.of(inputs, ops)
        proven = [_proven(op, sizes, one.name) for op, one in zip(ops, pending, strict=True)]
        names = [op.name for op in pending]
        notes = {
            "scales": [op.lazy.scale for op in pending],
            "stands": [_stands(op.tensor.stands, numbers) for op in pending],
        }
        program = Program.build(
            inputs, pairs, proven, constants, names=names, meta={**meta, **notes}, interface=interface
        )
        meant = [_meant(ends(program, op), one) for op, one in zip(program.ops, pending, strict=True)]
        return replace(program, meta={**program.meta, "meant": meant})

    def _firsts(self, inputs: int) -> list[int]:
        """Trace index of every segment's first value."""
        lengths = [segment.repeat * len(segment.ops) for segment in self.segments]
        return [inputs + sum(lengths[:number]) for number in range(len(lengths))]

    def _placed(self, inputs: int) -> Iterator[tuple[PendingOp, int, TracePlaces]]:
        """Every op with its first trace index and the place that it reads from."""
        firsts = self._firsts(inputs)
        for number, segment in enumerate(self.segments):
            for position, op in enumerate(segment.ops):
                yield op, firsts[number] + position, TracePlaces(self.segments, firsts, number)

    def _cut(self, inputs: Sequence[TensorType]) -> bool:
        """Cut every op of which no proof fits a transaction into two; whether there were any that could be cut."""
        placed = list(self._placed(len(inputs)))
        ops = [encoded(*one) for one in placed]
        sizes = Depths.of(inputs, ops)
        found = False
        for op, (pending, _, place) in zip(ops, placed, strict=True):
            halves = cut(pending, place, sizes) if divided(op, sizes) is None else None
            if halves is not None:
                segment = self.segments[place.here]
                at = segment.ops.index(pending)
                segment.ops[at : at + 1] = halves
                found = True
        for segment in self.segments:
            for position, pending in enumerate(segment.ops):
                pending.tensor.position = position
        return found


def _stands(stands: Stands | None, numbers: Mapping[Var, int]) -> list[int] | None:
    """The number of the float array that a value stands for, and the order of its dimensions where it is another."""
    if stands is None or stands.var not in numbers:
        return None
    straight = stands.order == tuple(range(len(stands.order)))
    return [numbers[stands.var], *(() if straight else stands.order)]


def _proven(op: Op, sizes: Depths, name: str) -> Op:
    """The op with its ``part``; LoweringError if no proof about it fits a transaction."""
    found = divided(op, sizes)
    if found is None:
        gas = f" make {sizes.bound(op).gas:,} gas" if encodable(op) else ""
        raise LoweringError(
            f"{name}: one element of it reads too much for one transaction ({len(op.accesses)} operands and {len(op.code)} "
            f"instructions{gas}): compute it in several steps, whose results are used more than once"
        )
    return found


def _meant(found: tuple[int | None, int | None], op: PendingOp) -> str:
    """Which ends of its code a value reaches by design: where its format does not end (a bound of the function's own), or an infinity lies.

    Where no format was chosen: those of a bounded function.
    """
    observed = op.lazy.range
    if op.tensor.ends is None:
        # A bounded value whose samples are small has a finer format, which ends before the function does.
        within = observed.hint.within
        bounded = within is Within.UNIT or (within is Within.ONE and observed.magnitude > 0.5)
        low, high = (bounded or sign in observed.signs for sign in (-1, 1))
    else:
        low, high = (at is not None and at != end for at, end in zip(found, op.tensor.ends, strict=True))
    return "both" if low and high else "low" if low else "high" if high else ""
