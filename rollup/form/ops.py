"""The op form *reduce, then map* and the one table of its monoids and instructions.

    acc    = monoid over k in domain ( x[a(i,k)] * y[b(i,k)] )
    out[i] = cast( code(acc, loads...) )

The reference (``rollup.machine``), the executor, the audit, OneStepProver's constants, the generated page ``docs/ops.md`` and the test
vectors are all driven by the tables of this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from rollup.types import DType, Root

MAX_RANK = 12
"""Most dimensions of an output, of a domain, of an access."""

MAX_ACCESSES = 200
MAX_CODE = 250
ITERATION = 255
"""The variable ``t``: the iteration of the op's segment."""

NO_DIMENSION = 255

FAN_OUT = 64
"""Most partial results in one answer of a defender about a reduction that is proven part by part."""


class Monoid(IntEnum):
    """How the domain is reduced. Sums and products wrap modulo 2^64."""

    NONE = 0
    SUM = 1
    MAX = 2
    MIN = 3
    ARGMAX = 4
    ARGMIN = 5


ARGUMENTS = frozenset({Monoid.ARGMAX, Monoid.ARGMIN})
"""Monoids whose accumulator is a position."""

MONOIDS: Mapping[Monoid, str] = {
    Monoid.NONE: "The one element of an empty domain; without factors acc is 0.",
    Monoid.SUM: "Sum over the domain, modulo 2^64, as a signed number.",
    Monoid.MAX: "Largest element of the domain.",
    Monoid.MIN: "Smallest element of the domain.",
    Monoid.ARGMAX: "Row-major domain position of the largest element, the lowest position first.",
    Monoid.ARGMIN: "Row-major domain position of the smallest element, the lowest position first.",
}


@dataclass(frozen=True)
class Constant:
    """A tensor of the program (weights, table), by the root of its natural-depth tree."""

    root: Root


@dataclass(frozen=True)
class Value:
    """The trace value ``base + step * t`` (step is 0 outside the value's own segment)."""

    base: int
    step: int = 0


@dataclass(frozen=True)
class Carried:
    """The value of the iteration before: ``init`` at t = 0, ``base + step * t`` (modulo 2^32) afterwards."""

    base: int
    step: int
    init: int


Source = Constant | Value | Carried


@dataclass(frozen=True)
class Term:
    """``coef * var`` added to the coordinate of ``dimension``; var counts output dims, then domain dims, or is ITERATION."""

    dimension: int
    var: int
    coef: int


@dataclass(frozen=True)
class Access:
    """Where an op reads: a source, seen under ``shape``, at affine coordinates; outside of it, ``fill``.

    ``offsets[d] + sum(coef * var)`` is coordinate d. If ``indirect`` is (d, j), the value of access j at the same (i, k) is added
    to coordinate d (factors only; in code the ``gather`` instruction adds a register; then j is the access itself).
    If ``stack`` is not 0, dimension 0 does not address elements: it selects the value, ``stack`` trace entries per step.
    """

    source: Source
    dtype: DType
    shape: tuple[int, ...]
    offsets: tuple[int, ...]
    terms: tuple[Term, ...] = ()
    fill: int = 0
    indirect: tuple[int, int] | None = None
    stack: int = 0

    @property
    def tensor_shape(self) -> tuple[int, ...]:
        """The dimensions that address elements of one tensor."""
        return self.shape[1:] if self.stack else self.shape

    @property
    def elements(self) -> int:
        return math.prod(self.tensor_shape)


class Opcode(IntEnum):
    CONST = 0
    INDEX = 1
    LOAD = 2
    GATHER = 3
    ADD = 4
    SUB = 5
    MUL = 6
    DIV = 7
    SHL = 8
    SHR = 9
    MULSHIFT = 10
    AND = 11
    OR = 12
    XOR = 13
    MIN = 14
    MAX = 15
    ABS = 16
    LESS = 17
    EQUAL = 18
    SELECT = 19
    BITLEN = 20
    ISQRT = 21


@dataclass(frozen=True)
class Instr:
    """One instruction. ``args`` are registers, but of CONST (none; ``imm``), INDEX (variable), LOAD (access), GATHER (access, register)."""

    op: Opcode
    args: tuple[int, ...] = ()
    imm: int = 0


@dataclass(frozen=True)
class Op:
    """One descriptor: an op and the trace indices that it executes (``first + body * t`` for t < repeat).

    ``part``: most positions of the domain that one proof covers (see ``rollup.form.parts``); 0: the whole domain.
    """

    first: int
    body: int
    repeat: int
    monoid: Monoid
    dtype: DType
    factors: int
    shape: tuple[int, ...]
    domain: tuple[int, ...]
    accesses: tuple[Access, ...]
    code: tuple[Instr, ...]
    part: int = 0

    @property
    def elements(self) -> int:
        """Elements of the output."""
        return math.prod(self.shape)

    @property
    def domain_elements(self) -> int:
        return math.prod(self.domain)

    @property
    def bytes(self) -> int:
        """Bytes of the output."""
        return self.elements * self.dtype.size


def wrap(value: int, bits: int = 64) -> int:
    """Two's complement: the signed integer of ``bits`` bits that equals ``value`` modulo 2^bits."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def _div(a: int, b: int) -> int:
    return a // b if b else 0


def _shl(a: int, s: int) -> int:
    return a << s if 0 <= s < 64 else 0


def rounding_shift(product: int, s: int, limit: int) -> int:
    """floor((product + 2^(s-1)) / 2^s), a left shift for negative s; s is first clamped to [-64, limit]."""
    s = max(-64, min(s, limit))
    if s <= 0:
        return product << -s
    return (product + (1 << (s - 1))) >> s


@dataclass(frozen=True)
class Spec:
    """One row of the instruction table. ``exact`` maps 64-bit operands to the unwrapped result; None: the machine supplies the value."""

    operands: str
    semantics: str
    exact: Callable[..., int] | None
    example: tuple[tuple[int, ...], int] | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """What each entry of an instruction's ``args`` is: reg, access or var. (An immediate is no argument.)"""
        return tuple(kind for kind in self.operands.split() if kind != "imm64")


INSTRUCTIONS: Mapping[Opcode, Spec] = {
    Opcode.CONST: Spec("imm64", "The immediate.", None),
    Opcode.INDEX: Spec("var", "Output coordinate `var`, or the iteration t for 255.", None),
    Opcode.LOAD: Spec("access", "The element that the access reads at i.", None),
    Opcode.GATHER: Spec(
        "access reg", "The element that the access reads at i, the register added to its indirect coordinate.", None
    ),
    Opcode.ADD: Spec("reg reg", "a + b, modulo 2^64.", lambda a, b: a + b, ((2, 3), 5)),
    Opcode.SUB: Spec("reg reg", "a - b, modulo 2^64.", lambda a, b: a - b, ((2, 3), -1)),
    Opcode.MUL: Spec("reg reg", "a * b, modulo 2^64.", lambda a, b: a * b, ((-2, 3), -6)),
    Opcode.DIV: Spec("reg reg", "floor(a / b); 0 if b is 0.", _div, ((-7, 2), -4)),
    Opcode.SHL: Spec("reg reg", "a * 2^b modulo 2^64; 0 unless 0 <= b < 64.", _shl, ((3, 2), 12)),
    Opcode.SHR: Spec(
        "reg reg",
        "floor((a + 2^(b-1)) / 2^b) without overflow: a rounding shift right; b <= 0 shifts left by -b; b is clamped to [-64, 65].",
        lambda a, b: rounding_shift(a, b, 65),
        ((7, 2), 2),
    ),
    Opcode.MULSHIFT: Spec(
        "reg reg reg",
        "floor((a * m + 2^(s-1)) / 2^s) with the exact 128-bit product; s <= 0 shifts left by -s; s is clamped to [-64, 128].",
        lambda a, m, s: rounding_shift(a * m, s, 128),
        ((1000, 3, 4), 188),
    ),
    Opcode.AND: Spec("reg reg", "Bitwise and.", lambda a, b: a & b, ((6, 3), 2)),
    Opcode.OR: Spec("reg reg", "Bitwise or.", lambda a, b: a | b, ((6, 3), 7)),
    Opcode.XOR: Spec("reg reg", "Bitwise exclusive or.", lambda a, b: a ^ b, ((6, 3), 5)),
    Opcode.MIN: Spec("reg reg", "The smaller.", min, ((6, 3), 3)),
    Opcode.MAX: Spec("reg reg", "The larger.", max, ((6, 3), 6)),
    Opcode.ABS: Spec("reg", "|a|; the most negative number stays itself.", abs, ((-4,), 4)),
    Opcode.LESS: Spec("reg reg", "1 if a < b, else 0.", lambda a, b: int(a < b), ((3, 6), 1)),
    Opcode.EQUAL: Spec("reg reg", "1 if a equals b, else 0.", lambda a, b: int(a == b), ((3, 3), 1)),
    Opcode.SELECT: Spec("reg reg reg", "b if a is not 0, else c.", lambda a, b, c: b if a else c, ((1, 5, 7), 5)),
    Opcode.BITLEN: Spec(
        "reg", "Bits of |a|: 0 for 0, 64 for the most negative number.", lambda a: abs(a).bit_length(), ((-5,), 3)
    ),
    Opcode.ISQRT: Spec("reg", "floor(sqrt(a)); 0 for negative a.", lambda a: math.isqrt(a) if a > 0 else 0, ((17,), 4)),
}


def registers(instr: Instr) -> tuple[int, ...]:
    """The registers that an instruction reads."""
    return tuple(a for a, kind in zip(instr.args, INSTRUCTIONS[instr.op].arguments, strict=True) if kind == "reg")


def loads(instr: Instr) -> tuple[int, ...]:
    """The accesses that an instruction reads."""
    return tuple(a for a, kind in zip(instr.args, INSTRUCTIONS[instr.op].arguments, strict=True) if kind == "access")


def renumbered(instr: Instr, names: Mapping[int, int], accesses: Mapping[int, int] | None = None) -> Instr:
    """The instruction with its registers (and accesses) under their new numbers, where they have one."""
    kinds = INSTRUCTIONS[instr.op].arguments
    renames: Mapping[str, Mapping[int, int]] = {"reg": names, "access": accesses or {}}
    args = tuple(renames.get(kind, {}).get(a, a) for a, kind in zip(instr.args, kinds, strict=True))
    return replace(instr, args=args)


def live(code: Sequence[Instr], result: int | None = None, known: Container[int] = ()) -> set[int]:
    """The registers that ``result`` (the code's, unless given) is computed of, itself included; what ``known`` ones are computed of
    does not count.
    """
    found = {len(code) if result is None else result}
    for number in range(len(code), 0, -1):
        if number in found and number not in known:
            found.update(registers(code[number - 1]))
    return found
