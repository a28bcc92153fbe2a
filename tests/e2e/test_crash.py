"""A short crash campaign: one round of claims and disputes while services are killed; `make crash` makes hundreds of kills."""

from __future__ import annotations

import pytest

from tests.campaigns import crash

KILLS = 5


@pytest.mark.anvil
def test_what_was_accepted_survives_sigkill_and_nothing_is_done_twice() -> None:
    found = crash.run(KILLS, seed=1, say=lambda _: None)
    assert isinstance(found["kills"], int)
    assert found["kills"] >= KILLS
    assert found["invalid"] == 4 * found["rounds"]  # type: ignore[operator]
    assert found["final"] == 3 * found["rounds"]  # type: ignore[operator]
