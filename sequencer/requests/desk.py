"""All that a sequencer does about requests, put together: two loops, and what an operator is told of them."""

from __future__ import annotations

from collections.abc import Callable

from rollup.l1.client import L1Client
from rollup.service.loop import Loop
from rollup.service.metrics import gauge
from sequencer.lease import Lease
from sequencer.mirror import Mirror
from sequencer.requests.answering import Answerer, RequestProver, Taking
from sequencer.requests.errands import Errands
from sequencer.requests.policy import Policy
from sequencer.requests.purse import Purse
from sequencer.store import Store

REQUESTS = gauge("sequencer", "requests", "Requests that L1 knows", ["progress"])
BALANCE = gauge("sequencer", "request_account_wei", "Wei of the account that pays for transactions about requests")


class RequestDesk:
    """``client``: of the account that pays for transactions about requests. ``hurry``: called when a claim waits to be posted."""

    def __init__(
        self,
        client: L1Client,
        store: Store,
        mirror: Mirror,
        prover: RequestProver,
        intake: Taking,
        policy: Policy,
        lease_seconds: float,
        poll: float,
        hurry: Callable[[], object],
    ) -> None:
        self._client, self._store = client, store
        self.purse = Purse(client, store, policy)
        self._leases = tuple(Lease(store, name, seconds=lease_seconds) for name in ("requests", "errands"))
        self.answerer = Answerer(store, prover, intake, policy, self.purse.price, hurry)
        self.errands = Errands(client, store, mirror, policy, self.purse, self._leases[1])
        self.loops = (Loop("requests", self._answer, poll), Loop("errands", self.errands.step, poll))

    def _answer(self) -> None:
        if self._leases[0].take():
            self.answerer.step()

    def count(self) -> None:
        """Bring the gauges up to date."""
        for progress, count in self._store.requests.counts().items():
            REQUESTS.labels(progress.value).set(count)
        head = self._store.l1.head()
        if head is not None:
            self.purse.look(head.time)
        BALANCE.set(self._client.chain.wei_of(self._client.account))

    def trouble(self) -> str | None:
        """What keeps requests from being answered or paid for, as a sentence; None if nothing does."""
        return self.purse.trouble

    def close(self) -> None:
        """When no loop runs any more."""
        for lease in self._leases:
            lease.release()
        self.answerer.close()
