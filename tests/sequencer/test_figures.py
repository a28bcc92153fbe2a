"""Figures over time, and what a word stands for, on both databases."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from rollup.claim import ClaimId
from rollup.l1.events import BatchPosted, Challenged, ClaimPosted, ClockStopped, Event, Logged
from rollup.l1.follow import News
from rollup.l1.node.finality import Block
from rollup.l1.records import Said
from rollup.types import Root, Timestamp
from sequencer.figures import Span, Tally, buckets, first_bucket
from sequencer.states import Found, State
from sequencer.store import Store
from tests.sequencer.examples import ALICE, BOB, MODEL, new_claim

WINDOW = 600


def block(number: int, at: int) -> Block:
    return Block(number, sha256(b"%d" % number).digest(), Timestamp(at), sha256(b"%d" % (number - 1)).digest())


def transaction(number: int) -> bytes:
    return sha256(b"transaction %d" % number).digest()


class Chain:
    """Blocks that a store is told of, one after the other."""

    def __init__(self, store: Store, begin: int) -> None:
        self.store, self.height = store, 0
        self.tell(begin)

    def tell(self, at: int, *events: Event) -> None:
        self.height += 1
        head, new = self.store.l1.head(), block(self.height, at)
        where = transaction(self.height)
        logged = tuple(Logged(event, self.height, index, where) for index, event in enumerate(events))
        said = {where: Said(self.height, 0, where, Timestamp(at), BOB, 21_000)}
        seen = (*self.store.l1.seen(), new)
        assert self.store.l1.apply(News(None, logged, new, seen), None if head is None else head.hash, said)

    def post(self, at: int, batch: int, *numbers: int) -> None:
        posted = [new_claim(number) for number in numbers]
        events = [
            ClaimPosted(batch, index, one.claim_id, one.posted.claim, one.posted.inputs, one.posted.outputs)
            for index, one in enumerate(posted)
        ]
        closes_at = Timestamp(self.store.l1.clock().reading(Timestamp(at)) + WINDOW)
        head = BatchPosted(batch, Root(sha256(b"root").digest()), len(posted), Timestamp(at), closes_at)
        self.tell(at, head, *events)


def numbers(span: Span, now: int, tally: Tally, field: str) -> dict[int, object]:
    """What the buckets have, by minutes before the last one; without nothing."""
    found = [getattr(one, field) for one in buckets(span, Timestamp(now), tally)]
    assert len(found) == span.buckets
    return {len(found) - 1 - place: value for place, value in enumerate(found) if value}


def test_an_hour_is_counted_by_the_minute(store: Store) -> None:
    begin = 100 * 3600
    taken = [replace(new_claim(number), taken_at=Timestamp(begin + 30 + 60 * (number % 2))) for number in range(5)]
    store.claims.accept(taken)
    chain = Chain(store, begin + 100)
    chain.post(begin + 125, 0, 0, 1, 2, 3)
    chain.post(begin + 245, 1, 50)
    now = begin + 125 + WINDOW + 1
    chain.tell(now)
    tally = store.figures.tally(Span.HOUR, Timestamp(now))
    assert numbers(Span.HOUR, now, tally, "taken") == {12: 3, 11: 2}
    assert numbers(Span.HOUR, now, tally, "posted") == {10: 4, 8: 1}
    assert numbers(Span.HOUR, now, tally, "final") == {0: 4}
    assert numbers(Span.HOUR, now, tally, "finality") == {0: WINDOW}
    assert numbers(Span.HOUR, now, tally, "staked") == {10: 4, 9: 4, **dict.fromkeys(range(1, 9), 5), 0: 1}
    assert (tally.staked, tally.watchers, tally.games, tally.refuted) == (1, 0, 0, 0)
    assert tally.states == {State.PENDING: 1, State.POSTED: 1, State.CHALLENGED: 0, State.FINAL: 4, State.INVALID: 0}
    later = now + 3 * 3600
    chain.tell(later)
    tally = store.figures.tally(Span.HOUR, Timestamp(later))
    assert numbers(Span.HOUR, later, tally, "final") == {0: 1}
    assert not tally.posted and not tally.taken
    day = store.figures.tally(Span.DAY, Timestamp(later))
    assert sum(day.taken.values()) == 5 and sum(day.posted.values()) == 5 and sum(day.final.values()) == 5


def test_a_clock_that_stood_still_makes_finality_later(store: Store) -> None:
    begin = 200 * 3600
    chain = Chain(store, begin)
    chain.post(begin + 60, 0, 1)
    chain.tell(begin + 120, ClockStopped(Timestamp(begin + 420), 300))
    now = begin + 60 + WINDOW + 300
    chain.tell(now)
    assert store.figures.tally(Span.HOUR, Timestamp(now)).finality == {}
    chain.tell(now + 1)
    assert list(store.figures.tally(Span.HOUR, Timestamp(now + 1)).finality.values()) == [(1, WINDOW + 300)]


def test_challengers_are_counted_and_their_games_found(store: Store) -> None:
    begin = 300 * 3600
    chain = Chain(store, begin)
    chain.post(begin + 60, 7, 1, 2)
    for place, number in enumerate((1, 2)):
        claim = new_claim(number).claim_id
        chain.tell(begin + 70 + place, Challenged(claim, b"g%d" % number * 16, BOB, 0, Root(b"t" * 32), bytes(32)))
    tally = store.figures.tally(Span.HOUR, Timestamp(begin + 80))
    assert (tally.watchers, tally.games, tally.staked) == (1, 2, 2)
    assert [one.game.claim_id for one in store.finding.challenges_of(BOB)] == [new_claim(n).claim_id for n in (2, 1)]
    (one, other) = store.finding.games_about(ALICE)
    assert (one.claimant, one.model_id, other.game.opened.challenger) == (ALICE, MODEL, BOB)
    assert store.finding.games_about(BOB) == store.finding.challenges_of(ALICE) == []
    assert store.finding.claims_of(ALICE)[State.CHALLENGED] == 2


def hexadecimal(value: bytes) -> str:
    return f"0x{value.hex()}"


def test_whatever_32_bytes_name_is_found(store: Store) -> None:
    chain = Chain(store, 1000)
    chain.post(1060, 7, 1, 2)
    first = new_claim(1).claim_id
    game = b"a game's id, of thirty-two bytes"
    chain.tell(1070, Challenged(first, game, BOB, 0, Root(b"t" * 32), bytes(32)))
    find = store.finding.named
    assert find(first) == [Found("claim", hexadecimal(first), "id")]
    assert find(game) == [Found("dispute", hexadecimal(first), "game")]
    assert find(sha256(b"root").digest()) == [Found("batch", "7", "root")]
    assert find(transaction(2)) == [Found("batch", "7", "transaction")]
    assert find(transaction(3)) == [Found("dispute", hexadecimal(first), "transaction")]
    assert find(bytes(32)) == []
    low, high = ClaimId(first[:3] + bytes(29)), ClaimId(first[:3] + b"\xff" * 29)
    assert store.finding.beginning(low, high) == [Found("claim", hexadecimal(first), "beginning")]


def test_figures_are_counted_over_indexes_alone() -> None:
    """However many claims there are, none is looked at that is not counted."""
    store = Store.open()
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        asked.append((statement, parameters))

    store.figures.tally(Span.HOUR, Timestamp(10**9))
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    with store.database.read() as connection:
        plans = [
            row.detail
            for statement, parameters in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert len(asked) > 8 and any("SEARCH changes USING" in plan for plan in plans)
    (scan,) = [plan for plan in plans if re.match("SCAN (claims|changes|batches|moves|postings)", plan)]
    assert scan.startswith("SCAN claims USING COVERING INDEX ix_claims_state_")
    store.close()


def test_the_last_bucket_contains_this_moment() -> None:
    for span in Span:
        first = first_bucket(span, Timestamp(10**9))
        assert (first + span.buckets - 1) * span.width <= 10**9 < (first + span.buckets) * span.width
