"""The economics of a deployment as tables of text, for terminals and for docs/economics.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from rollup.words import GWEI
from touchstone.deployment.attacks import Attack
from touchstone.deployment.cast import hour_of_delay
from touchstone.deployment.dilemma import bearable_worth, checked_share
from touchstone.deployment.economics import SHARES, Economics
from touchstone.settings.units import show_seconds


@dataclass(frozen=True)
class Table:
    """``text``: what it says; empty if the table before said it. The first column names a row."""

    title: str
    text: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(found: Economics) -> Iterator[Table]:
    """All of them, in the order in which they are read."""
    yield from _costs(found)
    yield _ratios(found)
    yield _bonds(found)
    yield _convictions(found)
    yield _dilemma(found)
    yield _checked(found)
    yield _capital(found)


def show_price(price: int) -> str:
    """A gas price in gwei."""
    return f"{price / GWEI:g} gwei"


def show_ratio(ratio: float) -> str:
    return "no loss" if ratio == float("inf") else f"{ratio:.1f}" if ratio < 1e5 else f"{ratio:.1e}"


def show_share(share: Fraction | None) -> str:
    """A share of claims as one in so many, or in per cent where that says more."""
    if share is None:
        return "never"
    return f"{float(share):.3%}" if share > Fraction(1, 10) else f"1 in {float(1 / share):,.0f}"


def _about(seconds: int) -> str:
    """A duration, to a tenth of an hour if no unit divides it."""
    return (
        "" if not seconds else show_seconds(seconds) if seconds < 60 or not seconds % 60 else f"{seconds / 3600:.1f}h"
    )


def _costs(found: Economics) -> Iterator[Table]:
    price, market = found.market.highest, found.market
    text = (
        f"At {show_price(price)} a gas. The attacker loses and the defender gets (below 0: misses) at least so much; the attacker gains "
        "and the defender pays at most so much. The ratio is what the attacker loses over what the defender is left without. Then for "
        "how long all challenge periods stop, and the claim or fee is held up that is attacked."
    )
    head = ("attack", "attacker loses", "gains", "defender pays", "gets", "ratio", "stops all", "holds up")
    for family, members in groupby(found.cast, key=lambda attack: attack.family):
        yield Table(
            family[0].upper() + family[1:],
            text,
            head,
            tuple(
                (
                    attack.name,
                    market.show(attack.loss(price, market.interest)),
                    market.show(attack.gains(price)),
                    market.show(attack.pays(price)),
                    market.show(attack.back(price)),
                    show_ratio(attack.ratio(price, market.interest)),
                    _about(attack.stops),
                    _about(attack.holds),
                )
                for attack in members
            ),
        )
        text = ""


def _names(attack: Attack, found: Economics) -> str:
    """The attack's name among those of other families."""
    alike = [one for one in found.cast if one.family is attack.family]
    return f"{attack.family.name.lower()} {alike.index(attack) + 1}: {attack.name}"


def _gas(attack: Attack) -> tuple[str, str]:
    return f"{attack.attacker.least:,}", f"{attack.defender.most:,}"


def _ratios(found: Economics) -> Table:
    market = found.market
    return Table(
        "Attacker's loss over defender's, by gas price",
        "`no loss`: the defender gains, or pays nothing.",
        ("attack", "attacker's gas", "defender's gas", *map(show_price, market.prices)),
        tuple(
            (
                _names(attack, found),
                *_gas(attack),
                *(show_ratio(attack.ratio(price, market.interest)) for price in market.prices),
            )
            for attack in found.cast
        ),
    )


def _bonds(found: Economics) -> Table:
    market, given = found.market, found.terms.parameters
    return Table(
        f"Smallest bonds at which an attack costs {market.factor} times the defence",
        "All other parameters stay as they are.",
        ("attack", "bond", "is", *map(show_price, market.prices)),
        tuple(
            (
                _names(attack, found),
                attack.deterrent,
                market.show(getattr(given, attack.deterrent)),
                *(
                    "none is enough" if bond is None else market.show(bond)
                    for price in market.prices
                    for bond in [attack.bond_for(market.factor, price)]
                ),
            )
            for attack in found.cast
            if attack.deterrent is not None and attack.pays(market.highest)
        ),
    )


def _convictions(found: Economics) -> Table:
    market = found.market
    rows = zip(*(found.convictions(price) for price in market.prices), strict=True)
    among = "" if market.watchers == 1 else f", {market.watchers} watchers sharing the rewards"
    return Table(
        "What convicting a false claim earns",
        f"The reward, less the gas of the dispute{among}. What an account of the liar's own convicts brings others nothing.",
        ("a false claim", *map(show_price, market.prices)),
        tuple((row[0].name, *(market.show(one.earning) for one in row)) for row in rows),
    )


def _dilemma(found: Economics) -> Table:
    market = found.market
    head = ("a false claim", *map(show_price, market.prices))
    rows = list(zip(*(found.convictions(price) for price in market.prices), strict=True))
    if market.check is not None:
        profit = (
            "" if market.share is None else f"; in brackets what a claim brings if {show_share(market.share)} is false"
        )
        return Table(
            "The share of false claims from which on checking pays by itself",
            f"A check costs {market.show(market.check)}{profit}. Where fewer claims are false, whoever checks does so for what depends on "
            "the answers.",
            head,
            tuple(
                (
                    row[0].name,
                    *(
                        show_share(one.break_even(market.check))
                        + ("" if market.share is None else f" ({market.show(one.profit(market.share, market.check))})")
                        for one in row
                    ),
                )
                for row in rows
            ),
        )
    (row,) = (row for row in rows if row[0].gas == max(one[0].gas for one in rows))
    return Table(
        "What a check may cost so that checking pays by itself",
        f"By the share of claims that are false, {row[0].name}.",
        ("false claims", *map(show_price, market.prices)),
        tuple((show_share(share), *(market.show(one.affordable(share)) for one in row)) for share in found.shares),
    )


def _checked(found: Economics) -> Table:
    terms, market = found.terms, found.market
    bond = terms.parameters.claim_bond
    worths = [(share, worth) for share in SHARES if (worth := bearable_worth(terms, share)) is not None]
    rows = [(show_share(share), market.show(worth)) for share, worth in reversed(worths)]
    rows += [
        (show_share(checked_share(terms, times * bond)), market.show(times * bond)) for times in (1, 10, 100, 10_000)
    ]
    return Table(
        "What an answer may be worth to a liar, by the share of claims that is checked",
        f"Claims are checked at random and in secret; a false one costs {market.show(terms.lie)} at least.",
        ("claims that are checked", "worth of an answer"),
        tuple(rows),
    )


def _capital(found: Economics) -> Table:
    terms, market = found.terms, found.market
    claims, bonds = found.full_blocks
    conditions, given = terms.conditions, terms.parameters
    return Table(
        "Money that is tied up",
        "Nobody loses it, but somebody needs it.",
        ("who", "for what", "amount"),
        (
            (
                "a watcher",
                f"{terms.capacity:,} games at once, with {conditions.gas_share:g} of each block's gas",
                market.show(terms.capacity * given.challenge_bond),
            ),
            ("a claimant", f"a claim, for {show_seconds(given.window)}", market.show(given.claim_bond)),
            (
                "whoever fills a sequencer's batches",
                f"{claims:,} right claims a block, each for {show_seconds(given.window)}",
                market.show(bonds),
            ),
            ("whoever delays everybody", "an hour (lost for good)", market.show(hour_of_delay(terms))),
        ),
    )
