"""The one ledger of balances and locked bonds; the twin of RollupChain's.

At every point: paid in = paid out + free balances + locked bonds + burned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rollup.claim import Address
from rollup.game.refusal import Reason, Refusal


def _add(amounts: Mapping[Address, int], who: Address, wei: int) -> dict[Address, int]:
    return {**amounts, who: amounts.get(who, 0) + wei}


@dataclass(frozen=True)
class Ledger:
    """Amounts in wei."""

    free: Mapping[Address, int] = field(default_factory=dict)
    locked: Mapping[Address, int] = field(default_factory=dict)
    burned: int = 0
    paid_in: int = 0
    paid_out: int = 0

    def balance(self, who: Address) -> int:
        return self.free.get(who, 0)

    def bonds(self, who: Address) -> int:
        return self.locked.get(who, 0)

    def deposit(self, who: Address, wei: int) -> Ledger:
        return replace(self, free=_add(self.free, who, wei), paid_in=self.paid_in + wei)

    def _require_free(self, who: Address, wei: int) -> None:
        if self.balance(who) < wei:
            raise Refusal(
                Reason.INSUFFICIENT_BALANCE,
                f"{who} has {self.balance(who)} wei free and {wei} wei are needed; deposit the difference first",
            )

    def withdraw(self, who: Address, wei: int) -> Ledger:
        self._require_free(who, wei)
        return replace(self, free=_add(self.free, who, -wei), paid_out=self.paid_out + wei)

    def lock(self, who: Address, wei: int) -> Ledger:
        self._require_free(who, wei)
        return replace(self, free=_add(self.free, who, -wei), locked=_add(self.locked, who, wei))

    def unlock(self, who: Address, wei: int) -> Ledger:
        assert self.bonds(who) >= wei
        return replace(self, free=_add(self.free, who, wei), locked=_add(self.locked, who, -wei))

    def forfeit(self, loser: Address, bond: int, payments: Sequence[tuple[Address, int]]) -> Ledger:
        """Take a locked bond, credit the payees, burn the rest."""
        paid = sum(wei for _, wei in payments)
        assert self.bonds(loser) >= bond >= paid
        free = dict(self.free)
        for payee, wei in payments:
            free[payee] = free.get(payee, 0) + wei
        return replace(self, free=free, locked=_add(self.locked, loser, -bond), burned=self.burned + bond - paid)

    @property
    def held(self) -> int:
        """What the contract must hold to honour every balance and bond (burned wei have left it)."""
        return sum(self.free.values()) + sum(self.locked.values())

    @property
    def balanced(self) -> bool:
        return (
            self.paid_in == self.paid_out + self.held + self.burned
            and min(*self.free.values(), *self.locked.values(), 0) >= 0
        )
