"""What the store keeps of requests follows from the blocks that are left, whatever the chain took back on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from rollup.claim import Address, ClaimId
from rollup.l1.events import Event, Logged
from rollup.l1.follow import News
from rollup.l1.node.finality import Block
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request, Subscription
from rollup.l1.requests.events import (
    AnswerNoted,
    AnswerRevealed,
    AnswersDiffer,
    AnswerSettled,
    AnswersSealed,
    AnswerStruck,
    CallbackDelivered,
    CallbackFailed,
    CommitteeDrawn,
    Renewed,
    RequestAgreed,
    RequestAnswered,
    RequestCancelled,
    Requested,
    RequestRefunded,
    Subscribed,
    Unsubscribed,
)
from rollup.l1.requests.standing import Progress
from rollup.types import Duration, ModelId, Root, Timestamp
from sequencer.request_tables import requests, subscriptions, undo
from sequencer.store import Store

SCHEDULES = 40
CLAIM = ClaimId(b"c" * 32)
ALICE = Address("0x" + "11" * 20)
REQUEST = Request(
    ModelId(Root(b"m" * 32)),
    Root(b"i" * 32),
    ALICE,
    ALICE,
    1,
    10**30,
    ANYBODY,
    Timestamp(0),
    Timestamp(900),
    ANYBODY,
    0,
    0,
    0,
    NO_COMMITTEE,
    b"d" * 32,
    0,
)
SUBSCRIPTION = Subscription(REQUEST, Duration(60), Duration(0), Duration(900), 0)


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


def asked(number: int) -> Requested:
    quorum = 3 * (number % 2)
    request = replace(REQUEST, number=number, until=Timestamp(900 + number), quorum=quorum, commit_blocks=quorum)
    request = replace(request, callback=ANYBODY if number > 1 else ALICE)
    return Requested(name(number), request.model_id, request, b"in", b"data")


def event(random: Random) -> Event:
    """Any event about a few requests and a subscription, in any order: the store does not rely on the contract's."""
    number, claim = random.randrange(4), ClaimId(name(1000 + random.randrange(3)))
    made: tuple[Event, ...] = (
        asked(number),
        asked(number),
        Subscribed(name(500), SUBSCRIPTION, b"", b"data"),
        Renewed(name(500), name(number)),
        Unsubscribed(name(500), 1),
        RequestCancelled(name(number), Timestamp(random.randrange(2000))),
        AnswerNoted(name(number), claim),
        AnswerStruck(name(number), claim),
        RequestAnswered(name(number), claim, ALICE, 7),
        CallbackFailed(name(number)),
        CallbackDelivered(name(number)),
        RequestRefunded(name(number)),
        CommitteeDrawn(name(number), b"c" * 32),
        AnswersSealed(name(number)),
        AnswerRevealed(name(number), claim, ALICE, 1),
        AnswersDiffer(name(number), claim),
        RequestAgreed(name(number), Root(b"o" * 32)),
        AnswerSettled(name(number), claim, random.randrange(2), 0, 5),
    )
    return random.choice(made)


def contents(store: Store) -> list[list[Any]]:
    with store.database.read() as connection:
        return [
            sorted(repr(tuple(row)) for row in connection.execute(sa.select(table)))
            for table in (requests, subscriptions, undo)
        ]


class Fed:
    """A store that is told of a chain."""

    def __init__(self) -> None:
        self.store = Store.open()
        self.forks = 0

    def tell(self, chain: list[tuple[Block, tuple[Event, ...]]], kept: int, rewound: bool) -> None:
        """``kept``: how many blocks of the chain were told before."""
        head = self.store.l1.head()
        events = tuple(
            Logged(event, block.number, index, b"t" * 32, block.hash)
            for block, told in chain[kept:]
            for index, event in enumerate(told)
        )
        seen = tuple(block for block, _ in chain)
        news = News(kept - 1 if rewound else None, events, seen[-1], seen)
        assert self.store.l1.apply(news, None if head is None else head.hash, {})


def valid(chain: list[tuple[Block, tuple[Event, ...]]], told: tuple[Event, ...]) -> tuple[Event, ...]:
    """Without what begins something a second time: L1 gives every id once."""
    known = {event.request_id for _, block in chain for event in block if isinstance(event, Requested)}
    known |= {event.subscription_id for _, block in chain for event in block if isinstance(event, Subscribed)}
    kept: list[Event] = []
    for event in told:
        if isinstance(event, Requested | Subscribed):
            begun = event.request_id if isinstance(event, Requested) else event.subscription_id
            if begun in known:
                continue
            known.add(begun)
        kept.append(event)
    return tuple(kept)


def test_a_store_that_followed_reorganisations_equals_one_that_saw_the_surviving_chain_alone() -> None:
    rewinds = undone = told_in_all = 0
    for seed in range(SCHEDULES):
        random, fed = Random(seed), Fed()
        chain: list[tuple[Block, tuple[Event, ...]]] = [(Block(0, b"0" * 32, Timestamp(0), b""), ())]
        fed.tell(chain, 0, False)
        for turn in range(random.randrange(1, 9)):
            kept = max(1, len(chain) - random.choice((0, 0, 1, 2, 3, 6)))
            rewinds += kept < len(chain)
            undone += sum(len(told) for _, told in chain[kept:])
            rewound = kept < len(chain)
            del chain[kept:]
            for _ in range(random.randrange(1, 5)):
                told = valid(chain, tuple(event(random) for _ in range(random.randrange(6))))
                named = turn.to_bytes(16, "big") + len(chain).to_bytes(16, "big")
                chain.append((Block(len(chain), named, Timestamp(len(chain)), chain[-1][0].hash), told))
                told_in_all += len(told)
            fed.tell(chain, kept, rewound)
        straight = Fed()
        straight.tell(chain, 0, False)
        assert contents(fed.store) == contents(straight.store), seed
        fed.store.close()
        straight.store.close()
    assert rewinds > SCHEDULES and undone > 3 * SCHEDULES and told_in_all > 20 * SCHEDULES


def rows(store: Store) -> list[tuple[Any, ...]]:
    with store.database.read() as connection:
        return [tuple(row) for table in (requests, undo) for row in connection.execute(sa.select(table))]


LATER = (
    "ix_changes_state_at",
    "ix_batches_root",
    "ix_batches_closes_at",
    "ix_batches_transaction",
    "ix_games_challenger_opened_at",
    "ix_games_opened_at",
    "ix_moves_transaction",
    "ix_requests_transaction",
)
"""Indexes that revision 0008 makes."""


def test_what_was_stored_of_requests_without_a_callback_is_told_as_today(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    blocks = [Block(number, name(number), Timestamp(number), name(number - 1)) for number in (1, 2, 3)]
    silent = replace(REQUEST, callback=ANYBODY)
    begun = tuple(Requested(name(n), one.model_id, one, b"in", b"") for n, one in ((7, silent), (8, REQUEST)))
    ended = tuple(
        event for n in (7, 8) for event in (RequestAnswered(name(n), CLAIM, ALICE, 0), CallbackFailed(name(n)))
    )
    again = (AnswerNoted(name(7), CLAIM),)
    store = Store.open(url)
    logged = (
        Logged(event, block.number, index, b"t" * 32, block.hash)
        for block, told in zip(blocks, (begun, ended, again), strict=True)
        for index, event in enumerate(told)
    )
    assert store.l1.apply(News(None, tuple(logged), blocks[-1], tuple(blocks)), None, {})
    today = rows(store)
    with store.database.write() as connection:
        for table in (requests, undo):
            for row in connection.execute(sa.select(table)).all():
                old = {key: value for key, value in row.standing.items() if key != "silent"}
                if row.standing["silent"] and old["progress"] == "answered":
                    old["progress"] = "undelivered"
                key = [column == value for column, value in zip(table.primary_key, row, strict=False)]
                connection.execute(sa.update(table).where(*key).values(standing=old))
        connection.execute(sa.update(requests).values(progress="undelivered"))
        for index in LATER:
            connection.execute(sa.text(f"DROP INDEX {index}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0006'"))
    assert rows(store) != today
    store.close()
    store = Store.open(url)
    assert rows(store) == today
    assert [store.requests.counts()[one] for one in (Progress.ANSWERED, Progress.UNDELIVERED)] == [1, 1]
    store.close()
