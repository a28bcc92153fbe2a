"""What a transaction offers for its place in a block, and for how long it is fought for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rollup.errors import ChainError
from rollup.words import show_wei

GWEI = 10**9

REPLACEMENT = 13
"""Per cent that nodes ask of a replacement's fees: 12.5, rounded up."""

FEW_BLOCKS = 8
"""For so many blocks a transaction is fought for in any case."""

CLOCK_SHARE = 0.1
"""Most of a game's clock that may pass while one transaction is fought for."""


@dataclass(frozen=True)
class Fees:
    """Wei per gas: ``most`` in all, and ``priority`` of it to who builds the block."""

    most: int
    priority: int


@dataclass(frozen=True)
class FeePolicy:
    """``priority``, ``cap``: wei per gas, to begin with and at most. A transaction that is not mined within
    ``bump_after`` seconds is replaced by one that offers at least ``bump_percent`` more; after ``give_up_after`` seconds
    it is given up. ``poll``: most seconds between two looks.
    """

    priority: int = GWEI
    cap: int = 500 * GWEI
    bump_percent: int = 25
    bump_after: float = 30.0
    give_up_after: float = 600.0
    poll: float = 2.0

    def __post_init__(self) -> None:
        if self.bump_percent < REPLACEMENT:
            raise ChainError(
                f"nodes take no replacement that offers {self.bump_percent} % more; ask for {REPLACEMENT} %"
            )
        if not 0 <= self.priority <= self.cap:
            raise ChainError(
                f"a priority fee of {show_wei(self.priority)} does not lie between 0 and the cap, {show_wei(self.cap)}; raise the cap"
            )
        if not 0 < self.poll <= self.bump_after <= self.give_up_after:
            raise ChainError("poll, bump_after and give_up_after are seconds, positive and in this order; correct them")

    def within(self, clock: float, block: float) -> FeePolicy:
        """This policy for whoever plays games with this ``clock`` on a chain with a block every ``block`` seconds: while it waits
        for one transaction, all its other clocks run.
        """
        give_up = min(self.give_up_after, max(CLOCK_SHARE * clock, FEW_BLOCKS * block))
        bump = min(self.bump_after, give_up / 2)
        return replace(self, give_up_after=give_up, bump_after=bump, poll=min(self.poll, bump))

    def first(self, base_fee: int) -> Fees:
        """What to begin with: the base fee may double before the offer is too low."""
        return self._capped(2 * base_fee + self.priority, self.priority)

    def bumped(self, fees: Fees, base_fee: int) -> Fees | None:
        """What replaces an offer, given the base fee now; None if that would exceed the cap."""
        most = max(self._raised(fees.most), 2 * base_fee + self.priority)
        priority = self._raised(fees.priority)
        if most > self.cap:
            # The last step may be smaller, as long as a node takes it for one.
            most = self.cap
            if most < fees.most * (100 + REPLACEMENT) // 100:
                return None
        return self._capped(most, priority)

    def _raised(self, wei: int) -> int:
        return wei * (100 + self.bump_percent) // 100 + 1

    def _capped(self, most: int, priority: int) -> Fees:
        most = min(most, self.cap)
        return Fees(most, min(most, priority))
