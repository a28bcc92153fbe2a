"""The claimant's side: answers every game about its claims, and frees the bonds of those that became final."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from cachetools import LRUCache

from challenger.play.defender_player import DefenderPlayer
from challenger.play.inside import Elements
from challenger.play.known import KnownTrace
from challenger.play.reductions import Reductions
from challenger.play.trace import LazyTrace, SharedTraces, values_of
from challenger.releases import Releases
from challenger.sending.bundle import NEVER, SHARE, Bundle, Due, Outbox
from challenger.sending.costs import Costs
from challenger.state.l1_state import L1State
from challenger.troubles import noting
from challenger.watch.guard import ANY_AGE, LagGuard
from rollup.claim import ClaimId
from rollup.form.program import Program
from rollup.l1.answers import GameInfo, Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged
from rollup.types import Duration, ModelId

GAMES = 64
"""Most games that are read from L1 in one round: a flood of them about one claim must not cost another one its clock."""


class Behaviour(Enum):
    """How a claimant behaves when it is challenged."""

    PUBLISHES = "publishes its trace off chain, and answers"
    WITHHOLDS = "shows only what the game demands"
    SILENT = "never answers"


@dataclass(frozen=True)
class Upheld:
    """A claim of one's own, with the trace that was claimed (which a liar has as well)."""

    program: Program
    trace: KnownTrace
    said: Elements | None = None
    """What it says inside elements, if that is not what follows from the trace."""

    def own(self) -> KnownTrace:
        """The trace, where it is asked for."""
        return self.trace

    def elements(self) -> Elements:
        """What the trace's elements reduce to."""
        return self.said or Reductions(self.program, values_of(self.trace))


class _Claimant:
    """One account's rounds, whatever it knows of its claims. ``share``: of a block's gas, what a transaction of it takes."""

    def __init__(self, client: L1Client, first: int, guard: LagGuard = ANY_AGE, share: float = SHARE) -> None:
        self.l1 = L1State(first)
        self.troubles: dict[ClaimId, Exception] = {}
        self.lag: str | None = None
        """Why the last round did nothing: the node lags."""
        self._client, self._guard = client, guard
        self._player = DefenderPlayer(client, most=GAMES)
        self._outbox = Outbox(client, self._player.costs, self.troubles.__setitem__, share)

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
        """One round: answer the games about one's claims, then free some bonds of those that are final.

        What goes wrong about one claim is noted in ``troubles`` until a round succeeds, and holds up no other claim. A node
        that lags ends the round before anything is sent; raises ChainError if it does not answer.
        """
        done: list[Receipt] = []
        with self._client.anchored():
            self._read()
            self.lag = self._guard.lag(self._client.chain, self.l1.head)
            if self.lag is None:
                upheld = dict(self._upheld())
                bundle = self._outbox.bundle()
                if self._answers():
                    self._answer(upheld, bundle)
                self._settle(upheld, bundle)
                done += [made.receipt for made in self._outbox.send(bundle)]
                self._clear()
                if done:
                    self._read()
        return done

    def _read(self) -> None:
        for _ in self.l1.pages(self._client):
            self._forget()

    def _forget(self) -> None:
        """Forget what is settled."""

    def _clear(self) -> None:
        """Forget what went wrong about claims that need nothing any more."""
        for claim_id in list(self.troubles):
            known = claim_id in self.l1.claims
            if not known or not (self.l1.games_of(claim_id) or self.l1.may_be_final(claim_id)):
                del self.troubles[claim_id]

    def _answer(self, upheld: dict[ClaimId, Upheld], bundle: Bundle) -> None:
        asked = [game for claim_id in upheld for game in self.l1.games_of(claim_id)]
        games = self._in_turn(self._player.games.look(self.l1, asked))
        by_claim: dict[ClaimId, list[tuple[Challenged, GameInfo]]] = {}
        # What ended the last round comes last in this one; else the claim with the shortest clock comes first.
        for opened, game in sorted(games, key=lambda one: (one[0].claim_id in self.troubles, _slack(one[1]))):
            by_claim.setdefault(opened.claim_id, []).append((opened, game))
        for claim_id, of_claim in by_claim.items():
            if bundle.full:
                break
            one = upheld[claim_id]
            with noting(self.troubles, claim_id):
                bundle.add(self._player.due(self.l1, one.program, claim_id, one.own, of_claim, one.elements))

    def _in_turn(self, games: list[tuple[Challenged, GameInfo]]) -> list[tuple[Challenged, GameInfo]]:
        """Those games that are answered now."""
        return games

    def _settle(self, upheld: dict[ClaimId, Upheld], bundle: Bundle) -> None:
        """Free the bonds of claims that became final, as many as fit one transaction."""
        releases = Releases()
        for claim_id in upheld:
            if releases.full:
                break
            # What goes well here ends a trouble: only of claims with which something is done.
            if self.l1.may_be_final(claim_id):
                with noting(self.troubles, claim_id):
                    releases.add(self._client, self.l1, claim_id)
        bundle.add(Due(claim_id, call, NEVER) for claim_id, call in releases.calls())


def _slack(game: GameInfo) -> float:
    return float(game.clocks.defender) if game.clocks else NEVER


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

    def uphold(self, claim_id: ClaimId, program: Program, trace: KnownTrace, said: Elements | None = None) -> None:
        """Defend this claim with this trace; a publishing claimant publishes it. What it says inside elements follows from
        the trace's values, or is ``said``.
        """
        self._claims[claim_id] = Upheld(program, trace, said)
        if self.behaviour is Behaviour.PUBLISHES and self._traces is not None:
            self._traces.publish(claim_id, trace)

    def _upheld(self) -> Iterator[tuple[ClaimId, Upheld]]:
        return ((claim_id, upheld) for claim_id, upheld in self._claims.items() if claim_id in self.l1.claims)

    def _answers(self) -> bool:
        return self.behaviour is not Behaviour.SILENT


class Upholder(_Claimant):
    """A claimant that needs nothing but its key and its programs: its claims and their inputs are on L1, their traces
    follow from them.

    ``program``: the program of a model, or None if it is not held. ``trace_of``: the trace of a program on a claim's input
    bytes. ``kept``: most traces that are held at once. ``remember``: seconds for which claims that are settled are
    remembered; None: forever. ``guard``: when the node lags.
    """

    def __init__(
        self,
        client: L1Client,
        program: Callable[[ModelId], Program | None],
        trace_of: Callable[[Program, bytes], KnownTrace],
        first: int = 0,
        kept: int = 8,
        remember: Duration | None = None,
        guard: LagGuard = ANY_AGE,
        share: float = SHARE,
    ) -> None:
        super().__init__(client, first, guard, share)
        self._program, self._trace_of, self._remember = program, trace_of, remember
        self._traces: LRUCache[ClaimId, KnownTrace] = LRUCache(kept)

    def mine(self) -> list[ClaimId]:
        """This account's claims on L1, of those that are remembered."""
        account = self._client.account
        return [claim_id for claim_id, posted in self.l1.claims.items() if posted.claim.claimant == account]

    def _forget(self) -> None:
        if self._remember is not None:
            for claim_id in self.l1.forget(self._remember, self._unsettled):
                for facts in (self._traces, self.troubles, self.costs.receipts):
                    facts.pop(claim_id, None)

    def _unsettled(self, claim_id: ClaimId) -> bool:
        """Whether a bond of this account is still to be freed."""
        mine = self.l1.claims[claim_id].claim.claimant == self._client.account
        return mine and claim_id not in self.l1.convicted and claim_id not in self.l1.released

    def _upheld(self) -> Iterator[tuple[ClaimId, Upheld]]:
        for claim_id in self.mine():
            if not self._unsettled(claim_id):
                continue
            program = self._program(self.l1.claims[claim_id].claim.model_id)
            if program is not None:
                yield claim_id, Upheld(program, self._trace(claim_id, program))

    def _trace(self, claim_id: ClaimId, program: Program) -> LazyTrace[KnownTrace]:
        def derive() -> KnownTrace:
            trace = self._traces.get(claim_id) or self._trace_of(program, self.l1.data_of(claim_id)[0])
            self._traces[claim_id] = trace
            return trace

        return LazyTrace(derive)
