"""Attacks on requests, on the real contracts: who has the money in the end, and what each side sent for it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rollup.errors import Reverted
from rollup.l1.calls import claim_fields, inclusion_fields
from rollup.l1.events import Challenged
from tests.contracts.request_gas import ENDLESS, Asking
from tests.e2e.toy_program import values_of, with_lie
from tests.touchstone.deployment.deployments import MAINNET
from tests.world import ETHER, INPUTS
from touchstone.deployment import gas
from touchstone.deployment.attacks import YEAR, Attack
from touchstone.deployment.cast import cast
from touchstone.deployment.parameters import Terms

DAY = 86_400
TERMS = Terms.load(MAINNET)


def named(name: str) -> Attack:
    (found,) = (attack for attack in cast(TERMS) if attack.name == name)
    return found


def test_a_copy_in_front_takes_the_fee_and_the_answer_gets_nothing() -> None:
    world = Asking()
    _, request_id, asked = world.ask()
    copier, copy, _, copied = world.post(request_id, by="copier")
    prover, posted, _, inclusion = world.post(request_id)
    world.chain.advance(world.parameters.window + 1)
    world.send("answer", asked, b"", claim_fields(copy.claim), inclusion_fields(copied), copy.outputs)
    with pytest.raises(Reverted):
        world.send("answer", asked, b"", claim_fields(posted.claim), inclusion_fields(inclusion), posted.outputs)
    copier.release(copy.claim, copied)
    assert world.read("earned", copier.account) == ETHER
    assert world.read("earned", prover.account) == 0
    assert copier.locked(copier.account) == 0

    attack = named("a copy of the answer, posted in front of it")
    assert attack.attacker == gas.CLAIM_ALONE + gas.ANSWER + gas.RELEASE
    assert attack.defender == gas.CLAIM
    assert attack.gain_gas == -attack.fee_gas == gas.FEE.least
    assert attack.idle == TERMS.parameters.claim_bond * TERMS.parameters.window
    held = named("a copy, and a challenge that holds up the answer")
    assert held.attacker == attack.attacker + gas.CHALLENGE
    assert held.defender == attack.defender + TERMS.dispute.defender
    assert (held.gain_gas, held.fee_gas, held.idle) == (attack.gain_gas, attack.fee_gas, attack.idle)
    assert held.loss(0) == TERMS.burned


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

    attack = named("a false claim that is noted and holds the fee")
    assert attack.attacker == gas.NOTE
    assert attack.defender == named("in a part of a long reduction").defender + gas.STRIKE
    assert attack.loss(0) == TERMS.parameters.claim_bond - TERMS.parameters.reward
    assert attack.holds == TERMS.parameters.window + 2 * TERMS.parameters.clock


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

    attack = named("a consumer that refuses its answer and burns all gas")
    assert attack.attacker == gas.REQUEST + gas.FEE
    assert (attack.defender, attack.back(1)) == (gas.ANSWER, gas.FEE.most)


def test_spam_costs_a_sequencer_its_posting_and_whoever_spams_the_release_of_its_bond() -> None:
    needless, sniped = (
        named("a right claim that nobody needs"),
        named("claims posted in front of a sequencer's batch"),
    )
    assert (needless.attacker, sniped.attacker) == (gas.RELEASE, gas.CLAIM + gas.RELEASE)
    assert needless.defender == sniped.defender == gas.CLAIM
    year = needless.idle // YEAR
    assert needless.loss(0, Fraction(1)) == year == TERMS.parameters.claim_bond * TERMS.parameters.window // YEAR
