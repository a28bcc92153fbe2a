"""Every accepted claim is posted exactly once, whatever the chain does; what L1 would skip is found out before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random

import pytest

from rollup.claim import GROUP_GAS, Address, ClaimId, PostedClaim, join
from rollup.errors import ChainError, ClaimError, MoveError, Refused, StaleView
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.group import Group, runs
from rollup.l1.account.fees import FeePolicy
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.node.embedded import EmbeddedChain
from rollup.merkle import tensor_tree
from rollup.types import LEAF_BYTES, Duration, Root
from sequencer.batcher import Batcher
from sequencer.grouping import Grouping
from sequencer.intake import screening
from sequencer.intake.limits import Limits
from sequencer.lease import Lease
from sequencer.states import State, Switch
from sequencer.store import Store
from tests.anvil import Anvil
from tests.e2e.toy_program import toy_program
from tests.sequencer.desk import LIMITS, Desk
from tests.world import ETHER, INPUTS, PROGRAM, TERMS, ToyWorld, deploy


@pytest.fixture
def desk(store: Store) -> Desk:
    world = ToyWorld()
    return Desk(world.client("sequencer"), world.client("claimant", deposit=100 * ETHER), store)


def members(desk: Desk) -> list[Sequence[ClaimId | None]]:
    """The claims of every batch, the newest first."""
    found = (desk.store.batches.get(head.number) for head in desk.store.batches.page().entries)
    return [batch.claims for batch in found if batch is not None]


def embedded(desk: Desk) -> EmbeddedChain:
    assert isinstance(desk.client.chain, EmbeddedChain)
    return desk.client.chain


def test_claims_are_posted_in_the_order_in_which_they_were_taken(desk: Desk) -> None:
    desk.take(6)
    receipts = [desk.batcher.step(), desk.batcher.step()]
    assert all(receipts)
    assert desk.batcher.step() is None
    assert desk.on_l1() == desk.taken
    assert desk.states() == [State.POSTED] * 6


def test_a_stopped_batcher_posts_nothing_until_it_is_started_or_flushed(desk: Desk) -> None:
    desk.store.switches.set(Switch.BATCHER_STOPPED, True)
    desk.take(1)
    assert desk.batcher.step() is None
    assert len(desk.batcher.flush()) == 1
    desk.take(1)
    desk.store.switches.set(Switch.BATCHER_STOPPED, False)
    assert desk.batcher.step() is not None


def test_a_claims_age_counts_on_a_chain_that_makes_no_blocks(desk: Desk) -> None:
    seconds = 0.0
    desk.limits = replace(LIMITS, age=Duration(12))
    desk = desk.again()
    desk.batcher._clock = lambda: seconds
    desk.take(1)
    assert desk.batcher.step() is None
    seconds = 11.0
    assert desk.batcher.step() is None
    seconds = 12.0
    assert desk.batcher.step() is not None


def test_expired_claims_and_used_nonces_are_refused_before_they_cost_gas(desk: Desk) -> None:
    now = desk.client.chain.now()
    short = desk.intake.submit(desk.claim(valid_until=now + 50)).claim_id
    cancelled = desk.claim()
    gone = desk.intake.submit(cancelled).claim_id
    (good,) = desk.take(1)
    desk.claimant.cancel_nonce(cancelled.claim.nonce)
    embedded(desk).advance(100)
    receipt = desk.batcher.step()
    assert receipt is not None
    assert desk.on_l1() == [good]
    reasons = {claim_id: entry.reason for claim_id in (short, gone) if (entry := desk.store.claims.get(claim_id))}
    assert "sign it again with a later time" in str(reasons[short])
    assert "used or cancelled nonce" in str(reasons[gone])
    assert desk.store.claims.counts()[State.INVALID] == 2


def test_whose_balance_is_gone_holds_up_nobody_and_is_refused_after_a_while(desk: Desk) -> None:
    poor = desk.again(claimant=desk.client.using(embedded(desk).signer("poor")), taken=[])
    poor.claimant.deposit(3 * TERMS.claim_bond)
    poor.mirror.sync()
    poor.take(3)
    poor.claimant.announce_withdrawal(2 * TERMS.claim_bond)
    desk.take(2)
    desk.batcher.flush()
    assert desk.states() == [State.POSTED] * 2
    assert poor.states() == [State.POSTED, State.PENDING, State.PENDING]
    poor.claimant.deposit(TERMS.claim_bond)
    desk.batcher.flush()
    assert poor.states() == [State.POSTED, State.POSTED, State.PENDING]
    embedded(desk).advance(desk.limits.grace + 1)
    assert desk.batcher.flush() == []
    assert poor.states() == [State.POSTED, State.POSTED, State.INVALID]
    entry = desk.store.claims.get(poor.taken[2])
    assert entry is not None and "too little left for the bond" in str(entry.reason)


def test_attack_any_number_of_claimants_who_withdraw_cost_a_round_a_bounded_number_of_looks_and_hold_up_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bonds come and go for little; what is asked of the node for each must not add up to a batcher that stands still."""
    monkeypatch.setattr(screening, "LOOKS", 2)
    monkeypatch.setattr(screening, "MOST", 5)
    bond, looks = TERMS.claim_bond, 0
    poor = [desk.again(claimant=desk.client.using(embedded(desk).signer(f"poor {n}")), taken=[]) for n in range(7)]
    for one in poor:
        one.claimant.deposit(bond)
        one.mirror.sync()
        one.take(1)
        one.claimant.announce_withdrawal(bond)
    desk.take(1)
    desk.batcher.flush()
    assert desk.states() == [State.POSTED]
    assert [one.states() for one in poor] == [[State.PENDING]] * 5 + [[State.INVALID]] * 2

    class Counted(L1Client):
        def balance(self, account: Address, block: int | str = "latest") -> int:
            nonlocal looks
            looks += 1
            return super().balance(account, block)

    client = desk.client
    counted = Counted(client.chain, client.address, embedded(desk).signer("sequencer"), client.first)
    desk.batcher._screening.client = counted
    desk.batcher.flush()
    assert looks == 2
    # Whose money comes back has its turn all the same.
    poor[4].claimant.deposit(bond)
    for _ in range(3):
        desk.batcher.flush()
    assert poor[4].states() == [State.POSTED]


def test_a_claimant_that_uses_its_balance_up_in_front_of_a_batch_has_no_claim_posted_for_a_while(desk: Desk) -> None:
    """Once may be a reorganisation's fault, so the claim survives that; every further time costs the sequencer gas."""
    claimant, bond = desk.claimant, TERMS.claim_bond
    claimant.announce_withdrawal(claimant.balance(claimant.account) - bond)
    embedded(desk).advance(TERMS.withdrawal_delay)
    claimant.complete_withdrawal()

    class Overtaken(L1Client):
        def post_groups(self, groups: Sequence[Group]) -> Receipt:
            claimant.post_batch([desk.claim()])
            receipt = super().post_groups(groups)
            claimant.deposit(bond)
            return receipt

    client = desk.client
    overtaken = desk.again(
        client=Overtaken(client.chain, client.address, embedded(desk).signer("sequencer"), client.first)
    )
    (claim_id,) = overtaken.take(1)
    desk.nonce = 100
    for _ in range(2):
        assert overtaken.batcher.step() is not None
        assert desk.store.claims.state(claim_id) is State.PENDING
        assert overtaken.batcher.flush() == []
        overtaken.admission.refresh()
        with pytest.raises(ClaimError, match="its claims are taken again from"):
            overtaken.intake.submit(overtaken.claim())
        embedded(desk).advance(desk.limits.distrust + 1)
        overtaken.mirror.sync()
        overtaken.admission.refresh()
    assert overtaken.batcher.step() is not None
    entry = desk.store.claims.get(claim_id)
    assert entry is not None and (entry.state, entry.reason) == (State.INVALID, "InsufficientBalance")


def test_a_node_that_refuses_a_large_transaction_gets_smaller_ones(desk: Desk) -> None:
    class Narrow(L1Client):
        def post_groups(self, groups: Sequence[Group]) -> Receipt:
            if len(groups) > 1:
                raise Refused("the node refused the request: oversized data")
            return super().post_groups(groups)

    client = desk.client
    desk = desk.again(client=Narrow(client.chain, client.address, embedded(desk).signer("sequencer"), client.first))
    desk.take(3)
    desk.batcher.flush()
    assert desk.on_l1() == desk.taken


def test_two_processes_on_one_database_never_post_a_claim_twice(desk: Desk) -> None:
    """Both believe that they may batch, under one account, and race."""
    other = desk.again(client=desk.client.using(embedded(desk).signer("sequencer")))
    desk.take(30)
    barrier, failures = threading.Barrier(2), []

    def work(one: Desk) -> None:
        barrier.wait()
        for _ in range(40):
            try:
                one.batcher.step()
            except (StaleView, ChainError) as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in (desk, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.batcher.flush()
    assert sorted(desk.on_l1()) == sorted(desk.taken)
    assert set(desk.states()) == {State.POSTED}


def test_two_accounts_that_post_the_same_claims_have_every_claim_posted_once(desk: Desk) -> None:
    """The second batch is chosen before the first one is mined; L1 skips its claims, which says nothing about them."""
    desk.take(3)
    rival = desk.again(client=desk.client.using(embedded(desk).signer("rival")))

    class Overtaken(L1Client):
        def post_groups(self, groups: Sequence[Group]) -> Receipt:
            rival.batcher.step()
            return super().post_groups(groups)

    client = desk.client
    desk = desk.again(client=Overtaken(client.chain, client.address, embedded(desk).signer("sequencer"), client.first))
    desk.batcher.step()
    assert sorted(desk.on_l1()) == sorted(desk.taken)
    assert desk.states() == [State.POSTED] * 3
    assert [len(claims) - claims.count(None) for claims in members(desk)] == [0, 3]


def test_of_two_processes_the_one_with_the_lease_batches(desk: Desk) -> None:
    now = 1000.0
    first = desk.again(lease=Lease(desk.store, seconds=60, clock=lambda: now))
    second = desk.again(lease=Lease(desk.store, seconds=60, clock=lambda: now))
    desk.take(1)
    assert first.batcher.step() is not None
    desk.take(1)
    assert second.batcher.step() is None
    with pytest.raises(MoveError, match="ask that one to flush"):
        second.batcher.flush()
    now += 61
    assert second.batcher.step() is not None
    desk.take(1)
    assert first.batcher.step() is None
    assert second.lease is not None
    second.lease.release()
    assert first.batcher.step() is not None
    assert desk.states() == [State.POSTED] * 3


# On a real node


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.01)


@pytest.fixture
def node_desk(anvil: Anvil, store: Store) -> Iterator[Desk]:
    chain = anvil.chain(fees=FeePolicy(bump_after=0.5, give_up_after=20.0, poll=0.02))
    deployer = deploy(chain, anvil.signer("deployer"), PROGRAM)
    client = L1Client(chain, deployer.address, anvil.signer("sequencer"), max(0, chain.height() - 5))
    claimant = client.using(anvil.signer("claimant"))
    claimant.deposit(100 * ETHER)
    anvil.mine(12)
    yield Desk(client, claimant, store, Limits(count=3, age=Duration(0)))
    anvil.automine(True)


@pytest.mark.anvil
def test_every_accepted_claim_is_posted_exactly_once_through_reorganisations(node_desk: Desk, anvil: Anvil) -> None:
    """Of depth 1 to 10, with batches in the blocks that vanish, whose transactions are gone or mined again in other blocks; and
    now and then the process starts again.
    """
    for depth in range(1, 11):
        node_desk.take(2)
        for _ in range(max(1, depth // 3)):
            node_desk.batcher.step()
            node_desk.take(2)
        anvil.mine(max(0, depth - 3))
        if depth % 2:
            anvil.reorg_keeping(depth)
        else:
            anvil.reorg(depth)
        if depth % 3:
            node_desk = node_desk.again()
        else:
            node_desk.mirror.sync()
        node_desk.batcher.step()
    node_desk.batcher.flush()
    assert len(node_desk.taken) > 50
    assert sorted(node_desk.on_l1()) == sorted(node_desk.taken)
    assert set(node_desk.states()) == {State.POSTED}
    fresh = node_desk.again(store=Store.open())
    assert {entry.claim_id for entry in fresh.store.claims.page(limit=200).entries} == set(node_desk.taken)


@pytest.mark.anvil
def test_what_a_reorganisation_took_a_claims_ground_from_is_posted_when_that_is_back(
    node_desk: Desk, anvil: Anvil
) -> None:
    """Deposit, registration and upload vanish with their blocks, and are sent again later: the claims wait for them."""
    inputs = join(INPUTS, PROGRAM.header.inputs)
    other = toy_program(TracePolicy.ON_DISPUTE)
    late = node_desk.client.using(anvil.signer("late"))
    blocks = anvil.height
    late.deposit(ETHER)
    late.register(other)
    roots = upload(late, PROGRAM, inputs)
    node_desk.mirror.sync()
    node_desk.admission.refresh()
    lately = node_desk.again(claimant=late, nonce=1000, taken=[])
    posted = lately.claim()
    lately.taken.append(lately.intake.submit(posted).claim_id)
    deferred = node_desk.claim(model_id=other.id, trace_root=Root(bytes(32)))
    node_desk.taken.append(node_desk.intake.submit(deferred).claim_id)
    bare = replace(node_desk.claim(), inputs=b"")
    node_desk.taken.append(node_desk.intake.submit(bare).claim_id)
    anvil.reorg(anvil.height - blocks)
    node_desk.take(1)
    node_desk.batcher.flush()
    assert node_desk.states() == [State.PENDING, State.PENDING, State.POSTED]
    assert lately.states() == [State.PENDING]
    late.deposit(ETHER)
    late.register(other)
    assert upload(late, PROGRAM, inputs) == roots
    node_desk.batcher.flush()
    assert node_desk.states() == [State.POSTED] * 3 and lately.states() == [State.POSTED]
    assert sorted(node_desk.on_l1()) == sorted(node_desk.taken + lately.taken)


def upload(client: L1Client, program: Program, inputs: bytes) -> list[Root]:
    """Put the toy's inputs on L1, so that postings may leave them out."""
    header, roots, at = program.header, [], 0
    for tensor in header.inputs:
        part = inputs[at : at + tensor.bytes]
        at += tensor.bytes
        pieces = [part[start : start + LEAF_BYTES] for start in range(0, len(part), LEAF_BYTES)]
        for piece in pieces:
            client.upload(piece)
        tree = tensor_tree(part, (len(pieces) - 1).bit_length())
        if len(pieces) == 2:
            left, right = (tensor_tree(piece, 0).root for piece in pieces)
            client.join(left, len(pieces[0]), right, len(pieces[1]))
        roots.append(tree.root)
    client.assemble(program.id, False, roots)
    return roots


@pytest.mark.anvil
def test_a_batch_that_an_earlier_life_left_in_the_mempool_is_not_posted_again(node_desk: Desk, anvil: Anvil) -> None:
    """The process dies after it sent the batch and before it was mined; the next life sends the same claims."""
    node_desk.take(3)
    anvil.automine(False)

    def die() -> None:
        with suppress(ChainError):
            node_desk.batcher.step()

    earlier = threading.Thread(target=die)
    earlier.start()
    until(lambda: bool(anvil.pending()))
    left = anvil.pending()
    client = node_desk.client
    reborn = L1Client(
        anvil.chain(fees=FeePolicy(bump_after=0.5, give_up_after=20.0, poll=0.02)),
        client.address,
        anvil.signer("sequencer"),
        client.first,
    )
    again = node_desk.again(client=reborn)
    posted: list[Receipt | None] = []
    later = threading.Thread(target=lambda: posted.append(again.batcher.step()))
    later.start()
    until(lambda: anvil.pending() != left)
    anvil.automine(True)
    later.join()
    earlier.join()
    again.batcher.flush()
    assert sorted(again.on_l1()) == sorted(again.taken)
    assert again.states() == [State.POSTED] * 3


@pytest.mark.anvil
def test_a_batch_of_an_earlier_life_that_is_mined_while_the_next_one_decides_is_not_posted_again(
    node_desk: Desk, anvil: Anvil
) -> None:
    """L1 would skip all of its claims, but for gas: the nonce is that of the block on whose state was decided."""
    node_desk.take(3)
    anvil.automine(False)
    earlier = threading.Thread(target=node_desk.batcher.step)
    earlier.start()
    until(lambda: bool(anvil.pending()))
    decisions: list[int] = []

    class Overtaken(L1Client):
        def post_groups(self, groups: Sequence[Group]) -> Receipt:
            decisions.append(sum(len(group.claims) for group in groups))
            anvil.mine()
            anvil.automine(True)
            return super().post_groups(groups)

    client = node_desk.client
    again = node_desk.again(client=Overtaken(anvil.chain(), client.address, anvil.signer("sequencer"), client.first))
    assert again.batcher.step() is None
    earlier.join()
    assert decisions == [3]
    assert [None in claims for claims in members(again)] == [False]
    assert again.states() == [State.POSTED] * 3


@dataclass
class OwnSigner:
    """The claimant's key, in this process."""

    client: L1Client

    def sign(self, claims: Sequence[PostedClaim]) -> bytes:
        return self.client.sign_group(claims).signature


@pytest.mark.parametrize("seed", range(8))
def test_a_group_is_counted_once_in_whatever_order_its_claims_come_in(desk: Desk, seed: int) -> None:
    random = Random(seed)
    chosen = [posted for posted in (desk.claim() for _ in range(30)) if random.random() < 0.8]
    random.shuffle(chosen)
    for one in chosen:
        desk.intake.submit(one)
    grouping = Grouping(desk.client, OwnSigner(desk.claimant))
    entries = desk.store.claims.pending(100)
    posted = [entry.posted for entry in entries]
    most = max(
        sum(entry.gas for entry in entries[:end]) + len(runs(posted[:end])) * GROUP_GAS
        for end in range(1, len(entries) + 1)
    )

    def fitting(gas: int) -> int:
        limits = Limits(gas=gas, age=Duration(0))
        batcher = Batcher(desk.client, desk.store, desk.mirror, limits, clock=lambda: 0.0, grouping=grouping)
        return len(batcher._fitting(entries)[0])

    assert fitting(most) == len(entries)
    assert fitting(most - 1) < len(entries)
