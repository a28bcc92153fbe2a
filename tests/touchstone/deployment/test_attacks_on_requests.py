"""Attacks on requests, on the real contracts: who has the money in the end, and that the defender's gas is no more than is counted."""

from __future__ import annotations

import pytest

from rollup.errors import Reverted
from rollup.l1.calls import claim_fields, inclusion_fields
from rollup.l1.events import Challenged
from tests.contracts.request_gas import ENDLESS, Asking
from tests.e2e.toy_program import values_of, with_lie
from tests.world import ETHER, INPUTS
from touchstone.deployment import gas

DAY = 86_400


def test_a_copy_in_front_takes_the_fee_and_the_answer_gets_nothing() -> None:
    world = Asking()
    _, request_id, asked = world.ask()
    copier, copy, _, copied = world.post(request_id, by="copier")
    prover, posted, _, inclusion = world.post(request_id)
    world.chain.advance(world.parameters.window + 1)
    world.send("answer", asked, b"", claim_fields(copy.claim), inclusion_fields(copied), copy.outputs)
    with pytest.raises(Reverted):
        world.send("answer", asked, b"", claim_fields(posted.claim), inclusion_fields(inclusion), posted.outputs)
    assert world.read("earned", copier.account) == ETHER
    assert world.read("earned", prover.account) == 0


def test_a_liars_note_holds_the_fee_until_it_is_struck_and_no_longer() -> None:
    world = Asking()
    _, request_id, asked = world.ask()
    values = with_lie(world.program, values_of(world.program, INPUTS), 4)
    liar, posted, claim_id, inclusion = world.post(request_id, values)
    fields = claim_fields(posted.claim), inclusion_fields(inclusion)
    world.send("note", asked, *fields)
    bond, watcher = world.parameters.challenge_bond, world.client("watcher")
    watcher.challenge(posted.claim, inclusion, value=bond)
    game = watcher.challenge(posted.claim, inclusion, value=bond).one(Challenged)
    world.chain.advance(DAY + 2 * world.parameters.window + 1)
    with pytest.raises(Reverted):
        world.send("refund", asked, b"")
    watcher.timeout([watcher.game(game).ref])
    assert liar.locked(liar.account) == 0
    row, _ = world.send("strike", request_id, claim_id)
    assert row["gas"] <= gas.STRIKE.most
    world.send("refund", asked, b"")
    assert world.read("earned", world.asker.address) == ETHER


def test_a_consumer_that_burns_all_gas_costs_the_answer_no_more_than_is_counted_and_its_fee() -> None:
    world = Asking()
    endless = world.chain.transact(world.asker, None, ENDLESS)["contractAddress"]
    _, request_id, asked = world.ask(str(endless))
    prover, posted, _, inclusion = world.post(request_id)
    world.chain.advance(world.parameters.window + 1)
    fields = claim_fields(posted.claim), inclusion_fields(inclusion)
    row, _ = world.send("answer", asked, b"", *fields, posted.outputs)
    assert gas.CALLBACK < row["gas"] <= gas.ANSWER.most
    assert world.read("earned", prover.account) == ETHER
