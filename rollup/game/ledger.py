"""The one ledger of free money, bonds and what was burned; the twin of RollupChain's.

Free money is of two kinds. What was deposited, and bonds of claims that became final, is for claims (``free``): it leaves by
announcing and waiting, so that nobody can take it away in front of a batch. What was paid in for challenges, rewards, fees
and bonds of challenges (``earned``) is for challenges and leaves at once. Bonds are ``locked``.

At every point: paid in = paid out + free + earned + locked + burned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rollup.claim import Address
from rollup.game.refusal import Reason, Refusal
from rollup.types import Duration, Timestamp

Amounts = Mapping[Address, int]
Payments = Sequence[tuple[Address, int]]


def _add(amounts: Amounts, who: Address, wei: int) -> dict[Address, int]:
    return {**amounts, who: amounts.get(who, 0) + wei}


@dataclass(frozen=True)
class Announcement:
    """A withdrawal to come: how much, and from when on."""

    wei: int
    due: Timestamp


@dataclass(frozen=True)
class Ledger:
    """Amounts in wei."""

    free: Amounts = field(default_factory=dict)
    earned: Amounts = field(default_factory=dict)
    locked: Amounts = field(default_factory=dict)
    announced: Mapping[Address, Announcement] = field(default_factory=dict)
    burned: int = 0
    paid_in: int = 0
    paid_out: int = 0

    def balance(self, who: Address) -> int:
        """Free for claims."""
        return self.free.get(who, 0)

    def earnings(self, who: Address) -> int:
        """Free for challenges."""
        return self.earned.get(who, 0)

    def bonds(self, who: Address) -> int:
        return self.locked.get(who, 0)

    def wealth(self, who: Address) -> int:
        """Everything that is the account's, bonds included."""
        return self.balance(who) + self.earnings(who) + self.bonds(who)

    def deposit(self, who: Address, wei: int) -> Ledger:
        """Pay in for claims."""
        return replace(self, free=_add(self.free, who, wei), paid_in=self.paid_in + wei)

    def fund(self, who: Address, wei: int) -> Ledger:
        """Pay in for challenges."""
        return replace(self, earned=_add(self.earned, who, wei), paid_in=self.paid_in + wei)

    def _require_earned(self, who: Address, wei: int) -> None:
        if self.earnings(who) < wei:
            raise Refusal(
                Reason.INSUFFICIENT_EARNINGS,
                f"{who} has {self.earnings(who)} wei for challenges and {wei} wei are needed; send or fund the difference",
            )

    def withdraw(self, who: Address, wei: int) -> Ledger:
        """Take out what is not for claims, at once."""
        self._require_earned(who, wei)
        return replace(self, earned=_add(self.earned, who, -wei), paid_out=self.paid_out + wei)

    def announce(self, who: Address, wei: int, now: Timestamp, delay: Duration) -> Ledger:
        """Announce a withdrawal of what is for claims, in place of the one before; until then it stays usable."""
        announced = Announcement(wei, Timestamp(now + delay))
        return replace(self, announced={**self.announced, who: announced})

    def complete(self, who: Address, now: Timestamp) -> Ledger:
        """Take out what was announced, as far as it is still there."""
        announced = self.announced.get(who)
        if announced is None or not announced.wei:
            raise Refusal(Reason.WITHDRAWAL_NOT_DUE, f"{who} announced no withdrawal; announce it, then wait")
        if now < announced.due:
            raise Refusal(Reason.WITHDRAWAL_NOT_DUE, f"the withdrawal is due at {announced.due}, it is {now}; wait")
        wei = min(announced.wei, self.balance(who))
        rest = {account: one for account, one in self.announced.items() if account != who}
        return replace(self, free=_add(self.free, who, -wei), announced=rest, paid_out=self.paid_out + wei)

    def redeposit(self, who: Address, wei: int) -> Ledger:
        """Make earnings usable for claims."""
        self._require_earned(who, wei)
        return replace(self, earned=_add(self.earned, who, -wei), free=_add(self.free, who, wei))

    def lock_claim(self, who: Address, wei: int) -> Ledger:
        if self.balance(who) < wei:
            raise Refusal(
                Reason.INSUFFICIENT_BALANCE,
                f"{who} has {self.balance(who)} wei free for claims and {wei} wei are needed; deposit the difference first",
            )
        return replace(self, free=_add(self.free, who, -wei), locked=_add(self.locked, who, wei))

    def lock_challenge(self, who: Address, wei: int) -> Ledger:
        self._require_earned(who, wei)
        return replace(self, earned=_add(self.earned, who, -wei), locked=_add(self.locked, who, wei))

    def release_claim(self, who: Address, wei: int) -> Ledger:
        assert self.bonds(who) >= wei
        return replace(self, free=_add(self.free, who, wei), locked=_add(self.locked, who, -wei))

    def release_challenge(self, who: Address, wei: int) -> Ledger:
        assert self.bonds(who) >= wei
        return replace(self, earned=_add(self.earned, who, wei), locked=_add(self.locked, who, -wei))

    def forfeit(self, loser: Address, bond: int, payments: Payments) -> Ledger:
        """Take a locked bond, credit the payees, burn the rest."""
        paid = sum(wei for _, wei in payments)
        assert self.bonds(loser) >= bond >= paid
        earned = dict(self.earned)
        for payee, wei in payments:
            earned[payee] = earned.get(payee, 0) + wei
        return replace(self, earned=earned, locked=_add(self.locked, loser, -bond), burned=self.burned + bond - paid)

    @property
    def held(self) -> int:
        """What the contract must hold to honour every balance and bond (burned wei have left it)."""
        return sum(self.free.values()) + sum(self.earned.values()) + sum(self.locked.values())

    @property
    def balanced(self) -> bool:
        lowest = min(*self.free.values(), *self.earned.values(), *self.locked.values(), 0)
        return self.paid_in == self.paid_out + self.held + self.burned and lowest >= 0
