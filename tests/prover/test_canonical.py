"""Whatever way an op is written, its canonical form means the same, and the audit finds nothing to take out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prover.lowering.emit.canonical import canonical
from rollup.audit.canonical import canonical as findings
from rollup.form.encoding import TensorType
from rollup.form.ops import ITERATION, Access, Carried, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.lockstep.evm import seed_of

SHAPE = (3, 1, 4)
INPUT = TensorType(DType.I16, 0, SHAPE)
FACTORS = {Monoid.NONE: (1,), Monoid.SUM: (1, 2), Monoid.MAX: (1, 2), Monoid.MIN: (1,), Monoid.ARGMAX: (1, 2)}


def _access(rng: np.random.Generator, variables: int, source: Value | Carried) -> Access:
    """Terms in any order, some of them twice, some of nothing, many of variables that never move."""
    terms = [
        Term(int(rng.integers(len(SHAPE))), int(rng.choice([*range(variables), ITERATION])), int(rng.integers(-2, 3)))
        for _ in range(int(rng.integers(0, 6)))
    ]
    terms += [terms[0]] * int(rng.integers(0, 2)) if terms else []
    offsets = tuple(int(n) for n in rng.integers(-1, 3, len(SHAPE)))
    return Access(source, DType.I16, SHAPE, offsets, tuple(terms), int(rng.integers(-5, 5)))


def _written(rng: np.random.Generator) -> Op:
    """A well-formed op that says too much."""
    monoid = Monoid(int(rng.choice(list(FACTORS))))
    outer = tuple(int(n) for n in rng.choice([1, 2, 3], int(rng.integers(1, 3))))
    domain = () if monoid is Monoid.NONE else tuple(int(n) for n in rng.choice([1, 1, 2, 3], int(rng.integers(0, 4))))
    factors, seen = int(rng.choice(FACTORS[monoid])), len(outer) + len(domain)
    accesses = [_access(rng, seen, Value(0, int(rng.integers(0, 2)))) for _ in range(factors)]
    accesses.append(_access(rng, len(outer), Carried(7, 1, 0)))
    accesses.append(_access(rng, len(outer), Value(0)))
    if rng.integers(2):
        accesses[0] = replace(accesses[0], indirect=(int(rng.integers(len(SHAPE))), len(accesses)))
        accesses.append(_access(rng, seen, Value(0)))
    code = [
        Instr(Opcode.INDEX, (int(rng.choice([0, len(outer) - 1, ITERATION])),)),
        Instr(Opcode.LOAD, (factors + int(rng.integers(2)),)),
        Instr(Opcode.CONST, (), int(rng.integers(-9, 9))),
    ]
    for _ in range(int(rng.integers(1, 5))):
        a, b = (int(n) for n in rng.integers(0, len(code) + 1, 2))
        code.append(Instr(Opcode(int(rng.choice([Opcode.ADD, Opcode.MUL, Opcode.SUB]))), (a, b)))
    return Op(
        1, 1, 1, monoid, DType.I64, factors, outer, domain, tuple(accesses), tuple(code if rng.integers(4) else ())
    )


def _values(op: Op, x: np.ndarray) -> np.ndarray:
    return run(Program.build([INPUT], [(1, TensorType(DType.I64, 0, op.shape))], [op], {}), [x])[1]


@pytest.mark.parametrize("block", range(4))
def test_an_op_means_the_same_when_it_is_written_canonically(block: int) -> None:
    rng = np.random.default_rng(seed_of("canonical", str(block)))
    changed = folded = 0
    for _ in range(150):
        op = _written(rng)
        found = canonical(op)
        assert list(findings(found)) == [], op
        assert canonical(found) == found
        changed += found != op
        folded += len([n for n in op.domain if n > 1]) > len(found.domain)
        x = rng.integers(-3, 4, SHAPE).astype(np.int16)
        np.testing.assert_array_equal(_values(op, x), _values(found, x), err_msg=str(op))
    assert changed > 100 and folded > 10


def test_what_no_factor_reads_is_folded() -> None:
    """A sum is multiplied, an extreme stays, an argument's position lies in the whole domain."""
    x = Access(Value(0), DType.I16, (4,), (0,), (Term(0, 1, 1),))
    total = Op(1, 1, 1, Monoid.SUM, DType.I64, 1, (), (5, 4, 6), (x,), ())
    for monoid, code in (
        (Monoid.SUM, (Instr(Opcode.CONST, (), 30), Instr(Opcode.MUL, (0, 1)))),
        (Monoid.MAX, ()),
    ):
        found = canonical(replace(total, monoid=monoid))
        assert (found.domain, found.code) == ((4,), code) and found.accesses[0].terms == (Term(0, 0, 1),)
    place = canonical(replace(total, monoid=Monoid.ARGMIN))
    assert place.domain == (4,) and len(place.code) <= 5


def test_an_argument_of_one_position_reads_nothing() -> None:
    x = Access(Value(0), DType.I16, (4,), (0,), ())
    found = canonical(Op(1, 1, 1, Monoid.ARGMAX, DType.I32, 1, (2,), (1,), (x,), ()))
    assert found == Op(1, 1, 1, Monoid.NONE, DType.I32, 0, (2,), (), (), (Instr(Opcode.CONST),))


def test_a_stack_of_one_value_is_read_without_a_stack() -> None:
    x = Access(Value(0), DType.I16, (1, 4), (0, 0), (Term(1, 0, 1),), stack=3)
    found = canonical(Op(1, 1, 1, Monoid.NONE, DType.I16, 1, (4,), (), (x,), ()))
    assert found.accesses[0] == Access(Value(0), DType.I16, (4,), (0,), (Term(0, 0, 1),))
