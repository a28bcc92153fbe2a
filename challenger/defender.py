"""The defender: the same player under the claimant's key, upholding the claims that it made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from challenger.book import Book
from challenger.player import Costs, DefenderPlayer
from challenger.strategy import Trace
from challenger.trace import SharedTraces
from challenger.troubles import noting
from rollup.claim import ClaimId
from rollup.l1.client import ClaimStatus, L1Client, Receipt
from rollup.program import Program


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


class Defender:
    """One claimant. ``traces``: where traces are published; None if there is no such place."""

    def __init__(
        self,
        client: L1Client,
        behaviour: Behaviour = Behaviour.PUBLISHES,
        traces: SharedTraces | None = None,
        first: int = 0,
    ) -> None:
        self.book = Book(first)
        self.troubles: dict[ClaimId, Exception] = {}
        self.behaviour = behaviour
        self._client, self._traces = client, traces
        self._claims: dict[ClaimId, Upheld] = {}
        self._player = DefenderPlayer(client)

    @property
    def costs(self) -> Costs:
        """What this claimant's moves cost."""
        return self._player.costs

    def uphold(self, claim_id: ClaimId, program: Program, trace: Trace) -> None:
        """Defend this claim with this trace; a publishing claimant publishes it."""
        self._claims[claim_id] = Upheld(program, trace)
        if self.behaviour is Behaviour.PUBLISHES and self._traces is not None:
            self._traces.publish(claim_id, trace)

    def poll(self) -> list[Receipt]:
        """One round: answer every game about one's claims, then free the bonds of those that are final.

        What goes wrong about one claim is noted in ``troubles`` until a round succeeds, and holds up no other claim.
        """
        self.book.read(self._client)
        done: list[Receipt] = []
        for claim_id, upheld in self._claims.items():
            if claim_id not in self.book.claims:
                continue
            with noting(self.troubles, claim_id):
                if self.behaviour is not Behaviour.SILENT:
                    done += self._player.play(self.book, upheld.program, claim_id, upheld.trace)
                done += self._release(claim_id)
        if done:
            self.book.read(self._client)
        return done

    def _release(self, claim_id: ClaimId) -> list[Receipt]:
        claim, inclusion = self.book.claims[claim_id].claim, self.book.inclusion(claim_id)
        if self._client.status(claim, inclusion) is not ClaimStatus.FINAL or self._client.is_released(inclusion):
            return []
        receipt = self._client.release(claim, inclusion)
        self.costs.add(claim_id, receipt)
        return [receipt]
