"""Parameters of one deployment: durations, arity, bonds. Immutable on L1; the defaults are for a local chain."""

from __future__ import annotations

from dataclasses import dataclass

from rollup.errors import ChainError
from rollup.types import Duration
from rollup.words import show_wei

DURATIONS = ("window", "clock", "spacing", "withdrawal_delay")
"""The fields of ``Parameters`` that are seconds."""

DEFAULT_WINDOW = Duration(3600)
DEFAULT_CLOCK = Duration(1800)

DEFAULT_SPACING = Duration(1)
DEFAULT_WITHDRAWAL_DELAY = Duration(600)

MAX_ARITY = 8
"""Most levels per reveal; 2^8 children are 8 KiB of calldata."""

MOST_MONEY = (1 << 80) - 1
"""Wei that the contract's ledger can hold for one account, as ``Ledger.sol`` says."""


@dataclass(frozen=True)
class Parameters:
    """What a RollupChain is deployed with (docs/contracts.md, *Parameters*). Durations in seconds, amounts in wei.

    ``window``: challenge period, on the challenge clock. ``clock``: each side's chess clock per game. ``spacing``: how long
    the first challenge to a claim stops the challenge clock, at most a window. ``withdrawal_delay``: from announcing a
    withdrawal, or a nonce's cancellation, until it takes effect. ``arity``: tree levels per reveal. ``reward``: paid out
    of the claimant's bond to who convicts, at most half of it, the rest is burned. ``move_fee``: what a losing challenger
    pays for each node that was opened in its game, to whoever opened it. ``collect_fee``: paid to whoever collects a
    timeout.
    """

    window: Duration = DEFAULT_WINDOW
    clock: Duration = DEFAULT_CLOCK
    spacing: Duration = DEFAULT_SPACING
    withdrawal_delay: Duration = DEFAULT_WITHDRAWAL_DELAY
    arity: int = 5
    claim_bond: int = 10**17
    challenge_bond: int = 10**17
    reward: int = 4 * 10**16
    move_fee: int = 10**15
    collect_fee: int = 10**15

    def __post_init__(self) -> None:
        if self.window <= 0 or self.clock <= 0:
            raise ChainError(f"window ({self.window} s) and clock ({self.clock} s) must be positive")
        if not 1 <= self.spacing <= self.window:
            raise ChainError(
                f"a spacing of {self.spacing} s is not playable; choose 1 s to the window's {self.window} s"
            )
        if self.withdrawal_delay <= 0:
            raise ChainError(f"the withdrawal delay ({self.withdrawal_delay} s) must be positive")
        if not 1 <= self.arity <= MAX_ARITY:
            raise ChainError(f"an arity of {self.arity} is not playable; choose 1 to {MAX_ARITY} levels per reveal")
        if min(self.claim_bond, self.challenge_bond, self.reward, self.move_fee, self.collect_fee) < 0:
            raise ChainError("bonds, reward and fees cannot be negative")
        if not self.claim_bond or not self.challenge_bond:
            raise ChainError("claim bond and challenge bond must be positive, or lying and spamming are free")
        if max(self.claim_bond, self.challenge_bond) > MOST_MONEY:
            raise ChainError(
                f"a bond of {show_wei(max(self.claim_bond, self.challenge_bond))} is more than an account can hold; "
                f"choose at most {show_wei(MOST_MONEY)}"
            )
        if self.reward + self.collect_fee > self.claim_bond // 2:
            raise ChainError(
                f"reward and collect fee take {show_wei(self.reward + self.collect_fee)} of {show_wei(self.claim_bond)}; "
                "at least half must burn, or convicting oneself would be free"
            )
        if self.collect_fee > self.challenge_bond:
            raise ChainError(
                f"the collect fee {self.collect_fee} exceeds the challenge bond {self.challenge_bond}; "
                "it is paid out of it"
            )
