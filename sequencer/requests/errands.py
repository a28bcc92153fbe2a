"""Tells the Requests contract what L1 bears out: shows final claims, notes those that are late, makes callbacks and requests that are due.

One transaction at a time, with a nonce that is fixed before the store is asked what there is to do: what an earlier life left behind has
the same one, so it is mined instead, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rollup.batch import Inclusion
from rollup.errors import EncodingError, Refused, Reverted, StaleView
from rollup.form.encoding import Header, decode_header
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.requests import calls
from rollup.l1.requests.events import CallbackFailed
from rollup.l1.requests.reads import budget_of
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.types import ModelId
from sequencer.lease import Lease
from sequencer.mirror import Mirror
from sequencer.requests.policy import (
    NOTE_GAS,
    STRIKE_GAS,
    Policy,
    answer_gas,
    renew_gas,
    request_gas,
)
from sequencer.requests.purse import Errand, Purse
from sequencer.requests.states import Asked, Subscribing
from sequencer.states import Entry, Head, State, inclusion_of
from sequencer.store import Store

LOOKED_AT = 500
"""Of every kind of errand in one step."""

DUE = 50
"""Subscriptions of which L1 is asked in one step whether their budget is used up; each has its turn."""

LATE = (State.POSTED, State.CHALLENGED, State.FINAL)

SENT_AT_ONCE = 8
"""Transactions of one step at most: then others that need the thread have their turn."""

PAUSE_BLOCKS, LONGEST_PAUSE = 5, 160
"""Blocks until something that did not work is tried again; they double with every failure."""

UNPAID = 20
"""Errands in a row that can't be paid, before a step gives up."""

REMEMBERED = 10_000
"""Things that did not work which are paused at once; more are tried again."""

FAILED = counter("sequencer", "request_callbacks_failed", "Callbacks that failed when this process made them")
WAITING = gauge(
    "sequencer", "requests_final_unshown", "Final claims that answer requests and are not shown to the contract yet"
)

_log = logger("touchstone.requests")


@dataclass
class Errands:
    """For one thread. ``client``: the account that pays; its own, so that batches never wait for it."""

    client: L1Client
    store: Store
    mirror: Mirror
    policy: Policy
    purse: Purse
    lease: Lease | None = None
    _pauses: dict[tuple[str, bytes], tuple[int, int]] = field(default_factory=dict)
    _turn: int = -1
    _empty: dict[bytes, int] = field(default_factory=dict)

    def step(self) -> int:
        """Send what is to be sent; returns how many transactions that were. Raises ChainError or StoreError if nothing can be said."""
        sent = 0
        while sent < SENT_AT_ONCE and (self.lease is None or self.lease.take()):
            head = self.mirror.sync()
            self.client.anchor(head.number)
            try:
                if not self._one(head):
                    break
            except StaleView:
                # An earlier life's transaction came first: look at what it did.
                pass
            finally:
                self.client.release_anchor()
            sent += 1
        if sent:
            self.mirror.sync()
        return sent

    def _one(self, head: Head) -> bool:
        """Send the first errand that can be sent; whether there was one."""
        unpaid = 0
        for errand in self._errands(head):
            try:
                done = self.purse.run(errand, head.time)
            except Reverted as error:
                # Somebody else's transaction in the same block came first.
                done = f"L1 refused {errand.call.name}: {error}"
            if isinstance(done, Receipt):
                self._pauses.pop((errand.call.name, errand.named), None)
                FAILED.inc(sum(isinstance(event, CallbackFailed) for event in done.events))
                return True
            if done == self.purse.trouble:
                # It is not the errand's fault: it is not put off, and a smaller one may be paid.
                unpaid += 1
                if unpaid == UNPAID:
                    break
                continue
            self._pause(errand, head)
            _log.info("not sent", call=errand.call.name, about=f"0x{errand.named.hex()}", reason=done)
        return False

    def _pause(self, errand: Errand, head: Head) -> None:
        if len(self._pauses) >= REMEMBERED:
            self._pauses.clear()
        about = (errand.call.name, errand.named)
        _, blocks = self._pauses.get(about, (0, PAUSE_BLOCKS))
        self._pauses[about] = (head.number + blocks, min(2 * blocks, LONGEST_PAUSE))

    def _paused(self, call: str, named: bytes, head: Head) -> bool:
        return self._pauses.get((call, named), (0, 0))[0] > head.number

    def _errands(self, head: Head) -> Iterator[Errand]:
        """What there is to do, the most urgent first."""
        yield from self._late(head)
        yield from self._answers(head)
        yield from self._strikes(head)
        yield from self._renewals(head)
        yield from self._deliveries(head)

    def _answers(self, head: Head) -> Iterator[Errand]:
        """Final claims of ours."""
        own = self.store.requests.accounts()
        found = self.store.requests.with_claims([State.FINAL], own, LOOKED_AT)
        WAITING.set(len(found))
        for asked, claim_id in found:
            if self._paused("answer", asked.request_id, head):
                continue
            entry, header = self.store.claims.get(claim_id), self._header(asked.request.model_id)
            where = None if entry is None else self._inclusion(entry)
            if entry is None or where is None or header is None:
                continue
            call = calls.answer(asked.request, asked.data, entry.posted.claim, where, entry.posted.outputs)
            yield Errand(asked.request_id, call, answer_gas(header, asked.request, len(asked.data)), asked.request.pay)

    def _late(self, head: Head) -> Iterator[Errand]:
        """Claims of ours that must hold the fee: it could be taken back before they are final, or shown."""
        window = self.client.parameters.window
        own = self.store.requests.accounts()
        for asked, claim_id in self.store.requests.with_claims(LATE, own, LOOKED_AT):
            over = asked.standing.until + 2 * window
            early = head.time < over - window // 2
            if early or claim_id in asked.standing.noted or self._paused("note", asked.request_id, head):
                continue
            entry = self.store.claims.get(claim_id)
            if entry is None:
                continue
            batch = None if entry.batch is None else self.store.batches.get(entry.batch)
            where = inclusion_of(entry, batch)
            last = over - window // 4
            shown = entry.state is State.POSTED or head.time < last
            in_time = entry.state is not State.CHALLENGED and batch is not None and batch.final_after < last and shown
            if where is not None and not in_time:
                call = calls.note(asked.request, entry.posted.claim, where)
                yield Errand(asked.request_id, call, NOTE_GAS, asked.request.pay)

    def _strikes(self, head: Head) -> Iterator[Errand]:
        """Claims that hold a fee and were proven false, whoever made and noted them."""
        for asked in self.store.requests.noted(LOOKED_AT):
            for claim_id in sorted(asked.standing.noted):
                paused = self._paused("strike", asked.request_id, head)
                if not paused and self.store.claims.state(claim_id) is State.INVALID:
                    yield Errand(asked.request_id, calls.strike(asked.request_id, claim_id), STRIKE_GAS)

    def _deliveries(self, head: Head) -> Iterator[Errand]:
        """Callbacks that failed, and would not fail now."""
        for asked in self.store.requests.undelivered(LOOKED_AT):
            standing, header = asked.standing, self._header(asked.request.model_id)
            pause = PAUSE_BLOCKS << min(standing.failures, 20)
            if standing.failures > self.policy.retries or head.number < standing.failed_in + pause or header is None:
                continue
            if self._paused("deliver", asked.request_id, head):
                continue
            entry = None if standing.answer is None else self.store.claims.get(standing.answer)
            paid_to_us = standing.claimant in self.store.requests.accounts()
            if entry is None or not paid_to_us or not self._would_take(asked, entry.posted.outputs):
                continue
            gas = answer_gas(header, asked.request, len(asked.data))
            yield Errand(asked.request_id, calls.deliver(asked.request, asked.data, entry.posted.outputs), gas)

    def _would_take(self, asked: Asked, outputs: bytes) -> bool:
        """Whether the consumer takes the call at this moment; asking costs nothing."""
        if not self.client.chain.has_code(asked.request.callback):
            return False
        message = calls.callback(asked.request_id, outputs, asked.data)
        gas = asked.request.gas_limit + 21_000 + 16 * len(message)
        try:
            self.client.chain.call(asked.request.callback, message, self.client.requests_address, gas=gas)
        except (Reverted, Refused):
            # Of a consumer that burns its gas, nodes say so in words of their own.
            return False
        return True

    def _renewals(self, head: Head) -> Iterator[Errand]:
        """Subscriptions whose next request is due and worth an answer."""
        found = self.store.requests.due(head.time, self._turn, DUE)
        self._turn = found[-1].subscription.number if len(found) == DUE else -1
        for one in found:
            if self._paused("renew", one.subscription_id, head):
                continue
            first, header = one.subscription.first, self._header(one.subscription.first.model_id)
            if header is None or not self._has_budget(one, head):
                continue
            gas = renew_gas(len(one.data))
            answer = request_gas(header, first, len(one.data)) * self.purse.price() * self.policy.percent // 100
            yield Errand(one.subscription_id, calls.renew(one.subscription, one.data), gas, first.pay - answer)

    def _has_budget(self, one: Subscribing, head: Head) -> bool:
        """L1's word, which is asked for again after a while only if it was no: no event says that a budget is used up."""
        if self._empty.get(one.subscription_id, 0) > head.number:
            return False
        due, left = budget_of(self.client, one.subscription_id)
        if left == 0:
            self._empty[one.subscription_id] = head.number + 256
        return left > 0 and due <= head.time

    def _inclusion(self, entry: Entry) -> Inclusion | None:
        return inclusion_of(entry, None if entry.batch is None else self.store.batches.get(entry.batch))

    def _header(self, model_id: ModelId) -> Header | None:
        data = self.store.l1.header(model_id)
        try:
            return None if data is None else decode_header(data)
        except EncodingError:
            return None
