"""What the audit says about a loop holds in every iteration, and is as narrow as what repeats itself."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from rollup.audit import Range, check_form, intervals
from rollup.form.ops import Access, Carried, Instr, Monoid, Op, Opcode, Value
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.prover import hand

WIDTH = 3
CONST, LOAD, ADD, SUB, MUL, SHR, MIN, MAX, LESS, SELECT = (
    Opcode.CONST, Opcode.LOAD, Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.SHR, Opcode.MIN, Opcode.MAX, Opcode.LESS,
    Opcode.SELECT,
)  # fmt: skip
BINARY = (ADD, SUB, MUL, MIN, MAX, LESS)


class Loop:
    """A program of two inputs (i64[3]), ops that prepare what the carries begin with, and one repeated segment."""

    def __init__(self, body: int, repeat: int) -> None:
        self.draft = hand.drafted(DType.I64, (WIDTH,), (WIDTH,))
        self.body, self.repeat = body, repeat

    def before(self, *code: Instr) -> int:
        """A value in front of the segment, computed from register 1 on; register 1 loads input 0."""
        return self.draft.add(Monoid.NONE, DType.I64, 0, (WIDTH,), (), [self.line(Value(0))], code)

    def line(self, source: Value | Carried, dtype: DType = DType.I64) -> Access:
        return hand.access(source, dtype, (WIDTH,), [{0: 1}])

    def carried(self, first: int, op: int, init: int) -> Carried:
        """What op ``op`` of the segment left in the iteration before; in the first, value ``init``."""
        return Carried((first + op - self.body) % (1 << 32), self.body, init)

    def repeated(self, ops: Sequence[tuple[DType, Sequence[Access], Sequence[Instr]]]) -> Program:
        first = self.draft.next
        for number, (dtype, accesses, code) in enumerate(ops):
            self.draft.ops.append(
                Op(
                    first + number,
                    self.body,
                    self.repeat,
                    Monoid.NONE,
                    dtype,
                    0,
                    (WIDTH,),
                    (),
                    tuple(accesses),
                    tuple(code),
                )
            )
        return self.draft.program()


def clamped(low: int, high: int) -> list[Instr]:
    """Instructions 1 to 5: input 0, between two ends."""
    return [
        Instr(LOAD, (0,)),
        Instr(CONST, (), low),
        Instr(MAX, (1, 2)),
        Instr(CONST, (), high),
        Instr(MIN, (3, 4)),
    ]


def loop(seed: int) -> Program:
    """A random loop whose carries begin in narrow ranges, with code that counts, clamps, selects, multiplies and wraps."""
    rng = random.Random(seed)
    made = Loop(rng.randint(1, 4), rng.choice([2, 3, 5, 9, 40]))
    inits = []
    for _ in range(made.body):
        low = rng.randint(-9, 9)
        inits.append(made.before(*clamped(low, low + rng.choice([0, 1, 6]))))
    first, dtypes = made.draft.next, [rng.choice([DType.I16, DType.I64, DType.I64]) for _ in range(made.body)]
    # A carry begins with a value of its own dtype.
    for number, dtype in enumerate(dtypes):
        if dtype is not DType.I64:
            at = made.draft.ops[inits[number] - 2]
            made.draft.ops[inits[number] - 2] = Op(
                at.first, 1, 1, at.monoid, dtype, at.factors, at.shape, at.domain, at.accesses, at.code
            )
    ops = []
    for number, dtype in enumerate(dtypes):
        accesses = []
        for _ in range(rng.randint(1, 3)):
            source = rng.randrange(made.body)
            if source < number and rng.random() < 0.5:
                accesses.append(made.line(Value(first + source, made.body), dtypes[source]))
            elif rng.random() < 0.15:
                accesses.append(made.line(Value(1)))
            else:
                accesses.append(made.line(made.carried(first, source, inits[source]), dtypes[source]))
        code = [Instr(LOAD, (number_,)) for number_ in range(len(accesses))]
        for _ in range(rng.randint(1, 5)):
            registers = len(code)
            match rng.randrange(5):
                case 0:
                    code.append(Instr(CONST, (), rng.choice([-1, 0, 1, 2, 5, -30, 100])))
                case 1 if registers >= 3:
                    code.append(Instr(SELECT, tuple(rng.randint(1, registers) for _ in range(3))))
                case 2:
                    code += [
                        Instr(CONST, (), rng.choice([0, 1, 3])),
                        Instr(SHR, (rng.randint(1, registers), registers + 1)),
                    ]
                case _:
                    code.append(Instr(rng.choice(BINARY), (rng.randint(1, registers), rng.randint(1, registers))))
        if rng.random() < 0.4:
            low = rng.randint(-50, 10)
            code += [
                Instr(CONST, (), low),
                Instr(MAX, (len(code), len(code) + 1)),
                Instr(CONST, (), low + rng.randint(0, 90)),
                Instr(MIN, (len(code) + 2, len(code) + 3)),
            ]
        ops.append((dtype, accesses, code))
    return made.repeated(ops)


def holds(program: Program, inputs: list[np.ndarray]) -> bool:
    values, proven = run(program, inputs), intervals(program)
    return all(
        proven[j].output.low <= values[value].min() and values[value].max() <= proven[j].output.high
        for value, j, _ in program.op_values()
    )


def inputs_of(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    ends = np.array([-(1 << 63), (1 << 63) - 1, 0, -1, 7], np.int64)
    return [np.where(rng.random(WIDTH) < 0.5, rng.choice(ends, WIDTH), rng.integers(-20, 20, WIDTH)) for _ in range(2)]


@pytest.mark.parametrize("part", range(8))
def test_what_is_proven_of_a_loop_holds_in_all_of_its_iterations(part: int) -> None:
    for seed in range(part * 50, part * 50 + 50):
        program = loop(seed)
        for attempt in range(3):
            assert holds(program, inputs_of(seed * 3 + attempt)), seed


def test_the_generator_makes_loops_that_settle_by_themselves_that_jump_and_that_wrap() -> None:
    """Without all three, the test above would look at half of the analysis."""
    narrow = wide = 0
    for seed in range(100):
        program = loop(seed)
        check_form(program)
        for j, op in enumerate(program.ops):
            if op.repeat > 1 and op.dtype is DType.I64:
                reach = intervals(program)[j].output
                narrow += reach.magnitude < 1 << 20
                wide += reach.magnitude >= 1 << 62
    assert narrow > 40
    assert wide > 20


def one(init: tuple[int, int], repeat: int, *code: Instr) -> Range:
    """What the audit says of one carry that begins in ``init``; register 1 loads the carry, register 2 input 1."""
    made = Loop(1, repeat)
    start = made.before(*clamped(*init))
    carry = made.line(made.carried(made.draft.next, 0, start))
    program = made.repeated([(DType.I64, [carry, made.line(Value(1))], [Instr(LOAD, (0,)), Instr(LOAD, (1,)), *code])])
    check_form(program)
    for seed in range(5):
        assert holds(program, inputs_of(seed))
    return intervals(program)[-1].output


def test_what_is_kept_or_replaced_stays_what_it_was() -> None:
    """As a cache in the carry of a decoding loop: a row is written, all others stay."""
    assert one((3, 3), 10, Instr(CONST, (), 5), Instr(SELECT, (2, 1, 3))) == Range(3, 5)


def test_a_counter_ends_where_its_clamp_says_and_never_falls() -> None:
    clamp = [Instr(CONST, (), 1), Instr(ADD, (1, 3)), Instr(CONST, (), 100), Instr(MIN, (4, 5))]
    assert one((0, 0), 1000, *clamp) == Range(1, 100)


def test_a_counter_without_an_end_is_bounded_by_its_dtype_on_the_side_where_it_moves() -> None:
    # The sum of the counter and 1 can wrap for all that the intervals show.
    assert one((0, 0), 1000, Instr(CONST, (), 1), Instr(ADD, (1, 3))) == Range(-(1 << 63), (1 << 63) - 1)
    lowest = [Instr(CONST, (), 1), Instr(SUB, (1, 3)), Instr(CONST, (), -(1 << 40)), Instr(MAX, (4, 5))]
    assert one((-4, 8), 1000, *lowest) == Range(-(1 << 40), 7)


def test_carries_that_change_places_are_known_after_a_round_trip() -> None:
    made = Loop(3, 7)
    inits = [made.before(*clamped(low, high)) for low, high in ((0, 1), (5, 6), (-9, -9))]
    first = made.draft.next
    ops = [
        (DType.I64, [made.line(made.carried(first, (number + 1) % 3, inits[number]))], [Instr(LOAD, (0,))])
        for number in range(3)
    ]
    program = made.repeated(ops)
    # Carry k begins as init k and takes what op k+1 left.
    assert holds(program, inputs_of(1))
    assert {reach.output for reach in intervals(program)[-3:]} == {Range(-9, 6)}


@pytest.mark.parametrize("length", [3, 30])
def test_a_loop_that_takes_too_many_rounds_to_settle_is_known_by_its_dtypes(length: int) -> None:
    """A chain of carries, each as large as the next one's of the iteration before, the last one a counter."""
    made = Loop(length, 200)
    start = made.before(*clamped(0, 0))
    first = made.draft.next
    larger = [Instr(LOAD, (0,)), Instr(LOAD, (1,)), Instr(MAX, (1, 2))]
    ops = [
        (DType.I64, [made.line(made.carried(first, other, start)) for other in (number, number + 1)], larger)
        for number in range(length - 1)
    ]
    counter = made.line(made.carried(first, length - 1, start))
    program = made.repeated(
        [*ops, (DType.I64, [counter], [Instr(LOAD, (0,)), Instr(CONST, (), 1), Instr(ADD, (1, 2))])]
    )
    check_form(program)
    assert holds(program, inputs_of(2))
    least = 0 if length == 3 else -(1 << 63)
    assert intervals(program)[start - 1].output == Range(least, (1 << 63) - 1)
