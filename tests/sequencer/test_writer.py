"""Claims are written in groups, and nobody is told before the disk is."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from rollup.errors import ClaimError
from sequencer.intake.refusals import Busy, Paused
from sequencer.intake.writer import Writer
from sequencer.states import Accepted, NewClaim, State, Switch
from sequencer.store import Store, StoreError
from tests.sequencer.examples import claim_id, new_claim


def commits(store: Store) -> list[int]:
    """Grows with every transaction that writes."""
    counted: list[int] = []
    sa.event.listen(store.database._engine, "commit", lambda connection: counted.append(1))
    return counted


def test_what_waits_is_written_in_one_transaction(store: Store) -> None:
    writer = Writer(store, group=100)
    futures = [writer.submit(new_claim(number)) for number in range(60)]
    counted = commits(store)
    writer.start()
    assert [future.result(30) for future in futures] == [Accepted(claim_id(n), State.PENDING, True) for n in range(60)]
    assert len(counted) == 1
    assert writer.stop()


def test_a_refused_claim_spoils_nobody_elses(store: Store) -> None:
    writer = Writer(store)
    futures = [writer.submit(new_claim(number, nonce=number // 2)) for number in range(4)]
    writer.start()
    assert futures[0].result(30).fresh and futures[2].result(30).fresh
    for late in (futures[1], futures[3]):
        with pytest.raises(ClaimError, match="sign with another"):
            late.result(30)
    store.switches.set(Switch.INTAKE_PAUSED, True)
    with pytest.raises(Paused):
        writer.submit(new_claim(9)).result(30)
    writer.stop()


def test_when_too_many_wait_the_next_is_turned_away_and_the_others_are_written(store: Store) -> None:
    writer = Writer(store, waiting=3)
    futures = [writer.submit(new_claim(number)) for number in range(3)]
    with pytest.raises(Busy, match="send the claim again"):
        writer.submit(new_claim(3))
    assert writer.depth() == 3
    writer.start()
    assert all(future.result(30).fresh for future in futures)
    assert writer.submit(new_claim(3)).result(30).fresh
    writer.stop()


def test_a_stopping_writer_writes_what_it_has_and_takes_no_more(store: Store) -> None:
    writer = Writer(store, group=4)
    futures = [writer.submit(new_claim(number)) for number in range(10)]
    assert writer.stop()
    assert all(future.done() for future in futures)
    assert store.claims.waiting() == 10
    with pytest.raises(Busy, match="shutting down"):
        writer.submit(new_claim(99))
    assert writer.stop()


def test_a_claim_is_on_disk_when_its_submitter_is_told(url: str) -> None:
    """Another connection sees it at that moment, from many threads at once."""
    store, witness = Store.open(url), Store.open(url)
    writer = Writer(store).start()
    missing: list[bytes] = []

    def submit(base: int) -> None:
        for number in range(base, base + 10):
            accepted = writer.submit(new_claim(number)).result(30)
            if witness.claims.state(accepted.claim_id) is None:
                missing.append(accepted.claim_id)

    threads = [threading.Thread(target=submit, args=(100 * which,)) for which in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == [] and witness.claims.waiting() == 50
    writer.stop()
    store.close()
    witness.close()


def test_a_database_that_fails_is_everybodys_error_and_the_writer_goes_on() -> None:
    store = Store.open()
    accept = store.claims.accept
    broken = True

    def failing(new: Sequence[NewClaim]) -> list[Accepted | ClaimError | Paused]:
        if broken:
            raise StoreError("the disk is full; make room")
        return accept(new)

    store.claims.accept = failing  # type: ignore[method-assign]
    writer = Writer(store).start()
    with pytest.raises(StoreError, match="make room"):
        writer.submit(new_claim(1)).result(30)
    broken = False
    assert writer.submit(new_claim(1)).result(30).fresh
    writer.stop()
