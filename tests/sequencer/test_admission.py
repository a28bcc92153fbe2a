"""What admission asks of L1, and what it never has to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rollup.errors import ClaimError
from rollup.l1.client import L1Client
from rollup.l1.node.embedded import EmbeddedChain
from rollup.types import Duration
from rollup.words import show_wei
from sequencer.intake.refusals import Busy
from sequencer.states import State
from sequencer.store import Store
from tests.sequencer.desk import LIMITS, Desk
from tests.world import ETHER, TERMS, ToyWorld


class Counting(EmbeddedChain):
    """Counts the requests that are made of it."""

    requests = 0

    def ask(self, call: Any) -> Any:
        self.requests += 1
        return super().ask(call)


@pytest.fixture
def desk() -> Desk:
    world = ToyWorld(chain=Counting())
    return Desk(world.client("sequencer"), world.client("claimant", deposit=100 * ETHER), Store.open())


def counting(desk: Desk) -> Counting:
    assert isinstance(desk.client.chain, Counting)
    return desk.client.chain


def leave(desk: Desk, wei: int) -> None:
    """Announce that all but so much of the claimant's balance will leave, and let the sequencer know."""
    desk.claimant.announce_withdrawal(desk.claimant.balance(desk.claimant.account) - wei)
    desk.mirror.sync()
    desk.admission.refresh()


def test_a_claimants_balance_is_read_once_per_block_and_nothing_else(desk: Desk) -> None:
    claims = [desk.claim() for _ in range(20)]
    before = counting(desk).requests
    for posted in claims[:10]:
        desk.intake.submit(posted)
    assert counting(desk).requests == before + 2
    counting(desk).mine()
    desk.mirror.sync()
    desk.admission.refresh()
    before = counting(desk).requests
    for posted in claims[10:]:
        desk.intake.submit(posted)
    assert counting(desk).requests == before + 2


def test_bonds_are_counted_for_claims_that_are_not_written_yet(desk: Desk) -> None:
    leave(desk, 2 * TERMS.claim_bond)
    one, two, three = (desk.admission.examine(desk.claim()) for _ in range(3))
    desk.admission.reserve(one)
    desk.admission.reserve(two)
    with pytest.raises(Busy, match="again in a moment"):
        desk.admission.reserve(three)
    desk.admission.settle(one, written=False)
    desk.admission.reserve(three)
    desk.store.claims.accept([two, three])
    with pytest.raises(ClaimError, match=f"its 3 waiting claims .* deposit {show_wei(TERMS.claim_bond)} more"):
        desk.admission.reserve(one)


def test_whoever_deposits_need_not_wait_for_the_next_news(desk: Desk) -> None:
    seconds = 0.0
    desk.admission._clock = lambda: seconds
    leave(desk, 0)
    posted = desk.claim()
    with pytest.raises(ClaimError, match="deposit"):
        desk.intake.submit(posted)
    desk.claimant.deposit(TERMS.claim_bond)
    seconds = 1.0
    assert desk.intake.submit(posted).fresh


def test_bonds_that_a_block_locked_are_not_asked_for_twice_before_the_store_knows_it(desk: Desk) -> None:
    """All of a balance is for the claims that wait; their batch is mined, and L1 is asked before its news were read."""
    leave(desk, 3 * TERMS.claim_bond)
    desk.take(2)
    desk.client.post_batch([entry.posted for entry in desk.store.claims.pending(9)])
    # A process that has asked nothing yet, and whose news end before the batch.
    late = desk.again(mirror_now=False)
    assert len(late.take(1)) == 1


def test_the_bond_of_a_duplicate_is_counted_once(desk: Desk) -> None:
    leave(desk, 2 * TERMS.claim_bond)
    posted = desk.claim()
    assert [desk.intake.submit(posted).fresh for _ in range(5)] == [True] + [False] * 4
    assert desk.intake.submit(desk.claim()).fresh


def test_a_claim_that_is_just_being_written_never_makes_another_look_as_if_a_deposit_were_missing(desk: Desk) -> None:
    leave(desk, 2 * TERMS.claim_bond)
    first, second = desk.admission.examine(desk.claim()), desk.claim()
    desk.admission.reserve(first)
    desk.store.claims.accept([first])
    # A block comes between its commit and the word of it.
    counting(desk).mine()
    desk.mirror.sync()
    desk.admission.refresh()
    with pytest.raises(Busy, match="again in a moment"):
        desk.intake.submit(second)
    desk.admission.settle(first, True)
    desk.admission._clock = lambda: 1e12
    assert desk.intake.submit(second).fresh
    with pytest.raises(ClaimError, match="deposit"):
        desk.intake.submit(desk.claim())


def test_the_same_claim_again_is_answered_with_its_state_even_when_it_would_be_refused_now(desk: Desk) -> None:
    posted = desk.claim(valid_until=desk.client.chain.now() + 50)
    desk.intake.submit(posted)
    desk.batcher.flush()
    counting(desk).advance(TERMS.window + 1)
    desk.mirror.sync()
    desk.admission.refresh()
    again = desk.intake.submit(replace(posted, signature=bytes(65)))
    assert (again.state, again.fresh) == (State.FINAL, False)
    with pytest.raises(ClaimError, match="sign it again with a later time"):
        desk.intake.submit(desk.claim(valid_until=desk.client.chain.now() - 1))


def test_attack_claims_that_expire_before_they_are_posted_fill_no_disk(desk: Desk) -> None:
    """They would cost their claimant nothing: a bond is locked by what is posted alone."""
    now, margin = desk.client.chain.now(), LIMITS.margin
    assert (margin, replace(LIMITS, age=Duration(12)).margin, replace(LIMITS, age=Duration(9999)).margin) == (
        30,
        42,
        90,
    )
    with pytest.raises(ClaimError, match="takes up to 30 s to be posted; sign it again with a later time"):
        desk.intake.submit(desk.claim(valid_until=now + margin - 1))
    assert desk.store.claims.waiting() == 0
    assert desk.intake.submit(desk.claim(valid_until=now + margin)).fresh


def test_a_claim_that_a_stranger_posted_first_becomes_ours_when_it_comes_in(desk: Desk) -> None:
    """Its block may vanish: whoever was told 2xx counts on us."""
    posted = desk.claim()
    desk.client.using(counting(desk).signer("eve")).post_batch([posted])
    desk.mirror.sync()
    accepted = desk.intake.submit(posted)
    assert (accepted.state, accepted.fresh) == (State.POSTED, False)
    entry = desk.store.claims.get(accepted.claim_id)
    assert entry is not None and entry.taken_at is not None and entry.posted == posted


@pytest.mark.parametrize("where", ["chain", "contract"])
def test_a_signature_for_another_chain_or_contract_is_refused(desk: Desk, where: str) -> None:
    other = L1Client(desk.client.chain, desk.client.address, counting(desk).signer("claimant"))
    domain = other.domain
    change: dict[str, Any] = {"chain_id": domain.chain_id + 1} if where == "chain" else {"contract": "0x" + "11" * 20}
    vars(other)["domain"] = replace(domain, **change)
    posted = desk.claim()
    with pytest.raises(ClaimError, match="sign with the claimant's key"):
        desk.intake.submit(other.sign(posted.claim, posted.inputs, posted.outputs))
