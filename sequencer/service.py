"""A running sequencer: store, loops, intake and both apps, put together from plain values; started, watched over, stopped so
that nothing accepted is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from rollup.archive import Programs
from rollup.claim import PostedClaim
from rollup.errors import SettingsError
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted, ClaimSkipped, GroupRefused
from rollup.service.health import Health
from rollup.service.limits import WebLimits
from rollup.service.logs import logger
from rollup.service.loop import Loop
from rollup.service.metrics import counter, gauge
from rollup.service.problem import outward
from rollup.types import Timestamp
from rollup.words import show_wei
from sequencer.admin.app import LIMITS as ADMIN_LIMITS
from sequencer.admin.app import create_admin
from sequencer.admin.operator import Operator
from sequencer.admin.published import Provers
from sequencer.admin.tokens import RoleTokens
from sequencer.api.app import LIMITS as API_LIMITS
from sequencer.api.app import create_api
from sequencer.api.page import DEFAULT_PAGE, PageOptions
from sequencer.api.parts import Parts
from sequencer.api.prover import ProverClient
from sequencer.batcher import Batcher
from sequencer.grouping import Grouping, ProverSigner
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.intake.limits import DEFAULT_LIMITS, Limits
from sequencer.intake.refusals import Busy
from sequencer.intake.writer import Writer
from sequencer.lease import Lease
from sequencer.mirror import Mirror
from sequencer.requests.desk import RequestDesk
from sequencer.requests.policy import DEFAULT_POLICY, Policy
from sequencer.states import Accepted
from sequencer.store import Store, StoreError

CLAIMS = gauge("sequencer", "claims", "Claims that this database knows", ["state"])
PENDING_BYTES = gauge("sequencer", "pending_bytes", "Calldata that the pending claims will take, about")
OLDEST = gauge("sequencer", "oldest_pending_age_seconds", "How long the oldest pending claim has waited, by L1's time")
WRITING = gauge("sequencer", "writer_queue_claims", "Claims that wait for their commit")
DISPUTES = gauge("sequencer", "open_disputes", "Claims that are challenged now")
STOPPED = gauge(
    "sequencer", "clock_stopped_seconds", "How long the clock of challenge periods will stand still from now on"
)
BATCHES = counter("sequencer", "batches_posted", "Batches that this process posted")
POSTED = counter("sequencer", "claims_posted", "Claims in them that L1 took")
POSTED_BYTES = counter("sequencer", "posted_bytes", "Calldata of these batches")
SKIPPED = counter("sequencer", "claims_skipped", "Claims in them that L1 skipped", ["reason"])
GAS = counter("sequencer", "batch_gas", "Gas of these batches")
FEES = counter("sequencer", "batch_fees_wei", "Wei that were paid for this gas")
HEAD = gauge("sequencer", "l1_known_block", "L1 block up to which everything is known")
LAG = gauge("sequencer", "l1_lag_seconds", "Age of that block")
BASE_FEE = gauge("sequencer", "l1_base_fee_wei", "Base fee of L1's next block, as far as it is known")
BALANCE = gauge("sequencer", "account_wei", "Wei of the sequencer's account", ["where"])

ACCOUNT_SECONDS = 10.0
CLEAN_SECONDS = 60.0
COUNT_SECONDS = 2.0
KEYS_KEPT = 24 * 3600
"""Seconds for which answers to idempotency keys are kept."""
PIECE, PIECES = 1000, 100
"""Rows that are looked at in one transaction, and transactions in a row, when old ones are forgotten."""
STALE_SECONDS = 30.0

_log = logger("touchstone.sequencer")


@dataclass(frozen=True)
class SequencerOptions:
    """How a sequencer is to work. Times in seconds.

    ``pending``: claims that may wait at most. ``poll``: between two looks at L1. ``max_lag``: age of the newest block from which
    on the node lags. ``lease``: how long the batching process may be silent. ``first``: block of the deployment.
    ``poor``: wei on the chain below which the account counts as nearly empty.
    """

    limits: Limits = DEFAULT_LIMITS
    web: WebLimits = API_LIMITS
    admin: WebLimits = ADMIN_LIMITS
    prover: str | None = None
    prover_token: str | None = field(default=None, repr=False)
    prover_seconds: float = 60.0
    pending: int = 100_000
    poll: float = 1.0
    max_lag: float = 120.0
    lease: float = 15.0
    poor: int = 10**16
    requests: Policy = DEFAULT_POLICY
    page: PageOptions = DEFAULT_PAGE


class BoundedIntake:
    """An intake that turns claims away while too many wait: what waits must fit the disk, and be posted in time."""

    def __init__(self, intake: Intake, store: Store, most: int) -> None:
        self._intake, self._store, self._most = intake, store, most
        self._full = False

    def look(self) -> None:
        """Count again; often enough, since a look costs the database more than a claim may."""
        self._full = self._store.claims.waiting() >= self._most

    def submit(self, posted: PostedClaim) -> Accepted:
        """As the intake's; raises Busy while it is full."""
        if self._full:
            raise Busy(f"{self._most} claims wait to be posted already; send the claim again later")
        return self._intake.submit(posted)


class SequencerService:
    """All parts of one process. ``client`` pays for batches; ``configuration``: what is in force, without secrets. ``asking``: pays for
    transactions about requests; None: they are not answered here.
    """

    def __init__(
        self,
        client: L1Client,
        store: Store,
        programs: Programs,
        options: SequencerOptions = SequencerOptions(),
        configuration: Callable[[], Mapping[str, Any]] = dict,
        now: Callable[[], float] = time.time,
        asking: L1Client | None = None,
    ) -> None:
        self.client, self.store, self.programs, self.options = client, store, programs, options
        self._configuration, self._now = configuration, now
        self.mirror = Mirror(client, store)
        self.admission = Admission(client, store, options.limits)
        self.writer = Writer(store)
        self.intake = BoundedIntake(Intake(client, store, self.admission, self.writer), store, options.pending)
        self.lease = Lease(store, seconds=options.lease)
        signer = None if options.prover is None else ProverSigner(options.prover, options.prover_token)
        grouping = Grouping(client, signer)
        self.batcher = Batcher(client, store, self.mirror, options.limits, self.lease, grouping=grouping)
        self.prover = (
            ProverClient(options.prover, options.prover_token, client.domain, options.prover_seconds)
            if options.prover is not None
            else None
        )
        self.requests = None if asking is None else self._request_desk(asking)
        self._wei: int | None = None
        self._pruned = 0
        self._counting_after = 0.0
        self.loops = (
            Loop("mirror", self._mirror, options.poll),
            Loop("batcher", self._batch, options.poll),
            Loop("counts", self._count, COUNT_SECONDS),
            Loop("account", self._look_at_account, ACCOUNT_SECONDS),
            Loop("cleaning", self._clean, CLEAN_SECONDS),
            *(() if self.requests is None else self.requests.loops),
        )
        self.health = Health()
        self.health.add("database", store.trouble)
        self.health.add("chain", lambda: self._lags() or self.loops[0].stale(max(STALE_SECONDS, 10 * options.poll)))
        self.health.add("batcher", self._stuck)
        self.health.add("account", self._poor)
        if self.requests is not None:
            self.health.add("requests", self.requests.trouble)

    def _request_desk(self, asking: L1Client) -> RequestDesk:
        options = self.options
        if options.prover is None:
            raise SettingsError(
                "requests need a prover that answers them; name it, or leave the account for requests out"
            )
        # A connection belongs to the thread that opened it: this one is not the API's.
        prover = ProverClient(options.prover, options.prover_token, self.client.domain, options.prover_seconds)
        return RequestDesk(
            asking,
            self.store,
            self.mirror,
            prover,
            self.intake,
            options.requests,
            options.lease,
            options.poll,
            self._hurry,
        )

    def _hurry(self) -> None:
        self.batcher.hurry()
        self.loops[1].wake()

    def api(self) -> FastAPI:
        """The public app."""
        store, client, options = self.store, self.client, self.options
        parts = Parts(store, client, self.intake, self.programs, self.health, self.prover, self._now, page=options.page)
        return create_api(parts, options.web)

    def admin(self, tokens: RoleTokens) -> FastAPI:
        """The operator's app."""
        operator = Operator(
            self.store,
            self.client,
            self.programs,
            self.batcher,
            self.health,
            self._configuration,
            self.mirror.sync,
            wake=self.loops[1].wake,
            published=Provers(() if self.options.prover is None else (self.options.prover,)),
            loops=self.loops,
            now=self._now,
        )
        return create_admin(operator, tokens, self.options.admin)

    def start(self) -> None:
        """Read L1, then begin to take and to post. Raises ChainError or StoreError if that can't begin."""
        self._mirror()
        self.intake.look()
        self.writer.start()
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """To be called when no request is answered any more: write what was taken, let the step at hand end, go."""
        written = self.writer.stop()
        stopped = [loop.stop() for loop in self.loops]
        if all(stopped):
            try:
                self.lease.release()
                if self.requests is not None:
                    self.requests.close()
            except StoreError as error:
                _log.warning("the lease was not given back; it ends by itself", error=str(error))
        if not (written and all(stopped)):
            _log.error("some parts did not stop in time", written=written, loops=stopped)
        self.store.close()
        _log.info("stopped")

    # What the loops do

    def _mirror(self) -> None:
        head = self.mirror.sync()
        self.admission.refresh()
        HEAD.set(head.number)
        LAG.set(max(0.0, self._now() - head.time))

    def _batch(self) -> None:
        receipt = self.batcher.step()
        if receipt is not None:
            self._tell(receipt)
            self.admission.refresh()

    def _tell(self, receipt: Receipt) -> None:
        posted = sum(isinstance(event, ClaimPosted) for event in receipt.events)
        skipped = [event.reason for event in receipt.events if isinstance(event, ClaimSkipped)]
        for event in receipt.events:
            skipped += [event.reason] * event.count if isinstance(event, GroupRefused) else []
        BATCHES.inc()
        POSTED.inc(posted)
        POSTED_BYTES.inc(receipt.data_bytes)
        GAS.inc(receipt.gas)
        FEES.inc(receipt.fee)
        for reason in skipped:
            SKIPPED.labels(reason).inc()
        _log.info(
            "batch posted",
            claims=posted,
            skipped=len(skipped),
            gas=receipt.gas,
            fee=receipt.fee,
            block=receipt.block,
            transaction=f"0x{receipt.transaction.hex()}",
        )

    def _count(self) -> None:
        self._count_all()
        oldest, head = self.store.claims.oldest_waiting(), self.store.l1.head()
        OLDEST.set(max(0, head.time - oldest) if oldest is not None and head is not None else 0)
        WRITING.set(self.writer.depth())
        DISPUTES.set(self.store.disputes.open_count())
        STOPPED.set(max(0.0, self.store.l1.clock().resumes_at - self._now()))
        self.intake.look()

    def _count_all(self) -> None:
        """Claims by state and bytes that wait: over years there are many, so this takes a fiftieth of the time at most."""
        begun = time.monotonic()
        if begun < self._counting_after:
            return
        for state, count in self.store.claims.counts().items():
            CLAIMS.labels(state.value).set(count)
        PENDING_BYTES.set(self.store.claims.waiting_bytes())
        ended = time.monotonic()
        self._counting_after = ended + 50 * (ended - begun)

    def _look_at_account(self) -> None:
        client = self.client
        self._wei = client.chain.wei_of(client.account)
        BALANCE.labels("chain").set(self._wei)
        BALANCE.labels("free").set(client.balance(client.account))
        BALANCE.labels("earned").set(client.earnings(client.account))
        BALANCE.labels("locked").set(client.locked(client.account))
        BASE_FEE.set(client.chain.base_fee())
        if self.requests is not None:
            self.requests.count()

    def _clean(self) -> None:
        now = int(self._now())
        unfinished = now - int(2 * self.options.prover_seconds) - 120
        # In pieces, so that no claim waits long for its commit.
        for _ in range(PIECES):
            if not self.store.answers.prune(Timestamp(now - KEYS_KEPT), Timestamp(unfinished), PIECE):
                break
        for _ in range(PIECES):
            behind, self._pruned = self._pruned, self.store.changes.prune(self._pruned, PIECE)
            if behind == self._pruned:
                break

    # Health

    def _lags(self) -> str | None:
        head = self.store.l1.head()
        behind = 0.0 if head is None else self._now() - head.time
        if behind > self.options.max_lag:
            return f"the newest block that is known is {behind:.0f} s old; the node lags, or the chain stands still"
        return None

    def _stuck(self) -> str | None:
        trouble = self.loops[1].trouble
        return None if trouble is None else f"batches can't be posted just now ({outward(trouble)}); see the log"

    def _poor(self) -> str | None:
        if self._wei is None or self._wei >= self.options.poor:
            return None
        left, least = show_wei(self._wei), show_wei(self.options.poor)
        return f"the account {self.client.account} has {left} left for gas, less than {least}; send it some"
