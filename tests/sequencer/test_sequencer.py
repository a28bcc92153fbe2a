"""What the sequencer takes, refuses and posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rollup.claim import PostedClaim
from rollup.errors import ClaimError
from rollup.group import Group
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted
from rollup.types import Duration, Root
from rollup.words import show_wei
from sequencer.sequencer import Limits, Sequencer
from sequencer.states import State
from sequencer.store import Store
from tests.world import ETHER, INPUTS, RIGHT, TERMS, ToyWorld


class SequencerWorld(ToyWorld):
    """A sequencer with a claimant before it, of whom one claim was posted by somebody else."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.claimant = self.client("claimant", deposit=ETHER)
        self.posted = self.claim()
        self.deployer.post_batch([self.posted])
        self.store = Store.open()
        self.sequencer = Sequencer(self.client("sequencer"), self.store, limits)

    def claim(self, **changes: Any) -> PostedClaim:
        return self.sign(self.claimant, INPUTS, RIGHT, **changes)


@pytest.fixture
def world() -> SequencerWorld:
    return SequencerWorld(Limits(count=3, bytes=1 << 20, age=Duration(100)))


def test_a_batch_waits_until_it_is_full(world: SequencerWorld) -> None:
    ids = [world.sequencer.submit(world.claim()) for _ in range(2)]
    assert world.sequencer.poll() is None
    ids.append(world.sequencer.submit(world.claim()))
    receipt = world.sequencer.poll()
    assert receipt is not None
    assert [event.claim_id for event in receipt.events if isinstance(event, ClaimPosted)] == ids
    batch = world.store.batches.get(1)
    assert batch is not None
    assert list(batch.claims) == ids
    assert world.sequencer.poll() is None


def test_a_batch_is_due_when_its_oldest_claim_has_waited_long_enough(world: SequencerWorld) -> None:
    world.sequencer.submit(world.claim())
    world.chain.advance(99)
    assert world.sequencer.poll() is None
    world.chain.advance(1)
    assert world.sequencer.poll() is not None


def test_a_batch_is_cut_by_its_bytes() -> None:
    world = SequencerWorld(Limits(count=10, bytes=4000, age=Duration(100)))
    for _ in range(3):
        world.sequencer.submit(world.claim())
    assert [receipt.events[-1].count for receipt in world.sequencer.flush()] == [2, 1]  # type: ignore[union-attr]


def test_the_same_claim_is_taken_once(world: SequencerWorld) -> None:
    posted = world.claim()
    assert world.sequencer.submit(posted) == world.sequencer.submit(posted)
    assert world.store.claims.waiting() == 1


def test_a_claim_that_l1_would_skip_is_refused_before_it_costs_gas(world: SequencerWorld) -> None:
    posted = world.claim()
    claim_id = world.sequencer.submit(posted)
    world.claimant.cancel_nonce(posted.claim.nonce)
    assert world.sequencer.flush() == []
    entry = world.store.claims.get(claim_id)
    assert entry is not None
    assert entry.state is State.INVALID
    assert "has used or cancelled nonce" in str(entry.reason)


def test_a_claim_that_l1_skips_is_remembered_with_its_reason() -> None:
    class Overtaken(L1Client):
        """Whose every transaction is overtaken by one of somebody else's."""

        def post_groups(self, groups: Sequence[Group]) -> Receipt:
            world.claimant.post_batch([world.claim(nonce=groups[0].first.nonce, valid_until=2**40)])
            return super().post_groups(groups)

    world = SequencerWorld(Limits())
    client = world.client("sequencer")
    world.sequencer = Sequencer(Overtaken(client.chain, client.address, client.chain.signer("sequencer")), world.store)
    first, second = (world.sequencer.submit(world.claim()) for _ in range(2))
    world.sequencer.flush()
    entry = world.store.claims.get(first)
    assert entry is not None
    assert (entry.state, entry.reason) == (State.INVALID, "NonceUsed")
    assert world.store.claims.state(second) is State.POSTED


def test_bonds_are_needed_for_all_waiting_claims(world: SequencerWorld) -> None:
    world.claimant.announce_withdrawal(world.claimant.balance(world.claimant.account) - 2 * TERMS.claim_bond)
    world.sequencer.submit(world.claim())
    world.sequencer.submit(world.claim())
    with pytest.raises(ClaimError, match=f"deposit {show_wei(TERMS.claim_bond)} more"):
        world.sequencer.submit(world.claim())
    world.claimant.deposit(ETHER)
    world.sequencer.submit(world.claim())


def test_every_refusal_names_the_thing_and_the_remedy_and_keeps_nothing(world: SequencerWorld) -> None:
    used = world.claim()
    world.sequencer.submit(used)
    before = world.store.claims.pending(9)
    good = world.claim()
    refusals = [
        (world.claim(model_id=Root(b"?" * 32)), "is not registered on this chain; register its program first"),
        (replace(good, signature=good.signature[:-1]), "has 64; sign the claim again"),
        (replace(good, signature=used.signature), "sign with the claimant's key"),
        (world.claim(valid_until=1), "sign it again with a later time"),
        (world.claim(nonce=used.claim.nonce, valid_until=1 << 50), "sign with another"),
        (world.claim(nonce=world.posted.claim.nonce, valid_until=1 << 50), "sign with another"),
        (world.claim(input_root=Root(b"i" * 32)), "sign the bytes that are sent"),
        (world.claim(trace_root=Root(bytes(32))), "sign the claim with its root"),
        (replace(good, outputs=b""), "send every tensor in header order"),
    ]
    for posted, remedy in refusals:
        with pytest.raises(ClaimError, match=remedy):
            world.sequencer.submit(posted)
    assert world.store.claims.pending(9) == before
    assert world.sequencer.submit(good) == world.claimant.claim_id(good.claim)
