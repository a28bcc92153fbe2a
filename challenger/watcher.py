"""The watcher: follows L1, checks every claim of the programs that it holds, disputes the false ones until they are
invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from challenger.book import Book
from challenger.checkers.re_execute import Finding, Machine, ReExecute
from challenger.player import ChallengerPlayer, Costs
from challenger.trace import TraceStore, ValueTrace
from prover.executor import Executor
from rollup.audit import audit
from rollup.claim import ClaimId
from rollup.errors import TouchstoneError
from rollup.l1.client import L1Client, Receipt
from rollup.l1.events import ClaimPosted
from rollup.program import Program
from rollup.types import ModelId


@dataclass(frozen=True)
class Checked:
    """One claim of a model that the watcher holds."""

    posted: ClaimPosted
    finding: Finding


class Watcher:
    """One independent account. It keeps nothing that it could not read or compute again.

    ``machine`` makes what re-executes a program; ``admit`` raises AuditError for a program that is not safe to
    adjudicate; ``first`` is the block from which L1 is read.
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
        self.troubles: dict[ClaimId, TouchstoneError] = {}
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

    def check(self) -> list[Checked]:
        """Read L1's news, and check every claim that was not checked yet; returns the new findings.

        A claim that cannot be checked is noted in ``troubles`` and tried again; it holds up no other.
        """
        self.book.read(self._client)
        fresh = []
        for claim_id, posted in self.book.claims.items():
            checker = self._checkers.get(posted.claim.model_id)
            if checker is None or claim_id in self.checked:
                continue
            with self._noting(claim_id):
                finding = checker.check(posted.claim, *self.book.data_of(claim_id))
                self.checked[claim_id] = Checked(posted, finding)
                fresh.append(self.checked[claim_id])
        return fresh

    def false_claims(self) -> list[ClaimId]:
        """Claims that were found false, in the order of L1."""
        return [claim_id for claim_id, checked in self.checked.items() if not checked.finding.honest]

    def poll(self) -> list[Receipt]:
        """One round: read, check, and make every move that can be made now. Returns the moves that were made.

        What goes wrong about one claim is noted in ``troubles`` until a round succeeds, and holds up no other claim.
        """
        self.check()
        done: list[Receipt] = []
        for claim_id in self.false_claims():
            program = self._checkers[self.checked[claim_id].posted.claim.model_id].program
            with self._noting(claim_id):
                done += self._player.play(self.book, program, claim_id, self._trace(claim_id))
        if done:
            self.book.read(self._client)
        return done

    @contextmanager
    def _noting(self, claim_id: ClaimId) -> Iterator[None]:
        try:
            yield
        except TouchstoneError as error:
            self.troubles[claim_id] = error
        else:
            self.troubles.pop(claim_id, None)

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
