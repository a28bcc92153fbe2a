"""A short campaign of hostile descriptors in every test run, and the faults that it must notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import rollup.audit.form
from rollup.audit.prices import PRICES
from rollup.form.ops import Op
from tests.campaigns.hostile import Fault, campaign


def test_hostile_descriptors_are_refused_or_cost_no_more_than_their_bound() -> None:
    tally = campaign(seed=9, count=500)
    assert tally.accepted >= 125, "too few to say anything"
    assert tally.refused.total() >= 125
    assert all(tally.proofs[kind] >= 20 for kind in ("step", "part", "epilogue", "descend", "padding")), tally.proofs
    assert all(ratios["transaction"] <= 1 for ratios in tally.ratios.values())
    assert tally.dearest <= 600_000


def test_a_price_that_is_too_low_is_noticed() -> None:
    cheap = replace(PRICES, leaf=0, node=0, call=0, access=0)
    with pytest.raises(Fault, match="execution"):
        campaign(seed=9, count=500, prices=cheap, few=True, executed=0)


def test_a_rule_of_canonical_form_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lax(op: Op) -> Iterator[str]:
        return iter(())

    strict = campaign(seed=10, count=400, few=True, executed=0)
    assert any(reason.startswith("canonical") for reason in strict.refused)
    monkeypatch.setattr(rollup.audit.form, "canonical", lax)
    with pytest.raises((Fault, AssertionError)):
        assert campaign(seed=10, count=400, few=True, executed=0).accepted == strict.accepted
