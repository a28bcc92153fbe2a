"""One transaction from its nonce to its block: sent, priced up, sent again; mined exactly once or not at all.

Every attempt has the same nonce, so at most one of them is ever mined, whatever the mempool remembers, and whatever an
earlier life of the process left there.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

from eth_utils.crypto import keccak
from web3.types import TxReceipt

from rollup.claim import Address
from rollup.errors import ChainError, Refused, Reverted, StaleView
from rollup.l1.account.fees import GWEI, Fees
from rollup.l1.account.signing import Signer

if TYPE_CHECKING:
    from rollup.l1.node.chain import Chain

KEPT = 64
"""Mined transactions of an account that are kept, to be sent again if a reorganisation loses them."""

SURE = 3
"""Looks in a row that must agree before a node is believed that a nonce was used, or went back."""

FIRST_PAUSE = 0.02
"""Seconds to the second look for a receipt; later ones come more slowly."""

KNOWN = ("already known", "already imported", "known transaction", "alreadyknown")
CHEAP = (
    "underpriced",
    "less than block base fee",
    "fee too low",
    "feecap too low",
    "could not replace",
    "fee cap less",
)
USED = ("nonce too low", "nonce is too low", "invalid transaction nonce", "oldnonce", "old nonce")


@dataclass
class Anchor:
    """An account's nonce as of before the state was read that a decision rests on. It counts on with every transaction
    that was sent under it; once the view turned out to be stale it is ``void``.
    """

    nonce: int
    void: bool = False


@dataclass
class Account:
    """What this process knows of one account of a chain. ``mined``: nonce and raw transaction."""

    lock: RLock = field(default_factory=RLock)
    mined: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT))


@dataclass(frozen=True)
class Attempt:
    hash: bytes
    raw: bytes
    fees: Fees


class Sending:
    """``transaction``: all of it but nonce and fees. To be used under the account's lock."""

    def __init__(self, chain: Chain, account: Account, signer: Signer, transaction: dict[str, Any], nonce: int) -> None:
        self._chain, self._account, self._signer = chain, account, signer
        self._transaction, self._nonce = transaction, nonce
        self._attempts: list[Attempt] = []
        """Those that a node may have."""
        self._offered: Attempt | None = None
        """The newest, whether a node took it or not."""
        self._used = False
        self._gone = self._back = 0
        self._trouble: ChainError | None = None

    def run(self) -> TxReceipt:
        """The receipt of whichever attempt was mined. Raises StaleView if another transaction used the nonce, and
        ChainError if the node takes none, or nothing was mined in time.
        """
        clock, policy = self._chain.clock, self._chain.fees
        started = bump_at = clock.now()
        pause = FIRST_PAUSE
        while True:
            try:
                if clock.now() >= bump_at:
                    bump_at = clock.now() + policy.bump_after
                    self._offer()
                receipt = self._look()
                if receipt is not None:
                    return receipt
                if self._attempts and not self._is_known(self._attempts[-1]):
                    self._send(self._attempts[-1])
            except StaleView:
                raise
            except ChainError as error:
                if not self._attempts:
                    raise
                # The node may be back before the deadline, and mine meanwhile what it has.
                self._trouble = error
            if clock.now() - started >= policy.give_up_after:
                raise self._given_up(clock.now() - started)
            clock.sleep(pause)
            pause = min(1.5 * pause, policy.poll)

    def _offer(self) -> None:
        """Send the first attempt, or a dearer one; the newest again if the cap forbids more."""
        policy, base_fee = self._chain.fees, self._chain.base_fee()
        fees = policy.first(base_fee) if self._offered is None else policy.bumped(self._offered.fees, base_fee)
        while fees is not None:
            self._offered = self._signed(fees)
            if self._send(self._offered):
                return
            fees = policy.bumped(fees, base_fee)
        if self._offered is not None and not self._send(self._offered):
            self._trouble = ChainError(
                f"the node asks for more than the cap of {_gwei(policy.cap)} gwei at a base fee of {_gwei(base_fee)}; "
                "raise the cap, or wait"
            )

    def _signed(self, fees: Fees) -> Attempt:
        priced = {"nonce": self._nonce, "maxFeePerGas": fees.most, "maxPriorityFeePerGas": fees.priority, "type": 2}
        raw = self._signer.sign_transaction(self._transaction | priced)
        return Attempt(keccak(raw), raw, fees)

    def _send(self, attempt: Attempt) -> bool:
        """Hand an attempt to the node; False if it wants more for it. Raises ChainError if it does not answer or take
        it.
        """
        try:
            self._chain.broadcast(attempt.raw)
        except Reverted:
            raise
        except Refused as refused:
            words = str(refused).lower()
            if any(sign in words for sign in CHEAP):
                return False
            if any(sign in words for sign in USED):
                self._used = True
                return True
            if not any(sign in words for sign in KNOWN):
                raise
        except ChainError:
            self._keep(attempt)
            raise
        self._keep(attempt)
        return True

    def _keep(self, attempt: Attempt) -> None:
        if attempt not in self._attempts:
            self._attempts.append(attempt)

    def _look(self) -> TxReceipt | None:
        """The receipt, if an attempt was mined. One that a reorganisation takes away again is looked for again."""
        if self._attempts and (receipt := self._receipt(self._attempts[-1])) is not None:
            return receipt
        count = self._chain.nonce(self._signer.address)
        if count > self._nonce or self._used:
            for attempt in self._attempts:
                if (receipt := self._receipt(attempt)) is not None:
                    return receipt
            self._gone += 1
            if self._gone >= SURE:
                raise stale(self._signer.address, self._nonce)
        else:
            self._gone = 0
        self._back = self._back + 1 if count < self._nonce else 0
        if self._back >= SURE:
            self._back = 0
            self._restore(count)
        return None

    def _receipt(self, attempt: Attempt) -> TxReceipt | None:
        receipt = self._chain.receipt(attempt.hash)
        if receipt is not None:
            self._account.mined.append((self._nonce, attempt.raw))
        return receipt

    def _is_known(self, attempt: Attempt) -> bool:
        return self._chain.knows(attempt.hash)

    def _restore(self, count: int) -> None:
        """A reorganisation lost mined transactions that this one comes after: send them again."""
        mined = dict(self._account.mined)
        for nonce in range(count, self._nonce):
            if nonce not in mined:
                raise StaleView(
                    f"the chain was reorganised: {self._signer.address} is back at nonce {count}; look at L1 again and "
                    "decide anew"
                )
            with suppress(Refused):
                self._chain.broadcast(mined[nonce])

    def _given_up(self, seconds: float) -> ChainError:
        offered = f"{_gwei(self._offered.fees.most)} gwei" if self._offered else "nothing"
        trouble = f"; the last trouble: {self._trouble}" if self._trouble else ""
        known = f"0x{self._attempts[-1].hash.hex()}" if self._attempts else "which no node took"
        return ChainError(
            f"transaction {known} of {self._signer.address} with nonce {self._nonce} was not mined in {seconds:.0f} s, "
            f"{len(self._attempts)} attempts, offering {offered} in the end (cap "
            f"{_gwei(self._chain.fees.cap)}){trouble}. It may still be mined; what is sent next has the same nonce"
        )


def stale(account: Address, nonce: int) -> StaleView:
    return StaleView(
        f"nonce {nonce} of {account} was used by another transaction, which an earlier life of this process may have "
        "sent; look at L1 again and decide anew"
    )


def _gwei(wei: int) -> str:
    return f"{wei / GWEI:.3g}"
