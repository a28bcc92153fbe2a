"""A process that is killed at any moment, any number of times, loses no request and answers none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from rollup.l1.events import ClaimPosted
from rollup.l1.requests.events import CallbackDelivered, RequestAnswered, Requested
from rollup.l1.requests.reads import earned
from sequencer.store.database import Database
from tests.sequencer.requests.world import AskingWorld, LocalProver
from tests.world import ETHER

MOST_LIVES = 60


class Killed(Exception):
    """The process ends here."""


class Reaper:
    """Kills at the ``left``-th of all moments that matter: before and after every commit, every transaction, every signature."""

    def __init__(self, left: int) -> None:
        self.left = left

    def moment(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


@contextmanager
def reaped(world: AskingWorld, reaper: Reaper) -> Iterator[None]:
    write, broadcast, answer = Database.write, world.chain.broadcast, LocalProver.answer

    @contextmanager
    def writing(database: Database) -> Iterator[Any]:
        reaper.moment()
        with write(database) as connection:
            yield connection
        reaper.moment()

    def sending(raw: bytes) -> None:
        reaper.moment()
        broadcast(raw)
        reaper.moment()

    async def answering(prover: LocalProver, *given: Any) -> Any:
        reaper.moment()
        posted = await answer(prover, *given)
        reaper.moment()
        return posted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "write", writing)
        patch.setattr(world.chain, "broadcast", sending)
        patch.setattr(LocalProver, "answer", answering)
        yield


def events(world: AskingWorld, kind: type) -> list[Any]:
    found = world.deployer.events(world.deployer.first, world.chain.height())
    return [one.event for one in found if isinstance(one.event, kind)]


def lives(world: AskingWorld, kills: Callable[[], int]) -> int:
    """Lives until one ends by itself; how many there were."""
    now = world
    for count in range(1, MOST_LIVES):
        reaper = Reaper(kills())
        try:
            with reaped(world, reaper):
                now = now.again()
                now.post()
                if now.batcher.step() is None and not now.store.claims.waiting():
                    world.finish()
                now.errands.step()
                if all(now.read(one.request_id).state == "answered" for one in events(world, Requested)):
                    return count
        except Killed:
            pass
        finally:
            now.answerer.close()
    raise AssertionError(f"after {MOST_LIVES} lives something is not answered yet")


def check(world: AskingWorld, asked: list[Requested], before: int) -> None:
    ids = {one.request_id for one in asked}
    claims = [one.claim.request_id for one in events(world, ClaimPosted) if one.claim.request_id in ids]
    answers = [one.request_id for one in events(world, RequestAnswered) if one.request_id in ids]
    told = [one.request_id for one in events(world, CallbackDelivered) if one.request_id in ids]
    assert sorted(claims) == sorted(answers) == sorted(told) == sorted(ids), "lost, or done twice"
    assert earned(world.deployer, world.claimant.account) - before == len(asked) * ETHER


def test_a_kill_at_each_moment_in_turn_loses_and_doubles_nothing(world: AskingWorld) -> None:
    reached = 0
    for moment in range(1, 34, 3):
        before = earned(world.deployer, world.claimant.account)
        asked = world.ask(moment, patience=10**7)
        once = iter([moment])
        count = lives(world, lambda once=once: next(once, 10**9))  # type: ignore[misc]
        reached += count > 1
        check(world, [asked], before)
        if count == 1:
            break
    assert reached > 6, "the kills came too late to hit anything"


def test_many_kills_at_random_moments_lose_and_double_nothing(world: AskingWorld) -> None:
    random, deaths = Random(1), 0
    for _ in range(6):
        before = earned(world.deployer, world.claimant.account)
        asked = [world.ask(random.randrange(100), patience=10**7) for _ in range(random.randrange(1, 4))]
        deaths += lives(world, lambda: random.randrange(2, 14)) - 1
        check(world, asked, before)
    assert deaths > 10


def test_a_claim_that_is_signed_twice_is_taken_once(world: AskingWorld) -> None:
    """Two processes that both believe to be the only one."""
    asked = world.ask(1)
    other = world.again()
    world.mirror.sync()
    chosen = []
    for life in (world, other):
        head = life.store.l1.head()
        assert head is not None
        chosen.append(life.answerer._chosen(life.answerer._candidates(head), life.claimant.account, head))
    assert [nonce for found in chosen for _, _, nonce in found] == [chosen[0][0][2]] * 2
    world.answerer.step()
    other.prover.client = world.claimant
    assert other.answerer._thread.run(other.answerer._answered(chosen[1])) in ([0], [1])
    while world.batcher.step() is not None:
        pass
    assert len([one for one in events(world, ClaimPosted) if one.claim.request_id == asked.request_id]) == 1
    other.answerer.close()
