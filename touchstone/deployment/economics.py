"""What attacks and checking cost at a deployment's parameters, over a range of gas prices, as one document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from math import isfinite
from typing import Any

from rollup.settings import DURATIONS
from touchstone.deployment import gas
from touchstone.deployment.attacks import FACTOR, Attack
from touchstone.deployment.cast import cast, hour_of_delay
from touchstone.deployment.dilemma import Conviction, bearable_worth, checked_share, convictions
from touchstone.deployment.parameters import Terms
from touchstone.settings.units import WEI

ETHER = int(WEI["ether"])
DECIMALS = 18
"""Of an amount, at most."""
MOST_PRICES = 9
"""Columns of a table."""
SHARES = tuple(Fraction(1, 10**power) for power in (1, 2, 3, 4, 6))
"""Shares of false claims, and of claims that are checked, for which figures are given unless one is asked for."""


@dataclass(frozen=True)
class Market:
    """What a deployment's file does not say. ``prices``: wei a gas, rising. ``ether``: dollars; None: amounts are shown in ether.
    ``check``: wei that checking a claim costs. ``share``: of false claims. ``watchers``: that check everything. ``interest``: of
    money that lies idle, a year. ``factor``: how many times what defending costs attacking shall cost.
    """

    prices: tuple[int, ...]
    ether: Fraction | None = None
    check: int | None = None
    share: Fraction | None = None
    watchers: int = 1
    interest: Fraction = Fraction(0)
    factor: int = FACTOR

    @property
    def highest(self) -> int:
        return self.prices[-1]

    def dollars(self, wei: int | Fraction) -> Fraction | None:
        """Without a price of ether None."""
        return None if self.ether is None else Fraction(wei) / ETHER * self.ether

    def show(self, wei: int | Fraction) -> str:
        """An amount to four digits, in dollars if a price of ether is known, else in ether."""
        dollars = self.dollars(wei)
        return f"{_digits(Fraction(wei) / ETHER)} ETH" if dollars is None else f"${_digits(dollars)}"


def _digits(value: Fraction) -> str:
    """Four significant digits, and all before the point."""
    with localcontext(prec=len(str(int(value))) + 2 * DECIMALS):
        number = Decimal(value.numerator) / Decimal(value.denominator)
        places = min(DECIMALS, max(0, 3 - number.adjusted())) if number else 0
        return f"{number.quantize(Decimal(1).scaleb(-places)).normalize():,f}"


def ladder(low: int, high: int) -> tuple[int, ...]:
    """Gas prices from ``low`` to ``high``, both included: steps of 1, 2 and 5 in between, or of 10 if these are too many."""
    for steps in ((1, 2, 5), (1,)):
        between = (step * 10**power for power in range(len(str(high))) for step in steps)
        found = tuple(sorted({low, high, *(price for price in between if low < price < high)}))
        if len(found) <= MOST_PRICES:
            break
    return found


@dataclass(frozen=True)
class Economics:
    """A deployment on a market."""

    terms: Terms
    market: Market

    @property
    def cast(self) -> tuple[Attack, ...]:
        """Every attack."""
        return cast(self.terms)

    def convictions(self, price: int) -> tuple[Conviction, ...]:
        """What convicting brings each of the market's watchers."""
        return convictions(self.terms, price, self.market.watchers)

    @property
    def shares(self) -> tuple[Fraction, ...]:
        """Shares of false claims that figures are given for."""
        return SHARES if self.market.share is None else (self.market.share,)

    @property
    def full_blocks(self) -> tuple[int, int]:
        """(right claims with which a sequencer's share of a block is full, wei of bonds that keeping it so for a window ties up)."""
        claims = int(self.terms.conditions.share) // gas.CLAIM.least
        blocks = self.terms.parameters.window // self.terms.conditions.block_time
        return claims, claims * blocks * self.terms.parameters.claim_bond

    def document(self) -> dict[str, Any]:
        """JSON: wei are decimal strings, since JSON's readers round large numbers; null stands for a ratio without a loss of the
        defender, and for a share at which checking never pays.
        """
        market, given = self.market, self.terms.parameters
        claims, bonds = self.full_blocks
        return {
            "parameters": {
                name: value if name in (*DURATIONS, "arity") else str(value) for name, value in asdict(given).items()
            },
            "conditions": self.terms.conditions.model_dump(mode="json"),
            "market": {
                "gas_prices_wei": [str(price) for price in market.prices],
                "ether_dollars": None if market.ether is None else float(market.ether),
                "check_wei": None if market.check is None else str(market.check),
                "false_share": None if market.share is None else float(market.share),
                "watchers": market.watchers,
                "interest": float(market.interest),
                "factor": market.factor,
            },
            "attacks": [self._attack(attack) for attack in self.cast],
            "convictions": [self._conviction(one) for price in market.prices for one in self.convictions(price)],
            "checked": [
                {"share": float(share), "bearable_worth_wei": str(int(worth))}
                for share in SHARES
                if (worth := bearable_worth(self.terms, share)) is not None
            ],
            "checked_share_for_a_claim_bond": float(checked_share(self.terms, given.claim_bond)),
            "watcher": {
                "games_at_once": self.terms.capacity,
                "bonds_wei": str(self.terms.capacity * given.challenge_bond),
            },
            "full_blocks": {"claims_a_block": claims, "bonds_wei": str(bonds)},
            "hour_of_delay_wei": str(hour_of_delay(self.terms)),
        }

    def _attack(self, attack: Attack) -> Mapping[str, Any]:
        return {
            "family": attack.family.name.lower(),
            "name": attack.name,
            "deterrent": attack.deterrent,
            "attacker_gas": attack.attacker.least,
            "defender_gas": attack.defender.most,
            "stops_seconds": attack.stops,
            "holds_seconds": attack.holds,
            "at": [self._at(attack, price) for price in self.market.prices],
        }

    def _at(self, attack: Attack, price: int) -> Mapping[str, Any]:
        market, ratio = self.market, attack.ratio(price, self.market.interest)
        bond = attack.bond_for(market.factor, price)
        return {
            "gas_price_wei": str(price),
            "attacker_loses_wei": str(attack.loss(price, market.interest)),
            "attacker_gains_wei": str(attack.gains(price)),
            "defender_pays_wei": str(attack.pays(price)),
            "defender_gets_wei": str(attack.back(price)),
            "ratio": ratio if isfinite(ratio) else None,
            "bond_for_factor_wei": None if bond is None else str(bond),
        }

    def _conviction(self, one: Conviction) -> Mapping[str, Any]:
        check = self.market.check
        even = None if check is None else one.break_even(check)
        return {
            "name": one.name,
            "gas_price_wei": str(one.price),
            "earning_wei": str(int(one.earning)),
            "break_even_share": None if even is None else float(even),
            "affordable_check": [
                {"share": float(share), "wei": str(int(one.affordable(share)))} for share in self.shares
            ],
            "profit_a_claim_wei": [
                {"share": float(share), "wei": str(int(one.profit(share, check)))}
                for share in self.shares
                if check is not None
            ],
        }
