"""What the sequencer takes, refuses and posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rollup.claim import PostedClaim
from rollup.errors import ClaimError
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted
from rollup.types import Duration, Root
from sequencer.sequencer import Limits, Sequencer
from sequencer.states import State
from sequencer.store import Store
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import toy_inputs, toy_program
from tests.world import ETHER, TERMS


class Desk:
    """A sequencer with a claimant before it."""

    def __init__(self, limits: Limits) -> None:
        self.network = NetworkWorld(toy_program())
        self.template = self.network.claim("claimant", toy_inputs()).posted
        self.claimant: L1Client = self.network.client("claimant")
        self.store = Store.open()
        self.sequencer = Sequencer(self.network.client("desk"), self.store, limits)
        self.nonce = 100

    def claim(self, **changes: object) -> PostedClaim:
        self.nonce += 1
        claim = replace(self.template.claim, **{"nonce": self.nonce, **changes})  # type: ignore[arg-type]
        return self.claimant.sign(claim, self.template.inputs, self.template.outputs)


@pytest.fixture
def desk() -> Desk:
    return Desk(Limits(count=3, bytes=1 << 20, age=Duration(100)))


def test_a_batch_waits_until_it_is_full(desk: Desk) -> None:
    ids = [desk.sequencer.submit(desk.claim()) for _ in range(2)]
    assert desk.sequencer.poll() is None
    ids.append(desk.sequencer.submit(desk.claim()))
    receipt = desk.sequencer.poll()
    assert receipt is not None
    assert [event.claim_id for event in receipt.events if isinstance(event, ClaimPosted)] == ids
    batch = desk.store.batches.get(1)
    assert batch is not None
    assert list(batch.claims) == ids
    assert desk.sequencer.poll() is None


def test_a_batch_is_due_when_its_oldest_claim_has_waited_long_enough(desk: Desk) -> None:
    desk.sequencer.submit(desk.claim())
    desk.network.chain.advance(99)
    assert desk.sequencer.poll() is None
    desk.network.chain.advance(1)
    assert desk.sequencer.poll() is not None


def test_a_batch_is_cut_by_its_bytes() -> None:
    desk = Desk(Limits(count=10, bytes=4000, age=Duration(100)))
    for _ in range(3):
        desk.sequencer.submit(desk.claim())
    assert [receipt.events[-1].count for receipt in desk.sequencer.flush()] == [2, 1]  # type: ignore[union-attr]


def test_the_same_claim_is_taken_once(desk: Desk) -> None:
    posted = desk.claim()
    assert desk.sequencer.submit(posted) == desk.sequencer.submit(posted)
    assert desk.store.claims.waiting() == 1


def test_a_claim_that_l1_would_skip_is_refused_before_it_costs_gas(desk: Desk) -> None:
    posted = desk.claim()
    claim_id = desk.sequencer.submit(posted)
    desk.claimant.cancel_nonce(posted.claim.nonce)
    assert desk.sequencer.flush() == []
    entry = desk.store.claims.get(claim_id)
    assert entry is not None
    assert entry.state is State.INVALID
    assert "has used or cancelled nonce" in str(entry.reason)


def test_a_claim_that_l1_skips_is_remembered_with_its_reason() -> None:
    class Overtaken(L1Client):
        """Whose every transaction is overtaken by one of somebody else's."""

        def post_batch(self, claims: Sequence[PostedClaim]) -> Receipt:
            desk.claimant.post_batch([desk.claim(nonce=claims[0].claim.nonce, valid_until=2**40)])
            return super().post_batch(claims)

    desk = Desk(Limits())
    client = desk.network.client("desk")
    desk.sequencer = Sequencer(Overtaken(client.chain, client.address, client.chain.signer("desk")), desk.store)
    first, second = (desk.sequencer.submit(desk.claim()) for _ in range(2))
    desk.sequencer.flush()
    entry = desk.store.claims.get(first)
    assert entry is not None
    assert (entry.state, entry.reason) == (State.INVALID, "NonceUsed")
    assert desk.store.claims.state(second) is State.POSTED


def test_bonds_are_needed_for_all_waiting_claims(desk: Desk) -> None:
    desk.claimant.announce_withdrawal(desk.claimant.balance(desk.claimant.account) - 2 * TERMS.claim_bond)
    desk.sequencer.submit(desk.claim())
    desk.sequencer.submit(desk.claim())
    with pytest.raises(ClaimError, match=f"deposit {TERMS.claim_bond} more"):
        desk.sequencer.submit(desk.claim())
    desk.claimant.deposit(ETHER)
    desk.sequencer.submit(desk.claim())


def test_every_refusal_names_the_thing_and_the_remedy_and_keeps_nothing(desk: Desk) -> None:
    used = desk.claim()
    desk.sequencer.submit(used)
    before = desk.store.claims.pending(9)
    good = desk.claim()
    refusals = [
        (desk.claim(model_id=Root(b"?" * 32)), "is not registered on this chain; register its program first"),
        (replace(good, signature=good.signature[:-1]), "has 64; sign the claim again"),
        (replace(good, signature=used.signature), "sign with the claimant's key"),
        (desk.claim(valid_until=1), "sign it again with a later time"),
        (desk.claim(nonce=used.claim.nonce, valid_until=1 << 50), "sign with another"),
        (desk.claim(nonce=desk.template.claim.nonce, valid_until=1 << 50), "sign with another"),
        (desk.claim(input_root=Root(b"i" * 32)), "sign the bytes that are sent"),
        (desk.claim(trace_root=Root(bytes(32))), "sign the claim with its root"),
        (replace(good, outputs=b""), "send every tensor in header order"),
    ]
    for posted, remedy in refusals:
        with pytest.raises(ClaimError, match=remedy):
            desk.sequencer.submit(posted)
    assert desk.store.claims.pending(9) == before
    assert desk.sequencer.submit(good) == desk.claimant.claim_id(good.claim)
