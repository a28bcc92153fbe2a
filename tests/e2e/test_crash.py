"""A short crash campaign: one round of claims and disputes while services are killed some times; `make crash` kills hundreds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollup.types import Duration
from tests.campaigns import crash

KILLS = 5
TERMS = replace(crash.TERMS, window=Duration(75), clock=Duration(75))
"""Half of the campaign's: nobody is killed so often here that it has no time left."""


@pytest.mark.anvil
def test_what_was_accepted_survives_sigkill_and_nothing_is_done_twice() -> None:
    found = crash.run(KILLS, seed=1, say=lambda _: None, terms=TERMS)
    assert isinstance(found["kills"], int)
    assert found["kills"] == KILLS
    assert found["invalid"] == 4 * found["rounds"]  # type: ignore[operator]
    assert found["final"] == 3 * found["rounds"]  # type: ignore[operator]
