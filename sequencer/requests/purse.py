"""What is sent to the Requests contract: simulated, priced and counted before it costs anything."""

from __future__ import annotations

from dataclasses import dataclass

from rollup.errors import Refused, Reverted
from rollup.l1.answers import Receipt
from rollup.l1.calls import Call
from rollup.l1.client import L1Client
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.types import Timestamp
from rollup.words import show_wei
from sequencer.requests.policy import DAY, Policy
from sequencer.store import Store

SENT = counter("sequencer", "request_transactions", "Transactions about requests", ["call"])
REFUSED = counter(
    "sequencer", "request_transactions_refused", "Those that L1 would have refused, and were not sent", ["call"]
)
GAS = counter("sequencer", "request_gas", "Gas of these transactions")
FEES = counter("sequencer", "request_fees_wei", "Wei that were paid for this gas")
SPENT = gauge(
    "sequencer", "request_spent_wei", "Wei that transactions about requests cost, or may cost, in the last day"
)

_log = logger("touchstone.requests")


@dataclass(frozen=True)
class Errand:
    """A transaction that is worth something. ``named``: the request or subscription; ``gas``: its limit; ``worth``: wei that it may cost
    at most to be worth it, None if it is sent anyway.
    """

    named: bytes
    call: Call
    gas: int
    worth: int | None = None


class Purse:
    """``client``: the account that pays. Not more than ``policy.spend_wei`` is spent in a day of L1's time, whatever is killed when:
    what a transaction may cost is written down before it is sent.
    """

    def __init__(self, client: L1Client, store: Store, policy: Policy) -> None:
        self._client, self._store, self._policy = client, store, policy
        self.trouble: str | None = None
        """Why the last transaction could not be paid, as a sentence; None if it could."""
        self._wanted = 0

    def price(self) -> int:
        """Wei that a gas costs now."""
        return self._client.chain.base_fee() + self._client.chain.fees.priority

    def spent(self, now: Timestamp) -> int:
        found = self._store.requests.spent(Timestamp(now - DAY))
        SPENT.set(found)
        return found

    def run(self, errand: Errand, now: Timestamp) -> Receipt | str:
        """Send it; or why it is not sent, in words. Raises StaleView or ChainError if nothing can be said now."""
        base_fee = self._client.chain.base_fee()
        expected = errand.gas * (base_fee + self._client.chain.fees.priority)
        most = errand.gas * self._client.chain.fees.first(base_fee).most
        if errand.worth is not None and expected > errand.worth:
            return f"{errand.call.name} costs up to {show_wei(expected)} now and earns {show_wei(errand.worth)}; it waits for cheaper gas"
        self._wanted = most
        self.trouble = self._short(most, now)
        if self.trouble is not None:
            return self.trouble
        refused = self._simulated(errand)
        if refused is not None:
            REFUSED.labels(errand.call.name).inc()
            return refused
        number = self._store.requests.reserve(errand.named, errand.call.name, most, now)
        receipt = self._client.send(errand.call, gas=errand.gas)
        self._store.requests.settle(number, receipt.fee)
        SENT.labels(errand.call.name).inc()
        GAS.inc(receipt.gas)
        FEES.inc(receipt.fee)
        _log.info(
            "sent",
            call=errand.call.name,
            about=f"0x{errand.named.hex()}",
            gas=receipt.gas,
            fee=receipt.fee,
            block=receipt.block,
        )
        return receipt

    def look(self, now: Timestamp) -> None:
        """Whether what could not be paid could be now."""
        if self.trouble is not None:
            self.trouble = self._short(self._wanted, now)

    def _short(self, most: int, now: Timestamp) -> str | None:
        spent, bound = self.spent(now), self._policy.spend_wei
        if spent + most > bound:
            return (
                f"{show_wei(spent)} of {show_wei(bound)} a day are spent on requests; raise --requests-spend, or wait"
            )
        held = self._client.chain.wei_of(self._client.account)
        if held < most:
            return (
                f"the account {self._client.account} has {show_wei(held)} for requests, a transaction may cost {show_wei(most)}; "
                "send it some"
            )
        return None

    def _simulated(self, errand: Errand) -> str | None:
        client = self._client
        try:
            client.chain.call(client.requests_address, errand.call.data, client.account, gas=errand.gas)
        except (Reverted, Refused) as error:
            return f"L1 would refuse {errand.call.name}: {error}"
        return None
