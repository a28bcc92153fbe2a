"""The claimant's side: answers every game about its claims, and frees the bonds of those that became final."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from challenger.book import Book
from challenger.player import Costs, DefenderPlayer
from challenger.strategy import Trace
from challenger.trace import LazyTrace, SharedTraces
from challenger.troubles import anchored, noting
from rollup.claim import ClaimId
from rollup.l1.client import ClaimStatus, L1Client, Receipt
from rollup.program import Program
from rollup.types import Duration, ModelId


class Behaviour(Enum):
    """How a claimant behaves when it is challenged."""

    PUBLISHES = "publishes its trace off chain, and answers"
    WITHHOLDS = "shows only what the game demands"
    SILENT = "never answers"


@dataclass(frozen=True)
class Upheld:
    """A claim of one's own, with the trace that was claimed (which a liar has as well)."""

    program: Program
    trace: Trace


class _Claimant:
    """One account's rounds, whatever it knows of its claims."""

    def __init__(self, client: L1Client, first: int) -> None:
        self.book = Book(first)
        self.troubles: dict[ClaimId, Exception] = {}
        self._client = client
        self._player = DefenderPlayer(client)

    @property
    def costs(self) -> Costs:
        """What this claimant's moves cost."""
        return self._player.costs

    def _upheld(self) -> Iterator[tuple[ClaimId, Upheld]]:
        """The claims to uphold, of those that L1 knows."""
        raise NotImplementedError

    def _answers(self) -> bool:
        """Whether games are answered at all."""
        return True

    def poll(self) -> list[Receipt]:
        """One round: answer every game about one's claims, then free the bonds of those that are final.

        What goes wrong about one claim is noted in ``troubles`` until a round succeeds, and holds up no other claim.
        """
        done: list[Receipt] = []
        with anchored(self._client, self._client.account):
            self.book.read(self._client)
            for claim_id, upheld in self._upheld():
                with noting(self.troubles, claim_id):
                    if self._answers():
                        done += self._player.play(self.book, upheld.program, claim_id, upheld.trace)
                    done += self._release(claim_id)
            if done:
                self.book.read(self._client)
        return done

    def _release(self, claim_id: ClaimId) -> list[Receipt]:
        posted = self.book.claims[claim_id]
        settled = claim_id in self.book.convicted or claim_id in self.book.released
        if settled or self._client.chain.now() <= self.book.posted_at[posted.batch] + self._client.parameters.window:
            return []
        claim, inclusion = posted.claim, self.book.inclusion(claim_id)
        if self._client.status(claim, inclusion) is not ClaimStatus.FINAL or self._client.is_released(inclusion):
            return []
        receipt = self._client.release(claim, inclusion)
        self.costs.add(claim_id, receipt)
        return [receipt]


class Defender(_Claimant):
    """A claimant that was given its claims' traces, true or not. ``traces``: where they are published; None if there is no
    such place.
    """

    def __init__(
        self,
        client: L1Client,
        behaviour: Behaviour = Behaviour.PUBLISHES,
        traces: SharedTraces | None = None,
        first: int = 0,
    ) -> None:
        super().__init__(client, first)
        self.behaviour = behaviour
        self._traces = traces
        self._claims: dict[ClaimId, Upheld] = {}

    def uphold(self, claim_id: ClaimId, program: Program, trace: Trace) -> None:
        """Defend this claim with this trace; a publishing claimant publishes it."""
        self._claims[claim_id] = Upheld(program, trace)
        if self.behaviour is Behaviour.PUBLISHES and self._traces is not None:
            self._traces.publish(claim_id, trace)

    def _upheld(self) -> Iterator[tuple[ClaimId, Upheld]]:
        return ((claim_id, upheld) for claim_id, upheld in self._claims.items() if claim_id in self.book.claims)

    def _answers(self) -> bool:
        return self.behaviour is not Behaviour.SILENT


class Upholder(_Claimant):
    """A claimant that needs nothing but its key and its programs: its claims and their inputs are on L1, their traces
    follow from them.

    ``program``: the program of a model, or None if it is not held. ``trace_of``: the trace of a program on a claim's input
    bytes. ``kept``: most traces that are held at once. ``remember``: seconds for which claims that are settled are
    remembered; None: forever.
    """

    def __init__(
        self,
        client: L1Client,
        program: Callable[[ModelId], Program | None],
        trace_of: Callable[[Program, bytes], Trace],
        first: int = 0,
        kept: int = 8,
        remember: Duration | None = None,
    ) -> None:
        super().__init__(client, first)
        self._program, self._trace_of, self._kept, self._remember = program, trace_of, kept, remember
        self._traces: OrderedDict[ClaimId, Trace] = OrderedDict()

    def mine(self) -> list[ClaimId]:
        """This account's claims on L1, of those that are remembered."""
        account = self._client.account
        return [claim_id for claim_id, posted in self.book.claims.items() if posted.claim.claimant == account]

    def poll(self) -> list[Receipt]:
        done = super().poll()
        if self._remember is not None:
            for claim_id in self.book.forget(self._client.parameters.window, self._remember, self._unsettled):
                for facts in (self._traces, self.troubles, self.costs.receipts):
                    facts.pop(claim_id, None)
        return done

    def _unsettled(self, claim_id: ClaimId) -> bool:
        """Whether a bond of this account is still to be freed."""
        mine = self.book.claims[claim_id].claim.claimant == self._client.account
        return mine and claim_id not in self.book.convicted and claim_id not in self.book.released

    def _upheld(self) -> Iterator[tuple[ClaimId, Upheld]]:
        for claim_id in self.mine():
            if not self._unsettled(claim_id):
                continue
            program = self._program(self.book.claims[claim_id].claim.model_id)
            if program is not None:
                yield claim_id, Upheld(program, self._trace(claim_id, program))

    def _trace(self, claim_id: ClaimId, program: Program) -> LazyTrace:
        def derive() -> Trace:
            trace = self._traces.pop(claim_id, None) or self._trace_of(program, self.book.data_of(claim_id)[0])
            self._traces[claim_id] = trace
            while len(self._traces) > self._kept:
                self._traces.popitem(last=False)
            return trace

        return LazyTrace(derive)
