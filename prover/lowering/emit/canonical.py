"""The one way to write an op down: what a descriptor could say twice, or say for nothing, is taken out before it is emitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from rollup.form.affine import coefficients, extents, variables
from rollup.form.ops import (
    ARGUMENTS,
    Access,
    Carried,
    Instr,
    Monoid,
    Op,
    Opcode,
    Source,
    Term,
    Value,
    live,
    loads,
    renumbered,
)


def canonical(op: Op) -> Op:
    """The op that means the same and that the audit accepts as canonical; ``part`` is left as it is.

    Terms are merged and sorted; domain dimensions of one position, or that no factor reads, accesses and instructions that nothing
    reads, and what an op without iterations says about iterations are taken out.
    """
    op = replace(op, accesses=tuple(_access(op, access) for access in op.accesses))
    if op.repeat == 1:
        op = replace(op, body=1)
    op = _reduced(op)
    op = _without_dead_code(op)
    return _without_unread(op)


def _access(op: Op, access: Access) -> Access:
    table = coefficients(access, extents(op))
    stack = 0 if access.stack and access.shape[0] == 1 else access.stack
    indexed = access.indirect and access.indirect[0]
    kept = [
        d
        for d, row in enumerate(table)
        if row or access.shape[d] > 1 or access.offsets[d] or d == indexed or (stack and d == 0)
    ]
    return replace(
        access,
        source=_once(access.source) if op.repeat == 1 else access.source,
        shape=tuple(access.shape[d] for d in kept),
        offsets=tuple(access.offsets[d] for d in kept),
        terms=tuple(Term(at, var, table[d][var]) for at, d in enumerate(kept) for var in sorted(table[d])),
        indirect=access.indirect and (kept.index(access.indirect[0]), access.indirect[1]),
        stack=stack,
    )


def _once(source: Source) -> Source:
    """What is read in the only iteration."""
    match source:
        case Value(base, _):
            return Value(base)
        case Carried(_, _, init):
            return Value(init)
    return source


def chained(op: Op, number: int) -> list[int]:
    """Access ``number`` and the accesses that index it, the nearest first."""
    found = [number]
    while (indirect := op.accesses[found[-1]].indirect) is not None and indirect[1] not in found:
        found.append(indirect[1])
    return found


def _reduced(op: Op) -> Op:
    """The op over those domain dimensions alone that a factor reads; its code makes up for the others."""
    sizes, outer = extents(op), len(op.shape)
    moved = {var for f in range(op.factors) for n in chained(op, f) for var in variables(op.accesses[n], sizes)}
    kept = [d for d in range(len(op.domain)) if outer + d in moved]
    if len(kept) == len(op.domain) and (op.domain or op.monoid is Monoid.NONE):
        return op
    lost = math.prod(size for d, size in enumerate(op.domain) if d not in kept)
    code = op.code
    if op.monoid is Monoid.SUM and lost > 1:
        code = _after([Instr(Opcode.CONST, (), lost), Instr(Opcode.MUL, (0, 1))], code)
    elif op.monoid in ARGUMENTS and not kept:
        code = _after([Instr(Opcode.CONST, (), 0)], code)
    elif op.monoid in ARGUMENTS and math.prod(op.domain[kept[0] + 1 :]) != math.prod(op.domain[d] for d in kept[1:]):
        code = _after(_position(op.domain, kept), code)
    names = {outer + d: outer + at for at, d in enumerate(kept)}
    accesses = tuple(_renamed(access, names) for access in op.accesses)
    domain = tuple(op.domain[d] for d in kept)
    if kept:
        return replace(op, domain=domain, accesses=accesses, code=code)
    factors = 0 if op.monoid in ARGUMENTS else op.factors
    return replace(op, monoid=Monoid.NONE, domain=(), factors=factors, accesses=accesses, code=code)


def _renamed(access: Access, names: Mapping[int, int]) -> Access:
    return replace(access, terms=tuple(replace(term, var=names.get(term.var, term.var)) for term in access.terms))


def _position(domain: tuple[int, ...], kept: list[int]) -> list[Instr]:
    """Instructions that turn a position (register 0) among the kept dimensions into one of the whole domain."""
    code: list[Instr] = []

    def put(op: Opcode, *args: int, imm: int = 0) -> int:
        code.append(Instr(op, args, imm))
        return len(code)

    # Kept dimensions with nothing lost between them count as one.
    runs: list[tuple[int, int]] = []
    for d in reversed(kept):
        weight = math.prod(domain[d + 1 :])
        if runs and weight == runs[-1][0] * runs[-1][1]:
            runs[-1] = runs[-1][0] * domain[d], runs[-1][1]
        else:
            runs.append((domain[d], weight))
    rest, total = 0, put(Opcode.CONST)
    for at, (size, weight) in enumerate(runs):
        digit = rest
        if at + 1 < len(runs):
            along = put(Opcode.CONST, imm=size)
            quotient = put(Opcode.DIV, rest, along)
            digit = put(Opcode.SUB, rest, put(Opcode.MUL, quotient, along))
            # What intervals can't show: the rest of a division is smaller than the divisor, and not negative.
            digit = put(Opcode.MAX, put(Opcode.MIN, digit, put(Opcode.CONST, imm=size - 1)), put(Opcode.CONST))
            rest = quotient
        total = put(Opcode.ADD, total, put(Opcode.MUL, digit, put(Opcode.CONST, imm=weight)))
    return code


def _after(first: list[Instr], code: tuple[Instr, ...]) -> tuple[Instr, ...]:
    """The code with the last result of ``first`` in place of the accumulator."""
    shift = len(first)
    moved = {0: shift} | {n: n + shift for n in range(1, len(code) + 1)}
    return (*first, *(renumbered(instr, moved) for instr in code))


def _without_dead_code(op: Op) -> Op:
    """The op without instructions whose result nothing needs; what never varies is a constant."""
    sizes = extents(op)
    code = [
        Instr(Opcode.CONST) if instr.op is Opcode.INDEX and sizes[instr.args[0]] == 1 else instr for instr in op.code
    ]
    kept = sorted(live(code) - {0})
    place = {0: 0} | {number: at for at, number in enumerate(kept, start=1)}
    return replace(op, code=tuple(renumbered(code[number - 1], place) for number in kept))


def _without_unread(op: Op) -> Op:
    """The op without accesses that nothing reads."""
    read = {n for f in range(op.factors) for n in chained(op, f)}
    read |= {access for instr in op.code for access in loads(instr)}
    place = {number: at for at, number in enumerate(sorted(read))}
    accesses = [
        access
        if (access := op.accesses[number]).indirect is None
        else replace(access, indirect=(access.indirect[0], place[access.indirect[1]]))
        for number in sorted(read)
    ]
    code = tuple(renumbered(instr, {}, place) for instr in op.code)
    return replace(op, accesses=tuple(accesses), code=code)
