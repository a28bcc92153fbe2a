"""What is told to the Requests contract, what it costs, and what hostile consumers can't do to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rollup.claim import Address
from rollup.errors import ClientError, Refused
from rollup.l1.account.fees import FeePolicy
from rollup.l1.requests import calls
from rollup.l1.requests.asked import ANYBODY
from rollup.l1.requests.reads import budget_of, earned
from rollup.l1.requests.standing import Progress
from sequencer.request_tables import spendings
from sequencer.requests import errands
from sequencer.requests.policy import answer_gas, request_gas
from sequencer.states import State, inclusion_of
from tests.sequencer.requests.world import BOMB, BURNS, DIES, REVERTS, SWITCH, TAKES, AskingWorld, input_bytes
from tests.world import ETHER, PROGRAM

KINDS = {"takes": TAKES, "reverts": REVERTS, "burns": BURNS, "bomb": BOMB, "dies": DIES}


def test_hostile_consumers_harm_themselves_alone_and_cost_what_was_counted(world: AskingWorld) -> None:
    hostile = [world.ask(seed, world.consumer(code), gas_limit=400_000) for seed, code in enumerate(KINDS.values())]
    nobody = world.ask(8, world.claimant.account, gas_limit=0)
    honest = world.ask(9)
    world.post()
    while world.post() is not None:
        pass
    world.finish()
    assert world.errands.step() == len(hostile) + 2
    states = {name: world.read(asked.request_id).state for name, asked in zip(KINDS, hostile, strict=True)}
    assert states == {
        "takes": "answered",
        "reverts": "undelivered",
        "burns": "undelivered",
        "bomb": "answered",
        "dies": "answered",
    }
    assert world.read(nobody.request_id).state == "undelivered"
    assert world.read(honest.request_id).standing.told
    assert earned(world.deployer, world.claimant.account) == 7 * ETHER
    with world.store.database.read() as connection:
        rows = connection.execute(spendings.select()).all()
    assert len(rows) == 7 and all(row.settled for row in rows)
    # Nobody delivers what would fail again, however long it waits.
    world.chain.mine(300)  # type: ignore[attr-defined]
    assert world.errands.step() == 0


def test_a_request_that_names_no_callback_is_answered_and_hides_none_that_failed(
    world: AskingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "LOOKED_AT", 1)
    switch = world.consumer(SWITCH)
    failed = world.ask(1, switch)
    silent = world.ask(2, ANYBODY, gas_limit=0)
    world.post()
    world.finish()
    assert world.errands.step() == 2
    store = world.store.requests
    assert world.read(silent.request_id).state == "answered"
    assert world.read(silent.request_id).standing.level == "final"
    assert (store.counts()[Progress.ANSWERED], store.counts()[Progress.UNDELIVERED]) == (1, 1)
    assert [one.request_id for one in store.page(state="answered").entries] == [silent.request_id]
    assert [one.request_id for one in store.page(state="undelivered").entries] == [failed.request_id]
    # The later one takes no place among those whose callback is made again.
    world.chain.mine(100)  # type: ignore[attr-defined]
    world.chain.transact(world.requester._key(), switch, (1).to_bytes(32, "big"))
    assert world.errands.step() == 1
    assert world.read(failed.request_id).state == "answered"


@pytest.mark.parametrize("code", KINDS.values(), ids=KINDS)
def test_an_answer_uses_no_more_gas_than_was_counted_and_more_than_half(world: AskingWorld, code: bytes) -> None:
    asked = world.ask(1, world.consumer(code), gas_limit=1_000_000, data=bytes(range(1, 256)) * 16)
    world.post()
    (claim_id,) = world.claims(asked.request_id)
    world.finish()
    before = world.chain.wei_of(world.asking.account)
    assert world.errands.step() == 1
    counted = answer_gas(PROGRAM.header, asked.request, len(asked.data))
    block = world.chain.web3.eth.get_block("latest")
    spent = world.store.requests.spent(block["timestamp"] - 10)
    assert spent == before - world.chain.wei_of(world.asking.account)
    assert block["gasUsed"] <= counted
    assert code != BURNS or block["gasUsed"] > 0.75 * counted
    posting = world.store.claims.get(claim_id)
    assert posting is not None and request_gas(PROGRAM.header, asked.request, len(asked.data)) > counted + 200_000


def test_a_callback_is_made_again_once_it_would_be_taken_and_not_more_often_than_allowed(world: AskingWorld) -> None:
    switch = world.consumer(SWITCH)
    asked = world.ask(1, switch)
    world.post()
    world.finish()
    assert world.errands.step() == 1
    assert world.read(asked.request_id).standing.progress is Progress.UNDELIVERED
    world.chain.mine(100)  # type: ignore[attr-defined]
    assert world.errands.step() == 0, "it would fail again"
    world.chain.transact(world.requester._key(), switch, (1).to_bytes(32, "big"))
    none = replace(world.policy, retries=0)
    assert world.again(policy=none).errands.step() == 0, "the policy allows no retry"
    assert world.errands.step() == 1
    assert world.read(asked.request_id).standing.told


def test_a_consumer_that_burns_its_gas_keeps_no_callback_of_another_waiting(
    world: AskingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever words the node has for it."""
    burns, switch = world.consumer(BURNS), world.consumer(SWITCH)
    first, second = world.ask(1, burns), world.ask(2, switch)
    world.post()
    world.finish()
    assert world.errands.step() == 2
    world.chain.mine(100)  # type: ignore[attr-defined]
    world.chain.transact(world.requester._key(), switch, (1).to_bytes(32, "big"))
    right = type(world.errands.client.chain).call

    def call(chain: Any, to: Address, *given: Any, **more: Any) -> bytes:
        if to == burns:
            raise Refused("the node refused the request: EVM error OutOfGas")
        return right(chain, to, *given, **more)

    monkeypatch.setattr(type(world.errands.client.chain), "call", call)
    assert world.errands.step() == 1
    told = [world.read(one.request_id).standing.told for one in (first, second)]
    assert told == [False, True]


def test_a_day_of_spending_is_bounded_also_over_a_restart(world: AskingWorld) -> None:
    first, second = world.ask(1), world.ask(2)
    world.post()
    world.finish()
    gas = answer_gas(PROGRAM.header, first.request, 5)
    price = world.chain.fees.first(world.chain.base_fee()).most
    life = world.again(policy=replace(world.policy, spend_wei=int(1.2 * gas * price)))
    life.errands.step()
    states = sorted(life.read(one.request_id).state for one in (first, second))
    assert states == ["answered", "open"]
    assert life.purse.trouble is not None and "a day are spent on requests" in life.purse.trouble
    again = life.again()
    assert again.errands.step() == 0
    world.chain.advance(24 * 3600 + 60)  # type: ignore[attr-defined]
    again.again().errands.step()
    assert {world.read(one.request_id).state for one in (first, second)} == {"answered"}


def test_an_account_without_money_sends_nothing_and_says_so(world: AskingWorld) -> None:
    poor = world.deployer.using(world.chain.signer("poor", 1))  # type: ignore[attr-defined]
    asked = world.ask(1)
    world.post()
    world.finish()
    life = world.again(asking=poor)
    assert life.errands.step() == 0
    assert life.purse.trouble is not None and "send it some" in life.purse.trouble
    assert world.read(asked.request_id).state == "open"


def test_a_claim_that_may_be_late_is_noted_and_one_that_is_false_is_struck(world: AskingWorld) -> None:
    asked = world.ask(1, patience=300)
    world.post()
    (claim_id,) = world.claims(asked.request_id)
    challenger = world.deployer.using(world.chain.signer("challenger"))  # type: ignore[attr-defined]
    entry = world.store.claims.get(claim_id)
    assert entry is not None
    world.mirror.sync()
    entry = world.store.claims.get(claim_id)
    assert entry is not None and entry.batch is not None
    where = inclusion_of(entry, world.store.batches.get(entry.batch))
    assert where is not None
    challenger.challenge(entry.posted.claim, where, value=world.deployer.parameters.challenge_bond)
    assert world.errands.step() == 0, "there is time"
    over = asked.request.until + 2 * world.deployer.parameters.window
    world.chain.at(over - 200)  # type: ignore[attr-defined]
    world.chain.mine()  # type: ignore[attr-defined]
    assert world.errands.step() == 1
    found = world.read(asked.request_id)
    assert (found.state, found.standing.noted) == ("noted", frozenset({claim_id}))
    assert world.errands.step() == 0
    # The claimant is silent: its clock runs out, and the claim is invalid.
    world.chain.advance(world.deployer.parameters.clock + 1)  # type: ignore[attr-defined]
    (opened,) = challenger.games_of(claim_id)
    challenger.timeout([challenger.game(opened).ref])
    assert world.errands.step() == 1
    found = world.read(asked.request_id)
    assert (found.standing.noted, world.store.claims.state(claim_id)) == (frozenset(), State.INVALID)
    world.requester.send(calls.refund(asked.request, asked.data))
    assert world.read(asked.request_id).state == "refunded"


def test_subscriptions_are_renewed_while_they_are_due_worth_it_and_have_a_budget(world: AskingWorld) -> None:
    paid, poor = world.subscribe(2, 100), world.subscribe(2, 100, fee=10**15)
    world.mirror.sync()
    assert world.errands.step() == 1
    assert budget_of(world.deployer, paid.subscription_id)[1] == 1
    assert budget_of(world.deployer, poor.subscription_id)[1] == 2
    assert world.errands.step() == 0, "the next is not due"
    world.chain.advance(101)  # type: ignore[attr-defined]
    assert world.errands.step() == 1
    assert budget_of(world.deployer, paid.subscription_id)[1] == 0
    world.chain.advance(101)  # type: ignore[attr-defined]
    assert world.errands.step() == 0
    assert world.post() is not None
    page = world.store.requests.page()
    assert [one.subscription_id for one in page.entries] == [paid.subscription_id] * 2
    assert all(len(world.claims(one.request_id)) == 1 for one in page.entries)
    world.finish()
    assert world.errands.step() == 2
    assert {world.read(one.request_id).state for one in page.entries} == {"answered"}


def test_the_input_of_a_request_may_have_come_with_another(world: AskingWorld) -> None:
    first = world.ask(1)
    root = first.request.input_root
    assert world.store.requests.inputs_of(PROGRAM.id, root) is None
    world.mirror.sync()
    assert world.store.requests.inputs_of(PROGRAM.id, root) == input_bytes(1)


def test_a_prover_that_fails_is_asked_again_later_and_the_reason_is_kept(world: AskingWorld) -> None:
    asked = world.ask(1)
    world.mirror.sync()
    world.answerer.step()
    world.prover.down = ClientError("it burns")
    failing = world.ask(2)
    world.post()
    assert world.read(failing.request_id).reason == "no claim could be made: it burns"
    world.prover.down = None
    world.post()
    assert not world.claims(failing.request_id), "its pause is not over"
    world.clock += 6
    world.post()
    assert len(world.claims(failing.request_id)) == 1
    assert world.read(failing.request_id).reason is None
    assert len(world.claims(asked.request_id)) == 1


def test_a_final_claim_that_is_too_dear_to_be_shown_is_noted_before_the_fee_is_gone(world: AskingWorld) -> None:
    asked = world.ask(1, patience=300)
    world.post()
    world.finish()
    cheap = world.chain.fees
    # A price at which `note` is worth the fee and `answer` is not.
    world.chain.fees = FeePolicy(priority=3 * 10**12, cap=10**13)
    life = world.again()
    assert life.errands.step() == 0
    over = asked.request.until + 2 * world.deployer.parameters.window
    world.chain.at(over - 100)  # type: ignore[attr-defined]
    world.chain.mine()  # type: ignore[attr-defined]
    assert life.errands.step() == 1
    assert world.read(asked.request_id).state == "noted"
    world.chain.fees = cheap
    world.chain.at(over + 100)  # type: ignore[attr-defined]
    world.chain.mine()  # type: ignore[attr-defined]
    assert world.again().errands.step() == 1
    assert world.read(asked.request_id).state == "answered"


def test_trouble_with_money_ends_when_its_reason_does(world: AskingWorld) -> None:
    poor = world.deployer.using(world.chain.signer("poor", 1))  # type: ignore[attr-defined]
    world.ask(1)
    world.post()
    world.finish()
    life = world.again(asking=poor)
    life.errands.step()
    assert life.purse.trouble is not None
    life.purse.look(world.chain.now())
    assert life.purse.trouble is not None
    world.chain.fund(poor.account, ETHER)  # type: ignore[attr-defined]
    life.purse.look(world.chain.now())
    assert life.purse.trouble is None
    assert life.errands.step() == 1, "what could not be paid is not put off"
