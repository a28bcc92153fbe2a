"""Claims become final by the clock that stops, and a batch's end is told in real time, whatever was stopped, undone, or over."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rollup.game.stopping import StoppingClock
from rollup.l1.events import BatchPosted, ClaimPosted, ClaimSkipped, ClockStopped, Event, Logged, NonceCancelled
from rollup.l1.follow import News
from rollup.l1.node.finality import Block
from rollup.l1.records import Said
from rollup.types import Duration, Root, Timestamp
from sequencer.states import NewClaim, State
from sequencer.store import Store
from tests.sequencer.examples import ALICE, BOB, claim_id, new_claim

WINDOW, SPACING, BLOCK = Duration(100), Duration(30), 10


@dataclass
class Chain:
    """A block every ten seconds, told to a store; ``clock`` is what L1 keeps."""

    store: Store
    clock: StoppingClock = field(default_factory=StoppingClock)
    blocks: list[Block] = field(default_factory=list)
    batches: int = 0

    @property
    def now(self) -> Timestamp:
        return Timestamp(BLOCK * len(self.blocks))

    def mine(self, *events: Event, back: int = 0) -> None:
        """One block more, instead of the last ``back`` ones."""
        head = self.store.l1.head()
        kept = self.blocks[: len(self.blocks) - back]
        number = len(kept)
        parent = kept[-1].hash if kept else bytes(32)
        forked = b"%d %d" % (number, len(self.blocks)) if back else b"%d" % number
        block = Block(number, forked.rjust(32, b"-"), Timestamp(BLOCK * (number + 1)), parent)
        self.blocks = [*kept, block]
        logged = tuple(
            Logged(event, number, index, forked.rjust(32, b"t"), block.hash) for index, event in enumerate(events)
        )
        said = {one.transaction: Said(number, 0, one.transaction, block.timestamp, BOB, 1) for one in logged}
        news = News(number - 1 if back else None, logged, block, tuple(self.blocks))
        assert self.store.l1.apply(news, None if head is None else head.hash, said, {BOB})

    def batch(self, *claims: NewClaim, skipped: str | None = None) -> list[Event]:
        """A batch in the next block."""
        at = Timestamp(self.now + BLOCK)
        number, self.batches = self.batches, self.batches + 1
        posted: list[Event] = [
            ClaimSkipped(number, j, one.claim_id, skipped)
            if skipped
            else ClaimPosted(number, j, one.claim_id, one.posted.claim, b"in", b"out")
            for j, one in enumerate(claims)
        ]
        closes_at = Timestamp(self.clock.reading(at) + WINDOW)
        return [BatchPosted(number, Root(b"r" * 32), len(claims), at, closes_at), *posted]

    def stop(self) -> ClockStopped:
        """The first challenge to a claim, in the next block."""
        self.clock = self.clock.pause(Timestamp(self.now + BLOCK), SPACING)
        return ClockStopped(self.clock.resumes_at, self.clock.stopped)

    def final_after(self, batch: int = 0) -> int:
        return self.store.batches.heads([batch])[batch].final_after

    def state(self, number: int = 1) -> State | None:
        return self.store.claims.state(claim_id(number))


@pytest.fixture
def chain(store: Store) -> Chain:
    store.claims.accept([new_claim(number) for number in range(1, 4)])
    return Chain(store)


def test_without_a_stop_a_claim_is_final_when_its_window_is_over(chain: Chain) -> None:
    chain.mine(*chain.batch(new_claim(1)))
    assert chain.final_after() == 10 + WINDOW
    for _ in range(10):
        chain.mine()
    assert (chain.now, chain.state()) == (110, State.POSTED)
    chain.mine()
    assert chain.state() is State.FINAL


def test_every_stop_moves_the_end_by_as_much_and_finality_waits_for_it(chain: Chain) -> None:
    chain.mine(*chain.batch(new_claim(1)))
    chain.mine(chain.stop(), chain.stop())
    assert chain.final_after() == 10 + WINDOW + 2 * SPACING
    assert chain.store.l1.clock() == chain.clock
    while chain.now < 10 + WINDOW + 2 * SPACING:
        chain.mine()
        assert chain.state() is State.POSTED
    chain.mine()
    assert chain.state() is State.FINAL


def test_a_stop_after_the_end_of_a_batch_moves_no_more_than_those_that_are_open(chain: Chain) -> None:
    chain.mine(*chain.batch(new_claim(1)))
    chain.mine(chain.stop())
    while chain.state() is not State.FINAL:
        chain.mine()
    chain.mine(*chain.batch(new_claim(2)))
    before = chain.final_after(1)
    chain.mine(chain.stop())
    assert chain.final_after(0) == 10 + WINDOW + SPACING
    assert chain.final_after(1) == before + SPACING
    assert chain.state() is State.FINAL


def test_a_stop_that_was_undone_counts_no_more(chain: Chain) -> None:
    chain.mine(*chain.batch(new_claim(1)))
    without = chain.clock
    chain.mine(chain.stop())
    chain.mine()
    chain.mine(back=2)
    chain.clock = without
    assert chain.final_after() == 10 + WINDOW
    assert chain.store.l1.clock() == StoppingClock()
    while chain.now <= 10 + WINDOW:
        chain.mine()
    assert chain.state() is State.FINAL


def test_a_stop_that_came_in_by_a_reorganisation_takes_finality_back(chain: Chain) -> None:
    chain.mine(*chain.batch(new_claim(1)))
    while chain.state() is not State.FINAL:
        chain.mine()
    at = Timestamp(chain.now - BLOCK)
    clock = StoppingClock().pause(at, SPACING)
    chain.mine(ClockStopped(clock.resumes_at, clock.stopped), back=2)
    assert chain.state() is State.POSTED


def test_a_nonce_that_was_cancelled_with_a_delay_can_be_used_in_between(chain: Chain) -> None:
    one = new_claim(1)
    nonce = one.posted.claim.nonce
    chain.mine(NonceCancelled(ALICE, nonce, Timestamp(1000)))
    assert chain.store.l1.is_nonce_used(ALICE, nonce)
    chain.mine(*chain.batch(one))
    assert chain.state() is State.POSTED
    chain.mine(back=1)
    assert chain.store.l1.is_nonce_used(ALICE, nonce)


@pytest.mark.parametrize(
    ("reason", "own"),
    [("InsufficientBalance", True), ("NonceUsed", True), ("UnknownModel", False), ("BadSignature", False)],
)
def test_who_spoiled_a_batch_of_ours_is_known_for_as_long_as_its_block_stands(
    chain: Chain, reason: str, own: bool
) -> None:
    chain.mine()
    chain.mine(*chain.batch(new_claim(1), skipped=reason))
    spoilers = chain.store.claims.spoilers
    assert spoilers(Timestamp(20)) == ({ALICE: 20} if own else {})
    assert spoilers(Timestamp(21)) == {}
    chain.mine(back=1)
    assert spoilers(Timestamp(0)) == {}
