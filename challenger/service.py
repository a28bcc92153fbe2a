"""The watcher as a service: its rounds, its programs, its money, its health and its numbers. What it has to say over HTTP is
health and metrics alone.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

from challenger.checkers.budget import Budget
from challenger.checkers.checks import Checks
from challenger.checkers.pool import Pool
from challenger.checkers.re_execute import Machine
from challenger.play.trace import TraceStore
from challenger.publications.library import Library, Wanted
from challenger.reports import meter
from challenger.reports.alerts import Sink, to_all, to_log, to_metric
from challenger.watch.modes import WatchConfiguration, WatchMode
from challenger.watch.watcher import Watcher
from prover.executor import Executor
from rollup import hashing
from rollup.audit import audit
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.service.fetch import FetchLimits
from rollup.service.health import Health
from rollup.service.logs import logger
from rollup.service.loop import Loop
from rollup.service.web import WebLimits, create_app

LIBRARY_SECONDS = 2.0
GAS_RESERVE_WEI = 10**16
"""What stays on the chain itself when the ledger's balance is topped up, to pay for moves."""

_log = logger("touchstone.watcher")


@dataclass(frozen=True)
class WatcherOptions:
    """What a watcher does, besides the chain that it is on and its configuration.

    ``folders``: of local programs. ``wanted``: programs to fetch; ``programs``: where they are kept (None: while the
    process lives). ``fetching``: limits of programs that are fetched; None: what can be checked in time. ``deposit``: wei of free
    balance on the ledger that are topped up to once less than half is left.
    ``poll``: seconds between two rounds in which nothing happens.
    """

    folders: Sequence[Path] = ()
    wanted: Wanted = field(default_factory=Wanted)
    programs: Path | None = None
    deposit: int = 0
    poll: float = 1.0
    limits: WebLimits = field(default_factory=WebLimits)
    fetching: FetchLimits | None = None


class WatcherService:
    """One watcher with its loops. ``sinks``: where alerts go besides the log and the metric. ``checks``: who runs programs;
    without it, ``machine`` in the thread of the rounds. ``admit``: see Watcher.
    """

    def __init__(
        self,
        client: L1Client,
        configuration: WatchConfiguration,
        options: WatcherOptions,
        store: TraceStore | None = None,
        sinks: Sequence[Sink] = (),
        machine: Callable[[Program], Machine] = Executor,
        wall: Callable[[], float] = time.time,
        checks: Checks | None = None,
        admit: Callable[[Program], object] = audit,
    ) -> None:
        self._client, self._options, self._wall = client, options, wall
        alert = to_all([to_log(_log), to_metric, *sinks])
        self.watcher = Watcher(
            client, store, machine, admit, configuration=configuration, alert=alert, wall=wall, checks=checks
        )
        self._scratch = None if options.programs else Path(tempfile.mkdtemp(prefix="touchstone-programs-"))
        folder = options.programs or self._scratch
        assert folder is not None
        self.library = Library(self.watcher, folder, options.wanted, options.fetching or self._limits(checks))
        self.rounds = Loop("watch", self.step, options.poll)
        self.programs = Loop("programs", self.library.step, LIBRARY_SECONDS)
        if isinstance(checks, Pool):
            checks.wake = self.rounds.wake
        self.health = Health()
        self.health.add("models", self._no_models)
        self.health.add("chain", lambda: self.watcher.lag or self.rounds.stale(max(60.0, 10 * options.poll)))
        self.health.add("bond", lambda: self.watcher.low)

    def _limits(self, checks: Checks | None) -> FetchLimits:
        if isinstance(checks, Pool):
            # What it can't check within its budget it refuses itself: it measures.
            return FetchLimits(trace_bytes=checks.budget.trace_bytes)
        budget = Budget.of(self._client.parameters)
        return FetchLimits.within(budget.seconds, budget.trace_bytes)

    @property
    def app(self) -> FastAPI:
        """``/healthz``, ``/readyz`` and ``/metrics``."""
        return create_app("Touchstone watcher", "Health and metrics of a watcher.", self.health, self._options.limits)

    def start(self) -> None:
        """Hold the local programs (each is audited and tested on this machine), then begin the rounds."""
        for folder in self._options.folders:
            model = f"0x{self.library.load(folder).hex()}"
            _log.info("program held", model=model, folder=str(folder), hashing=str(hashing.choice()))
        self.rounds.start()
        if self.library.fetches:
            self.programs.start()

    def stop(self) -> None:
        """End the loops; a move that is under way is finished first."""
        # Whoever waits for a check waits no longer.
        self.watcher.close()
        self.programs.stop()
        self.rounds.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def step(self) -> None:
        """One round, and the numbers after it; the next one follows at once if there is more to do."""
        moves = self.watcher.poll()
        self._measure()
        if moves or self.watcher.backlog:
            self.rounds.wake()
        elif self.watcher.configuration.mode >= WatchMode.CHALLENGE and self.watcher.lag is None:
            self._top_up()

    def _measure(self) -> None:
        l1, funds = self.watcher.l1, self.watcher.funds()
        if l1.head is not None:
            meter.HEAD.set(l1.head.number)
            meter.LAG.set(max(0.0, self._wall() - l1.head.timestamp))
        meter.CLAIMS.set(len(l1.claims))
        if funds is not None:
            account = self._client.account
            meter.GAMES.set(sum(len(l1.games_of(claim_id, account)) for claim_id in l1.disputed))
            for where, wei in (("free", funds.free), ("locked", funds.locked), ("chain", funds.on_chain)):
                meter.BALANCE.labels(where).set(wei)

    def _top_up(self) -> None:
        client, target = self._client, self._options.deposit
        if target == 0:
            return
        with client.anchored():
            free, wallet = client.earnings(client.account), client.chain.wei_of(client.account)
            missing = min(target - free, wallet - GAS_RESERVE_WEI)
            if 2 * free < target and missing > 0:
                client.fund(missing)
                _log.info("funded", wei=missing, free_wei=free + missing)

    def _no_models(self) -> str | None:
        if self.watcher.held:
            return None
        reasons = [str(self.programs.trouble)] if self.programs.trouble else []
        reasons += [why for why, _ in list(self.library.refused.values())[:3]]
        why = f" ({'; '.join(reasons)})" if reasons else ""
        return f"no program is held yet, so no claim is checked{why}; name a folder or a sequencer that has one"
