"""The store as a mirror of L1: it says what L1 says, whoever did it, and whatever was undone on the way."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from rollup.form.encoding import TracePolicy
from rollup.l1.events import ClaimPosted, GroupRefused
from rollup.l1.follow import News
from rollup.l1.records import MoveRecord
from sequencer.mirror import Mirror
from sequencer.states import State
from sequencer.store import Store
from sequencer.tables import FACTS, games
from tests.sequencer.history import History, history

POLICIES = list(TracePolicy)


@pytest.fixture
def told() -> History:
    return history(TracePolicy.WITH_CLAIM)


def everything(store: Store) -> dict[str, Any]:
    """All that a store knows of L1 and of claims, but for the order in which it heard of it."""
    found: dict[str, Any] = {}
    with store.database.read() as connection:
        for table in (*FACTS, games):
            columns = [column for column in table.c if column.name != "id"]
            found[table.name] = Counter(
                tuple(str(value) if isinstance(value, dict) else value for value in row)
                for row in connection.execute(sa.select(*columns))
            )
    entries = []
    cursor = None
    while True:
        page = store.claims.page(cursor=cursor, limit=100)
        entries += [store.claims.get(entry.claim_id) for entry in page.entries]
        cursor = page.next
        if cursor is None:
            break
    found["claims"] = {
        entry.claim_id: (
            entry.posted,
            entry.state,
            entry.reason,
            entry.batch,
            entry.index,
            entry.posted_at,
            entry.released,
        )
        for entry in entries
        if entry is not None
    }
    found["head"] = store.l1.head()
    return found


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name.lower())
def test_it_agrees_with_l1_after_every_round_of_disputes(policy: TracePolicy) -> None:
    told = history(policy)
    store = told.store()
    assert len(told.truths) > 8
    for truth in told.truths:
        told.tell(store, truth.height)
        for claim_id, (state, released) in truth.states.items():
            entry = store.claims.get(claim_id)
            assert entry is not None
            assert (entry.state, entry.released) == (state, released)
            dispute = store.disputes.get(claim_id)
            found = {
                game.game_id: (game.position, game.node, game.opened.commitment) if game.ended is None else None
                for game in (dispute.games if dispute else ())
            }
            assert found == truth.games[claim_id]
    said = Counter(move.kind for move in moves_of(told, store))
    wanted = {"challenge", "select", "reveal", "reveal_leaf", "prove", "timeout", "reclaim"}
    wanted.add("commit" if policy is TracePolicy.WITH_CLAIM else "set_trace_root")
    assert wanted <= set(said)
    assert {state for truth in told.truths for state, _ in truth.states.values()} == set(State) - {State.PENDING}


def moves_of(told: History, store: Store) -> list[MoveRecord]:
    disputes = [store.disputes.get(one.claim_id) for one in told.network.claims]
    return [move for dispute in disputes if dispute for move in dispute.moves]


def test_every_move_has_its_time_sender_and_gas(told: History, store: Store) -> None:
    mirror = Mirror(told.network.deployer, store)
    mirror.sync()
    moves = moves_of(told, store)
    assert len(moves) > 10
    for move in moves:
        receipt = told.network.chain.receipt(move.said.transaction)
        assert receipt is not None
        assert (move.said.sender, move.said.gas, move.said.block) == (
            receipt["from"],
            receipt["gasUsed"],
            receipt["blockNumber"],
        )
        assert move.said.at == told.blocks[move.said.block].timestamp
    for claimed in told.network.claims:
        order = [(move.said.block, move.said.log_index) for move in moves if move.claim_id == claimed.claim_id]
        assert order == sorted(order)


def test_claims_that_did_not_come_through_us_appear_with_their_bytes(told: History, store: Store) -> None:
    Mirror(told.network.deployer, store).sync()
    posted = [one.event for one in told.events if isinstance(one.event, ClaimPosted)]
    for event in posted:
        entry = store.claims.get(event.claim_id)
        assert entry is not None and entry.taken_at is None
        assert entry.posted.claim == event.claim
        assert (entry.posted.inputs, entry.posted.outputs) == (event.inputs, event.outputs)
        assert store.l1.is_nonce_used(event.claim.claimant, event.claim.nonce)
    numbers = {event.batch for event in posted}
    for number in numbers:
        batch = store.batches.get(number)
        assert batch is not None
        refused = [
            one.event for one in told.events if isinstance(one.event, GroupRefused) and one.event.batch == number
        ]
        skipped = {one.first + at for one in refused for at in range(one.count)}
        assert {index for index, claim in enumerate(batch.claims) if claim is None} == skipped


def test_what_we_took_is_posted_skipped_or_still_waits(told: History, url: str) -> None:
    store = told.store(url)
    told.tell(store, told.height)
    posted, spoiled, cancelled, expired, waiting = (store.claims.get(new.claim_id) for new in told.accepted)
    assert posted and spoiled and cancelled and expired and waiting
    assert posted.state is State.FINAL and posted.taken_at is not None
    assert (expired.state, expired.reason) == (State.INVALID, "ClaimExpired")
    assert cancelled.state is State.PENDING
    assert store.l1.is_nonce_used(cancelled.posted.claim.claimant, cancelled.posted.claim.nonce)
    store.close()


def test_a_stranger_who_posts_our_claim_with_wrong_bytes_or_signature_spoils_nothing(told: History, url: str) -> None:
    """L1 skips it in the stranger's batch, and logs that it did."""
    store = told.store(url)
    told.tell(store, told.height)
    _, spoiled, _, _, waiting = told.accepted
    refused = {one.event.first_nonce for one in told.events if isinstance(one.event, GroupRefused)}
    assert {one.posted.claim.nonce for one in (spoiled, waiting)} <= refused
    assert store.claims.state(spoiled.claim_id) is store.claims.state(waiting.claim_id) is State.PENDING
    store.close()


def test_what_was_taken_and_posted_is_given_back_to_the_queue_when_its_block_vanishes(told: History, url: str) -> None:
    store = told.store(url)
    posted, _, _, expired, _ = told.accepted
    block = next(
        one.block for one in told.events if isinstance(one.event, ClaimPosted) and one.event.claim_id == posted.claim_id
    )
    told.tell(store, block)
    assert store.claims.state(posted.claim_id) is State.POSTED
    assert store.claims.state(expired.claim_id) is State.INVALID
    told.tell(store, block - 1, rewound_to=block - 1)
    assert {entry.claim_id for entry in store.claims.pending(9)} == {new.claim_id for new in told.accepted}
    told.tell(store, block)
    states = [change.state for change in store.changes.after(0, posted.claim_id)]
    assert states == [State.PENDING, State.POSTED, State.PENDING, State.POSTED]
    store.close()


def test_everything_can_be_read_again_from_the_first_block(told: History, store: Store) -> None:
    """One store that followed, and one that begins when all is over; the claims that nobody posted are all that is lost."""
    other = told.store()
    for number in range(told.height + 1):
        told.tell(other, number)
    Mirror(told.network.deployer, store, own={told.own}).sync()
    first, second = everything(other), everything(store)
    only = {new.claim_id for new in told.accepted} - second["claims"].keys()
    assert only == {new.claim_id for new in told.accepted[1:]}
    for claim_id, (posted, *rest) in second["claims"].items():
        known, *derived = first["claims"][claim_id]
        assert (known.claim, known.inputs, known.outputs, derived) == (
            posted.claim,
            posted.inputs,
            posted.outputs,
            rest,
        )
    for name in ("headers", "batches", "postings", "nonces", "moves", "releases", "games"):
        assert first[name] == second[name], name
    other.close()


@st.composite
def walks(draw: st.DrawFn) -> tuple[TracePolicy, list[tuple[int | None, int]]]:
    """(rewound to, read up to) again and again, anywhere on the chain."""
    policy = draw(st.sampled_from(POLICIES))
    height = history(policy).height
    steps: list[tuple[int | None, int]] = []
    at = -1
    for _ in range(draw(st.integers(1, 6))):
        back = draw(st.integers(-1, at)) if at >= 0 and draw(st.booleans()) else None
        base = at if back is None else back
        at = draw(st.integers(max(base, 0), height))
        steps.append((back, at))
    return policy, steps


@settings(max_examples=20)
@given(walk=walks())
def test_after_any_rewinds_it_knows_what_a_fresh_mirror_knows(
    walk: tuple[TracePolicy, list[tuple[int | None, int]]],
) -> None:
    policy, steps = walk
    played = history(policy)
    store, fresh = played.store(), played.store()
    for back, to in steps:
        played.tell(store, to, back)
    played.tell(fresh, steps[-1][1])
    assert everything(store) == everything(fresh)
    assert store.l1.seen() == fresh.l1.seen()
    store.close()
    fresh.close()


def test_two_processes_that_mirror_into_one_database_write_everything_once(told: History, url: str) -> None:
    one, two = told.store(url), Store.open(url)
    told.tell(one, 3)
    head = one.l1.head()
    assert head is not None
    told.tell(two, told.height // 2)
    before = everything(one)
    with pytest.raises(AssertionError):
        # Read after block 3, written after the other process went on.
        assert one.l1.apply(news_after(told, 3), head.hash, told.said)
    assert everything(one) == before
    one.close()
    two.close()


def news_after(told: History, number: int) -> Any:
    events = tuple(one for one in told.events if one.block > number)
    return News(None, events, told.blocks[-1], tuple(told.blocks))
