"""The watcher: follows L1, checks every claim of the programs that it holds, disputes the false ones until they are
invalid, and helps the right ones.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from challenger.checkers.checks import Checks, Done, Held, Order, Urgency
from challenger.checkers.inline import Inline
from challenger.checkers.re_execute import Finding, Machine
from challenger.play.player import ChallengerPlayer, DefenderPlayer
from challenger.play.trace import TraceStore, ValueTrace
from challenger.reports import meter
from challenger.reports.alerts import Kind, Sink, to_metric
from challenger.reports.reporter import Reporter
from challenger.sending.bundle import NEVER, SHARE, Due, Outbox
from challenger.sending.costs import Costs
from challenger.sending.pace import Pace
from challenger.state.l1_state import L1State
from challenger.troubles import Awaited, noting
from challenger.watch.findings import Checked, Findings
from challenger.watch.guard import Guard
from challenger.watch.modes import Mode
from prover.executor import Executor
from rollup.audit import audit
from rollup.claim import Address, ClaimId
from rollup.errors import Behind, ChainError
from rollup.form.program import Program
from rollup.game.position import ROOT
from rollup.l1.client import GameInfo, L1Client, Receipt
from rollup.l1.events import Challenged
from rollup.l1.node.finality import LATEST, Finality
from rollup.service.redact import without_endpoints
from rollup.types import Duration, ModelId

HELPED = 64
"""Most games about right claims that are read from L1 in one round."""

OUTAGE = 2
"""Rounds in a row that fail because of the node before that is an alert."""

FORGET_BLOCKS = 8
"""How often settled claims are looked for, in blocks."""

LATE = 0.75
"""Share of the challenge period after which a claim that was not checked is an alert."""

TRACES = 16
"""Most traces that are ordered at once: as many as will be used before others take their room."""

REST = 4.0
"""How long what failed is let alone, in times of what it took."""

FOREVER: Final = None


@dataclass(frozen=True)
class Manner:
    """How a watcher behaves.

    ``finality``: what a claim's block must have before the claim is checked; games are played at the latest block.
    ``max_lag``: age in seconds (by the clock on the wall) of the latest block from which on the node lags, and nothing
    is done; None: never. ``remember``: seconds for which claims that are settled are remembered; None: forever.
    ``share``: of a block's gas, what this account's transaction takes. ``block_seconds``: between two blocks; None: as measured.
    """

    mode: Mode = Mode.CHALLENGE
    finality: Finality = LATEST
    max_lag: float | None = None
    remember: Duration | None = FOREVER
    share: float = SHARE
    block_seconds: float | None = None


@dataclass(frozen=True)
class Candidate:
    """A claim about which something may be due, the seconds that it can wait, and how to find out what."""

    claim_id: ClaimId
    slack: float
    due: Callable[[], list[Due]]


class Indefensible(Exception):
    """A claim whose trace is false; nothing can be answered for it."""


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
        manner: Manner = Manner(),
        alert: Sink = to_metric,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        checks: Checks | None = None,
    ) -> None:
        self.l1 = L1State(client.first if first is None else first)
        self.checks: Checks = checks or Inline(machine, monotonic=monotonic)
        self.checked = Findings(self.checks.trace_bytes)
        self.troubles: dict[ClaimId, Exception] = {}
        self.manner = manner
        self._client, self._admit, self._monotonic = client, admit, monotonic
        self._guard = Guard(manner.max_lag, wall)
        self._checkers: dict[ModelId, Held] = {}
        self._ordered: set[tuple[ClaimId, bool]] = set()
        self._failed: dict[ClaimId, tuple[Exception, float]] = {}
        self._player = ChallengerPlayer(client, store)
        self._helper = DefenderPlayer(client, self._player.costs, HELPED)
        self._outbox = Outbox(client, self._player.costs, self.troubles.__setitem__, manner.share)
        self._account = _account(client)
        if manner.mode > Mode.WATCH and self._account is None:
            raise ChainError(f"a watcher in mode {manner.mode.name.lower()} sends transactions; give it an account")
        self._reporter = Reporter(alert, self._account, self.holds)
        self._failures = 0
        self._began = False
        self._unchecked: list[ClaimId] = []
        self._left_at = self._cleared_at = (-1, -1)
        self._forget_next = 0
        self._offered: deque[Held] = deque()
        self.coming: Callable[[ModelId], bool] = lambda model_id: False
        """Whether a model's program may be here soon: no alert about it yet."""
        self.unknown: frozenset[ModelId] = frozenset()
        """Models with claims that are not settled, whose programs are not held, as of the last round."""
        self.backlog = False
        """Whether the last round left something that could be done at once."""
        self.postponed: list[ClaimId] = []
        """False claims that are challenged once the games that are played leave time for it."""
        self.lag: str | None = None
        """Why the last round did nothing: the node lags."""
        self.low: str | None = None
        """Why no bond can be paid any more."""

    @property
    def costs(self) -> Costs:
        """What this watcher's moves cost."""
        return self._player.costs

    def prepare(self, program: Program, folder: Path | None = None) -> Held:
        """What ``take`` takes: the program audited, its machine tested. It may take minutes, in any thread. ``folder``:
        where the program is saved, if it is.

        Raises AuditError if the program is refused.
        """
        self._admit(program)
        return self.checks.prepare(program, folder)

    def take(self, held: Held) -> None:
        """Watch a program's claims, those already posted included."""
        program = held.program
        self.checks.take(held)
        self._checkers[program.id] = held
        self.l1.headers[program.id] = program.header

    def hold(self, program: Program, folder: Path | None = None) -> None:
        """Watch this program's claims; its id is computed here, never believed. Raises AuditError if it is refused."""
        self.take(self.prepare(program, folder))

    def offer(self, held: Held) -> None:
        """Take it in the next round; from any thread."""
        self._offered.append(held)

    def holds(self, model_id: ModelId) -> bool:
        """Whether the model's claims are checked."""
        return model_id in self._checkers

    @property
    def held(self) -> int:
        """Programs that are held."""
        return len(self._checkers)

    def check(self) -> list[Checked]:
        """Read L1's news, and check every claim that was not checked yet and can still be disputed; returns the new
        findings.

        A claim that cannot be checked is noted in ``troubles`` and tried again; it holds up no other.
        """
        self._read()
        waiting = self.unchecked()
        for claim_id in waiting:
            self._order(claim_id)
            self._collect()
        while any((claim_id, False) in self._ordered for claim_id in waiting):
            self._collect(wait=1.0)
        return [self.checked[claim_id] for claim_id in waiting if claim_id in self.checked]

    def unchecked(self) -> list[ClaimId]:
        """Claims that are to be checked: those of the programs held that can be challenged, or about which a game is to be
        played. Those about which this account plays come first, since a clock runs; then the disputed ones; those that
        failed before come last; else in the order of L1.
        """
        return [claim_id for *_, claim_id in sorted(self._waiting(self._final()), key=lambda entry: entry[:3])]

    def _final(self) -> int:
        """The last block whose claims are checked."""
        return self._client.chain.head(self.manner.finality).number

    def _waiting(self, final: int) -> Iterator[tuple[bool, bool, bool, ClaimId]]:
        for claim_id in self._left():
            posted = self.l1.claims[claim_id]
            if posted.claim.model_id not in self._checkers:
                continue
            mine = self._plays(claim_id)
            settled = claim_id in self.l1.convicted
            in_time = not settled and self.l1.seconds_left(claim_id) >= 0
            disputed = not settled and self.manner.mode >= Mode.DEFEND and bool(self.l1.games_of(claim_id))
            if mine or ((in_time or disputed) and self.l1.block_of(claim_id) <= final):
                failed = claim_id in self.troubles or self.checks.failures(claim_id) > 0
                yield failed, not mine, not disputed, claim_id

    def _left(self) -> list[ClaimId]:
        """Claims that are known and were not checked, in the order of L1."""
        versions = self.l1.version, self.checked.version
        if versions != self._left_at:
            self._unchecked = [claim_id for claim_id in self.l1.claims if claim_id not in self.checked]
            self._left_at = versions
        return self._unchecked

    def _plays(self, claim_id: ClaimId) -> bool:
        """Whether this account has a game about the claim that it must play, or reclaim its bond from."""
        return self.manner.mode >= Mode.CHALLENGE and bool(self.l1.games_of(claim_id, self._account))

    def _check_some(self) -> bool:
        """Order the checks for which there is room; whether some were left that did not fail before."""
        left = False
        for claim_id in self.unchecked():
            if (claim_id, False) in self._ordered or self._rests(claim_id):
                continue
            if self.checks.room(self.l1.claims[claim_id].claim.model_id):
                self._order(claim_id)
            else:
                left = left or claim_id not in self.troubles
        self._collect()
        return left and not self.checks.wakes

    def _order(self, claim_id: ClaimId, trace: bool = False) -> None:
        """Have the claim checked, or its right trace made, unless that was ordered before."""
        if (claim_id, trace) in self._ordered:
            return
        claim = self.l1.claims[claim_id].claim
        failed = claim_id in self._failed or self.checks.failures(claim_id) > 0
        begun = trace or self._plays(claim_id)
        urgency = Urgency.AGAIN if failed else Urgency.GAME if begun else Urgency.FRESH
        with noting(self.troubles, claim_id):
            order = Order(claim_id, claim, *self.l1.data_of(claim_id), urgency, trace)
            self._ordered.add((claim_id, trace))
            self.checks.submit(order)
            # No success yet: an earlier trouble stays.
            raise Awaited

    def _collect(self, wait: float = 0.0) -> None:
        """Note what was ordered and is done."""
        for done in self.checks.done(wait):
            claim_id = done.order.claim_id
            self._ordered.discard((claim_id, done.order.trace))
            # A reorganisation may have taken the claim away.
            if claim_id in self.l1.claims:
                with noting(self.troubles, claim_id):
                    self._done(claim_id, done)

    def _done(self, claim_id: ClaimId, done: Done) -> None:
        if not done.order.trace:
            meter.CHECK_SECONDS.observe(done.seconds)
            honest = done.answer.honest if isinstance(done.answer, Finding) else None
            meter.CHECKED.labels({None: "failed", True: "right", False: "false"}[honest]).inc()
        if isinstance(done.answer, Exception):
            self._failed[claim_id] = done.answer, self._monotonic() + REST * done.seconds
            raise done.answer
        self._failed.pop(claim_id, None)
        if isinstance(done.answer, Finding):
            self.checked.add(Checked(self.l1.claims[claim_id], done.answer))
            if not done.answer.honest:
                self._reporter.once(Kind.FALSE_CLAIM, claim_id, f"it is false: {done.answer.reason}")
        elif claim_id in self.checked:
            self.checked.keep(claim_id, done.answer)

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
        self._collect()
        tried: set[ClaimId] = set()
        left = self._make(tried, done)
        if done:
            self._read()
        unchecked = self._check_some()
        left = self._make(tried, done) or left
        self.backlog = unchecked or left
        self._tell_late()
        models = {self.l1.claims[claim_id].claim.model_id for claim_id in self._left()}
        self.unknown = frozenset(model_id for model_id in models if model_id not in self._checkers)
        for model_id in self.unknown:
            if not self.coming(model_id):
                self._reporter.unknown(model_id)

    def _make(self, tried: set[ClaimId], done: list[Receipt]) -> bool:
        """Make the moves that are due, but for those about the claims that were tried, as many as find room in a transaction;
        whether some found none.
        """
        bundle = self._outbox.bundle()
        waiting = sorted(self._candidates(tried), key=lambda one: (one.claim_id in self.troubles, one.slack))
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

    def _candidates(self, tried: set[ClaimId]) -> Iterator[Candidate]:
        """Whatever this account may have to do now, about one claim each."""
        if self.manner.mode >= Mode.CHALLENGE:
            yield from self._disputes(tried)
        if self.manner.mode >= Mode.DEFEND:
            yield from self._helping(tried)

    def _disputes(self, tried: set[ClaimId]) -> Iterator[Candidate]:
        """The games that are played, then new ones, as long as all of them can be played to their end."""
        pace, played, fresh = self._pace(), [], []
        for claim_id in self.false_claims():
            if self._plays(claim_id):
                try:
                    live = [] if claim_id in self.l1.convicted else self._player.live(self.l1, claim_id)
                except Behind as error:
                    # How its games stand is not known in this round.
                    self.troubles[claim_id] = error
                    continue
                if live:
                    works = [self._player.work(self.l1, self._program(claim_id), *one) for one in live]
                    played += works
                    if claim_id not in tried:
                        yield Candidate(claim_id, min(map(pace.slack, works)), partial(self._moves, claim_id))
                    continue
                if claim_id in self.l1.convicted and claim_id not in tried:
                    yield Candidate(claim_id, NEVER, partial(self._moves, claim_id))
            if claim_id not in tried and self._can_begin(claim_id):
                fresh.append(claim_id)
        self.postponed = []
        for claim_id in sorted(fresh, key=lambda one: (one in self.troubles, self.l1.seconds_left(one))):
            begun = self._player.whole(self._program(claim_id))
            if played and not pace.fits([*played, begun]):
                self.postponed.append(claim_id)
            else:
                played.append(begun)
                yield Candidate(claim_id, self.l1.seconds_left(claim_id), partial(self._moves, claim_id))

    def _helping(self, tried: set[ClaimId]) -> Iterator[Candidate]:
        """Right claims whose claimants may not come."""
        right = [claim for claim in self.l1.disputed if claim in self.checked and self.checked[claim].finding.honest]
        strangers = [claim for claim in right if self.l1.claims[claim].claim.claimant != self._account]
        games = [game for claim in strangers if claim not in tried for game in self.l1.games_of(claim)]
        by_claim: dict[ClaimId, list[tuple[Challenged, GameInfo]]] = {}
        for opened, game in self._helper.games.look(self.l1, games):
            by_claim.setdefault(opened.claim_id, []).append((opened, game))
        for claim_id, of_claim in by_claim.items():
            if self._helper.late(self.l1, claim_id, of_claim):
                slack = min(float(game.clocks.defender) for _, game in of_claim if game.clocks)
                yield Candidate(claim_id, slack, partial(self._help, claim_id, of_claim))

    def _pace(self) -> Pace:
        """What this account can do in time."""
        return Pace(self.manner.block_seconds or self._client.chain.block_seconds(), self._outbox.gas)

    def _program(self, claim_id: ClaimId) -> Program:
        return self._checkers[self.checked[claim_id].posted.claim.model_id].program

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
        if self.manner.remember is not None and head >= self._forget_next:
            self._forget_next = head + FORGET_BLOCKS
            for claim_id in self.l1.forget(self.manner.remember, self._plays):
                self.costs.receipts.pop(claim_id, None)
        if self._cleared_at != (self.l1.version, self.checked.version):
            for claim_id in [claim_id for claim_id in self.checked if claim_id not in self.l1.claims]:
                self.checked.drop(claim_id)
            for claim_id in [claim_id for claim_id in self.troubles if claim_id not in self.l1.claims]:
                del self.troubles[claim_id]
            for claim_id in [claim_id for claim_id in self._failed if claim_id not in self.l1.claims]:
                del self._failed[claim_id]
            self._reporter.forget_all_but(self.l1.claims)
            self._cleared_at = self.l1.version, self.checked.version

    def _can_begin(self, claim_id: ClaimId) -> bool:
        unsettled = claim_id not in self.l1.convicted and claim_id not in self._player.unprovable
        return unsettled and self.l1.seconds_left(claim_id) > 0

    def _tell_late(self) -> None:
        """Alert about claims whose challenge period ends soon, and which were not checked, or not disputed."""
        window = self._client.parameters.window
        last = self.l1.head.number if self.l1.head else 0
        waiting = [claim_id for *_, claim_id in self._waiting(last)]
        meter.WAITING.set(len(waiting))
        for claim_id in waiting:
            left = self.l1.seconds_left(claim_id)
            if 0 <= left < window * (1 - LATE):
                why = f": {self.troubles[claim_id]}" if claim_id in self.troubles else ""
                sentence = f"it is not checked, and can be disputed for {left} s only{why}"
                self._reporter.once(Kind.CLAIM_UNCHECKED_DEADLINE, claim_id, sentence)
        for claim_id in self.postponed:
            left = self.l1.seconds_left(claim_id)
            if 0 <= left < window * (1 - LATE):
                sentence = (
                    f"it is false, and is not disputed yet: the games that are played leave no time for another one; it can be "
                    f"disputed for {left} s only"
                )
                self._reporter.once(Kind.CLAIM_UNCHECKED_DEADLINE, claim_id, sentence, "postponed")

    def _moves(self, claim_id: ClaimId) -> list[Due]:
        """What is due about a false claim."""
        slack = float(self.l1.seconds_left(claim_id))
        live = [] if claim_id in self.l1.convicted else self._player.live(self.l1, claim_id)
        program = self._program(claim_id)
        if live:
            slack = min(self._pace().slack(self._player.work(self.l1, program, *one)) for one in live)
        return self._player.due(self.l1, program, claim_id, lambda: self._trace(claim_id), slack)

    def _help(self, claim_id: ClaimId, games: Sequence[tuple[Challenged, GameInfo]]) -> list[Due]:
        """Answers for a right claim in the place of its claimant."""
        program = self._program(claim_id)

        def right() -> ValueTrace:
            trace = self._trace(claim_id)
            # A right output under a false trace root is nobody's to defend.
            if trace.node(ROOT) != self.l1.trace_root(claim_id):
                raise Indefensible
            return trace

        due: list[Due] = []
        with suppress(Indefensible):
            due = self._helper.due(self.l1, program, claim_id, right, games, helps=True)
        if claim_id in self._helper.helpless:
            sentence = "a game about it has gone inside an element, where only its claimant can answer"
            self._reporter.once(Kind.TROUBLE, claim_id, sentence, "inside")
        return due

    def _trace(self, claim_id: ClaimId) -> ValueTrace:
        """The right trace of a claim; it is made when a dispute needs it, and again if it was dropped since.

        Raises Awaited if it is ordered, and what went wrong when it was made in this very thread.
        """
        held = self.checked.use(claim_id)
        ordered = sum(trace for _, trace in self._ordered)
        if held is None and ordered < TRACES and not self._rests(claim_id):
            self._order(claim_id, trace=True)
            self._collect()
            held = self.checked.use(claim_id)
        if held is None:
            error, _ = self._failed.get(claim_id, (None, 0.0))
            raise error or Awaited(f"the trace of claim 0x{claim_id.hex()} is being made")
        return held

    def _rests(self, claim_id: ClaimId) -> bool:
        """Whether running something about the claim failed too short a time ago."""
        return claim_id in self._failed and self._monotonic() < self._failed[claim_id][1]

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
        if self.manner.mode >= Mode.CHALLENGE and funds.free + funds.on_chain < bond:
            self.low = f"{account} has {funds.free + funds.on_chain} wei, a challenge takes {bond}; send it more"
        self._reporter.state(Kind.BALANCE_LOW, self.low)
        return funds


def _account(client: L1Client) -> Address | None:
    try:
        return client.account
    except ChainError:
        return None
