"""What the store keeps, on both databases."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic import command

from rollup.errors import ClaimError
from rollup.types import ModelId, Root, Timestamp
from sequencer import tables
from sequencer.intake.refusals import NamedAlready, NameTaken, Paused
from sequencer.states import Accepted, HeldBack, OfferedModel, State, Switch
from sequencer.store import Store, StoreError, schema
from sequencer.store.changes import Changes
from sequencer.store.cursors import CursorError
from sequencer.store.rows import claim_columns
from sequencer.tables import claims
from tests.sequencer.examples import ALICE, BOB, MODEL, claim_id, new_claim

OTHER = ModelId(Root(b"n" * 32))


def test_an_accepted_claim_is_given_back_whole_and_is_still_there_after_a_restart(url: str) -> None:
    new = new_claim(7, nonce=2**256 - 1, inputs=bytes(range(256)) * 400)
    store = Store.open(url)
    assert store.claims.accept([new]) == [Accepted(new.claim_id, State.PENDING, True)]
    store.close()
    again = Store.open(url)
    entry = again.claims.get(new.claim_id)
    assert entry is not None
    assert (entry.posted, entry.state, entry.taken_at, entry.gas) == (new.posted, State.PENDING, new.taken_at, new.gas)
    assert again.claims.pending(10) == [entry]
    again.close()


def test_the_same_claim_again_is_no_error_also_within_one_group(store: Store) -> None:
    first, second = new_claim(1), new_claim(2)
    assert store.claims.accept([first, second, first]) == [
        Accepted(first.claim_id, State.PENDING, True),
        Accepted(second.claim_id, State.PENDING, True),
        Accepted(first.claim_id, State.PENDING, False),
    ]
    assert store.claims.accept([second]) == [Accepted(second.claim_id, State.PENDING, False)]
    assert store.claims.waiting() == 2


def test_a_nonce_is_taken_once_per_claimant_also_within_one_group(store: Store) -> None:
    outcomes = store.claims.accept([new_claim(1, nonce=5), new_claim(2, nonce=5), new_claim(3, BOB, nonce=5)])
    assert [isinstance(one, Accepted) for one in outcomes] == [True, False, True]
    (late,) = store.claims.accept([new_claim(4, nonce=5)])
    assert isinstance(late, ClaimError) and "sign with another" in str(late)
    assert store.claims.get(claim_id(4)) is None


def test_the_database_itself_refuses_a_second_claim_with_a_nonce(store: Store) -> None:
    store.claims.accept([new_claim(1, nonce=5)])
    values = {"gas": 0, "taken_at": 1, "state": State.PENDING, "released": False}
    two = new_claim(2, nonce=5)
    with pytest.raises(StoreError, match="refused"), store.database.write() as connection:
        connection.execute(sa.insert(claims).values(**claim_columns(two.claim_id, two.posted), **values))
    assert store.claims.waiting() == 1


def test_two_groups_at_the_same_moment_take_every_nonce_once(store: Store) -> None:
    """Both ask for the same nonces, in opposite orders, from two threads."""
    groups = [[new_claim(number, nonce=number) for number in range(40)]]
    groups.append([new_claim(100 + number, nonce=number) for number in reversed(range(40))])
    outcomes: list[list[object]] = [[], []]
    barrier = threading.Barrier(2)

    def accept(which: int) -> None:
        barrier.wait()
        for new in groups[which]:
            outcomes[which] += store.claims.accept([new])

    threads = [threading.Thread(target=accept, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Accepted) for group in outcomes for one in group) == 40
    assert store.claims.waiting() == 40
    assert len({entry.posted.claim.nonce for entry in store.claims.pending(100)}) == 40


def test_while_the_intake_is_paused_only_known_claims_are_answered(store: Store) -> None:
    store.claims.accept([new_claim(1)])
    store.switches.set(Switch.INTAKE_PAUSED, True)
    known, fresh = store.claims.accept([new_claim(1), new_claim(2)])
    assert known == Accepted(claim_id(1), State.PENDING, False)
    assert isinstance(fresh, Paused)
    store.switches.set(Switch.INTAKE_PAUSED, False)
    assert store.claims.accept([new_claim(2)]) == [Accepted(claim_id(2), State.PENDING, True)]


def test_a_switch_stays_on_over_a_restart(url: str) -> None:
    store = Store.open(url)
    assert not store.switches.get(Switch.BATCHER_STOPPED)
    for _ in range(2):
        store.switches.set(Switch.BATCHER_STOPPED, True)
    store.close()
    again = Store.open(url)
    assert again.switches.get(Switch.BATCHER_STOPPED)
    assert not again.switches.get(Switch.INTAKE_PAUSED)
    again.close()


def test_a_listing_goes_on_where_the_page_before_ended_whatever_came_in_meanwhile(store: Store) -> None:
    store.claims.accept([new_claim(number) for number in range(5)])
    first = store.claims.page(limit=2)
    store.claims.accept([new_claim(9)])
    second = store.claims.page(cursor=first.next, limit=2)
    third = store.claims.page(cursor=second.next, limit=2)
    pages = [[entry.claim_id for entry in page.entries] for page in (first, second, third)]
    assert pages == [[claim_id(4), claim_id(3)], [claim_id(2), claim_id(1)], [claim_id(0)]]
    assert third.next is None
    assert all(not entry.posted.inputs for entry in first.entries)


def test_a_listing_is_filtered_by_state_model_and_claimant(store: Store) -> None:
    store.claims.accept([new_claim(1), new_claim(2, BOB), new_claim(3, model=OTHER)])
    store.claims.refuse({claim_id(1): "no bond"})

    def ids(**filters: object) -> list[bytes]:
        return [entry.claim_id for entry in store.claims.page(**filters).entries]  # type: ignore[arg-type]

    assert ids(claimant=ALICE) == [claim_id(3), claim_id(1)]
    assert ids(model=MODEL) == [claim_id(2), claim_id(1)]
    assert ids(state=State.INVALID) == [claim_id(1)]
    assert ids(state=State.PENDING, claimant=BOB, model=MODEL) == [claim_id(2)]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1 ", "9" * 19, "\0", "\uff11"])
def test_a_cursor_that_was_not_given_out_is_named(store: Store, cursor: str) -> None:
    for listing in (store.claims, store.batches, store.disputes, store.audit):
        with pytest.raises(CursorError, match="not given out here"):
            listing.page(cursor=cursor)


def test_what_waits_is_given_in_order_and_without_what_is_held_back(store: Store) -> None:
    store.claims.accept([new_claim(1), new_claim(2, BOB), new_claim(3)])
    assert [entry.claim_id for entry in store.claims.pending(2)] == [claim_id(1), claim_id(2)]
    assert [one.claim_id for one in store.claims.pending(9, HeldBack(claimants=frozenset([ALICE])))] == [claim_id(2)]
    others = store.claims.pending(9, HeldBack(claims=frozenset([claim_id(1)])))
    assert [one.claim_id for one in others] == [claim_id(2), claim_id(3)]
    assert store.claims.pending(9, HeldBack(models=frozenset([MODEL]))) == []
    assert (store.claims.waiting_of(ALICE), store.claims.waiting_of(BOB)) == (2, 1)
    assert store.claims.oldest_waiting() == 1001
    assert store.claims.counts() == {**dict.fromkeys(State, 0), State.PENDING: 3}


def test_a_refused_claim_keeps_its_reason_and_waits_no_longer(store: Store) -> None:
    store.claims.accept([new_claim(1), new_claim(2)])
    store.claims.refuse({claim_id(1): "expired"})
    store.claims.refuse({})
    entry = store.claims.get(claim_id(1))
    assert entry is not None and (entry.state, entry.reason) == (State.INVALID, "expired")
    assert [one.claim_id for one in store.claims.pending(9)] == [claim_id(2)]


def test_changes_are_numbered_and_read_on_from_any_of_them(store: Store) -> None:
    store.claims.accept([new_claim(1), new_claim(2)])
    store.claims.refuse({claim_id(1): "expired"})
    changes = store.changes.after(0)
    assert [(one.claim_id, one.state) for one in changes] == [
        (claim_id(1), State.PENDING),
        (claim_id(2), State.PENDING),
        (claim_id(1), State.INVALID),
    ]
    assert store.changes.after(changes[0].id) == changes[1:]
    assert store.changes.after(0, claim_id(1)) == [changes[0], changes[2]]
    assert store.changes.after(0, limit=1) == changes[:1]
    assert store.changes.latest() == changes[-1].id


def test_readers_of_changes_miss_none_while_many_write(store: Store) -> None:
    """Ids become visible in their order: whoever reads on from the last id that it saw sees every change."""
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while True:
            finished = done.is_set()
            found = store.changes.after(seen[-1] if seen else 0)
            seen.extend(one.id for one in found)
            if finished and not found:
                return

    def write(base: int) -> None:
        for number in range(30):
            store.claims.accept([new_claim(base + number)])

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(1000 * which,)) for which in range(3)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert len(seen) == len(set(seen)) == 90


def test_models_are_found_by_name_and_a_name_is_never_reused(store: Store) -> None:
    digits = OfferedModel(MODEL, "digits", b"header", b"interface", (Root(b"1" * 32), OTHER), Timestamp(5))
    store.models.add(digits)
    assert store.models.named("digits") == store.models.get(MODEL) == digits
    assert store.models.retire(MODEL) and not store.models.retire(OTHER)
    assert store.models.all(retired=False) == []
    with pytest.raises(NameTaken, match="choose another"):
        store.models.add(OfferedModel(OTHER, "digits", b"", b"", (), Timestamp(6)))
    with pytest.raises(NamedAlready, match="'digits' is free then"):
        store.models.add(replace(digits, name="numbers"))
    store.models.add(digits)
    assert store.models.all(retired=False) == [digits]
    assert store.models.named("no\0body") is None


def test_an_idempotency_key_is_answered_once_per_caller(store: Store) -> None:
    key = "k\0\ud800"
    assert store.answers.begin("alice", key, b"d" * 32, Timestamp(10)) is None
    begun = store.answers.begin("alice", key, b"e" * 32, Timestamp(11))
    assert begun is not None and (begun.digest, begun.status) == (b"d" * 32, None)
    assert store.answers.begin("bob", key, b"e" * 32, Timestamp(11)) is None
    store.answers.finish("alice", key, 201, b"{}")
    answered = store.answers.begin("alice", key, b"d" * 32, Timestamp(12))
    assert answered is not None and (answered.status, answered.response, answered.created) == (201, b"{}", 10)
    store.answers.forget("bob", key)
    assert store.answers.begin("bob", key, b"e" * 32, Timestamp(20)) is None
    assert store.answers.prune(Timestamp(5), unfinished_before=Timestamp(21)) == 1
    assert store.answers.prune(Timestamp(11)) == 1


def test_the_audit_log_keeps_every_action_newest_first(store: Store) -> None:
    for number in range(3):
        store.audit.write(Timestamp(number), "own", "ops\0", f"action {number}", {"wei": "1" * 30}, "done")
    first = store.audit.page(limit=2)
    assert [one.action for one in first.entries] == ["action 2", "action 1"]
    (last,) = store.audit.page(cursor=first.next).entries
    assert (last.at, last.role, last.actor, last.detail, last.outcome) == (
        0,
        "own",
        "ops\ufffd",
        {"wei": "1" * 30},
        "done",
    )


def test_a_lease_is_held_by_one_until_it_ends_or_is_given_back(store: Store) -> None:
    assert store.leases.take("batcher", "a", now=100, seconds=10)
    assert not store.leases.take("batcher", "b", now=105, seconds=10)
    assert store.leases.take("batcher", "a", now=105, seconds=10)
    assert store.leases.holder("batcher", 114) == "a"
    assert store.leases.take("batcher", "b", now=116, seconds=10)
    store.leases.release("batcher", "a")
    assert not store.leases.take("batcher", "a", now=117, seconds=10)
    store.leases.release("batcher", "b")
    assert store.leases.take("batcher", "a", now=117, seconds=10)


def test_old_changes_are_forgotten_in_pieces_but_for_each_claims_latest(store: Store) -> None:
    store.claims.accept([new_claim(number) for number in (1, 2, 3)])
    store.claims.refuse({claim_id(1): "no", claim_id(2): "no"})
    changes = Changes(store.database, kept=1)
    before, behind = changes.after(0), 0
    assert (changes.latest(), changes.floor()) == (5, 4)
    for end in (2, 4, 4):
        behind = changes.prune(behind, limit=2)
        assert behind == end
    assert changes.after(0) == before[2:]
    # Two programs, or one that starts again, find nothing more to forget.
    assert changes.prune(0, limit=100) == 4 and changes.after(0) == before[2:]


def test_answers_are_forgotten_in_pieces_the_oldest_first(store: Store) -> None:
    for number in range(5):
        store.answers.begin("alice", str(number), b"d" * 32, Timestamp(number))
    assert store.answers.prune(Timestamp(4), limit=3) == 3
    assert store.answers.begin("alice", "3", b"d" * 32, Timestamp(9)) is not None
    assert store.answers.prune(Timestamp(0), unfinished_before=Timestamp(9), limit=3) == 2


def test_what_waits_is_counted_in_bytes_of_calldata(store: Store) -> None:
    assert store.claims.waiting_bytes() == 0
    store.claims.accept([new_claim(number) for number in (1, 2)])
    assert store.claims.waiting_bytes() == sum(entry.bytes for entry in store.claims.pending(10))
    store.claims.refuse({claim_id(1): "no"})
    assert store.claims.waiting_bytes() == sum(entry.bytes for entry in store.claims.pending(10))


def test_a_database_belongs_to_one_deployment(store: Store) -> None:
    store.l1.bind(1, ALICE)
    store.l1.bind(1, ALICE)
    for chain_id, contract in ((2, ALICE), (1, BOB)):
        with pytest.raises(StoreError, match="give another database"):
            store.l1.bind(chain_id, contract)


def test_the_migrations_make_the_tables_that_the_code_expects(store: Store) -> None:
    with store.database.write() as connection:
        command.check(schema.config(connection))


def test_moves_that_were_stored_under_older_names_have_todays(url: str) -> None:
    store = Store.open(url)
    said = {"at": 1, "block": 1, "log_index": 0, "transaction": b"t", "sender": ALICE, "gas": 1}
    stands = {"challenger": ALICE, "trace_root": b"r", "commitment": b"c", "position": 1, "node": b"n", "opened_at": 1}
    games = {b"won": "convicted", b"other": "convicted", b"lost": "challenge_lost", b"open": None}
    moves: list[tuple[bytes, str, dict[str, str]]] = [
        (b"open", "selected", {}),
        (b"open", "answered", {}),
        (b"lost", "challenge_lost", {"collector": ALICE}),
        (b"won", "convicted", {"rule": "part"}),
    ]
    with store.database.write() as connection:
        for number, (game_id, ended) in enumerate(games.items()):
            row = {**stands, "game_id": game_id, "claim_id": b"m", "counter": number, "block": 1, "ended": ended}
            connection.execute(sa.insert(tables.games).values(row))
        for game_id, kind, extra in moves:
            row = {**said, "claim_id": b"m", "game_id": game_id, "kind": kind, "extra": extra}
            connection.execute(sa.insert(tables.moves).values(row))
        for name in ("requests", "subscriptions", "undo", "answerers", "decisions", "spendings"):
            connection.execute(sa.text(f"DROP TABLE {name}"))
        younger = "changes_state_at batches_root batches_closes_at batches_transaction games_challenger_opened_at games_opened_at"
        for name in ("claims_request_id_sequence", *younger.split(), "moves_transaction"):
            connection.execute(sa.text(f"DROP INDEX ix_{name}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0004'"))
    store.close()
    store = Store.open(url)
    with store.database.read() as connection:
        ended = {bytes(row.game_id): row.ended for row in connection.execute(sa.select(tables.games))}
        kinds = list(connection.execute(sa.select(tables.moves.c.kind).order_by(tables.moves.c.id)).scalars())
    store.close()
    assert ended == {b"won": "convicted", b"other": "ended", b"lost": "lost", b"open": None}
    assert kinds == ["select", "partials", "timeout", "settle"]


def test_a_schema_of_a_newer_program_is_refused_and_left_alone(url: str) -> None:
    store = Store.open(url)
    with store.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match=r"has schema 9999, this program knows [0-9]{4} at most; run the version"):
        Store.open(url)


def test_opening_many_times_at_once_migrates_once(new_url: Callable[[], str]) -> None:
    url = new_url()
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(Store.open(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 4
    stores[0].claims.accept([new_claim(1)])
    assert all(store.claims.waiting() == 1 for store in stores)
    for store in stores:
        store.close()


def test_opening_a_new_file_waits_for_who_writes_in_it(tmp_path) -> None:
    """SQLite refuses to switch a file over to WAL at once, whatever timeout it was given."""
    other = sqlite3.connect(tmp_path / "one.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    Store.open(f"sqlite:///{tmp_path}/one.db").close()
    other.close()


def test_sqlite_promises_to_the_disk(tmp_path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/one.db")
    with store.database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    store.close()


def test_a_database_that_can_not_be_reached_is_named_without_its_password() -> None:
    for scheme in ("postgresql", "postgres"):
        with pytest.raises(StoreError) as caught:
            Store.open(f"{scheme}://sequencer:open-sesame@127.0.0.1:1/touchstone")
        assert "127.0.0.1:1/touchstone" in str(caught.value)
        assert "open-sesame" not in str(caught.value) + repr(caught.value.__cause__)
    with pytest.raises(StoreError, match="can't be read"):
        Store.open("no url: open-sesame")
    with pytest.raises(StoreError, match="use SQLite or PostgreSQL"):
        Store.open("mysql://root:open-sesame@127.0.0.1/x")
