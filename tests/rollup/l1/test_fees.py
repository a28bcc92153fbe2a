"""Offers rise by what nodes ask for, follow the base fee, and never exceed the cap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.errors import ChainError
from rollup.l1.fees import GWEI, FeePolicy, Fees

WEI = st.integers(0, 10**13)


@given(
    base=WEI, later=WEI, priority=st.integers(0, 10**11), percent=st.integers(13, 200), cap=st.integers(10**11, 10**13)
)
def test_every_replacement_is_one_that_a_node_takes(
    base: int, later: int, priority: int, percent: int, cap: int
) -> None:
    policy = FeePolicy(priority=priority, cap=cap, bump_percent=percent)
    fees: Fees | None = policy.first(base)
    steps = 0
    while fees is not None:
        assert 0 <= fees.priority <= fees.most <= cap
        dearer = policy.bumped(fees, later)
        if dearer is not None:
            assert dearer.most * 8 >= fees.most * 9
            assert dearer.priority * 8 >= fees.priority * 9
        fees, steps = dearer, steps + 1
        assert steps < 400


def test_a_replacement_follows_the_base_fee() -> None:
    policy = FeePolicy()
    assert policy.first(GWEI) == Fees(3 * GWEI, GWEI)
    jumped = policy.bumped(policy.first(GWEI), 10 * GWEI)
    assert jumped is not None
    assert jumped.most == 21 * GWEI


def test_the_last_step_to_the_cap_is_taken() -> None:
    policy = FeePolicy(cap=10 * GWEI)
    assert policy.bumped(Fees(5 * GWEI, GWEI), 100 * GWEI) == Fees(10 * GWEI, GWEI * 5 // 4 + 1)
    assert policy.bumped(Fees(9 * GWEI, GWEI), 100 * GWEI) is None


@pytest.mark.parametrize(
    "changes",
    [{"bump_percent": 12}, {"priority": -1}, {"priority": 2 * GWEI, "cap": GWEI}, {"poll": 0}, {"bump_after": 1000}],
)
def test_a_policy_that_no_node_or_clock_allows_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ChainError, match=r";|ask for"):
        FeePolicy(**changes)  # type: ignore[arg-type]
