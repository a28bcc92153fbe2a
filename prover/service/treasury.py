"""Keeps an account's free balance on the ledger above what its next bonds need."""

from __future__ import annotations

from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.words import show_wei

BALANCE = gauge("ledger", "free_wei", "Free balance on the ledger, for bonds of claims", ["account"])
EARNED = gauge(
    "ledger", "earned_wei", "Earnings on the ledger: fees, rewards, bonds of challenges that came back", ["account"]
)
LOCKED = gauge("ledger", "locked_wei", "Wei that are held as bonds", ["account"])
WALLET = gauge("ledger", "wallet_wei", "Wei on the chain itself, for gas and deposits", ["account"])
DEPOSITS = counter("ledger", "deposits", "Deposits made", ["account"])

GAS_RESERVE_WEI = 10**16
"""What is left on the chain itself, to pay for moves."""

_log = logger("touchstone.treasury")


class Treasury:
    """``target``: wei of free balance that are topped up to once less than half is left, from earnings first; 0 only looks."""

    def __init__(self, client: L1Client, target: int) -> None:
        self._client, self.target = client, target
        self.problem: str | None = None
        """Why bonds can't be paid for any more; None while they can."""

    def step(self) -> Receipt | None:
        """Look, and deposit if need be. Raises ChainError where the chain fails; lacking money is a ``problem``."""
        sent: list[Receipt | None] = []
        with self._client.anchored():
            sent.append(self._step())
        return sent[0] if sent else None

    def _step(self) -> Receipt | None:
        client, account = self._client, self._client.account
        free, earned, wallet = client.balance(account), client.earnings(account), client.chain.wei_of(account)
        EARNED.labels(account).set(earned)
        BALANCE.labels(account).set(free)
        LOCKED.labels(account).set(client.locked(account))
        WALLET.labels(account).set(wallet)
        receipt = None
        if 2 * free < self.target:
            missing = self.target - free
            possible = min(missing, earned) or min(missing, wallet - GAS_RESERVE_WEI)
            if possible > 0:
                receipt = client.redeposit(possible) if earned else client.deposit(possible)
                free += possible
                BALANCE.labels(account).set(free)
                DEPOSITS.labels(account).inc()
                _log.info("deposited", account=account, wei=possible, free_wei=free, from_earnings=bool(earned))
        bond = client.parameters.claim_bond
        problem = None
        if free < bond:
            problem = (
                f"account {account} has {show_wei(free)} free on the ledger, a claim needs a bond of {show_wei(bond)}; "
                "send it money, or deposit some"
            )
        if problem is not None and self.problem is None:
            _log.error(
                "no bond is left for another claim", account=account, free_wei=free, bond_wei=bond, wallet_wei=wallet
            )
        self.problem = problem
        return receipt
