"""The formulas of attacks, over generated deployments; and what is refused says the same as what is shown."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rollup.errors import ChainError
from rollup.settings import MOST_MONEY, Parameters
from rollup.words import GWEI
from tests.touchstone.deployment.deployments import MAINNET, PARAMS, deployments
from touchstone.deployment.attacks import FACTOR, YEAR, Attack, Deterrent, Family
from touchstone.deployment.cast import FLOOD, cast, delays, hour_of_delay, judged, lies
from touchstone.deployment.dangers import bonds
from touchstone.deployment.parameters import Terms

REAL = sorted(set(PARAMS.glob("*.toml")) - {PARAMS / "development.toml"})
PRICES = st.integers(1, 1000 * GWEI)
RATES = st.fractions(0, 2, max_denominator=1000)


def fails(attack: Attack, sentences: list[str]) -> bool:
    """Whether one of the sentences refuses parameters because of the attack."""
    start = f"a false claim {attack.name} costs" if attack.family is Family.LIES else f"{attack.name}: costs"
    return any(sentence.startswith(start) for sentence in sentences)


@given(terms=deployments(), price=PRICES, interest=RATES)
def test_the_ratio_is_what_the_attacker_loses_over_what_the_defender_does(
    terms: Terms, price: int, interest: Fraction
) -> None:
    for attack in cast(terms):
        lost = max(0, attack.bond - attack.returned) + price * min(attack.attacker.prague, attack.attacker.eip7976)
        lost += attack.idle * interest.numerator // (interest.denominator * YEAR)
        spent = price * max(attack.defender.prague, attack.defender.eip7976) + attack.stake
        net = spent - min(attack.fees, attack.bond) - price * attack.fee_gas
        ratio = attack.ratio(price, interest)
        assert ratio == (pytest.approx(float(Fraction(lost, net))) if net > 0 else float("inf"))
        assert attack.deters(price, FACTOR) == (net <= 0 or Fraction(attack.loss(price), net) >= FACTOR)


@given(terms=deployments(), prices=st.tuples(PRICES, PRICES))
def test_a_higher_gas_price_makes_no_attack_that_is_judged_dearer_in_proportion(
    terms: Terms, prices: tuple[int, int]
) -> None:
    low, high = sorted(prices)
    for attack in cast(terms):
        assert attack.loss(low) <= attack.loss(high) and attack.pays(low) <= attack.pays(high)
    for attack in judged(terms):
        assert attack.ratio(low) >= attack.ratio(high)
        assert attack.deters(low, FACTOR) or not attack.deters(high, FACTOR)


@pytest.mark.parametrize("file", REAL, ids=lambda file: file.stem)
def test_over_all_gas_prices_the_highest_is_the_worst(file: Path) -> None:
    terms = Terms.load(file)
    low, high = terms.conditions.gas_prices
    for attack in judged(terms):
        ratios = [attack.ratio(low + (high - low) * step // 20) for step in range(21)]
        assert ratios == sorted(ratios, reverse=True)
        assert ratios[-1] >= FACTOR


@given(terms=deployments(), price=PRICES, factor=st.integers(1, 50))
def test_a_bond_is_the_smallest_with_which_an_attack_is_dear_enough(terms: Terms, price: int, factor: int) -> None:
    for attack in cast(terms):
        bond = attack.bond_for(factor, price)
        if attack.deterrent is None:
            assert bond is None
        elif bond is None:
            assert not replace(attack, bond=MOST_MONEY - MOST_MONEY % GWEI).deters(price, factor)
        else:
            assert replace(attack, bond=bond).deters(price, factor)
            assert bond == 0 or not replace(attack, bond=bond - GWEI).deters(price, factor)


def with_bond(terms: Terms, deterrent: Deterrent, wei: int) -> Terms | None:
    """The deployment with another bond; None if no contract would take it."""
    try:
        parameters: Parameters = replace(terms.parameters, **{deterrent.value: wei})
    except ChainError:
        return None
    return replace(terms, parameters=parameters)


@given(terms=deployments(), number=st.integers(0, len(judged(Terms.load(MAINNET))) - 1))
@settings(max_examples=400)
def test_deploying_is_refused_from_one_wei_below_the_bond_that_is_shown(terms: Terms, number: int) -> None:
    attack, price = judged(terms)[number], terms.conditions.highest
    assert attack.deterrent is not None
    shown = attack.bond_for(FACTOR, price)
    assert shown
    wei = range(shown - GWEI, shown + 1)
    bond = wei[bisect_left(wei, True, key=lambda one: replace(attack, bond=one).deters(price, FACTOR))]
    enough, less = (with_bond(terms, attack.deterrent, one) for one in (bond, bond - 1))
    assume(enough is not None and less is not None)
    assert not fails(attack, list(bonds(enough)))
    assert fails(attack, list(bonds(less)))


@given(terms=deployments())
def test_what_is_refused_is_what_the_table_says(terms: Terms) -> None:
    sentences, price = list(bonds(terms)), terms.conditions.highest
    for attack in judged(terms):
        defence = attack.defence(price)
        assert fails(attack, sentences) == (defence > 0 and Fraction(attack.loss(price), defence) < FACTOR)


@given(terms=deployments(), price=PRICES)
def test_a_flood_costs_and_delays_as_many_times_as_a_false_claim(terms: Terms, price: int) -> None:
    *_, flood = delays(terms)
    one = lies(terms)[2]
    assert (flood.loss(price), flood.pays(price)) == (FLOOD * one.loss(price), FLOOD * one.pays(price))
    assert flood.stops == FLOOD * one.stops == FLOOD * terms.parameters.spacing


@given(terms=deployments())
def test_an_hour_of_delay_is_bought_by_the_cheapest_stop(terms: Terms) -> None:
    stops = -(-3600 // terms.parameters.spacing)
    least = min(terms.burned, terms.lie) * stops
    assert hour_of_delay(terms) == min(
        least, -(-3600 // (FLOOD * terms.parameters.spacing)) * FLOOD * lies(terms)[2].loss(0)
    )


@pytest.mark.parametrize("file", REAL, ids=lambda file: file.stem)
def test_only_copies_bring_more_than_they_cost(file: Path) -> None:
    terms = Terms.load(file)
    for price in terms.conditions.gas_prices:
        assert {attack.name for attack in cast(terms) if attack.gains(price) > attack.loss(price)} == {
            "a copy of all selections by whoever challenged earlier",
            "a copy of the answer, posted in front of it",
        }


@given(terms=deployments(), price=PRICES)
def test_keeping_transactions_out_takes_the_target_of_every_block_of_the_time_that_is_left(
    terms: Terms, price: int
) -> None:
    given_, conditions, dispute = terms.parameters, terms.conditions, terms.dispute
    moves = {"window": 1, "challenger": dispute.challenger_moves, "claimant": dispute.defender_moves}
    found = [attack for attack in cast(terms) if attack.family is Family.CENSORSHIP]
    assert len(found) == len(moves)
    for attack, (who, count) in zip(found, moves.items(), strict=True):
        seconds = given_.window if who == "window" else given_.clock
        blocks = max(0, seconds - 3 * count * conditions.block_time) // conditions.block_time
        assert attack.loss(price) == blocks * (conditions.block_gas // conditions.elasticity) * price
    nobody, challenger, claimant = found
    assert (nobody.gains(price), nobody.pays(price)) == (0, 0)
    assert (challenger.gains(price), challenger.pays(price)) == (
        given_.challenge_bond - terms.burned,
        given_.challenge_bond,
    )
    assert (claimant.gains(price), claimant.pays(price)) == (given_.reward + given_.collect_fee, given_.claim_bond)
