"""The watcher: follows L1, checks every claim of the programs that it holds, disputes the false ones until they are
invalid, and helps the right ones.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from challenger.checkers.checks import Checks, HeldProgram
from challenger.checkers.inline import Inline
from challenger.checkers.re_execute import Machine
from challenger.play.challenger_player import ChallengerPlayer
from challenger.play.defender_player import DefenderPlayer
from challenger.play.trace import TraceStore
from challenger.reports.alerts import Kind, Sink, to_metric
from challenger.reports.reporter import Reporter
from challenger.sending.bundle import Outbox
from challenger.sending.costs import Costs
from challenger.state.l1_state import L1State
from challenger.troubles import noting
from challenger.watch.checking import Checking
from challenger.watch.findings import Checked
from challenger.watch.guard import LagGuard
from challenger.watch.modes import USUAL, WatchConfiguration, WatchMode
from challenger.watch.playing import Playing
from prover.executor import Executor
from rollup.audit import audit
from rollup.claim import Address, ClaimId
from rollup.errors import ChainError
from rollup.form.program import Program
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.redact import without_endpoints
from rollup.types import ModelId
from rollup.words import show_wei

HELPED = 64
"""Most games about right claims that are read from L1 in one round."""

OUTAGE = 2
"""Rounds in a row that fail because of the node before that is an alert."""

FORGET_BLOCKS = 8
"""How often settled claims are looked for, in blocks."""


@dataclass(frozen=True)
class Funds:
    """Wei of an account: free and locked in the ledger, and on the chain itself, to pay for gas and bonds."""

    free: int
    locked: int
    on_chain: int


class Watcher:
    """One independent account. It keeps nothing that it could not read or compute again.

    ``machine`` makes what re-executes a program in the thread of the games; ``checks`` re-executes programs instead, wherever
    it likes. ``admit`` raises AuditError for a program that is not safe to adjudicate; ``first`` is the block from which L1 is
    read: no later than the deployment's, which is the default (see L1State). ``alert`` is told what an operator wants to know;
    ``wall`` gives seconds since the epoch.

    All of it but ``prepare`` and ``offer`` is for one thread.
    """

    def __init__(
        self,
        client: L1Client,
        store: TraceStore | None = None,
        machine: Callable[[Program], Machine] = Executor,
        admit: Callable[[Program], object] = audit,
        first: int | None = None,
        configuration: WatchConfiguration = USUAL,
        alert: Sink = to_metric,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        checks: Checks | None = None,
    ) -> None:
        self.l1 = L1State(client.first if first is None else first)
        self.troubles: dict[ClaimId, Exception] = {}
        self.configuration = configuration
        self._client, self._admit = client, admit
        self._guard = LagGuard(configuration.max_lag, wall)
        self._account = _account(client)
        if configuration.mode > WatchMode.WATCH and self._account is None:
            raise ChainError(
                f"a watcher in mode {configuration.mode.name.lower()} sends transactions; give it an account"
            )
        self._reporter = Reporter(alert, self._account, self.holds)
        self.checks: Checks = checks or Inline(machine, monotonic=monotonic)
        self._checking = Checking(
            client, self.l1, self.checks, configuration, self._account, self.troubles, self._reporter, monotonic
        )
        self.checked = self._checking.checked
        self._player = ChallengerPlayer(client, store)
        helper = DefenderPlayer(client, self._player.costs, HELPED)
        self._outbox = Outbox(client, self._player.costs, self.troubles.__setitem__, configuration.share)
        self._playing = Playing(
            client,
            self.l1,
            configuration,
            self._checking,
            self._player,
            helper,
            self._outbox,
            self.troubles,
            self._reporter,
        )
        self._failures = 0
        self._began = False
        self._cleared_at = (-1, -1)
        self._forget_next = 0
        self._offered: deque[HeldProgram] = deque()
        self.coming: Callable[[ModelId], bool] = lambda model_id: False
        """Whether a model's program may be here soon: no alert about it yet."""
        self.unknown: frozenset[ModelId] = frozenset()
        """Models with claims that are not settled, whose programs are not held, as of the last round."""
        self.backlog = False
        """Whether the last round left something that could be done at once."""
        self.lag: str | None = None
        """Why the last round did nothing: the node lags."""
        self.low: str | None = None
        """Why no bond can be paid any more."""

    @property
    def costs(self) -> Costs:
        """What this watcher's moves cost."""
        return self._player.costs

    @property
    def postponed(self) -> list[ClaimId]:
        """False claims that are challenged once the games that are played leave time for it."""
        return self._playing.postponed

    def prepare(self, program: Program, folder: Path | None = None) -> HeldProgram:
        """What ``take`` takes: the program audited, its machine tested. It may take minutes, in any thread. ``folder``:
        where the program is saved, if it is.

        Raises AuditError if the program is refused.
        """
        self._admit(program)
        return self.checks.prepare(program, folder)

    def take(self, held: HeldProgram) -> None:
        """Watch a program's claims, those already posted included."""
        self._checking.take(held)

    def hold(self, program: Program, folder: Path | None = None) -> None:
        """Watch this program's claims; its id is computed here, never believed. Raises AuditError if it is refused."""
        self.take(self.prepare(program, folder))

    def offer(self, held: HeldProgram) -> None:
        """Take it in the next round; from any thread."""
        self._offered.append(held)

    def holds(self, model_id: ModelId) -> bool:
        """Whether the model's claims are checked."""
        return model_id in self._checking.held

    @property
    def held(self) -> int:
        """Programs that are held."""
        return len(self._checking.held)

    def check(self) -> list[Checked]:
        """Read L1's news, and check every claim that was not checked yet and can still be disputed; returns the new
        findings.

        A claim that cannot be checked is noted in ``troubles`` and tried again; it holds up no other.
        """
        self._read()
        return [self.checked[claim_id] for claim_id in self._checking.all()]

    def unchecked(self) -> list[ClaimId]:
        """Claims that are to be checked, in that order."""
        return self._checking.unchecked()

    def false_claims(self) -> list[ClaimId]:
        """Claims that were found false, in the order in which they were checked."""
        return self.checked.false()

    def poll(self) -> list[Receipt]:
        """One round: read, make every move that can be made now, check ``CHECKS`` claims at most, challenge those that are
        false, and help those that are right. Returns the moves that were made.

        Games come first, so that a flood of claims costs none of them its clock. What goes wrong about one claim is
        noted in ``troubles`` until a round succeeds, and holds up no other claim. A node that lags ends the round before
        anything is done, one that does not answer wherever it is: raises ChainError.
        """
        try:
            done = self._round()
        except ChainError as error:
            self._failures += 1
            if self._failures >= OUTAGE:
                self._reporter.state(Kind.NODE_LAG, f"no round succeeds: {without_endpoints(str(error))}")
            raise
        self._failures = 0
        return done

    def _round(self) -> list[Receipt]:
        done: list[Receipt] = []
        with self._client.anchored():
            while self._offered:
                self.take(self._offered.popleft())
            self._read()
            self.lag = self._guard.lag(self._client.chain, self.l1.head)
            if self.lag is not None:
                self._reporter.state(Kind.NODE_LAG, self.lag)
            else:
                self._act(done)
                if done:
                    self._read()
                self._reporter.state(Kind.NODE_LAG, None)
        self._reporter.troubles(self.troubles)
        return done

    def _act(self, done: list[Receipt]) -> None:
        """Every move that is due in one transaction; then checks, and what they brought in another one."""
        self._checking.collect()
        tried: set[ClaimId] = set()
        left = self._make(tried, done)
        if done:
            self._read()
        unchecked = self._checking.some()
        left = self._make(tried, done) or left
        self.backlog = unchecked or left
        self._checking.tell_late()
        self._playing.tell_late()
        self.unknown = self._checking.unknown()
        for model_id in self.unknown:
            if not self.coming(model_id):
                self._reporter.unknown(model_id)

    def _make(self, tried: set[ClaimId], done: list[Receipt]) -> bool:
        """Make the moves that are due, but for those about the claims that were tried, as many as find room in a transaction;
        whether some found none.
        """
        bundle = self._outbox.bundle()
        waiting = sorted(self._playing.candidates(tried), key=lambda one: (one.claim_id in self.troubles, one.slack))
        for count, candidate in enumerate(waiting):
            if bundle.full:
                bundle.left += len(waiting) - count
                break
            tried.add(candidate.claim_id)
            with noting(self.troubles, candidate.claim_id):
                bundle.add(candidate.due())
        for made in self._outbox.send(bundle):
            self._reporter.moves(made.claim_id, [made.receipt])
            done.append(made.receipt)
        return bundle.left > 0

    def _read(self) -> None:
        for news in self.l1.pages(self._client):
            # What happened before this process began was told by the one before it.
            if self._began:
                self._reporter.news(self.l1, news)
            self._forget()
        self._began = True

    def _forget(self) -> None:
        """Forget claims that are settled, now and then, and what is known of claims that are not there any more."""
        head = self.l1.head.number if self.l1.head else 0
        if self.configuration.remember is not None and head >= self._forget_next:
            self._forget_next = head + FORGET_BLOCKS
            for claim_id in self.l1.forget(self.configuration.remember, self._checking.plays):
                self.costs.receipts.pop(claim_id, None)
        if self._cleared_at != (self.l1.version, self.checked.version):
            self._checking.forget_all_but(self.l1.claims)
            self._reporter.forget_all_but(self.l1.claims)
            self._cleared_at = self.l1.version, self.checked.version

    def close(self) -> None:
        """End the checks that are under way."""
        self.checks.close()

    def funds(self) -> Funds | None:
        """What the account has; alerts if it can't pay a bond. None for a watcher without an account."""
        if self._account is None:
            return None
        chain, account = self._client.chain, self._account
        funds = Funds(self._client.earnings(account), self._client.locked(account), chain.wei_of(account))
        bond = self._client.parameters.challenge_bond
        self.low = None
        if self.configuration.mode >= WatchMode.CHALLENGE and funds.free + funds.on_chain < bond:
            self.low = f"{account} has {show_wei(funds.free + funds.on_chain)}, a challenge takes {show_wei(bond)}; send it more"
        self._reporter.state(Kind.BALANCE_LOW, self.low)
        return funds


def _account(client: L1Client) -> Address | None:
    try:
        return client.account
    except ChainError:
        return None
