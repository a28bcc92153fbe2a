"""An op's code as instructions on tiles (``code.h``): registers of 32 or 64 bits, rules that the intervals allow.

Meanings are those of the op table; where an instruction has several rules, the cheapest one that is exact for the proven ranges is
taken, as ``prover.executor.kernels.code`` does for XLA.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import INT32, INT64, Range
from rollup.form.ops import Instr, Opcode

FLOAT_EXACT = (1 << 53) - 1
"""Integers up to this magnitude are float64 numbers."""

LONGEST_DIVIDEND = 1 << 62
LONGEST_DIVISOR = 1 << 52
"""Up to these, the quotient of floats is off by 2^-50 of itself at most, and that of what then remains by one at most."""

MOST_INSTRUCTIONS = 96
MOST_ARRAYS = 24


def narrow(reach: Range) -> bool:
    """Whether 32 bits hold every number of the range."""
    return reach.inside(INT32)


class TileOp(IntEnum):
    """Numbers of the instructions, in the order of ``Opcode`` in ``product.h``."""

    CONSTANT = 0
    LOAD = 1
    GATHER = 2
    ADD = 3
    SUB = 4
    MUL = 5
    MUL_32 = 6
    MUL_U32 = 7
    DIV = 8
    DIV_FLOAT = 9
    DIV_LONG = 10
    SHIFT = 11
    SHL = 12
    SHR = 13
    SHR_FAST = 14
    SHR_RIGHT = 15
    MULSHIFT = 16
    AND = 17
    OR = 18
    XOR = 19
    MIN = 20
    MAX = 21
    ABS = 22
    LESS = 23
    EQUAL = 24
    SELECT = 25
    BITLEN = 26
    ISQRT = 27
    WIDEN = 28
    NARROW = 29
    CLAMP = 30
    CLAMP_NARROW = 31
    SCALE_U32 = 32
    SCALE_NARROW = 33


_SAME: dict[Opcode, TileOp] = {
    Opcode[op.name]: op
    for op in TileOp
    if op.name in Opcode.__members__ and op not in (TileOp.LOAD, TileOp.GATHER, TileOp.DIV, TileOp.MUL, TileOp.MULSHIFT)
}


@dataclass(frozen=True)
class Register:
    """A register of the tile program. ``level``: 0 the same in all of a task, 1 in a column, 2 of an element."""

    number: int
    wide: bool
    level: int
    reach: Range


@dataclass
class TileCode:
    """Instructions as they are found.

    ``constants``: (position among the scalars, or 0; value). ``first``: the accumulator's register.
    """

    first: Register
    constants: list[tuple[int, int]] = field(default_factory=list)
    instructions: list[Coded] = field(default_factory=list)
    count: int = 1
    _converted: dict[tuple[int, bool], Register] = field(default_factory=dict)

    def emit(self, op: TileOp, wide: bool, level: int, reach: Range, *arguments: int) -> Register:
        a, b, c = (*arguments, 0, 0, 0)[:3]
        found = Register(self.count, wide, level, reach)
        self.instructions.append((int(op), int(wide), level, found.number, a, b, c))
        self.count += 1
        return found

    def constant(self, value: int, given: int = 0, reach: Range | None = None) -> Register:
        """A number that all elements share: ``value``, or the scalar at position ``given``."""
        reach = reach or Range(value, value)
        self.constants.append((given, value))
        return self.emit(TileOp.CONSTANT, not narrow(reach), 0, reach, len(self.constants) - 1)

    def as_wide(self, register: Register, wide: bool) -> Register:
        if register.wide == wide:
            return register
        key = (register.number, wide)
        if key not in self._converted:
            op = TileOp.WIDEN if wide else TileOp.NARROW
            self._converted[key] = self.emit(op, wide, register.level, register.reach, register.number)
        return self._converted[key]

    def settled(self, register: Register, reach: Range) -> Register:
        """The register with as many bits as its proven range needs."""
        found = self.as_wide(register, not narrow(reach))
        return Register(found.number, found.wide, found.level, reach)

    def apply(self, op: Opcode, args: Sequence[Register], exact: Range) -> Register:
        """The result of an instruction of the op form; ``exact``: its range before it wraps."""
        small = narrow(exact) and all(narrow(a.reach) for a in args) and op is not Opcode.MULSHIFT
        if op in (Opcode.SHL, Opcode.SHR) and not (args[1].reach.low >= 0 and args[1].reach.high <= 30):
            small = False
        given = [self.as_wide(a, not small) for a in args]
        level = max(a.level for a in args)
        reach = exact if exact.inside(INT64) else INT64
        rule: TileOp | None = _SAME.get(op)
        if op is Opcode.MUL:
            rule = self._product(args[0].reach, args[1].reach, small)
        elif op is Opcode.MULSHIFT:
            found = self._mulshift(given, level, reach)
            return self.settled(found, reach)
        elif op is Opcode.DIV:
            divisor = args[1].reach
            if divisor.low == divisor.high and divisor.low > 0 and divisor.low & (divisor.low - 1) == 0:
                by = self.as_wide(self.constant(divisor.low.bit_length() - 1), not small)
                return self.settled(self.emit(TileOp.SHIFT, not small, level, reach, given[0].number, by.number), reach)
            rule = self._quotient(args[0].reach, divisor)
        elif op is Opcode.SHR:
            rule = self._shr(args[0].reach, args[1].reach, 32 if small else 64)
        assert rule is not None
        return self.settled(self.emit(rule, not small, level, reach, *(a.number for a in given)), reach)

    @staticmethod
    def _product(a: Range, b: Range, small: bool) -> TileOp:
        if not small and narrow(a) and narrow(b):
            return TileOp.MUL_32
        return TileOp.MUL_U32 if not small and b.low >= 0 and b.high < 1 << 32 else TileOp.MUL

    @staticmethod
    def _quotient(a: Range, b: Range) -> TileOp:
        if max(a.magnitude, b.magnitude) <= FLOAT_EXACT:
            return TileOp.DIV_FLOAT
        return TileOp.DIV_LONG if a.magnitude <= LONGEST_DIVIDEND and b.magnitude <= LONGEST_DIVISOR else TileOp.DIV

    @staticmethod
    def _shr(a: Range, by: Range, bits: int) -> TileOp:
        if by.low < 0 or by.high >= bits:
            return TileOp.SHR
        return TileOp.SHR_FAST if a.magnitude + (1 << by.high >> 1) < 1 << (bits - 1) else TileOp.SHR_RIGHT

    def _mulshift(self, args: Sequence[Register], level: int, reach: Range) -> Register:
        a, m, by = args
        ends = [x * y for x in a.reach for y in m.reach]
        product = Range(min(ends), max(ends))
        if not product.inside(INT64):
            return self.emit(TileOp.MULSHIFT, True, level, reach, a.number, m.number, by.number)
        rule = self._product(a.reach, m.reach, False)
        multiplied = self.emit(rule, True, max(a.level, m.level), product, a.number, m.number)
        return self.emit(self._shr(product, by.reach, 64), True, level, reach, multiplied.number, by.number)

    def finished(self, result: Register) -> tuple[list[Coded], int, int]:
        """(instructions, register of the result, how many registers there are), places of elements used again after their last use."""
        code = fused(self.instructions, result.number)
        level = {it[3]: it[2] for it in code} | {0: 2}
        reads = {number: _registers_read(it) for number, it in enumerate(code)}
        last = {register: number for number, read in reads.items() for register in read}
        last[result.number] = len(code)
        place, free, count = {0: 0}, list[int](), 1
        found = []
        for number, it in enumerate(code):
            op, wide, at, to, *rest = it
            if at == 2 and free:
                place[to] = free.pop()
            else:
                place[to], count = count, count + 1
            moved = [place[r] if r in reads[number] else r for r in rest]
            if op in (TileOp.GATHER, TileOp.LOAD, TileOp.CONSTANT):
                moved[0] = rest[0]
            found.append((op, wide, at, place[to], *moved))
            for register in {r for r in (*reads[number], to) if last.get(r, number) == number}:
                if level[register] == 2:
                    free.append(place[register])
        return found, place[result.number], count


_OF_THREE = (TileOp.SELECT, TileOp.MULSHIFT, TileOp.CLAMP, TileOp.CLAMP_NARROW, TileOp.SCALE_U32, TileOp.SCALE_NARROW)

_READ = {
    TileOp.CONSTANT: 0,
    TileOp.LOAD: 0,
    TileOp.ABS: 1,
    TileOp.BITLEN: 1,
    TileOp.ISQRT: 1,
    TileOp.WIDEN: 1,
    TileOp.NARROW: 1,
}


def _registers_read(it: Coded) -> tuple[int, ...]:
    op, arguments = TileOp(it[0]), it[4:]
    if op is TileOp.GATHER:
        return arguments[1:2]
    return arguments[: 3 if op in _OF_THREE else _READ.get(op, 2)]


Coded = tuple[int, ...]
"""An instruction: (op, wide, level, result, and three arguments)."""


def fused(code: Sequence[Coded], result: int) -> list[Coded]:
    """The code with pairs of instructions as one where there is one for both; what is not needed then is left out."""
    made = {it[3]: it for it in code}
    uses = Counter(register for it in code for register in _registers_read(it))
    uses[result] += 1
    found = list(code)
    for number, it in enumerate(code):
        before = made.get(it[4])
        if before is None or uses[it[4]] > 1 or before[2] != it[2]:
            continue
        joined = _joined(made[before[3]], it, made)
        if joined is not None:
            found[number] = made[it[3]] = joined
    needed = {result}
    kept = []
    for it in reversed(found):
        if it[3] in needed:
            needed.update(_registers_read(it))
            kept.append(it)
    return kept[::-1]


def _joined(first: Coded, second: Coded, made: Mapping[int, Coded]) -> Coded | None:
    """Both as one, the second of which reads the first as its first argument."""
    op, wide, level, to, _, by, _ = second
    a, b, c = first[4:]
    match TileOp(first[0]), TileOp(op):
        case TileOp.MIN, TileOp.MAX:
            return (TileOp.CLAMP, wide, level, to, a, b, by)
        case TileOp.CLAMP, TileOp.NARROW:
            return (TileOp.CLAMP_NARROW, 0, level, to, a, b, c)
        case TileOp.MUL_U32, TileOp.SHR_FAST:
            return (TileOp.SCALE_U32, 1, level, to, a, b, by)
        case TileOp.MUL_32, TileOp.SHR_FAST:
            factors = [made[register][4] for register in (a, b) if made.get(register, first)[0] == TileOp.WIDEN]
            return (TileOp.SCALE_NARROW, 1, level, to, *factors, by) if len(factors) == 2 else None
    return None


class Reads(Protocol):
    """What the code reads, each as (number of its array, level)."""

    def hoisted(self, number: int) -> tuple[int, int] | None:
        """A register that was computed ahead; None if it was not."""
        ...

    def load(self, number: int) -> tuple[int, int]:
        """What LOAD reads at an access."""
        ...

    def index(self, var: int) -> tuple[int, int]:
        """A variable."""
        ...

    def gather(self, number: int) -> tuple[int, int]:
        """What GATHER looks up in."""
        ...


def tile_code(
    code: Sequence[Instr], reach: OpIntervals, live: frozenset[int], low: bool, given: Mapping[int, int], reads: Reads
) -> tuple[TileCode, Register]:
    """The op's code and the register of its result. ``given``: position among the scalars of immediates that are arguments, by register."""
    tile = TileCode(Register(0, not low, 2, reach.registers[0]))
    registers = {0: tile.settled(tile.first, reach.registers[0])}
    for number in sorted(live - {0}):
        instr, mine = code[number - 1], reach.registers[number]
        wide = not narrow(mine)
        ahead = reads.hoisted(number)
        if ahead is not None:
            registers[number] = tile.emit(TileOp.LOAD, wide, ahead[1], mine, ahead[0])
        elif number in given:
            registers[number] = tile.constant(0, given[number], mine)
        elif instr.op is Opcode.CONST:
            registers[number] = tile.constant(instr.imm, 0, mine)
        elif instr.op in (Opcode.INDEX, Opcode.LOAD):
            array, level = (reads.index if instr.op is Opcode.INDEX else reads.load)(instr.args[0])
            registers[number] = tile.emit(TileOp.LOAD, wide, level, mine, array)
        elif instr.op is Opcode.GATHER:
            array, level = reads.gather(instr.args[0])
            wide = wide or registers[instr.args[1]].wide
            at = tile.as_wide(registers[instr.args[1]], wide)
            found = tile.emit(TileOp.GATHER, wide, max(level, at.level), mine, array, at.number)
            registers[number] = tile.settled(found, mine)
        else:
            registers[number] = tile.apply(instr.op, [registers[r] for r in instr.args], reach.exact[number])
    return tile, registers[len(code)]
