"""The campaign reaches every entry point, and says so if it does not."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from tests.campaigns import invariants

SOURCES = "\n".join(path.read_text() for path in (invariants.CONTRACTS / "test" / "invariants").glob("*.sol"))


def said(status: str = "Success", **metrics: tuple[int, int]) -> str:
    counts = {
        f"test/invariants/Everything.t.sol:Everybody.{name}": {"calls": calls, "reverts": reverts, "discards": 0}
        for name, (calls, reverts) in metrics.items()
    }
    result = {"status": status, "reason": "locked", "counterexample": None, "kind": {"Invariant": {"metrics": counts}}}
    return json.dumps({"suite": {"test_results": {"invariant": result}}})


def test_every_entry_point_has_a_handler_and_every_handler_is_played() -> None:
    names = set(re.findall(r"function ((?:chain|game|requests|provers|adapter)_\w+)\(uint256", SOURCES))
    points = {f"{invariants.HANDLERS[name.partition('_')[0]]}.{name.partition('_')[2]}" for name in names}
    assert points == invariants.entry_points()
    assert names <= set(re.findall(r'"(\w+_\w+)"', SOURCES))


def test_what_only_other_contracts_may_call_is_called_through_an_entry_point() -> None:
    assert set(invariants.INNER.values()) <= invariants.entry_points()


def test_what_reverts_was_not_accepted() -> None:
    assert invariants.accepted(said(chain_fund=(9, 2), game_prove=(3, 3))) == Counter(
        {"RollupChain.fund": 7, "DisputeGame.prove": 0}
    )


def test_an_entry_point_that_took_no_call_is_named() -> None:
    tally = dict.fromkeys(invariants.entry_points(), 1)
    assert invariants.never(tally) == []
    assert invariants.never({**tally, "DisputeGame.prove": 0}) == ["DisputeGame.prove"]


@pytest.mark.parametrize("output", ["", "Compiler error", "{}", said("Failure")])
def test_a_run_that_did_not_succeed_is_an_error(output: str) -> None:
    with pytest.raises(invariants.BrokenInvariant):
        invariants.accepted(output)
