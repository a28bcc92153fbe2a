"""Many moves in one transaction: those that cannot wait first, as many as its gas allows; a stale one spoils no other."""

from __future__ import annotations

import pytest

from challenger.sending import prices
from challenger.sending.bundle import Bundle, Due, Outbox
from challenger.sending.costs import Costs
from rollup.claim import ClaimId
from rollup.errors import Refused, Reverted
from rollup.form.encoding import TracePolicy
from rollup.l1 import calls
from rollup.l1.client import L1Client
from rollup.l1.events import CallFailed, Challenged
from rollup.l1.node.floor import floor_gas
from rollup.types import LEAF_BYTES
from tests.contracts.dispute_gas import dearest_endings
from tests.e2e.lies import INPUTS, PROGRAMS
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import toy_inputs

CLAIM = ClaimId(bytes(32))


@pytest.fixture
def network() -> NetworkWorld:
    return NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])


def outbox(client: L1Client, share: float = 0.25) -> tuple[Outbox, dict[ClaimId, Exception]]:
    troubles: dict[ClaimId, Exception] = {}
    return Outbox(client, Costs(), troubles.__setitem__, share), troubles


def leaf(number: int) -> calls.Call:
    return calls.reveal_leaf([number.to_bytes(2, "big") * (LEAF_BYTES // 2)])


def filled(box: Outbox, *due: Due) -> Bundle:
    bundle = box.bundle()
    bundle.add(due)
    return bundle


def estimate(network: NetworkWorld, due: Due) -> None:
    """Have the chain estimate, which is embedded and gives everything that is sent by itself the same limit, what one move takes."""
    network.chain._gas_limit = lambda request: prices.BASE + due.gas  # type: ignore[method-assign]


def test_a_stale_move_spoils_no_other_and_is_told_unless_it_is_harmless(network: NetworkWorld) -> None:
    eve, first, second = network.client("eve"), network.claim("a", INPUTS), network.claim("b", toy_inputs(1))
    box, troubles = outbox(eve)
    opening = calls.challenge(first.posted.claim, first.inclusion, bytes(32))
    wrong = calls.challenge(second.posted.claim, first.inclusion, bytes(32))
    game = eve.challenge(second.posted.claim, second.inclusion, value=network.parameters.challenge_bond).one(Challenged)
    early = calls.timeout([eve.game(game).ref])
    made = box.send(
        filled(box, Due(second.claim_id, wrong), Due(CLAIM, early), Due(first.claim_id, opening), Due(CLAIM, leaf(1)))
    )
    assert [one.receipt.call for one in made] == ["challenge", "revealLeaf"]
    assert len({one.receipt.transaction for one in made}) == 1
    assert made[0].receipt.one(Challenged).claim_id == first.claim_id
    assert list(troubles) == [second.claim_id]
    assert isinstance(troubles[second.claim_id], Reverted) and "with other moves" in str(troubles[second.claim_id])


def test_the_gas_of_a_transaction_is_split_over_its_moves(network: NetworkWorld) -> None:
    eve = network.client("eve")
    box, _ = outbox(eve)
    made = box.send(filled(box, *(Due(ClaimId(bytes([j]) * 32), leaf(j)) for j in range(5))))
    whole = network.chain.receipt(made[0].receipt.transaction)
    assert whole is not None and sum(one.receipt.gas for one in made) == whole["gasUsed"]
    assert len({one.receipt.gas for one in made[:4]}) == 1
    assert all(box.costs.gas(one.claim_id) == one.receipt.gas for one in made)


def test_moves_go_out_by_their_slack_as_many_as_find_room(network: NetworkWorld) -> None:
    eve = network.client("eve")
    box, _ = outbox(eve, 0.005)
    assert box.gas == int(0.005 * network.chain.block_gas())
    bundle = filled(box, *(Due(CLAIM, leaf(j), slack=float(10 - j)) for j in range(6)))
    assert (len(bundle.due), bundle.left) == (2, 4)
    made = box.send(bundle)
    receipt = network.chain.receipt(made[0].receipt.transaction)
    assert len(made) == 2 and receipt is not None and receipt["gasUsed"] <= box.gas
    sent = network.chain.calldata(made[0].receipt.transaction)
    assert calls.inner_calls(sent) == [leaf(1).data, leaf(0).data]


def test_the_first_move_is_sent_whatever_it_takes(network: NetworkWorld) -> None:
    """Nothing may wait forever for a larger block."""
    box, _ = outbox(network.client("eve"), 0.0001)
    assert [one.receipt.call for one in box.send(filled(box, Due(CLAIM, leaf(1)), Due(CLAIM, leaf(2))))] == [
        "revealLeaf"
    ]


def test_bonds_of_several_challenges_are_paid_in_before_as_far_as_the_money_goes(network: NetworkWorld) -> None:
    bond = network.parameters.challenge_bond
    claims = [network.claim(f"c{seed}", toy_inputs(seed)) for seed in range(4)]
    poor = network.deployer.using(network.chain.signer("poor", 0))
    box, troubles = outbox(poor)
    due = [Due(one.claim_id, calls.challenge(one.posted.claim, one.inclusion, bytes(32))) for one in claims]
    network.chain.fund(poor.account, 2 * bond + box._reserve(due) + bond // 2)
    made = box.send(filled(box, *due))
    assert len(made) + len(troubles) == 4 and len(made) == 2
    assert poor.locked(poor.account) == 2 * bond
    assert all("can't pay another bond" in str(trouble) for trouble in troubles.values())


@pytest.mark.parametrize("count", [1, 3])
def test_attack_a_flood_of_lies_keeps_no_poor_watcher_from_opening_the_games_that_it_can_pay(
    network: NetworkWorld, count: int
) -> None:
    """Gas for sixty openings is more than it has; for a few it is enough."""
    bond, claimed = network.parameters.challenge_bond, network.claim("a", INPUTS)
    poor = network.deployer.using(network.chain.signer("poor", 0))
    box, troubles = outbox(poor)
    openings = [
        Due(ClaimId(bytes([j]) * 32), calls.challenge(claimed.posted.claim, claimed.inclusion, bytes(32)))
        for j in range(60)
    ]
    network.chain.fund(poor.account, count * bond + 2 * box._reserve(openings[:count]))
    estimate(network, openings[0])
    assert box._reserve(openings) > 4 * box._reserve(openings[:count])
    made = box.send(Bundle(10**9, 10**9, openings))
    assert [one.claim_id for one in made] == [one.claim_id for one in openings[:count]]
    assert len({one.receipt.transaction for one in made}) == 1
    assert poor.locked(poor.account) == count * bond
    assert list(troubles) == [one.claim_id for one in openings[count:]]


def test_an_opening_whose_bond_can_be_paid_is_made_behind_moves_whose_gas_at_its_dearest_can_not(
    network: NetworkWorld,
) -> None:
    bond, claimed = network.parameters.challenge_bond, network.claim("a", INPUTS)
    poor = network.deployer.using(network.chain.signer("poor", 0))
    box, troubles = outbox(poor)
    opening = Due(claimed.claim_id, calls.challenge(claimed.posted.claim, claimed.inclusion, bytes(32)))
    leaves = [Due(CLAIM, leaf(j)) for j in range(60)]
    network.chain.fund(poor.account, bond + box._reserve([*leaves, opening]) * 3 // 4)
    estimate(network, opening)
    made = box.send(Bundle(10**9, 10**9, [opening, *leaves]))
    assert [one.receipt.call for one in made] == ["revealLeaf"] * 60 + ["challenge"] and not troubles
    assert poor.locked(poor.account) == bond


def test_collections_go_out_behind_the_answers_and_one_with_too_low_a_price_starves_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ending = dearest_endings(2)
    monkeypatch.setitem(prices.EACH, "timeout", 100_000)
    box, troubles = outbox(ending.collector)
    collect = [Due(CLAIM, calls.timeout([game]), game_id=bytes([j])) for j, game in enumerate(ending.games)]
    made = box.send(filled(box, *collect, *(Due(CLAIM, leaf(j), slack=5.0) for j in range(4))))
    assert [one.receipt.call for one in made] == ["revealLeaf"] * 4 + ["timeout"] * 2 and not troubles
    assert len({one.receipt.transaction for one in made[:4]}) == 1
    assert made[0].receipt.block < made[4].receipt.block


def test_collections_have_room_of_their_own(network: NetworkWorld) -> None:
    claimed = network.claim("a", INPUTS)
    bond = network.parameters.challenge_bond
    game = network.client("eve").challenge(claimed.posted.claim, claimed.inclusion, value=bond).one(Challenged)
    collect = Due(CLAIM, calls.timeout([network.client("eve").game(game).ref]))
    answer = Due(CLAIM, leaf(1))
    bundle = Bundle(2 * answer.gas, 2 * collect.gas)
    bundle.add([answer, collect, answer, collect, answer, collect])
    assert bundle.due == [answer, collect, answer, collect] and (bundle.room, bundle.behind, bundle.left) == (0, 0, 2)


def test_a_transaction_that_fails_as_a_whole_is_halved(network: NetworkWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    eve = network.client("eve")
    box, _ = outbox(eve)
    multicall = eve.multicall

    def starved(moves: list[calls.Call], gas: int) -> object:
        if len(moves) > 2:
            raise Reverted("Starved", {}, "too little gas")
        return multicall(moves, gas)

    monkeypatch.setattr(eve, "multicall", starved)
    made = box.send(filled(box, *(Due(CLAIM, leaf(j)) for j in range(4))))
    assert len(made) == 4 and len({one.receipt.transaction for one in made}) == 2


def test_moves_that_a_node_does_not_take_together_are_halved_and_one_that_it_never_takes_spoils_no_other(
    network: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = network.client("eve")
    box, troubles = outbox(eve)
    send, other = eve.send, ClaimId(b"\1" * 32)

    def choosy(call: calls.Call, gas: int | None = None) -> object:
        if leaf(2).data in (call.data, *call.args[0]):
            raise Refused("the node refused the request: gas limit too low")
        return send(call, gas)

    monkeypatch.setattr(eve, "send", choosy)
    made = box.send(filled(box, *(Due(other if j == 2 else CLAIM, leaf(j)) for j in range(4))))
    assert len(made) == 3 and list(troubles) == [other]


def test_a_limit_below_the_floor_of_the_calldata_is_raised_and_a_node_takes_no_other(network: NetworkWorld) -> None:
    """A transaction of many bytes that take little gas is invalid below EIP-7623's floor, whatever it would use."""
    chain, data = network.chain, bytes([1, 0]) * 1000
    signer = chain.signer("sender")
    receipt = chain.transact(signer, signer.address, data, gas=30_000)
    assert receipt["gasUsed"] == floor_gas(data) == 21_000 + 1000 * 50
    fields = {"nonce": 1, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1, "type": 2, "chainId": chain.chain_id}
    below = signer.sign_transaction(
        {**fields, "to": signer.address, "data": data, "value": 0, "gas": floor_gas(data) - 1}
    )
    with pytest.raises(Refused, match="below the floor"):
        chain.broadcast(below)


def test_a_proof_with_much_calldata_has_the_price_of_its_bytes() -> None:
    move = ((bytes(32), bytes(32), "0x" + "11" * 20, 0), bytes(32))
    claim = (bytes(32), "0x" + "11" * 20, 0, 0, bytes(32), bytes(32), bytes(32), bytes(32))
    long, short = (calls.Call(calls.GAME, "prove", (move, claim, 1, bytes(32), 0, bytes(n))) for n in (40_000, 4_000))
    assert prices.price(long) >= prices.FLOOR * 40_000 and prices.price(short) == prices.PROOF + 50_000


def test_the_limit_of_a_transaction_is_what_its_moves_take_at_most(network: NetworkWorld) -> None:
    """A node would estimate the least with which the whole succeeds, and that starves what is in it."""
    eve, claimed = network.client("eve"), network.claim("a", INPUTS)
    eve.fund(3 * network.parameters.challenge_bond)
    opening = calls.challenge(claimed.posted.claim, claimed.inclusion, bytes(32))
    moves = [opening, leaf(1), leaf(2), opening]
    receipt = eve.multicall(moves, prices.BASE + sum(map(prices.price, moves)) * 65 // 64)
    assert not [event for event in receipt.events if isinstance(event, CallFailed)]
    with pytest.raises(Reverted) as starved:
        eve.multicall([leaf(3), leaf(4), leaf(5)], 150_000)
    assert starved.value.name in ("Starved", "Unknown")
