"""Bonds come back by group, but for claims that were challenged: these come back one by one."""

from __future__ import annotations

from challenger.releases import SINGLES, Releases
from challenger.state.l1_state import L1State
from rollup.batch import Batch, Inclusion
from rollup.claim import PostedClaim
from rollup.group import Group
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted, Challenged, ClaimPosted, Released
from tests.world import ETHER, TERMS, ToyWorld
from touchstone.bonds import Bonds

BOND = TERMS.claim_bond


def in_a_row(world: ToyWorld, by: L1Client, count: int) -> list[PostedClaim]:
    until = world.chain.now() + 100_000
    first = world.sign(by, valid_until=until)
    world.nonce += count - 1
    return [first] + [world.sign(by, nonce=first.claim.nonce + at, valid_until=until) for at in range(1, count)]


def test_a_groups_bonds_come_back_together_and_a_challenged_claims_alone() -> None:
    world = ToyWorld()
    claimant, sequencer, troll = (
        world.client("claimant", deposit=10 * ETHER),
        world.client("sequencer"),
        world.client("troll"),
    )
    free = claimant.balance(claimant.account)
    claims = in_a_row(world, claimant, 5)
    alone = world.sign(claimant)
    receipt = sequencer.post_groups([claimant.sign_group(claims), Group.alone(alone)])
    number = receipt.one(BatchPosted).batch
    tree = Batch(tuple(event.claim_id for event in receipt.events if isinstance(event, ClaimPosted)))
    doubted = Inclusion(number, 2, tree.siblings(2))
    challenged = troll.challenge(claims[2].claim, doubted, value=TERMS.challenge_bond).one(Challenged)
    # The claimant opens the root; the troll has nothing to say to it and loses.
    world.chain.advance(TERMS.window + TERMS.spacing + 1)
    l1 = L1State(claimant.first)
    l1.read(claimant)
    assert sequencer.batch(number).apart(2)
    assert not sequencer.batch(number).apart(1)
    freed = Bonds.of(claimant).release(claimant)
    ids = [claimant.claim_id(one.claim) for one in (*claims, alone)]
    assert set(freed) == set(ids) - {ids[2]}
    assert claimant.locked(claimant.account) == BOND
    assert claimant.balance(claimant.account) == free - BOND
    l1.read(claimant)
    assert l1.released == set(freed)
    assert l1.games_of(ids[2]) == [challenged]
    assert Bonds.of(claimant).release(claimant) == []


def test_many_groups_and_single_claims_take_as_many_transactions_as_they_need() -> None:
    world = ToyWorld()
    claimant, sequencer = world.client("claimant", deposit=100 * ETHER), world.client("sequencer")
    for count in (3, 1, 2):
        sequencer.post_groups([claimant.sign_group(in_a_row(world, claimant, count))])
    many = [world.sign(claimant) for _ in range(SINGLES + 1)]
    sequencer.post_batch(many[: SINGLES // 2])
    sequencer.post_batch(many[SINGLES // 2 :])
    world.chain.advance(TERMS.window + 1)
    l1, releases = L1State(claimant.first), Releases()
    l1.read(claimant)
    for claim_id in l1.claims:
        releases.add(claimant, l1, claim_id)
    sent = [call for _, call in releases.calls()]
    assert [call.name for call in sent] == ["releaseGroups", "releaseAll", "releaseAll"]
    events = [event for call in sent for event in claimant.send(call).events if isinstance(event, Released)]
    assert sum(len(event.indices) for event in events) == len(l1.claims)
    assert claimant.locked(claimant.account) == 0
