"""Many claims under one clock: no flood of lies outruns a watcher that works without pause, and nobody stops the clock for
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rollup.claim import Address
from rollup.game.dispute import Dispute, Instant
from rollup.game.game import play
from rollup.game.ledger import Ledger
from rollup.game.moves import Challenge, Move, Reclaim, Reveal, Timeout
from rollup.game.refusal import Refusal
from rollup.game.stopping import StoppingClock
from rollup.settings import Parameters
from rollup.types import Duration, Gindex, Timestamp
from tests.rollup.game import toy

LIAR, WATCHER, SYBIL = (Address("0x" + byte * 20) for byte in ("c1", "a0", "e0"))
TERMS = Parameters(Duration(5), Duration(40), Duration(5), Duration(60), 1, 1000, 500, 300, 10, 20)
"""A window as short as what a single game takes the watcher."""

FUNDS = 10**6


@dataclass
class Chain:
    """Claims that share a ledger and a clock."""

    disputes: list[Dispute] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    clock: StoppingClock = field(default_factory=StoppingClock)

    def __post_init__(self) -> None:
        for account in (LIAR, WATCHER, SYBIL):
            self.ledger = self.ledger.deposit(account, FUNDS).fund(account, FUNDS)

    def post(self, now: Instant) -> int:
        root = toy.right_trace(len(self.disputes).to_bytes(4, "big")).root
        begun = Dispute.begin(TERMS, LIAR, now.time, (toy.TRACE_DEPTH, 0), root, self.ledger, self.clock)
        self.disputes.append(begun)
        self.ledger = begun.ledger
        return len(self.disputes) - 1

    def look(self, claim: int) -> Dispute:
        return replace(self.disputes[claim], ledger=self.ledger, clock=self.clock)

    def play(self, claim: int, move: Move, now: Instant) -> bool:
        try:
            played = play(self.look(claim), move, now)
        except Refusal:
            return False
        self.disputes[claim], self.ledger, self.clock = played, played.ledger, played.clock
        assert self.ledger.balanced
        return True


SECONDS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40)


@given(SECONDS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_watcher_that_opens_one_game_a_spacing_challenges_every_lie_of_a_flood(
    seconds: list[tuple[int, int]], newest_first: bool
) -> None:
    """``seconds``: how many lies are posted in each second, and how many of the waiting ones a Sybil challenges first. The
    watcher is busy with each of its games for ``spacing`` seconds, and then takes any of the lies that wait.
    """
    chain, waiting, free_at = Chain(), list[int](), 0
    posted = sum(lies for lies, _ in seconds)
    for second in range(len(seconds) + posted * (TERMS.spacing + 1)):
        now = Instant(Timestamp(1000 + second), second)
        lies, sybils = seconds[second] if second < len(seconds) else (0, 0)
        waiting += [chain.post(now) for _ in range(lies)]
        for claim in waiting[-sybils:] if sybils else ():
            chain.play(claim, Challenge(SYBIL), now)
        if waiting and second >= free_at:
            claim = waiting.pop(-1 if newest_first else 0)
            assert chain.play(claim, Challenge(WATCHER), now), f"lie {claim} closed before it could be challenged"
            free_at = second + TERMS.spacing
    assert not waiting and len(chain.disputes) == posted
    assert not any(chain.look(claim).is_final(Timestamp(10**6)) for claim in range(posted))


@given(st.integers(1, 30))
def test_convicting_oneself_through_one_of_many_games_stops_the_clock_once_and_burns_half_a_bond(games: int) -> None:
    chain, now = Chain(), Instant(Timestamp(1000), 1)
    claim = chain.post(now)
    for _ in range(games):
        assert chain.play(claim, Challenge(SYBIL), now)
    assert chain.clock.stopped == TERMS.spacing
    late = Instant(Timestamp(1000 + TERMS.clock + 1), 2)
    assert chain.play(claim, Timeout(SYBIL, (0,)), late)
    assert chain.play(claim, Reclaim(SYBIL, tuple(range(games))), late) == (games > 1)
    lost = 2 * FUNDS * 2 - chain.ledger.wealth(SYBIL) - chain.ledger.wealth(LIAR)
    assert lost == chain.ledger.burned >= TERMS.claim_bond // 2


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(0, 60))
def test_every_stop_of_the_clock_costs_whoever_stops_it_most_of_a_bond(challenges: list[int], wait: int) -> None:
    """Against honest claims, whose claimant opens what is asked for."""
    chain, block = Chain(), 0
    for number, count in enumerate(challenges):
        now = Instant(Timestamp(1000 + number * wait), block := block + 1)
        claim = chain.post(now)
        for _ in range(count):
            assert chain.play(claim, Challenge(SYBIL), now)
        trace = toy.right_trace(claim.to_bytes(4, "big"))
        assert chain.play(claim, Reveal(LIAR, (trace.node(Gindex(2)), trace.node(Gindex(3)))), now)
    assert chain.clock.stopped == TERMS.spacing * len(challenges)
    end = Instant(Timestamp(1000 + len(challenges) * wait + TERMS.clock + 1), block + 1)
    for claim, count in enumerate(challenges):
        assert chain.play(claim, Timeout(LIAR, tuple(range(count))), end)
    paid = sum(challenges) * (TERMS.move_fee + TERMS.collect_fee)
    assert 2 * FUNDS - chain.ledger.wealth(SYBIL) == sum(challenges) * TERMS.challenge_bond
    assert chain.ledger.wealth(LIAR) == 2 * FUNDS + paid
    assert chain.ledger.burned == sum(challenges) * TERMS.challenge_bond - paid
