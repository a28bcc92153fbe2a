"""Offers rise by what nodes ask for, follow the base fee, and never exceed the cap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.errors import ChainError
from rollup.l1.account.fees import GWEI, FeePolicy, Fees
from rollup.l1.node.chain import MOST_BLOCK_SECONDS
from rollup.l1.node.embedded import EmbeddedChain

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


@pytest.mark.parametrize(
    ("clock", "block", "seconds"),
    [
        (84 * 3600, 12, (600, 30, 2)),
        (3600, 12, (360, 30, 2)),
        (600, 1, (60, 30, 2)),
        (15, 1, (8, 4, 2)),
        (15, 0.1, (1.5, 0.75, 0.75)),
    ],
    ids=["long", "an hour", "minutes", "seconds", "fast blocks"],
)
def test_no_transaction_is_fought_for_longer_than_a_tenth_of_the_clock_or_a_few_blocks(
    clock: float, block: float, seconds: tuple[float, float, float]
) -> None:
    policy = FeePolicy().within(clock, block)
    assert (policy.give_up_after, policy.bump_after, policy.poll) == pytest.approx(seconds)
    assert policy.cap == FeePolicy().cap


def test_the_time_between_blocks_is_that_of_the_chain_and_bounded_where_it_stood_still() -> None:
    chain = EmbeddedChain()
    assert chain.block_seconds() == MOST_BLOCK_SECONDS
    for _ in range(20):
        # Two blocks each.
        chain.advance(3)
    assert chain.block_seconds() == pytest.approx(1.5, abs=0.2)
    chain.advance(10**6)
    assert chain.block_seconds() == MOST_BLOCK_SECONDS
