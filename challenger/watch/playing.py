"""What a watcher may have to do about one claim each: the games that it plays, those that it could begin, and right claims that
need help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from challenger.play.challenger_player import ChallengerPlayer
from challenger.play.defender_player import DefenderPlayer
from challenger.play.trace import ValueTrace
from challenger.reports.alerts import Kind
from challenger.reports.reporter import Reporter
from challenger.sending.bundle import NEVER, Due, Outbox
from challenger.sending.capacity import Capacity
from challenger.state.l1_state import L1State
from challenger.watch.checking import LATE, Checking
from challenger.watch.findings import Findings
from challenger.watch.modes import WatchConfiguration, WatchMode
from rollup.claim import ClaimId
from rollup.errors import Behind
from rollup.game.position import ROOT
from rollup.l1.answers import GameInfo
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged


@dataclass(frozen=True)
class Candidate:
    """A claim about which something may be due, the seconds that it can wait, and how to find out what."""

    claim_id: ClaimId
    slack: float
    due: Callable[[], list[Due]]


class Indefensible(Exception):
    """A claim whose trace is false; nothing can be answered for it."""


@dataclass
class Playing:
    """``postponed``: false claims that are challenged once the games that are played leave time for it."""

    client: L1Client
    l1: L1State
    configuration: WatchConfiguration
    checking: Checking
    player: ChallengerPlayer
    helper: DefenderPlayer
    outbox: Outbox
    troubles: dict[ClaimId, Exception]
    reporter: Reporter
    postponed: list[ClaimId] = field(default_factory=list)

    @property
    def checked(self) -> Findings:
        return self.checking.checked

    def candidates(self, tried: set[ClaimId]) -> Iterator[Candidate]:
        """Whatever this account may have to do now, about one claim each; nothing about claims that were tried."""
        if self.configuration.mode >= WatchMode.CHALLENGE:
            yield from self._disputes(tried)
        if self.configuration.mode >= WatchMode.DEFEND:
            yield from self._helping(tried)

    def tell_late(self) -> None:
        """Alert about false claims whose challenge period ends soon, and which are not disputed."""
        window = self.client.parameters.window
        for claim_id in self.postponed:
            left = self.l1.seconds_left(claim_id)
            if 0 <= left < window * (1 - LATE):
                sentence = (
                    f"it is false, and is not disputed yet: the games that are played leave no time for another one; it can be "
                    f"disputed for {left} s only"
                )
                self.reporter.once(Kind.CLAIM_UNCHECKED_DEADLINE, claim_id, sentence, "postponed")

    def _disputes(self, tried: set[ClaimId]) -> Iterator[Candidate]:
        """The games that are played, then new ones, as long as all of them can be played to their end."""
        capacity, played, fresh = self._capacity(), [], []
        for claim_id in self.checked.false():
            if self.checking.plays(claim_id):
                try:
                    live = [] if claim_id in self.l1.convicted else self.player.live(self.l1, claim_id)
                except Behind as error:
                    # How its games stand is not known in this round.
                    self.troubles[claim_id] = error
                    continue
                if live:
                    works = [self.player.work(self.l1, self.checking.program(claim_id), *one) for one in live]
                    played += works
                    if claim_id not in tried:
                        yield Candidate(claim_id, min(map(capacity.slack, works)), partial(self._moves, claim_id))
                    continue
                if claim_id in self.l1.convicted and claim_id not in tried:
                    yield Candidate(claim_id, NEVER, partial(self._moves, claim_id))
            if claim_id not in tried and self._can_begin(claim_id):
                fresh.append(claim_id)
        self.postponed = []
        for claim_id in sorted(fresh, key=lambda one: (one in self.troubles, self.l1.seconds_left(one))):
            begun = self.player.whole(self.checking.program(claim_id))
            if played and not capacity.fits([*played, begun]):
                self.postponed.append(claim_id)
            else:
                played.append(begun)
                yield Candidate(claim_id, self.l1.seconds_left(claim_id), partial(self._moves, claim_id))

    def _helping(self, tried: set[ClaimId]) -> Iterator[Candidate]:
        """Right claims whose claimants may not come."""
        right = [claim for claim in self.l1.disputed if claim in self.checked and self.checked[claim].finding.honest]
        strangers = [claim for claim in right if self.l1.claims[claim].claim.claimant != self.checking.account]
        games = [game for claim in strangers if claim not in tried for game in self.l1.games_of(claim)]
        by_claim: dict[ClaimId, list[tuple[Challenged, GameInfo]]] = {}
        for opened, game in self.helper.games.look(self.l1, games):
            by_claim.setdefault(opened.claim_id, []).append((opened, game))
        for claim_id, of_claim in by_claim.items():
            if self.helper.late(self.l1, claim_id, of_claim):
                slack = min(float(game.clocks.defender) for _, game in of_claim if game.clocks)
                yield Candidate(claim_id, slack, partial(self._help, claim_id, of_claim))

    def _capacity(self) -> Capacity:
        """What this account can do in time."""
        return Capacity(self.configuration.block_seconds or self.client.chain.block_seconds(), self.outbox.gas)

    def _can_begin(self, claim_id: ClaimId) -> bool:
        unsettled = claim_id not in self.l1.convicted and claim_id not in self.player.unprovable
        return unsettled and self.l1.seconds_left(claim_id) > 0

    def _moves(self, claim_id: ClaimId) -> list[Due]:
        """What is due about a false claim."""
        slack = float(self.l1.seconds_left(claim_id))
        live = [] if claim_id in self.l1.convicted else self.player.live(self.l1, claim_id)
        program = self.checking.program(claim_id)
        if live:
            slack = min(self._capacity().slack(self.player.work(self.l1, program, *one)) for one in live)
        return self.player.due(self.l1, program, claim_id, lambda: self.checking.right(claim_id), slack)

    def _help(self, claim_id: ClaimId, games: Sequence[tuple[Challenged, GameInfo]]) -> list[Due]:
        """Answers for a right claim in the place of its claimant."""
        program = self.checking.program(claim_id)

        def right() -> ValueTrace:
            trace = self.checking.right(claim_id)
            # A right output under a false trace root is nobody's to defend.
            if trace.node(ROOT) != self.l1.trace_root(claim_id):
                raise Indefensible
            return trace

        due: list[Due] = []
        with suppress(Indefensible):
            due = self.helper.due(self.l1, program, claim_id, right, games, helps=True)
        if claim_id in self.helper.helpless:
            sentence = "a game about it has gone inside an element, where only its claimant can answer"
            self.reporter.once(Kind.TROUBLE, claim_id, sentence, "inside")
        return due
