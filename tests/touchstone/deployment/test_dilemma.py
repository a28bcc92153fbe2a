"""When checking pays: the formulas, against drawn claims and against a liar's choice."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from rollup.words import GWEI
from tests.touchstone.deployment.deployments import deployments
from touchstone.deployment.cast import lies
from touchstone.deployment.dilemma import bearable_worth, checked_share, convictions
from touchstone.deployment.parameters import Terms

PRICES = st.integers(1, 1000 * GWEI)
AMOUNTS = st.integers(0, 10**20)
SHARES = st.fractions(0, 1, max_denominator=10**6)


def books(claims: int, false: int, check: int, earned: int, spent: int) -> int:
    """What is left of checking so many claims, so many of which were false."""
    left = 0
    for number in range(claims):
        left -= check
        if number < false:
            left += earned - spent
    return left


@given(deployments(), PRICES, st.integers(1, 20), st.integers(0, 20), st.integers(0, 10**17), st.integers(1, 5))
def test_a_watcher_earns_what_its_books_say(
    terms: Terms, price: int, claims: int, false: int, check: int, watchers: int
) -> None:
    false = min(false, claims)
    for one in convictions(terms, price, watchers):
        (lie,) = (lie for lie in lies(terms) if lie.name == one.name)
        together = watchers * books(claims, false, check, 0, lie.defender.most * price) + false * lie.returned
        assert one.profit(Fraction(false, claims), check) * claims * watchers == together


@given(deployments(), PRICES, AMOUNTS, SHARES)
def test_checking_pays_from_the_break_even_share_on_and_not_below(
    terms: Terms, price: int, check: int, share: Fraction
) -> None:
    for one in convictions(terms, price):
        even = one.break_even(check)
        if even is None:
            assert one.profit(Fraction(1), check) < 0 or one.earning <= 0
        else:
            assert 0 <= even <= 1 and one.profit(even, check) == 0
            assert (one.profit(share, check) >= 0) == (share >= even)


@given(deployments(), PRICES, SHARES)
def test_a_check_that_costs_as_much_as_it_may_breaks_even(terms: Terms, price: int, share: Fraction) -> None:
    for one in convictions(terms, price):
        check = one.affordable(share)
        assert (one.earning <= 0 and check == 0) or share * one.earning == check


@given(deployments(), st.tuples(PRICES, PRICES), st.integers(1, 9))
def test_dearer_gas_and_more_watchers_leave_less(terms: Terms, prices: tuple[int, int], watchers: int) -> None:
    low, high = sorted(prices)
    for cheap, dear, shared in zip(
        convictions(terms, low), convictions(terms, high), convictions(terms, low, watchers), strict=True
    ):
        assert cheap.earning >= dear.earning and cheap.earning >= shared.earning


@given(deployments(), AMOUNTS, SHARES)
def test_lying_is_a_loss_from_the_checked_share_on(terms: Terms, worth: int, share: Fraction) -> None:
    enough = checked_share(terms, worth)
    expected = (1 - share) * worth - share * terms.lie
    assert (expected <= 0) == (share >= enough)
    most = bearable_worth(terms, share)
    assert (most is None) == (share == 1)
    if most is not None:
        assert (1 - share) * most == share * terms.lie


@given(deployments(), PRICES)
def test_a_claim_that_its_liar_convicts_brings_nobody_else_anything(terms: Terms, price: int) -> None:
    assert {lie.name for lie in lies(terms)} - {one.name for one in convictions(terms, price)} == {
        "convicted by an account of its own"
    }
