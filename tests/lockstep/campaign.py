"""Reference, executor and EVM on the same random programs, element by element, with a count of what was really compared."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from prover.executor import Executor
from rollup.form.ops import Op
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.game.question import Partial, accumulator, combine
from rollup.machine.reference import Memory, run
from tests.lockstep import reductions
from tests.lockstep.evm import Execution, Prover, seed_of
from tests.lockstep.programs import draw


@dataclass
class Tally:
    """What was compared. Opcodes and sources count an element once for every op that has them."""

    programs: int = 0
    evm: int = 0
    """Elements that the EVM recomputed to what the reference gives."""
    executor: int = 0
    """Elements of all values that the executor gave as the reference does."""
    parts: int = 0
    """Parts of a reduction that the EVM reduced as the reference does."""
    epilogues: int = 0
    """Elements that the EVM made of a right or a wrong accumulator as the reference does."""
    largest: int = 0
    """Bytes of the largest witness."""
    by: dict[str, Counter[str]] = field(
        default_factory=lambda: {
            kind: Counter() for kind in ("monoid", "opcode", "dtype", "source", "factors", "parts")
        }
    )

    def count(self, op: Op) -> None:
        """Count one compared element of ``op``."""
        self.evm += 1
        self.by["monoid"][op.monoid.name] += 1
        self.by["dtype"][op.dtype.name] += 1
        self.by["factors"][f"{op.factors}: " + " x ".join(a.dtype.name for a in op.accesses[: op.factors])] += 1
        self.by["opcode"].update({instr.op.name for instr in op.code})
        kinds = {type(a.source).__name__ + (" stack" if a.stack else "") for a in op.accesses}
        kinds |= {"indirect factor" for a in op.accesses[: op.factors] if a.indirect is not None}
        self.by["source"].update(kinds)

    def lines(self) -> Iterable[str]:
        yield (
            f"{self.programs:,} programs: {self.evm:,} elements on the EVM equal the reference's, "
            f"{self.executor:,} of the executor's; {self.parts:,} parts of reductions and {self.epilogues:,} epilogues; "
            f"largest witness {self.largest:,} bytes"
        )
        for kind, counter in self.by.items():
            yield f"  {kind:<8}" + ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items()))


def describe(seed: int, value: int, position: int, op: Op) -> str:
    """Where a difference was found, enough to draw it again."""
    return f"seed {seed}, value {value}, element {position} of {op.monoid.name} {op.shape} over {op.domain}: {op}"


def compare_executor(
    seed: int, program: Program, inputs: list[np.ndarray], values: list[np.ndarray], tally: Tally
) -> None:
    """All values of the executor against the reference's; its self-test of kernels has tests of its own."""
    given = Executor(program, self_test=False).values(inputs)
    assert len(given) == len(values), f"seed {seed}: {len(given)} values of {len(values)}"
    for value, (mine, right) in enumerate(zip(given, values, strict=True)):
        assert np.asarray(mine).dtype == right.dtype, f"seed {seed}, value {value}"
        wrong = np.flatnonzero(np.asarray(mine).reshape(-1) != right.reshape(-1))
        if wrong.size:
            op = program.ops[program.locate(value)[0]]
            raise AssertionError(
                f"executor differs at {wrong.size} elements: {describe(seed, value, int(wrong[0]), op)}"
            )
        tally.executor += right.size


def compare(seed: int, prover: Prover, per_op: int, tally: Tally, executor: bool) -> None:
    """Draws a program and compares ``per_op`` random elements of every value of an op; AssertionError if any differs."""
    program, inputs = draw(seed)
    values = run(program, inputs)
    if executor:
        compare_executor(seed, program, inputs, values, tally)
    execution, rng = Execution(program, values), random.Random(seed_of("elements", seed))
    for value, descriptor, _ in program.op_values():
        op = program.ops[descriptor]
        for position in rng.sample(range(op.elements), min(per_op, op.elements)):
            right = int(values[value].reshape(-1)[position])
            disputed, witness = execution.witness(value, position)
            tally.largest = max(tally.largest, len(witness))
            answer = prover.step(disputed, witness)
            assert answer == (right, right), (
                f"EVM says {answer}, the reference {right}: {describe(seed, value, position, op)}"
            )
            tally.count(op)
        if op.part:
            compare_parts(seed, prover, execution, value, rng, tally)
    tally.programs += 1


def compare_reduction(seed: int, prover: Prover, per_op: int, tally: Tally) -> None:
    """Draws a reduction that lowering would never make, and compares an element of it and some of its parts."""
    program, inputs = reductions.draw(seed)
    (op,), value = program.ops, len(inputs)
    right = [Memory(program, inputs).element(value, position) for position in range(op.elements)]
    execution = Execution(program, [*inputs, np.array(right, op.dtype.numpy).reshape(op.shape)])
    rng = random.Random(seed_of("elements", seed))
    position = rng.randrange(op.elements)
    answer = prover.step(*execution.witness(value, position))
    assert answer == (right[position], right[position]), (
        f"EVM says {answer}, the reference {right[position]}: reduction of {describe(seed, value, position, op)}"
    )
    tally.count(op)
    if op.part:
        compare_parts(seed, prover, execution, value, rng, tally, per_op)
    tally.programs += 1


def compare_parts(
    seed: int, prover: Prover, execution: Execution, value: int, rng: random.Random, tally: Tally, most: int = 3
) -> None:
    """For a random element of an op's output: some parts, what all of them combine to, and the code on several
    accumulators.
    """
    op = execution.program.ops[execution.program.locate(value)[0]]
    position = rng.randrange(op.elements)
    step, where = execution.memory.step(value, position), describe(seed, value, position, op)
    count = partition(op).count
    assert prover.outline(*execution.outline(value, position)) == (op.monoid, count), where
    right = [Partial(*step.partial(number)) for number in range(count)]
    acc = accumulator(op.monoid, combine(op.monoid, right))
    assert acc == step.reduce(), where
    for number in sorted(rng.sample(range(count), min(most, count))):
        answer = prover.part(*execution.part(value, position, number))
        assert Partial(*answer) == right[number], f"EVM says {answer}, not {right[number]}: part {number} of {where}"
        tally.parts += 1
        tally.by["parts"][op.monoid.name] += 1
    element = int(execution.values[value].reshape(-1)[position])
    for given in (acc, rng.choice((0, -1, (1 << 63) - 1, -(1 << 63), rng.getrandbits(40)))):
        computed = prover.epilogue(*execution.epilogue(value, position, given))
        assert computed == (element, step.epilogue(given)), f"EVM says {computed}, accumulator {given}: {where}"
        tally.epilogues += 1
    assert step.epilogue(acc) == element, where
