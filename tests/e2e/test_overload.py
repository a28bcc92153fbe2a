"""The short version of ``make overload``, and other ways to make an honest party lose that were tried before."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from challenger.defender import Behaviour
from rollup.encoding import TracePolicy
from rollup.l1.calls import Call
from rollup.l1.client import ClaimStatus, L1Client
from rollup.l1.events import Challenged
from tests.campaigns.overload import Load, capacity, overload, siege
from tests.e2e.lies import PROGRAMS, lie_in_op
from tests.e2e.network import TERMS, Network


@pytest.mark.parametrize("behaviour", [Behaviour.WITHHOLDS, Behaviour.PUBLISHES], ids=lambda one: one.name.lower())
def test_more_lies_than_can_be_disputed_at_once_are_all_convicted(behaviour: Behaviour) -> None:
    load = Load("short", behaviour, times=3, share=0.015, clock=14)
    assert capacity(load) > 1
    outcome = overload(load)
    assert outcome.lies == 3 * outcome.capacity and outcome.kept, outcome


def test_a_siege_of_one_right_claim_ends_and_its_answers_are_paid() -> None:
    outcome = siege(5)
    assert outcome.games == 5 and outcome.kept, outcome


def test_attack_whoever_copies_the_path_and_the_pending_proof_earns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copier without program or trace repeats every selection, and pays more for the proof to be mined first."""
    network = Network(PROGRAMS[TracePolicy.WITH_CLAIM])
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
