"""Wherever the demo's model is lied about, the dispute ends INVALID by the rule that should catch it."""

from __future__ import annotations

import pytest

from challenger.defender import Behaviour
from prover import Model
from tests.e2e.fraud_anywhere import campaign
from touchstone.demo.demo import lowered
from touchstone.demo.digits import digits


@pytest.fixture(scope="module")
def model() -> Model:
    return lowered(digits())


def test_a_flipped_element_anywhere_is_convicted_and_an_honest_claim_survives_attacks_everywhere(model: Model) -> None:
    """With a trace that is withheld; ``make fraud`` plays published ones, too."""
    rows, survived = campaign(model, digits().images[7], Behaviour.WITHHOLDS)
    ops = model.program.header.values - len(model.program.header.inputs)
    assert len(rows) == ops + 2
    for row in rows:
        assert (row.status, row.rule) == ("INVALID", row.expected), row
        assert row.proof_gas <= 600_000
    for value, row in enumerate(rows[:ops], start=len(model.program.header.inputs)):
        assert row.trace_index == value
    assert survived == [True] * ops
