"""Which values inside a program reach an end of their format on real inputs: where the integers lose what floats keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prover import progress
from rollup.form.ops import Constant, Op, Opcode
from rollup.form.program import Program
from rollup.numbers import reached, reached_each

if TYPE_CHECKING:
    from prover.executor import Executor

Array = np.ndarray

PLATEAU = 3
"""A table with as many entries at an end of a format saturates there; fewer can be roundings of different numbers."""

LEAST_BITS = 7
"""Clamps to fewer bits are the function's own (a gate, a bound), not a format's."""


@dataclass(frozen=True)
class Saturated:
    """An op whose values lie at ``low`` or ``high``, where its format ends, in ``count`` of ``elements`` elements.

    ``op``: descriptor number; ``name``: primitive and source line; counts are over all iterations and samples.
    """

    op: int
    name: str
    low: int | None
    high: int | None
    count: int
    elements: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"op {self.op} {self.name}: {self.count:,} of {self.elements:,} at an end of its format"


def ends(program: Program, op: Op) -> tuple[int | None, int | None]:
    """Where the format of an op's values ends below and above; None where the op does not saturate.

    The ends are those of the clamp that the op's code ends with, or those of the table in which it looks its result up.
    """
    low: int | None = None
    high: int | None = None
    at = len(op.code)
    while at:
        instr = op.code[at - 1]
        if instr.op in (Opcode.MIN, Opcode.MAX):
            found = [(_constant(op, a), b) for a, b in (instr.args, instr.args[::-1])]
            limit, following = next(((c, b) for c, b in found if c is not None), (None, at - 1))
            if limit is None:
                break
            if instr.op is Opcode.MIN and _is_top(limit):
                high = limit
            if instr.op is Opcode.MAX and _is_top(-limit - 1):
                low = limit
            at = following
            continue
        if instr.op is Opcode.GATHER and isinstance(op.accesses[instr.args[0]].source, Constant):
            table = np.asarray(program.seen(op.accesses[instr.args[0]]))
            least, most = int(table.min()), int(table.max())
            if _is_top(most) and int(np.sum(table == most)) >= PLATEAU:
                high = most
            if _is_top(-least - 1) and int(np.sum(table == least)) >= PLATEAU:
                low = least
        break
    return low, high


def _meant(program: Program) -> list[Any]:
    """What the metadata say of every op's ends; they only spare a reader what is no news."""
    given = program.meta.get("meant")
    return given if isinstance(given, list) and len(given) == len(program.ops) else [""] * len(program.ops)


def _unmeant(found: tuple[int | None, int | None], meant: Any) -> tuple[int | None, int | None]:
    return None if meant in ("both", "low") else found[0], None if meant in ("both", "high") else found[1]


def _constant(op: Op, register: int) -> int | None:
    """The number that a register always holds."""
    if register == 0 or op.code[register - 1].op is not Opcode.CONST:
        return None
    return op.code[register - 1].imm


def _is_top(number: int) -> bool:
    """Whether it is the largest of a two's complement format: 2^bits - 1."""
    return number > 0 and (number & (number + 1)) == 0 and number.bit_length() >= LEAST_BITS


class Ends:
    """Counts which values of an execution lie at an end of their format.

    An end that lowering noted as meant is not counted: a bound of the function's own, or where an infinity lies. ``limits``: the others,
    by descriptor.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self.limits = [
            _unmeant(ends(program, op), meant) for op, meant in zip(program.ops, _meant(program), strict=True)
        ]
        self._outputs = {value for value, _ in program.header.outputs}
        self._descriptors = [j for _, j, _ in program.op_values()]

    def counting(self, values: Iterable[Array], counts: list[int], outputs: bool = False) -> Iterator[Array]:
        """``values`` of an execution in trace order, passed on; ``counts`` by descriptor are added to. ``outputs``: count them, too."""
        for value, array in enumerate(values):
            j = self._counted(value, outputs)
            if j is not None:
                counts[j] += reached(array, self.limits[j])
            yield array

    def counting_each(self, values: Iterable[Array], counts: Array) -> Iterator[Array]:
        """As ``counting``, of several claims: values [claims, *shape], counts int64 [descriptors, claims]; outputs are not counted."""
        for value, array in enumerate(values):
            j = self._counted(value, False)
            if j is not None:
                counts[j] += reached_each(array, self.limits[j])
            yield array

    def _counted(self, value: int, outputs: bool) -> int | None:
        """The descriptor for which a value is counted; None if it is for none."""
        inputs = len(self._program.header.inputs)
        if value < inputs or (value in self._outputs and not outputs):
            return None
        j = self._descriptors[value - inputs]
        return j if self.limits[j] != (None, None) else None

    def found(self, counts: Sequence[int], samples: int = 1) -> tuple[Saturated, ...]:
        """The ops with a count, the most first."""
        ops = self._program.ops
        found = [
            Saturated(j, self._program.name(j), *self.limits[j], count, op.elements * op.repeat * samples)
            for j, (op, count) in enumerate(zip(ops, counts, strict=True))
            if count
        ]
        return tuple(sorted(found, key=lambda one: (-one.count, one.op)))


Counted = tuple[list[Array], tuple[Saturated, ...]]
"""A program's outputs in header order, and the ops inside whose values reach an end of their format."""


def run_counted(executor: Executor, inputs: Sequence[Array]) -> Counted:
    """Execute value by value, and count.

    An output's own elements are not inside: whoever has them counts them.
    """
    return run_counted_each(executor, [executor.check_inputs(inputs)])[0]


def run_counted_each(executor: Executor, claims: Sequence[Sequence[Array]]) -> list[Counted]:
    """``run_counted`` of several claims, whose inputs fit, as few executions; in their order."""
    found: list[Counted] = []
    for start, stop in executor.batches(len(claims)):
        found += run_counted_batch(executor, claims[start:stop])
    return found


def run_counted_batch(
    executor: Executor, claims: Sequence[Sequence[Array]], each: Callable[[Array], None] = lambda value: None
) -> list[Counted]:
    """``run_counted_each`` of one of the executor's batches. ``each`` is shown every value [claims, *shape] in trace order."""
    header = executor.program.header
    counts = np.zeros([len(executor.program.ops), len(claims)], np.int64)
    wanted = {value for value, _ in header.outputs}
    found: dict[int, Array] = {}
    for value, array in enumerate(executor.ends.counting_each(_values(executor, claims), counts)):
        each(array)
        if value in wanted:
            found[value] = array
    own = np.copy if len(claims) > 1 else np.asarray
    return [
        (
            [own(found[value][claim]).reshape(tensor.shape) for value, tensor in header.outputs],
            executor.ends.found(counts[:, claim].tolist()) if counts[:, claim].any() else (),
        )
        for claim in range(len(claims))
    ]


def _values(executor: Executor, claims: Sequence[Sequence[Array]]) -> Iterator[Array]:
    """The values [claims, *shape] of a batch."""
    if len(claims) == 1:
        return (array[None] for array in executor.stream(claims[0]))
    return executor.stream_batch([np.stack(column) for column in zip(*claims, strict=True)])


def elements(found: Iterable[Saturated]) -> int:
    """How many elements of all these ops lie at an end of their format."""
    return sum(one.count for one in found)


def inside_told(found: Sequence[Saturated]) -> str:
    """What was found inside one execution, as a sentence with the remedy."""
    return (
        f"{elements(found):,} elements inside the program lie at an end of their format, most of them in {found[0].name}: the real "
        "values may lie beyond, and what is computed from them is wrong; lower the model with samples that reach as far"
    )


def saturation(executor: Executor, samples: Sequence[Sequence[Array]]) -> tuple[Saturated, ...]:
    """Every op that saturates on these inputs (quantised, one sequence a sample), outputs included, the most first.

    Executes each sample once, value by value: no more than one value is held for it.
    """
    counts = [0] * len(executor.program.ops)
    for number, sample in enumerate(samples):
        progress.at("look for saturation, sample", number + 1, len(samples))
        for _ in executor.ends.counting(executor.stream(sample), counts, outputs=True):
            pass
    return executor.ends.found(counts, len(samples))
