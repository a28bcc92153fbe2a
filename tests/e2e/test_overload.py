"""The short version of ``make overload``, and other ways to make an honest party lose that were tried before."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest

from challenger.defender import Behaviour
from challenger.watch.watcher import Watcher
from rollup.form.encoding import TracePolicy
from rollup.l1.answers import ClaimStatus
from rollup.l1.calls import Call
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged, ChallengeLost, Convicted
from tests.campaigns.overload import Load, capacity, overload, siege
from tests.e2e.lies import PROGRAMS, lie_in_op, lie_in_output
from tests.e2e.network import NetworkWorld
from tests.world import ETHER, TERMS


@pytest.mark.parametrize("behaviour", [Behaviour.WITHHOLDS, Behaviour.PUBLISHES], ids=lambda one: one.name.lower())
def test_more_lies_than_can_be_disputed_at_once_are_all_convicted(behaviour: Behaviour) -> None:
    load = Load("short", behaviour, times=3, share=0.015, clock=14)
    assert capacity(load) > 1
    outcome = overload(load)
    assert outcome.lies == 3 * outcome.capacity and outcome.kept, outcome


def test_a_siege_of_one_right_claim_ends_and_its_answers_are_paid() -> None:
    outcome = siege(5)
    assert outcome.games == 5 and outcome.kept, outcome


def test_attack_a_flood_of_lies_does_not_paralyse_a_watcher_that_can_pay_one_game() -> None:
    """Its openings' gas together is more than it has: it plays one game after the other, with what each brings in."""
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    chain, lies = network.chain, 30
    first = lie_in_output(network, Behaviour.SILENT)
    liar = first.client
    liar.deposit(lies * TERMS.claim_bond)
    more = [
        liar.sign(replace(first.posted.claim, nonce=100 + number), first.posted.inputs, first.posted.outputs)
        for number in range(lies - 1)
    ]
    liar.post_batch(more)
    poor = network.deployer.using(chain.signer("poor", TERMS.challenge_bond + 4 * ETHER // 1000))
    watcher = Watcher(poor, network.traces, network.reference, network.admit)
    watcher.hold(network.program)
    watcher.check()
    assert len(watcher.false_claims()) == lies
    # The embedded chain gives everything that is sent by itself as much gas as this, and wants the money for it.
    chain._gas_limit = lambda request: 1_000_000  # type: ignore[method-assign]
    for _ in range(20):
        watcher.poll()
        chain.advance(10)
    news = [logged.event for logged in network.deployer.events(0, chain.height())]
    assert sum(isinstance(event, Convicted) for event in news) >= 10
    assert not any(isinstance(event, ChallengeLost) for event in news)


def test_attack_whoever_copies_the_path_and_the_pending_proof_earns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copier without program or trace repeats every selection, and pays more for the proof to be mined first."""
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    watcher, client = network.watch()
    claimed = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    copier, copied = network.client("copier"), []
    send = L1Client.send

    def pending(self: L1Client, call: Call, gas: int | None = None) -> object:
        if self.account == client.account and call.name == "prove":
            mine = copier.game(copied[0]).at
            send(copier, Call(call.contract, "prove", (astuple(mine), *call.args[1:])))
        return send(self, call, gas)

    monkeypatch.setattr(L1Client, "send", pending)
    for _ in range(20):
        for move in watcher.poll():
            if move.call == "challenge":
                opened = copier.challenge(claimed.posted.claim, claimed.inclusion, value=TERMS.challenge_bond)
                copied.append(opened.one(Challenged))
            if move.call == "select":
                path = copier.selected_path(move.transaction)
                assert path is not None
                copier.select(copier.game(copied[0]).at, *path[1:])
        claimed.defender.poll()
        network.chain.advance(5)
        if network.status(claimed) is ClaimStatus.INVALID:
            break
    watcher.poll()
    assert network.status(claimed) is ClaimStatus.INVALID
    assert copier.earnings(copier.account) == TERMS.challenge_bond, "its bond came back, and nothing else"
    assert client.earnings(client.account) == TERMS.challenge_bond + TERMS.reward
    assert client.locked(client.account) == 0
