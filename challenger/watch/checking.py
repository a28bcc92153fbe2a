"""Which claims a watcher checks, in which order, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from challenger.checkers.checks import Checks, Done, HeldProgram, Order, Urgency
from challenger.checkers.re_execute import Finding
from challenger.play.trace import ValueTrace
from challenger.reports import meter
from challenger.reports.alerts import Kind
from challenger.reports.reporter import Reporter
from challenger.state.l1_state import L1State
from challenger.troubles import Awaited, noting
from challenger.watch.findings import Checked, Findings
from challenger.watch.modes import WatchConfiguration, WatchMode
from rollup.claim import Address, ClaimId
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.types import ModelId

LATE = 0.75
"""Share of the challenge period after which a claim that was not checked is an alert."""

TRACES = 16
"""Most traces that are ordered at once: as many as will be used before others take their room."""

REST = 4.0
"""How long what failed is let alone, in times of what it took."""


@dataclass
class Checking:
    """Orders checks where there is room for them, and notes findings. ``held``: the programs whose claims are checked; ``ordered``:
    the checks that are under way, and whether each is for the trace alone; ``troubles``: what went wrong, by claim.
    """

    client: L1Client
    l1: L1State
    checks: Checks
    configuration: WatchConfiguration
    account: Address | None
    troubles: dict[ClaimId, Exception]
    reporter: Reporter
    monotonic: Callable[[], float] = time.monotonic
    held: dict[ModelId, HeldProgram] = field(default_factory=dict)
    ordered: set[tuple[ClaimId, bool]] = field(default_factory=set)
    checked: Findings = field(init=False)
    _failed: dict[ClaimId, tuple[Exception, float]] = field(default_factory=dict)
    _unchecked: list[ClaimId] = field(default_factory=list)
    _left_at: tuple[int, int] = (-1, -1)

    def __post_init__(self) -> None:
        self.checked = Findings(self.checks.trace_bytes)

    def take(self, held: HeldProgram) -> None:
        """Check a program's claims, those already posted included."""
        program = held.program
        self.checks.take(held)
        self.held[program.id] = held
        self.l1.headers[program.id] = program.header

    def program(self, claim_id: ClaimId) -> Program:
        """That of a claim which was checked."""
        return self.held[self.checked[claim_id].posted.claim.model_id].program

    def all(self) -> list[ClaimId]:
        """Check every claim that is to be checked, and wait for the findings; returns the claims that were found."""
        waiting = self.unchecked()
        for claim_id in waiting:
            self.order(claim_id)
            self.collect()
        while any((claim_id, False) in self.ordered for claim_id in waiting):
            self.collect(wait=1.0)
        return [claim_id for claim_id in waiting if claim_id in self.checked]

    def final(self) -> int:
        """The last block whose claims are checked."""
        return self.client.chain.head(self.configuration.finality).number

    def unknown(self) -> frozenset[ModelId]:
        """Models with claims that are not settled, whose programs are not held."""
        models = {self.l1.claims[claim_id].claim.model_id for claim_id in self.left()}
        return frozenset(model_id for model_id in models if model_id not in self.held)

    def forget_all_but(self, claims: Iterable[ClaimId]) -> None:
        """Forget what is known of other claims."""
        kept = set(claims)
        for claim_id in [claim_id for claim_id in self.checked if claim_id not in kept]:
            self.checked.drop(claim_id)
        for facts in (self.troubles, self._failed):
            for claim_id in [claim_id for claim_id in facts if claim_id not in kept]:
                del facts[claim_id]

    def unchecked(self) -> list[ClaimId]:
        """Claims that are to be checked: those of the programs held that can be challenged, or about which a game is to be
        played. Those about which this account plays come first, since a clock runs; then the disputed ones; those that
        failed before come last; else in the order of L1.
        """
        return [claim_id for *_, claim_id in sorted(self.waiting(self.final()), key=lambda entry: entry[:3])]

    def waiting(self, final: int) -> Iterator[tuple[bool, bool, bool, ClaimId]]:
        for claim_id in self.left():
            posted = self.l1.claims[claim_id]
            if posted.claim.model_id not in self.held:
                continue
            mine = self.plays(claim_id)
            settled = claim_id in self.l1.convicted
            in_time = not settled and self.l1.seconds_left(claim_id) >= 0
            disputed = not settled and self.configuration.mode >= WatchMode.DEFEND and bool(self.l1.games_of(claim_id))
            if mine or ((in_time or disputed) and self.l1.block_of(claim_id) <= final):
                failed = claim_id in self.troubles or self.checks.failures(claim_id) > 0
                yield failed, not mine, not disputed, claim_id

    def left(self) -> list[ClaimId]:
        """Claims that are known and were not checked, in the order of L1."""
        versions = self.l1.version, self.checked.version
        if versions != self._left_at:
            self._unchecked = [claim_id for claim_id in self.l1.claims if claim_id not in self.checked]
            self._left_at = versions
        return self._unchecked

    def plays(self, claim_id: ClaimId) -> bool:
        """Whether this account has a game about the claim that it must play, or reclaim its bond from."""
        return self.configuration.mode >= WatchMode.CHALLENGE and bool(self.l1.games_of(claim_id, self.account))

    def some(self) -> bool:
        """Order the checks for which there is room; whether some were left that did not fail before."""
        left = False
        for claim_id in self.unchecked():
            if (claim_id, False) in self.ordered or self._rests(claim_id):
                continue
            if self.checks.room(self.l1.claims[claim_id].claim.model_id):
                self.order(claim_id)
            else:
                left = left or claim_id not in self.troubles
        self.collect()
        return left and not self.checks.wakes

    def order(self, claim_id: ClaimId, trace: bool = False) -> None:
        """Have the claim checked, or its right trace made, unless that was ordered before."""
        if (claim_id, trace) in self.ordered:
            return
        claim = self.l1.claims[claim_id].claim
        failed = claim_id in self._failed or self.checks.failures(claim_id) > 0
        begun = trace or self.plays(claim_id)
        urgency = Urgency.AGAIN if failed else Urgency.GAME if begun else Urgency.FRESH
        with noting(self.troubles, claim_id):
            order = Order(claim_id, claim, *self.l1.data_of(claim_id), urgency, trace)
            self.ordered.add((claim_id, trace))
            self.checks.submit(order)
            # No success yet: an earlier trouble stays.
            raise Awaited

    def collect(self, wait: float = 0.0) -> None:
        """Note what was ordered and is done."""
        for done in self.checks.done(wait):
            claim_id = done.order.claim_id
            self.ordered.discard((claim_id, done.order.trace))
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
            self._failed[claim_id] = done.answer, self.monotonic() + REST * done.seconds
            raise done.answer
        self._failed.pop(claim_id, None)
        if isinstance(done.answer, Finding):
            self.checked.add(Checked(self.l1.claims[claim_id], done.answer))
            if not done.answer.honest:
                self.reporter.once(Kind.FALSE_CLAIM, claim_id, f"it is false: {done.answer.reason}")
        elif claim_id in self.checked:
            self.checked.keep(claim_id, done.answer)

    def right(self, claim_id: ClaimId) -> ValueTrace:
        """The right trace of a claim; it is made when a dispute needs it, and again if it was dropped since.

        Raises Awaited if it is ordered, and what went wrong when it was made in this very thread.
        """
        held = self.checked.use(claim_id)
        ordered = sum(trace for _, trace in self.ordered)
        if held is None and ordered < TRACES and not self._rests(claim_id):
            self.order(claim_id, trace=True)
            self.collect()
            held = self.checked.use(claim_id)
        if held is None:
            error, _ = self._failed.get(claim_id, (None, 0.0))
            raise error or Awaited(f"the trace of claim 0x{claim_id.hex()} is being made")
        return held

    def _rests(self, claim_id: ClaimId) -> bool:
        """Whether running something about the claim failed too short a time ago."""
        return claim_id in self._failed and self.monotonic() < self._failed[claim_id][1]

    def tell_late(self) -> None:
        """Alert about claims whose challenge period ends soon, and which were not checked."""
        window = self.client.parameters.window
        last = self.l1.head.number if self.l1.head else 0
        waiting = [claim_id for *_, claim_id in self.waiting(last)]
        meter.WAITING.set(len(waiting))
        for claim_id in waiting:
            left = self.l1.seconds_left(claim_id)
            if 0 <= left < window * (1 - LATE):
                why = f": {self.troubles[claim_id]}" if claim_id in self.troubles else ""
                sentence = f"it is not checked, and can be disputed for {left} s only{why}"
                self.reporter.once(Kind.CLAIM_UNCHECKED_DEADLINE, claim_id, sentence)
