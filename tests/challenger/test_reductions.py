"""What a trace's operands reduce to, part by part, is what the reference says of the whole domain."""

from __future__ import annotations

import numpy as np
import pytest

from challenger.play.reductions import Reductions
from rollup.errors import CommitmentError
from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import FAN_OUT, Access, Carried, Constant, Monoid, Op, Term, Value
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.game.position import leaf_gindex
from rollup.game.question import Partial, accumulator, combine
from rollup.machine.reference import Memory, Step, unravel
from rollup.types import DType

RNG = np.random.default_rng(9)
WEIGHTS = RNG.integers(-99, 99, 60).astype(np.int16)
INPUT = RNG.integers(-2000, 2000, (3, 90)).astype(np.int16)
WIDE = RNG.integers(-(1 << 62), 1 << 62, 90)
INDEX = RNG.integers(-5, 95, 90).astype(np.int32)
INPUTS = [INPUT, WIDE, INDEX]
VALUES = len(INPUTS)


def reads(value: int, dtype: DType, shape: tuple[int, ...], *terms: Term, **more: object) -> Access:
    return Access(Value(value), dtype, shape, (0,) * len(shape), terms, **more)  # type: ignore[arg-type]


SUMS = reads(0, DType.I16, (3, 90), Term(0, 0, 1), Term(1, 1, 30), Term(1, 2, 1))
TABLE = Access(Constant(constant_root(WEIGHTS)), DType.I16, (60,), (-7,), (Term(0, 1, 30), Term(0, 2, 1)))
FILLED = reads(1, DType.I64, (70,), Term(0, 2, 1), Term(0, 1, 30), fill=5)
GATHERED = reads(1, DType.I64, (90,), indirect=(0, 1))
INDICES = reads(2, DType.I32, (90,), Term(0, 1, 30), Term(0, 2, 1))


def op(monoid: Monoid, accesses: tuple[Access, ...], factors: int, part: int) -> Program:
    made = Op(VALUES, 1, 1, monoid, DType.I64, factors, (3,), (3, 30), accesses, (), part)
    inputs = [
        TensorType(DType.I16, 0, INPUT.shape),
        TensorType(DType.I64, 0, WIDE.shape),
        TensorType(DType.I32, 0, INDEX.shape),
    ]
    return Program.build(inputs, [(VALUES, TensorType(DType.I64, 0, (3,)))], [made], {constant_root(WEIGHTS): WEIGHTS})


CASES = {
    "dot with a filled constant": ((SUMS, TABLE), 2),
    "one factor": ((SUMS,), 1),
    "wrapping products": ((FILLED, FILLED), 2),
    "gathered": ((GATHERED, INDICES), 1),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("monoid", [monoid for monoid in Monoid if monoid is not Monoid.NONE], ids=lambda one: one.name)
@pytest.mark.parametrize("part", [1, 7, 30, 60])
def test_partial_results_are_the_references_and_combine_to_its_accumulator(
    name: str, monoid: Monoid, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("challenger.play.reductions.POSITIONS", 40)
    accesses, factors = CASES[name]
    program = op(monoid, accesses, factors, part)
    depth = program.header.tensor_depth
    place = leaf_gindex(VALUES << depth, program.depth)
    for element in range(3):
        one = Reductions(program, INPUTS).of(place, element)
        step = Step(program.ops[0], 0, (element,), Memory(program, INPUTS).read(program.ops[0]))
        cut = partition(program.ops[0])
        for number, (value, position) in enumerate(zip(*one.parts, strict=True)):
            terms = {}
            for at in range(90):
                k = unravel(at, (3, 30))
                if all(start <= c < stop for c, (start, stop) in zip(k, cut.ranges(number), strict=True)):
                    terms[at] = step.term(k)
            partials = [Partial(term, at if monoid >= Monoid.ARGMAX else 0) for at, term in terms.items()]
            assert combine(monoid, partials) == Partial(int(value), int(position))
        top = one.partials(0, 0)
        assert len(top) == -(-cut.count // FAN_OUT ** (cut.levels - 1))
        assert accumulator(monoid, combine(monoid, top)) == step.reduce()
        for child, partial in enumerate(top if cut.levels > 1 else []):
            assert combine(monoid, one.partials(1, child)) == partial


def test_carried_and_stacked_operands_are_those_of_the_iteration() -> None:
    """A loop that doubles, and a sum over all of its iterations."""
    first = TensorType(DType.I32, 0, (4,))
    # At iteration t a carried access reads the output of the one before.
    carried = Access(Carried(0, 1, 0), DType.I32, (4,), (0,), (Term(0, 0, 1),))
    doubled = Op(1, 1, 5, Monoid.SUM, DType.I32, 1, (4,), (2,), (carried,), ())
    stacked = Access(Value(1), DType.I32, (5, 4), (0, 0), (Term(0, 1, 1), Term(1, 2, 1)), stack=1)
    total = Op(6, 1, 1, Monoid.SUM, DType.I32, 1, (1,), (5, 4), (stacked,), (), 4)
    program = Program.build([first], [(6, TensorType(DType.I32, 0, (1,)))], [doubled, total], {})
    values = [np.arange(1, 5, dtype=np.int32) << step for step in range(6)]
    values.append(np.array([sum(int(value.sum()) for value in values[1:])], np.int32))
    found = Reductions(program, values).of(leaf_gindex(6 << program.header.tensor_depth, program.depth), 0)
    assert [partial.value for partial in found.partials(0, 0)] == [int(value.sum()) for value in values[1:6]]
    third = Reductions(program, values).of(leaf_gindex(3 << program.header.tensor_depth, program.depth), 1)
    assert third.partials(0, 0) == [Partial(int(values[3][1]))]


def test_elements_that_no_op_gives_are_refused() -> None:
    program = op(Monoid.SUM, (SUMS,), 1, 30)
    depth = program.header.tensor_depth
    reductions = Reductions(program, INPUTS)
    with pytest.raises(CommitmentError, match="3 elements"):
        reductions.of(leaf_gindex(VALUES << depth, program.depth), 3)
    for value in (0, VALUES + 1):
        with pytest.raises(CommitmentError, match="no op's output"):
            reductions.of(leaf_gindex(value << depth, program.depth), 0)


def test_a_million_positions_take_no_loop_of_python() -> None:
    """A reduction of 2^20 in parts of 100: three answers of the tree, and every part."""
    width = 1 << 20
    line = reads(0, DType.I16, (width,), Term(0, 1, 1))
    long = Op(1, 1, 1, Monoid.ARGMAX, DType.I64, 1, (1,), (width,), (line,), (), 100)
    program = Program.build([TensorType(DType.I16, 0, (width,))], [(1, TensorType(DType.I64, 0, (1,)))], [long], {})
    value = RNG.integers(-30000, 30000, width).astype(np.int16)
    found = Reductions(program, [value]).of(leaf_gindex(1 << program.header.tensor_depth, program.depth), 0)
    best = combine(Monoid.ARGMAX, found.partials(0, 0))
    assert best == Partial(int(value.max()), int(value.argmax()))
