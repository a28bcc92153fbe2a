"""Which part of a program one row of its input changes: the analysis behind incremental evaluation.

A value has a *row dimension* if its row t comes from row t of the values before it (and possibly from their other rows, which a
causal mask hides where they are not computed yet). Restricted to rows t .. t + count - 1, an op is the same op with fewer rows: its
row variable runs over ``count``, and t is added to every coordinate that the variable moves. Here t is the op's iteration, a variable
that kernels know how to slice by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rollup.audit.intervals import OpIntervals
from rollup.audit.ranges import Range
from rollup.errors import UnsupportedError
from rollup.form.affine import coefficients, extents, producers
from rollup.form.ops import ITERATION, Access, Carried, Constant, Instr, Op, Opcode, Term, renumbered
from rollup.form.program import Program

FRESH, CACHED, STATIC, CONSTANT = "fresh", "cached", "static", "constant"


@dataclass(frozen=True)
class RowPlan:
    """How to compute the rows of one output.

    ``rows``: how many there are; ``dimension``: row dimension by value (inputs and ops that depend on the rows), ``order``: the
    descriptors to run for new rows, ``static``: those to run once, before any row; ``cached``: values that are kept whole;
    ``output``: the value whose rows are wanted.
    """

    program: Program
    rows_input: int
    rows: int
    output: int
    dimension: Mapping[int, int]
    order: tuple[int, ...]
    static: tuple[int, ...]
    cached: frozenset[int]

    def route(self, op: Op, access: Access) -> str:
        """Where a row op finds what an access reads: the rows just computed, all rows, or what no row changes."""
        if isinstance(access.source, Constant):
            return CONSTANT
        value = access.source.base
        if value not in self.dimension:
            return STATIC
        return FRESH if self._aligned(op, access) is not None else CACHED

    def _aligned(self, op: Op, access: Access) -> int | None:
        """The dimension of the access that walks through the row dimension of its value exactly as the op's rows do."""
        assert not isinstance(access.source, Constant)
        value = access.source.base
        found = seen_dimension(access, shape_of(self.program, value), self.dimension[value])
        table, row = coefficients(access, extents(op)), self.dimension[op.first]
        if found is None or access.offsets[found] != 0 or table[found] != {row: 1}:
            return None
        others = any(row in line for d, line in enumerate(table) if d != found)
        hidden = access.indirect is not None and access.indirect[0] == found
        return None if others or hidden else found

    def restricted(self, j: int, count: int) -> Op:
        """Descriptor j for rows t .. t + count - 1, t being its iteration."""
        op = self.program.ops[j]
        row = self.dimension[op.first]
        shape = tuple(count if d == row else size for d, size in enumerate(op.shape))
        accesses = tuple(self._restricted_access(op, access, row, count) for access in op.accesses)
        code = _moved_code(op, row, count)
        return replace(op, shape=shape, repeat=self.rows - count + 1, accesses=accesses, code=code)

    def _restricted_access(self, op: Op, access: Access, row: int, count: int) -> Access:
        if not isinstance(access.source, Constant) and access.source.base in self.dimension:
            found = self._aligned(op, access)
            if found is not None:
                return replace(access, shape=tuple(count if d == found else n for d, n in enumerate(access.shape)))
        moved = tuple(Term(term.dimension, ITERATION, term.coef) for term in access.terms if term.var == row)
        return replace(access, terms=(*access.terms, *moved))

    def intervals(self, j: int, count: int, reach: OpIntervals) -> OpIntervals:
        """What is proven about the restricted op, from what is proven about the whole one."""
        op = self.program.ops[j]
        inserted = _inserted(op, self.dimension[op.first], count)
        if not inserted:
            return reach
        registers_, exact = [reach.registers[0]], [reach.exact[0]]
        for number in range(1, len(op.code) + 1):
            if number in inserted:
                parts = [Range(0, count - 1), Range(0, self.rows - count)]
                registers_ += parts
                exact += parts
            registers_.append(reach.registers[number])
            exact.append(reach.exact[number])
        return replace(reach, registers=tuple(registers_), exact=tuple(exact))


def _inserted(op: Op, row: int, count: int) -> list[int]:
    """Instructions that become three: the row is its index among the new rows plus t."""
    if count == 1:
        return []
    return [n for n, instr in enumerate(op.code, start=1) if instr.op is Opcode.INDEX and instr.args[0] == row]


def _moved_code(op: Op, row: int, count: int) -> tuple[Instr, ...]:
    inserted = _inserted(op, row, count)
    place = {0: 0}
    code: list[Instr] = []
    for number, instr in enumerate(op.code, start=1):
        if number in inserted:
            code += [Instr(Opcode.INDEX, (row,)), Instr(Opcode.INDEX, (ITERATION,))]
            code.append(Instr(Opcode.ADD, (len(code) - 1, len(code))))
        elif instr.op is Opcode.INDEX and instr.args[0] == row:
            code.append(Instr(Opcode.INDEX, (ITERATION,)))
        else:
            code.append(renumbered(instr, place))
        place[number] = len(code)
    return tuple(code)


def shape_of(program: Program, value: int) -> tuple[int, ...]:
    """Dimensions of an input or of an op's output."""
    if value < len(program.header.inputs):
        return program.header.inputs[value].shape
    return program.ops[program.locate(value)[0]].shape


def seen_dimension(access: Access, shape: Sequence[int], dimension: int) -> int | None:
    """The access's dimension that is dimension ``dimension`` of the value; None if the view mixes it with others."""
    inner = math.prod(shape[dimension + 1 :])
    for d, size in enumerate(access.shape):
        if size == shape[dimension] and math.prod(access.shape[d + 1 :]) == inner:
            return d
    return None


def plan_rows(program: Program, rows_input: int = 0, output: int = 0, value: int | None = None) -> RowPlan:
    """Find the row dimension of everything that output number ``output`` needs, or a ``value`` inside of the program.

    Raises UnsupportedError, naming the op, for a program that can't be evaluated row by row.
    """
    inputs = program.header.inputs
    if not (0 <= rows_input < len(inputs) and inputs[rows_input].shape and inputs[rows_input].shape[0] > 1):
        raise UnsupportedError(
            f"input {rows_input} has no rows; name an input whose first dimension is the sequence, of two rows or more"
        )
    if not 0 <= output < len(program.header.outputs):
        raise UnsupportedError(f"the program has {len(program.header.outputs)} outputs, not one with number {output}")
    wanted = program.header.outputs[output][0] if value is None else value
    needed = _needed(program, wanted)
    candidates = _candidates(program, rows_input, needed)
    if wanted not in candidates:
        name = f"output {output}" if value is None else f"value {value}"
        raise UnsupportedError(f"{name} does not depend on input {rows_input}; it has no rows to add")
    dimension = _chosen(program, rows_input, wanted, candidates, needed)
    order = tuple(j for j in needed if program.ops[j].first in dimension)
    static = tuple(j for j in needed if program.ops[j].first not in dimension)
    rows = inputs[rows_input].shape[0]
    plan = RowPlan(program, rows_input, rows, wanted, dimension, order, static, frozenset())
    cached = {
        access.source.base
        for j in order
        for access in program.ops[j].accesses
        if not isinstance(access.source, Constant) and plan.route(program.ops[j], access) == CACHED
    }
    return replace(plan, cached=frozenset(cached))


def _needed(program: Program, wanted: int) -> list[int]:
    """Descriptors that a value needs, in trace order; none of them may be repeated."""
    found: set[int] = set()
    pending = [wanted]
    while pending:
        for j in producers(program, [pending.pop()]):
            if j < 0 or j in found:
                continue
            op = program.ops[j]
            if op.repeat > 1 or any(a.stack or isinstance(a.source, Carried) for a in op.accesses):
                raise UnsupportedError(
                    f"op {j} ({program.name(j)}) is part of a loop, which is not evaluated row by row; unroll the loop"
                )
            found.add(j)
            pending += [a.source.base for a in op.accesses if not isinstance(a.source, Constant)]
    return sorted(found)


def _candidates(program: Program, rows_input: int, needed: Sequence[int]) -> dict[int, set[int]]:
    """By value that depends on the rows: output dimensions that walk through the rows of some operand."""
    found: dict[int, set[int]] = {rows_input: {0}}
    rows = program.header.inputs[rows_input].shape[0]
    for j in needed:
        op = program.ops[j]
        table_of = [coefficients(access, extents(op)) for access in op.accesses]
        for access, table in zip(op.accesses, table_of, strict=True):
            if isinstance(access.source, Constant) or access.source.base not in found:
                continue
            mine = found.setdefault(op.first, set())
            value = access.source.base
            for dimension in found[value]:
                d = seen_dimension(access, shape_of(program, value), dimension)
                if d is not None:
                    mine |= {v for v, c in table[d].items() if v < len(op.shape) and c == 1 and op.shape[v] == rows}
    return found


def _chosen(
    program: Program, rows_input: int, wanted: int, candidates: Mapping[int, set[int]], needed: Sequence[int]
) -> dict[int, int]:
    """One row dimension for each value: what its readers demand, else the first candidate."""
    demanded: dict[int, int] = {}
    dimension: dict[int, int] = {rows_input: 0}
    for j in reversed(needed):
        op = program.ops[j]
        if op.first not in candidates:
            continue
        options = candidates[op.first]
        if not options:
            raise UnsupportedError(
                f"op {j} ({program.name(j)}) mixes all rows into values without rows, and the output depends on it; "
                "only programs whose row t comes from rows up to t are evaluated row by row"
            )
        row = demanded.get(op.first, min(options))
        dimension[op.first] = row
        for access in op.accesses:
            if isinstance(access.source, Constant) or access.source.base not in candidates:
                continue
            value = access.source.base
            table = coefficients(access, extents(op))
            for option in sorted(candidates[value]):
                d = seen_dimension(access, shape_of(program, value), option)
                if d is None or table[d] != {row: 1} or access.offsets[d] != 0:
                    continue
                if demanded.setdefault(value, option) != option:
                    raise UnsupportedError(
                        f"op {j} ({program.name(j)}) reads rows along one dimension of a value that others read along another; "
                        "such a program is not evaluated row by row"
                    )
                break
    return dimension
