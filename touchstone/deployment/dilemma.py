"""The verifier's dilemma in numbers: whether checking pays by itself, and how much must be checked so that lying does not.

A watcher that checks every claim pays for each check and earns a reward for each false claim that it convicts. If everybody tells the
truth because somebody checks, nobody earns anything by checking.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from touchstone.deployment.cast import lies
from touchstone.deployment.gas import FREE
from touchstone.deployment.parameters import Terms


@dataclass(frozen=True)
class Conviction:
    """What convicting a false claim of one kind brings a watcher at one gas price, in wei.

    ``reward``: what it expects of it: ``watchers`` that all check share it, by who challenges first. ``gas``: what it pays at most.
    """

    name: str
    price: int
    reward: Fraction
    gas: int

    @property
    def earning(self) -> Fraction:
        """Below 0 if a conviction is a loss."""
        return self.reward - self.gas

    def profit(self, share: Fraction, check: int) -> Fraction:
        """Wei a claim, if ``share`` of all claims are false and a check costs ``check`` wei."""
        return share * self.earning - check

    def break_even(self, check: int) -> Fraction | None:
        """The share of false claims from which on checking pays by itself; None if it never does."""
        if self.earning <= 0 or check > self.earning:
            return None
        return Fraction(check) / self.earning

    def affordable(self, share: Fraction) -> Fraction:
        """The most that a check may cost, in wei, so that checking pays by itself."""
        return max(Fraction(0), share * self.earning)


def convictions(terms: Terms, price: int, watchers: int = 1) -> tuple[Conviction, ...]:
    """Of every kind of false claim that its liar's own accounts leave alone, what its bond pays going to one of so many watchers."""
    return tuple(
        Conviction(lie.name, price, Fraction(lie.returned, watchers), lie.defender.most * price)
        for lie in lies(terms)
        if lie.attacker == FREE
    )


def checked_share(terms: Terms, worth: int) -> Fraction:
    """The share of claims that must be checked, at random and in secret, so that a false one whose answer is worth ``worth`` wei to
    its liar is a loss.
    """
    return Fraction(worth, worth + terms.lie)


def bearable_worth(terms: Terms, share: Fraction) -> Fraction | None:
    """What an answer may be worth to a liar, in wei, if so large a share of claims is checked; None for no bound."""
    return None if share >= 1 else terms.lie * share / (1 - share)
