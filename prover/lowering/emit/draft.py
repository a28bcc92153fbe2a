"""Drafts: ops under construction, in the op form itself, with what they mean in real numbers.

A draft is *reduce, then map* over views of integer tensors; its last register holds ``real * 2^scale``, within certified bounds.
Moving axes, slicing, padding and element-wise code change a draft without emitting anything; a draft becomes an op (and its result a
traced, rounded value) only when something needs it in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from prover.lowering.capture import Var
from prover.lowering.formats import integer_range
from prover.lowering.passes.calibrate import RealRange
from rollup.audit.ranges import INT64, RULES, Range
from rollup.form.ops import INSTRUCTIONS, ITERATION, Instr, Monoid, Opcode, Term, registers, wrap
from rollup.types import DType, Root

BOX = 100
"""Variables from here on are box dimensions while a draft is built; below, output dimensions."""

SELF = -1
"""Index access of a view that only ``look`` reads: the register is added to its indirect coordinate."""

WORD = 62
"""Most bits of magnitude that a register may certainly have, so that one more addition cannot wrap."""


@dataclass(eq=False)
class Tensor:
    """An integer tensor that a program holds, with certified bounds. One of: an input, a constant, an op's output, a carry.

    An op is placed by its segment and its position in that segment's body; a carry by its init and, once the body is
    known, the op that updates it. ``ends``: where reals were cut to its format (``Format.ends``); None: nothing was. ``stands``: the
    float array that it holds as it is, if that is known.
    """

    dtype: DType
    elements: int
    low: int
    high: int
    input: int | None = None
    root: Root | None = None
    segment: int | None = None
    position: int | None = None
    init: Tensor | None = None
    update: Tensor | None = None
    ends: tuple[int, int] | None = None
    stands: Stands | None = None


@dataclass(frozen=True)
class Stands:
    """What a tensor in memory stands for: an array of the float graph, its dimensions in the order in which they lie."""

    var: Var
    order: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """An access of the draft: a tensor seen under ``shape`` at affine coordinates; see ``rollup.form.ops.Access``.

    ``stacked``: dimension 0 selects the iteration of the tensor's segment.
    """

    tensor: Tensor
    shape: tuple[int, ...]
    offsets: tuple[int, ...]
    terms: tuple[Term, ...]
    fill: int = 0
    stacked: bool = False
    indirect: tuple[int, int] | None = None

    def renamed(self, variables: Mapping[int, tuple[int, Sequence[tuple[int, int]]]]) -> View:
        """The view with variables replaced by affine maps: old -> (offset, ((new, coef), ...))."""
        offsets, terms = list(self.offsets), []
        for term in self.terms:
            offset, parts = variables.get(term.var, (0, ((term.var, 1),)))
            offsets[term.dimension] += term.coef * offset
            terms += [Term(term.dimension, var, term.coef * coef) for var, coef in parts]
        merged: dict[tuple[int, int], int] = {}
        for term in terms:
            merged[term.dimension, term.var] = merged.get((term.dimension, term.var), 0) + term.coef
        kept = tuple(Term(d, var, coef) for (d, var), coef in sorted(merged.items()) if coef)
        return replace(self, offsets=tuple(offsets), terms=kept)

    def strides(self) -> dict[int, int]:
        """Elements between neighbours along each variable, in the tensor's memory."""
        found: dict[int, int] = {}
        for term in self.terms:
            step = math.prod(self.shape[term.dimension + 1 :]) if not (self.stacked and term.dimension == 0) else 0
            found[term.var] = found.get(term.var, 0) + term.coef * step
        return found

    def span(self, dimension: int, sizes: Mapping[int, int]) -> tuple[int, int]:
        """Least and greatest coordinate of a dimension, the variables running over ``sizes``."""
        low = high = self.offsets[dimension]
        for term in self.terms:
            if term.dimension == dimension:
                reach = term.coef * (sizes[term.var] - 1)
                low, high = low + min(reach, 0), high + max(reach, 0)
        return low, high

    def order(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The dimensions of an output space by the distance of their neighbours in memory, the farthest first."""
        strides = self.strides()
        return tuple(sorted(range(len(shape)), key=lambda d: (shape[d] > 1, -abs(strides.get(d, 0)))))

    def row_major(self, shape: Sequence[int]) -> bool:
        """Whether an output space of this shape reads one tensor's whole memory, front to back."""
        if self.stacked or self.indirect is not None or any(self.offsets) or self.tensor.elements != math.prod(shape):
            return False
        return self._dense(shape, range(len(shape)))

    def permutes(self, shape: Sequence[int]) -> bool:
        """Whether an output space of this shape reads one tensor's whole memory, its dimensions in some order."""
        if self.stacked or self.indirect is not None or any(self.offsets) or self.tensor.elements != math.prod(shape):
            return False
        return self._dense(shape, self.order(shape))

    def _dense(self, shape: Sequence[int], order: Sequence[int]) -> bool:
        strides, expected = self.strides(), 1
        for d in reversed(order):
            if shape[d] > 1 and strides.get(d, 0) != expected:
                return False
            expected *= shape[d]
        return ITERATION not in strides

    def inside(self, sizes: Mapping[int, int]) -> bool:
        """Whether every coordinate certainly lies inside its dimension."""
        spans = (self.span(d, sizes) for d in range(len(self.shape)))
        return all(low >= 0 and high < size for (low, high), size in zip(spans, self.shape, strict=True))


@dataclass(frozen=True)
class Chain:
    """A real function of one narrow integer: the draft equals ``fn(integer * 2^-scale)``, applied to what ``view`` reads.

    ``pending``: the code does not say it yet, a table has to.
    """

    view: View
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
class Draft:
    """An op under construction. ``real = register * 2^-scale``; integers and booleans have scale 0 and are exact.

    ``dtype`` is the float graph's; ``order`` the order of the output dimensions in memory, if it matters; ``where`` the
    primitive and source line that the op will be named after; ``var`` the float array whose elements it gives, if it is one.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    range: RealRange
    monoid: Monoid = Monoid.NONE
    box: tuple[int, ...] = ()
    factors: int = 0
    views: tuple[View, ...] = ()
    code: tuple[Instr, ...] = ()
    bounds: tuple[tuple[int, int], ...] = ((0, 0),)
    scale: int = 0
    order: tuple[int, ...] | None = None
    chain: Chain | None = None
    where: str = ""
    var: Var | None = None
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether the draft stands for integers or booleans."""
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
        return {**dict(enumerate(self.shape)), **{BOX + j: n for j, n in enumerate(self.box)}}

    def as_view(self) -> View | None:
        """The view, if the draft is nothing but a load."""
        if self.reduces or self.pending or len(self.code) != 1 or self.code[0].op is not Opcode.LOAD:
            return None
        view = self.views[self.code[0].args[0]]
        return view if view.indirect is None else None

    def as_product(self) -> tuple[View, View] | None:
        """The two views, if the draft is nothing but their product."""
        ops = tuple(instr.op for instr in self.code)
        if self.reduces or self.pending:
            return None
        if ops == (Opcode.LOAD, Opcode.LOAD, Opcode.MUL) and set(self.code[2].args) == {1, 2}:
            return self.views[self.code[0].args[0]], self.views[self.code[1].args[0]]
        if ops == (Opcode.LOAD, Opcode.MUL) and self.code[1].args == (1, 1):
            return self.views[self.code[0].args[0]], self.views[self.code[0].args[0]]
        return None

    def reindexed(self, shape: Sequence[int], variables: Sequence[tuple[int, Sequence[tuple[int, int]]]]) -> Draft:
        """The draft over another output space: output dimension d of the old one is an affine map of the new dimensions."""
        mapping = dict(enumerate(variables))
        views = tuple(view.renamed(mapping) for view in self.views)
        chain = self.chain and replace(self.chain, view=self.chain.view.renamed(mapping))
        if self.pending:
            return replace(self, shape=tuple(shape), chain=chain, order=None, var=None, memo={})
        coder = Coder(
            replace(
                self, shape=tuple(shape), views=views, code=(), bounds=self.bounds[:1], chain=chain, order=None, memo={}
            )
        )
        place = {0: 0}
        for number, instr in enumerate(self.code, start=1):
            if instr.op is Opcode.INDEX and instr.args[0] in mapping:
                place[number] = coder.affine(*mapping[instr.args[0]])
            else:
                place[number] = coder.copy(instr, place, {}, self.bounds[number])
        return coder.done(place[len(self.code)], self.scale)


def magnitude_bits(low: int, high: int) -> int:
    return max(abs(low), abs(high)).bit_length()


class Coder:
    """Extends a draft's code. Registers are numbers; ``bounds[r]`` are certified."""

    def __init__(self, draft: Draft) -> None:
        assert not draft.pending
        self.draft = draft
        self.views = list(draft.views)
        self.code = list(draft.code)
        self.bounds = [Range(*bounds) for bounds in draft.bounds]
        self._constants: dict[int, int] = {}
        self._loads: dict[View, int] = {}
        for number, instr in enumerate(self.code, start=1):
            if instr.op is Opcode.CONST:
                self._constants.setdefault(instr.imm, number)
            elif instr.op is Opcode.LOAD:
                self._loads.setdefault(self.views[instr.args[0]], number)

    @property
    def last(self) -> int:
        return len(self.code)

    def bits(self, register: int) -> int:
        return magnitude_bits(*self.bounds[register])

    def put(self, instr: Instr, known: tuple[int, int] | None = None) -> int:
        """Append an instruction; one whose operands are certain becomes a constant.

        Its range follows from its operands'. ``known`` overrides that: what the caller can prove and ranges can't show.
        """
        operands = registers(instr)
        exact = INSTRUCTIONS[instr.op].exact
        if operands and exact is not None and all(self.bounds[r].low == self.bounds[r].high for r in operands):
            return self.const(wrap(exact(*(self.bounds[r].low for r in operands))))
        found = RULES[instr.op](*(self.bounds[r] for r in operands)) if known is None else Range(*known)
        self.code.append(instr)
        self.bounds.append(found if found.inside(INT64) else INT64)
        return self.last

    def const(self, value: int) -> int:
        if value not in self._constants:
            self._constants[value] = self.put(Instr(Opcode.CONST, (), value), (value, value))
        return self._constants[value]

    def index(self, variable: int, size: int) -> int:
        return self.put(Instr(Opcode.INDEX, (variable,)), (0, size - 1))

    def affine(self, offset: int, parts: Sequence[tuple[int, int]]) -> int:
        """offset + sum of coef * output coordinate."""
        total = None if offset == 0 and parts else self.const(offset)
        for variable, coef in parts:
            part = self.index(variable, self.draft.shape[variable] if variable != ITERATION else 1 << 31)
            if coef != 1:
                part = self.mul(part, self.const(coef))
            total = part if total is None else self.add(total, part)
        assert total is not None
        return total

    def view(self, view: View) -> int:
        """Number of the access for ``view``."""
        if view in self.views[self.draft.factors :]:
            return self.views.index(view, self.draft.factors)
        self.views.append(view)
        return len(self.views) - 1

    def load(self, view: View) -> int:
        if view not in self._loads:
            low, high = view.tensor.low, view.tensor.high
            if not view.inside({**self.draft.sizes, ITERATION: 1}):
                low, high = min(low, view.fill), max(high, view.fill)
            self._loads[view] = self.put(Instr(Opcode.LOAD, (self.view(view),)), (low, high))
        return self._loads[view]

    def look(self, view: View, register: int, inside: bool = False) -> int:
        """Element of a one-dimensional view at a register's place; ``inside``: the place certainly is one."""
        low, high = view.tensor.low, view.tensor.high
        if not inside:
            low, high = min(low, view.fill), max(high, view.fill)
        return self.put(Instr(Opcode.LOOK, (self.view(view), register)), (low, high))

    def add(self, a: int, b: int) -> int:
        return self.put(Instr(Opcode.ADD, (a, b)))

    def sub(self, a: int, b: int) -> int:
        return self.put(Instr(Opcode.SUB, (a, b)))

    def neg(self, a: int) -> int:
        return self.sub(self.const(0), a)

    def mul(self, a: int, b: int) -> int:
        return self.put(Instr(Opcode.MUL, (a, b)))

    def div(self, a: int, b: int) -> int:
        """floor(a / b), 0 for b = 0."""
        return self.put(Instr(Opcode.DIV, (a, b)))

    def shr(self, a: int, b: int) -> int:
        """Rounding shift right by a register."""
        return self.put(Instr(Opcode.SHR, (a, b)))

    def mulshift(self, a: int, m: int, s: int) -> int:
        return self.put(Instr(Opcode.MULSHIFT, (a, m, s)))

    def shift(self, a: int, left: int) -> int:
        """a * 2^left, rounded for negative ``left``."""
        if left == 0:
            return a
        if left < 0:
            return self.shr(a, self.const(min(-left, 65)))
        return self.put(Instr(Opcode.SHL, (a, self.const(left))))

    def minimum(self, a: int, b: int) -> int:
        return self.put(Instr(Opcode.MIN, (a, b)))

    def maximum(self, a: int, b: int) -> int:
        return self.put(Instr(Opcode.MAX, (a, b)))

    def clamp(self, a: int, low: int, high: int) -> int:
        """Saturate; instructions that certainly change nothing are left out."""
        if self.bounds[a][1] > high:
            a = self.minimum(a, self.const(high))
        if self.bounds[a][0] < low:
            a = self.maximum(a, self.const(low))
        return a

    def wrapped(self, a: int, dtype: np.dtype[Any]) -> int:
        """Reduced modulo 2^bits into the range of a NumPy integer dtype, as its arithmetic does; 64 bits wrap by themselves."""
        low, high = self.bounds[a]
        least, most = integer_range(dtype)
        if (least <= low and high <= most) or np.dtype(dtype).itemsize == 8 or np.dtype(dtype) == np.bool_:
            return a
        if high - least >= 1 << 63:
            # No sum may pass 64 bits: the bits above go first.
            a = self.bitwise(Opcode.AND, a, self.const(most - least))
        lifted = a if least == 0 else self.add(a, self.const(-least))
        rest = self.bitwise(Opcode.AND, lifted, self.const(most - least))
        return rest if least == 0 else self.add(rest, self.const(least))

    def abs(self, a: int) -> int:
        return self.put(Instr(Opcode.ABS, (a,)))

    def less(self, a: int, b: int) -> int:
        return self.put(Instr(Opcode.LESS, (a, b)))

    def equal(self, a: int, b: int) -> int:
        return self.put(Instr(Opcode.EQUAL, (a, b)))

    def bitwise(self, op: Opcode, a: int, b: int) -> int:
        """And, or, xor."""
        return self.put(Instr(op, (a, b)))

    def select(self, condition: int, then: int, other: int) -> int:
        return self.put(Instr(Opcode.SELECT, (condition, then, other)))

    def bitlen(self, a: int) -> int:
        return self.put(Instr(Opcode.BITLEN, (a,)))

    def isqrt(self, a: int) -> int:
        return self.put(Instr(Opcode.ISQRT, (a,)))

    def copy(self, instr: Instr, place: Mapping[int, int], views: Mapping[int, int], bounds: tuple[int, int]) -> int:
        """Append another draft's instruction, its registers and accesses renumbered."""
        args = _renamed(instr, place, views).args
        if instr.op is Opcode.CONST:
            return self.const(instr.imm)
        if instr.op is Opcode.LOAD:
            view = self.views[args[0]]
            if view in self._loads:
                return self._loads[view]
            self._loads[view] = self.put(Instr(instr.op, args), bounds)
            return self._loads[view]
        return self.put(Instr(instr.op, args), bounds)

    def include(self, other: Draft) -> int:
        """Append a draft without a reduction; its result register."""
        assert not other.reduces and not other.pending and other.shape == self.draft.shape
        views = {number: self.view(view) for number, view in enumerate(other.views)}
        place = {0: self.const(0)} if any(0 in registers(instr) for instr in other.code) else {0: -1}
        for number, instr in enumerate(other.code, start=1):
            place[number] = self.copy(instr, place, views, other.bounds[number])
        return place[len(other.code)]

    def done(self, register: int, scale: int, **changes: Any) -> Draft:
        """The extended draft with ``register`` as its result, without code and views that nothing needs."""
        needed = {register}
        for number in range(len(self.code), 0, -1):
            if number in needed:
                needed.update(registers(self.code[number - 1]))
        kept = [number for number in range(1, len(self.code) + 1) if number in needed]
        place = {0: 0, **{number: at for at, number in enumerate(kept, start=1)}}
        used = sorted({a for n in kept for a in accesses(self.code[n - 1])} | set(range(self.draft.factors)))
        pending = list(used)
        while pending:
            indirect = self.views[pending.pop()].indirect
            if indirect is not None and indirect[1] not in (SELF, *used):
                used.append(indirect[1])
                pending.append(indirect[1])
        used.sort()
        views = {number: at for at, number in enumerate(used)}
        return replace(
            self.draft,
            views=tuple(_renumbered(self.views[number], views) for number in used),
            code=tuple(_renamed(self.code[n - 1], place, views) for n in kept),
            bounds=(self.bounds[0], *(self.bounds[n] for n in kept)),
            scale=scale,
            **{"memo": {}, "var": None, **changes},
        )


def _renumbered(view: View, views: Mapping[int, int]) -> View:
    if view.indirect is None or view.indirect[1] not in views:
        return view
    return replace(view, indirect=(view.indirect[0], views[view.indirect[1]]))


def _renamed(instr: Instr, place: Mapping[int, int], views: Mapping[int, int]) -> Instr:
    kinds = INSTRUCTIONS[instr.op].arguments
    names = {"reg": place, "access": views}
    args = tuple(names[kind].get(a, a) if kind in names else a for a, kind in zip(instr.args, kinds, strict=True))
    return replace(instr, args=args)


def accesses(instr: Instr) -> tuple[int, ...]:
    """The accesses that an instruction reads."""
    return instr.args[:1] if instr.op in (Opcode.LOAD, Opcode.LOOK) else ()
