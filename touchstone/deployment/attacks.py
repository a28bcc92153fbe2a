"""What an attack costs both sides: the home of every such formula. ``cast`` has the attacks, ``dangers`` refuses deployments by them."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from rollup.settings import MOST_MONEY
from rollup.words import GWEI
from touchstone.deployment.gas import FREE, GasCost

FACTOR = 10
"""How many times what defending costs attacking must cost (docs/decisions.md)."""

YEAR = 365 * 86400


class Family(StrEnum):
    """What is attacked."""

    LIES = "a false claim, against a challenger without a reward"
    CHALLENGES = "a challenge of a right claim, against its claimant"
    DELAYS = "delay of everybody's finality"
    COPIES = "taking what somebody else proved"
    SPAM = "work for a sequencer"
    REQUESTS = "requests"
    CENSORSHIP = "keeping an honest party's transactions out of L1"


class Deterrent(StrEnum):
    """The parameter that makes an attack dearer."""

    CLAIM_BOND = "claim_bond"
    CHALLENGE_BOND = "challenge_bond"


@dataclass(frozen=True)
class Attack:
    """Gas in ``GasCost``, everything else in wei and seconds.

    ``attacker``, ``defender``: gas that each side pays. ``bond``: what the attacker puts at stake and loses, but for what is
    ``returned`` to accounts of its own. ``deterrent``: which parameter that bond is. ``fees``: what the defender is due of it.
    ``fee_gas``: what the defender is paid beside it, or below 0 misses, as gas at the price of the day. ``stake``: what the defender
    loses. ``gain`` and ``gain_gas``: what the attacker gains at most, in wei and as gas at the price of the day. ``idle``: wei times
    seconds for which the attacker's own money lies idle. ``stops``: seconds for which every challenge period is held up; ``holds``:
    seconds for which the claim or fee that is attacked is.
    """

    family: Family
    name: str
    attacker: GasCost = FREE
    defender: GasCost = FREE
    bond: int = 0
    returned: int = 0
    deterrent: Deterrent | None = None
    fees: int = 0
    fee_gas: int = 0
    stake: int = 0
    gain: int = 0
    gain_gas: int = 0
    idle: int = 0
    stops: int = 0
    holds: int = 0

    def loss(self, price: int, interest: Fraction = Fraction(0)) -> int:
        """Wei that the attacker loses at least, at ``price`` wei a gas; ``interest``: of idle money, a year."""
        resting = int(self.idle * interest / YEAR)
        return max(0, self.bond - self.returned) + self.attacker.least * price + resting

    def gains(self, price: int) -> int:
        """Wei that the attacker is paid at most."""
        return self.gain + self.gain_gas * price

    def pays(self, price: int) -> int:
        """Wei that the defender pays or loses at most, before it is paid anything."""
        return self.defender.most * price + self.stake

    def back(self, price: int) -> int:
        """Wei that the defender is paid."""
        return min(self.fees, self.bond) + self.fee_gas * price

    def defence(self, price: int) -> int:
        """Wei that the defender is left without at most; below 0 if it gains."""
        return self.pays(price) - self.back(price)

    def ratio(self, price: int, interest: Fraction = Fraction(0)) -> float:
        """What the attacker loses over what the defender does; infinite if that one loses nothing."""
        defence = self.defence(price)
        return self.loss(price, interest) / defence if defence > 0 else float("inf")

    def deters(self, price: int, factor: int) -> bool:
        """Whether the attacker loses ``factor`` times what the defender does, exactly."""
        return self.loss(price) >= factor * self.defence(price)

    def bond_for(self, factor: int, price: int) -> int | None:
        """The smallest bond, in whole gwei, with which the attack costs ``factor`` times the defence; None without a bond."""
        if self.deterrent is None:
            return None
        bonds = range(0, MOST_MONEY + 1, GWEI)
        at = bisect_left(bonds, True, key=lambda wei: replace(self, bond=wei).deters(price, factor))
        return bonds[at] if at < len(bonds) else None
