"""Requests are answered, paid, called back; and those that are not say why."""

from __future__ import annotations

from rollup.l1.requests.reads import earned
from tests.sequencer.requests.world import AskingWorld


def test_a_request_is_claimed_posted_and_answered_once_it_is_final(world: AskingWorld) -> None:
    asked = world.ask()
    assert world.post() is not None
    assert len(world.claims(asked.request_id)) == 1
    assert world.errands.step() == 0
    world.finish()
    assert world.errands.step() == 1
    found = world.read(asked.request_id)
    assert (found.state, found.standing.told) == ("answered", True)
    assert [found.standing.answer] == world.claims(asked.request_id)
    assert earned(world.deployer, world.claimant.account) == asked.request.fee == found.request.pay
    assert (found.request, found.inputs, found.data) == (asked.request, asked.inputs, b"along")
    # Nothing is done twice.
    assert world.post() is None
    assert world.errands.step() == 0
    assert len(world.prover.asked) == 1
