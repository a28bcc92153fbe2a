"""Reductions with every field of their accesses drawn on its own: the EVM gives what the reference gives, whole and by parts."""

from __future__ import annotations

import numpy as np
import pytest

from rollup.form.encoding import TensorType
from rollup.form.ops import Monoid, Op
from rollup.form.program import Program
from rollup.types import DType
from tests.lockstep.campaign import Tally, compare_reduction
from tests.lockstep.evm import Execution, Prover, seed_of


def test_evm_reduces_whatever_an_access_says() -> None:
    prover, tally = Prover(), Tally()
    for number in range(300):
        compare_reduction(seed_of("reductions", number), prover, 6, tally)
    print("\n".join(tally.lines()))
    assert tally.by["parts"].keys() == {monoid.name for monoid in Monoid if monoid is not Monoid.NONE}
    assert min(tally.by["parts"].values()) > 60 and tally.by["monoid"]["NONE"] > 20, tally.by
    assert tally.by["source"]["indirect factor"] > 60 and tally.by["source"]["Value stack"] > 60, tally.by


@pytest.mark.parametrize(
    "monoid", [monoid for monoid in Monoid if monoid is not Monoid.NONE], ids=lambda m: str(m.name)
)
def test_part_without_factors_is_zero_at_its_first_position(monoid: Monoid) -> None:
    op = Op(1, 1, 1, monoid, DType.I64, 0, (), (2, 5), (), (), 3)
    program = Program.build([TensorType(DType.I8, 0, (1,))], [(1, TensorType(DType.I64, 0, ()))], [op], {})
    execution = Execution(program, [np.zeros(1, np.int8), np.zeros((), np.int64)])
    answers = [Prover().part(*execution.part(1, 0, number)) for number in range(4)]
    argument = monoid in (Monoid.ARGMAX, Monoid.ARGMIN)
    assert answers == [(0, position if argument else 0) for position in (0, 3, 5, 8)]
    assert Prover().step(*execution.witness(1, 0)) == (0, 0)
