"""A short crash campaign: one round of claims, requests and disputes while services are killed some times; `make crash` kills hundreds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollup.types import Duration
from tests.campaigns.crash import campaign
from tests.campaigns.crash.scenario import INFERENCES

KILLS = 5
TERMS = replace(campaign.TERMS, window=Duration(75), clock=Duration(75))
"""Half of the campaign's: nobody is killed so often here that it has no time left."""


@pytest.mark.anvil
def test_what_was_accepted_survives_sigkill_and_nothing_is_done_twice() -> None:
    found = campaign.run(KILLS, seed=1, say=lambda _: None, terms=TERMS)
    assert isinstance(found["kills"], int)
    assert found["kills"] == KILLS
    assert found["invalid"] == 5 * found["rounds"]  # type: ignore[operator]
    assert found["claims"] == (INFERENCES + 7) * found["rounds"]  # type: ignore[operator]
    assert found["requests"] == 7 * found["rounds"]  # type: ignore[operator]
