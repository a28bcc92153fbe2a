"""What attacks cost, against the same attacks played in the pure game: money on its ledger, and gas by the moves that were made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollup.claim import Address
from rollup.game.moves import (
    Challenge,
    Descend,
    Move,
    Narrow,
    Partials,
    Prove,
    Reclaim,
    Reveal,
    RevealLeaf,
    Select,
    Settle,
    SetTraceRoot,
    Timeout,
)
from tests.touchstone.deployment.deployments import MAINNET, playable
from tests.touchstone.deployment.played import CHALLENGER, CLAIMANT, OTHER, Played
from touchstone.deployment import gas
from touchstone.deployment.attacks import Attack
from touchstone.deployment.cast import cast, judged
from touchstone.deployment.gas import FREE, GasCost
from touchstone.deployment.parameters import Terms

ATTACKER: Mapping[type[Move], GasCost] = {
    Challenge: gas.CHALLENGE,
    Descend: gas.DESCEND,
    Narrow: gas.NARROW,
    RevealLeaf: gas.REVEAL_LEAF,
}
"""What an attacker's moves cost that are counted; that it collects a timeout is not."""

CLAIMANT_S: Mapping[type[Move], GasCost] = {
    SetTraceRoot: gas.TRACE_ROOT,
    RevealLeaf: gas.REVEAL_LEAF,
    Partials: gas.PARTIALS,
    Timeout: gas.TIMEOUT,
}
CHALLENGER_S: Mapping[type[Move], GasCost] = {
    Challenge: gas.CHALLENGE,
    Descend: gas.PROOF,
    Narrow: gas.NARROW,
    Settle: gas.PROOF,
    Prove: gas.PROOF,
    Timeout: gas.DEFENDER_TIMEOUT,
    Reclaim: gas.RECLAIM,
}


def begun(terms: Terms) -> Played:
    """A claim of a model whose trace tree has the shape with which a dispute takes most selections."""
    depth, arity = terms.conditions.leaf_depth, terms.parameters.arity
    entry = max(range(1, depth), key=lambda at: -(-at // arity) - (at - depth) // arity)
    return Played(terms.parameters, entry, depth)


def moved(terms: Terms, played: Played, accounts: Iterable[Address], prices: Mapping[type[Move], GasCost]) -> GasCost:
    """Gas of the moves of some accounts; selections and revelations, of which the whole of a dispute was measured, by their share."""
    total = sum((prices.get(kind, FREE) * played.count(kind, accounts) for kind in prices), FREE)
    for kind, whole in ((Select, terms.dispute.selects), (Reveal, terms.dispute.reveals)):
        count = played.count(kind, accounts)
        assert count in (0, 1, terms.dispute.rounds)
        if count:
            total += whole if count == terms.dispute.rounds else terms.dispute.reveal
    return total


def named(terms: Terms, name: str) -> Attack:
    (found,) = (attack for attack in cast(terms) if attack.name == name)
    return found


def silent(played: Played) -> None:
    played.challenge()
    played.answer_root()
    played.open(CLAIMANT)
    played.run_out(CLAIMANT)


def to_a_leaf(played: Played) -> None:
    played.challenge()
    played.answer_root()
    played.down(CLAIMANT)
    played.run_out(CLAIMANT)


def to_a_part(played: Played) -> None:
    played.challenge()
    played.answer_root()
    played.down(CLAIMANT)
    played.inside()
    played.run_out(CLAIMANT)


def opening_first(played: Played) -> None:
    played.challenge()
    played.answer_root()
    played.down(OTHER, CLAIMANT)
    played.inside()
    played.run_out(OTHER)


CHALLENGES: dict[str, Callable[[Played], None]] = {
    "challenge, then silence": silent,
    "down to a leaf, then silence": to_a_leaf,
    "down to a part of an element, then silence": to_a_part,
    "down to a part, the attacker opening each node first": opening_first,
}


@pytest.mark.parametrize("name", CHALLENGES)
@given(terms=playable())
@settings(max_examples=40, deadline=None)
def test_a_challenge_of_a_right_claim_costs_what_it_costs_when_it_is_played(name: str, terms: Terms) -> None:
    played, attack = begun(terms), named(terms, name)
    CHALLENGES[name](played)
    assert played.lost(CHALLENGER, OTHER) == attack.loss(0)
    assert -played.lost(CLAIMANT) == attack.back(0)
    assert moved(terms, played, (CHALLENGER, OTHER), ATTACKER) == attack.attacker
    assert moved(terms, played, (CLAIMANT,), CLAIMANT_S) == attack.defender
    assert played.dispute.conviction is None and not played.dispute.open_games


@given(terms=playable(), others=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_each_further_account_loses_its_bond_and_brings_the_claimant_its_fees(terms: Terms, others: int) -> None:
    one, many, attack = begun(terms), begun(terms), named(terms, "each further account that challenges along")
    for played, count in ((one, 0), (many, others)):
        for by in (CHALLENGER, *[OTHER] * count):
            played.challenge(by)
        played.answer_root()
        played.open(CLAIMANT)
        played.run_out(CLAIMANT)
    assert many.lost(CHALLENGER, OTHER) - one.lost(CHALLENGER, OTHER) == others * attack.loss(0)
    assert one.lost(CLAIMANT) - many.lost(CLAIMANT) == others * attack.back(0)
    assert many.count(Timeout) == one.count(Timeout), "all are collected in one transaction"
    for kind in (SetTraceRoot, Reveal):
        assert many.count(kind) == one.count(kind), "what is open is open for every game"
    assert many.dispute.clock == one.dispute.clock
    assert attack.stops == 0


def published(played: Played) -> None:
    played.answer_root()
    played.prove()


def withheld(played: Played) -> None:
    played.answer_root()
    played.down(CLAIMANT)
    played.prove()


def reduced(played: Played) -> None:
    played.answer_root()
    played.down(CLAIMANT)
    played.settle()


def never(played: Played) -> None:
    played.run_out(CHALLENGER)


def silent_in_the_end(played: Played) -> None:
    played.answer_root()
    played.down(CLAIMANT)
    question, results = played.inside(answers=gas.MOST_LEVELS - 1)
    assert not results and question.asks_for_parts
    played.run_out(CHALLENGER)


LIES: dict[str, Callable[[Played], None]] = {
    "with its trace published": published,
    "with its trace withheld, down to a leaf": withheld,
    "in a part of a long reduction": reduced,
    "whose claimant never answers": never,
    "whose claimant is silent in the end": silent_in_the_end,
}


@pytest.mark.parametrize("name", LIES)
@given(terms=playable())
@settings(max_examples=40, deadline=None)
def test_a_false_claim_costs_what_it_costs_when_it_is_played(name: str, terms: Terms) -> None:
    played, attack = begun(terms), named(terms, name)
    played.challenge(committed=name == "with its trace published")
    LIES[name](played)
    assert played.dispute.conviction is not None
    assert played.lost(CLAIMANT, CHALLENGER) == attack.loss(0), "the challenger is an account of the liar's"
    assert played.lost(CLAIMANT) == terms.parameters.claim_bond
    assert -played.lost(CHALLENGER) == attack.returned
    spent = moved(terms, played, (CHALLENGER,), CHALLENGER_S)
    assert attack.defender == spent + (gas.COMMIT if name == "with its trace published" else FREE)
    assert attack.loss(0) >= terms.lie


@given(terms=playable())
@settings(max_examples=40, deadline=None)
def test_an_honest_challenger_whose_proof_comes_second_has_its_bond_back(terms: Terms) -> None:
    played, attack = begun(terms), named(terms, "convicted by an account of its own")
    played.challenge(OTHER, committed=True)
    played.challenge(CHALLENGER)
    played.answer_root()
    played.down(CLAIMANT, number=1)
    played.inside(1)
    played.prove(0)
    played.make(Reclaim(CHALLENGER, (1,)))
    assert played.lost(CHALLENGER) == 0
    assert played.lost(CLAIMANT, OTHER) == attack.loss(0)
    assert attack.attacker == gas.CHALLENGE_AGAIN + gas.SIMPLE_PROOF
    assert moved(terms, played, (CHALLENGER,), CHALLENGER_S) == attack.defender


@given(terms=playable(least_depth=gas.DEEPEST))
@settings(max_examples=40, deadline=None)
def test_whoever_challenges_itself_loses_what_burns_even_in_the_longest_dispute(terms: Terms) -> None:
    played, attack = begun(terms), named(terms, "a challenge of one's own right claim")
    before = played.dispute.clock.reading(played.instant.time)
    to_a_part(played)
    assert played.lost(CLAIMANT, CHALLENGER) == attack.loss(0) == terms.burned
    passed = terms.parameters.clock + 1
    assert played.dispute.clock.reading(played.instant.time) == before + max(0, passed - attack.stops)


@given(terms=playable())
@settings(max_examples=40, deadline=None)
def test_a_copied_path_takes_the_reward_and_a_copied_proof_nothing(terms: Terms) -> None:
    path, proof = named(terms, "a copy of all selections by whoever challenged earlier"), begun(terms)
    copied = begun(terms)
    for by in (OTHER, CHALLENGER):
        copied.challenge(by)
    copied.answer_root()
    copied.down(CLAIMANT, number=0)
    while not copied.at_leaf(1):
        copied.select(1)
    copied.prove(1)
    copied.make(Reclaim(OTHER, (0,)))
    assert -copied.lost(OTHER) == path.gains(0) == terms.parameters.reward
    assert copied.lost(CHALLENGER) == 0
    assert moved(terms, copied, (OTHER,), ATTACKER) == path.attacker
    assert moved(terms, copied, (CHALLENGER,), CHALLENGER_S) == path.defender

    proof.challenge(CHALLENGER, committed=True)
    proof.answer_root()
    proof.challenge(OTHER, committed=True)
    proof.prove(1)
    assert -proof.lost(OTHER) == terms.parameters.reward, "that is what proving first would bring"


@given(terms=playable())
@settings(max_examples=20, deadline=None)
def test_a_defenders_longest_dispute_is_the_one_that_is_played(terms: Terms) -> None:
    played = begun(terms)
    to_a_part(played)
    assert moved(terms, played, (CLAIMANT,), CLAIMANT_S) == terms.dispute.defender


def test_every_attack_that_is_judged_is_played_here() -> None:
    played = {*CHALLENGES, *LIES, "each further account that challenges along", "convicted by an account of its own"}
    assert {attack.name for attack in judged(Terms.load(MAINNET))} == played
