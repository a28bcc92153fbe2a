"""The watcher: follows L1, checks every claim of the programs that it holds, disputes the false ones until they are
invalid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from challenger.book import Book
from challenger.checkers.re_execute import Finding, Machine, ReExecute
from challenger.player import ChallengerPlayer, Costs
from challenger.trace import TraceStore, ValueTrace
from challenger.troubles import noting
from prover.executor import Executor
from rollup.audit import audit
from rollup.claim import ClaimId
from rollup.l1.client import L1Client, Receipt
from rollup.l1.events import ClaimPosted
from rollup.program import Program
from rollup.types import ModelId

CHECKS = 16
"""Most claims checked between two looks at one's games: a flood of claims must not let a clock run out."""


@dataclass(frozen=True)
class Checked:
    """One claim of a model that the watcher holds."""

    posted: ClaimPosted
    finding: Finding


class Watcher:
    """One independent account. It keeps nothing that it could not read or compute again.

    ``machine`` makes what re-executes a program; ``admit`` raises AuditError for a program that is not safe to
    adjudicate; ``first`` is the block from which L1 is read: no later than the deployment's (see Book).
    """

    def __init__(
        self,
        client: L1Client,
        store: TraceStore | None = None,
        machine: Callable[[Program], Machine] = Executor,
        admit: Callable[[Program], object] = audit,
        first: int = 0,
    ) -> None:
        self.book = Book(first)
        self.checked: dict[ClaimId, Checked] = {}
        self.troubles: dict[ClaimId, Exception] = {}
        self._client, self._machine, self._admit = client, machine, admit
        self._checkers: dict[ModelId, ReExecute] = {}
        self._player = ChallengerPlayer(client, store)

    @property
    def costs(self) -> Costs:
        """What this watcher's moves cost."""
        return self._player.costs

    def hold(self, program: Program) -> None:
        """Watch this program's claims, those already posted included; its id is computed here, never believed.

        Raises AuditError if the program is refused.
        """
        self._admit(program)
        self._checkers[program.id] = ReExecute(program, self._machine(program))
        self.book.headers[program.id] = program.header

    def check(self) -> list[Checked]:
        """Read L1's news, and check every claim that was not checked yet and can still be disputed; returns the new
        findings.

        A claim that cannot be checked is noted in ``troubles`` and tried again; it holds up no other.
        """
        self.book.read(self._client)
        waiting = self.unchecked()
        for claim_id in waiting:
            self._check(claim_id)
        return [self.checked[claim_id] for claim_id in waiting if claim_id in self.checked]

    def unchecked(self) -> list[ClaimId]:
        """Claims that are to be checked: those of the programs held that can be challenged, or about which this account
        plays. The latter come first, since a clock runs; those that failed before come last; else in the order of L1.
        """
        now, window = self._client.chain.now(), self._client.parameters.window
        waiting = []
        for claim_id, posted in self.book.claims.items():
            if posted.claim.model_id not in self._checkers or claim_id in self.checked:
                continue
            in_time = claim_id not in self.book.convicted and now <= self.book.posted_at[posted.batch] + window
            mine = any(game.challenger == self._client.account for game in self.book.games.get(claim_id, []))
            if in_time or mine:
                waiting.append((claim_id in self.troubles, not mine, claim_id))
        return [claim_id for *_, claim_id in sorted(waiting, key=lambda entry: entry[:2])]

    def _check(self, claim_id: ClaimId) -> None:
        posted = self.book.claims[claim_id]
        with noting(self.troubles, claim_id):
            finding = self._checkers[posted.claim.model_id].check(posted.claim, *self.book.data_of(claim_id))
            self.checked[claim_id] = Checked(posted, finding)

    def false_claims(self) -> list[ClaimId]:
        """Claims that were found false, in the order of L1."""
        return [claim_id for claim_id, checked in self.checked.items() if not checked.finding.honest]

    def poll(self) -> list[Receipt]:
        """One round: read, make every move that can be made now, check ``CHECKS`` claims at most, and challenge those that
        are false. Returns the moves that were made.

        Games come first, so that a flood of claims costs none of them its clock. What goes wrong about one claim is
        noted in ``troubles`` until a round succeeds, and holds up no other claim.
        """
        self.book.read(self._client)
        done: list[Receipt] = []
        for claim_id in self.false_claims():
            self._play(claim_id, done)
        for claim_id in self.unchecked()[:CHECKS]:
            self._check(claim_id)
            if claim_id in self.checked and not self.checked[claim_id].finding.honest:
                self._play(claim_id, done)
        if done:
            self.book.read(self._client)
        return done

    def _play(self, claim_id: ClaimId, done: list[Receipt]) -> None:
        program = self._checkers[self.checked[claim_id].posted.claim.model_id].program
        with noting(self.troubles, claim_id):
            done += self._player.play(self.book, program, claim_id, self._trace(claim_id))

    def _trace(self, claim_id: ClaimId) -> ValueTrace:
        """The right trace of a false claim; it is made once, when the dispute needs it."""
        checked = self.checked[claim_id]
        if checked.finding.trace is not None:
            return checked.finding.trace
        checker = self._checkers[checked.posted.claim.model_id]
        trace = checker.trace(self.book.data_of(claim_id)[0])
        finding = Finding(checked.finding.honest, checked.finding.reason, trace)
        self.checked[claim_id] = Checked(checked.posted, finding)
        return trace
