"""The gas that deployments are judged by is what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.request_gas import CALLBACK_GAS, Asking
from touchstone.deployment import gas
from touchstone.deployment.gas import GasCost

TESTS = Path(__file__).parents[2]


def test_the_gas_figures_are_the_measured_ones() -> None:
    curve = {row["arity"]: row for row in json.loads((TESTS / "arity.json").read_text())["curve"]}
    table = json.loads((TESTS / "contracts" / "dispute_gas.json").read_text())
    table |= json.loads((TESTS / "contracts" / "request_gas.json").read_text())
    measured = {name: GasCost(row["gas"], row["gas_7976"]) for name, row in table.items()}

    def of(row: Any, move: str) -> GasCost:
        return GasCost(row["gas_by_move"][move], row["gas_7976_by_move"][move])

    assert {arity: of(row, "select") for arity, row in curve.items()} == gas.SELECTS
    assert {arity: of(row, "reveal") for arity, row in curve.items()} == gas.REVEALS
    assert measured["challenge, the first about a claim"] == gas.CHALLENGE
    assert measured["setTraceRoot"] == gas.TRACE_ROOT
    assert measured["revealLeaf"] == gas.REVEAL_LEAF
    assert measured["descend"] == gas.DESCEND
    assert measured["partials, 64 arguments"] == gas.PARTIALS
    assert measured["narrow"] == gas.NARROW
    assert measured["timeout, of the challenger, as many to pay as can be"] == gas.TIMEOUT
    assert measured["postBatch, each further claim"] == gas.CLAIM
    assert measured["challenge, a further one, with a commitment"] == gas.CHALLENGE_AGAIN
    assert measured["commit"] == gas.COMMIT
    assert measured["prove, an input"] == gas.SIMPLE_PROOF
    assert gas.SIMPLE_PROOF.prague == min(both.prague for name, both in measured.items() if name.startswith("prove,"))
    assert measured["timeout, each further game of that kind"] == gas.TIMEOUT_AGAIN
    assert measured["timeout, of the defender"] == gas.DEFENDER_TIMEOUT
    assert measured["reclaim"] == gas.RECLAIM
    assert measured["postBatch, one claim"] == gas.CLAIM_ALONE
    assert measured["releaseAll, each further claim"] == gas.RELEASE
    assert measured["requestCallback"] == gas.REQUEST
    assert measured["note"] == gas.NOTE
    assert measured["strike"] == gas.STRIKE
    assert measured[f"answer, its callback burning {gas.CALLBACK:,}"] == gas.ANSWER


def test_the_smallest_fee_is_what_the_contract_asks_for() -> None:
    world = Asking()
    assert CALLBACK_GAS == gas.CALLBACK == world.read("MAX_CALLBACK_GAS")
    fee = world.read("estimateFee", bytes(32), gas.CALLBACK)
    assert gas.FEE.prague == gas.FEE.eip7976
    assert fee and fee == gas.FEE.prague * world.chain.base_fee()


@given(st.integers(1, max(gas.SELECTS)), st.integers(1, gas.DEEPEST))
def test_a_dispute_takes_most_selections_with_its_entries_at_the_worst_depth(arity: int, depth: int) -> None:
    entries = (-(-entry // arity) - (entry - depth) // arity for entry in range(1, depth))
    assert gas.dispute(arity, depth).rounds == max(entries, default=1)
