"""What a deployment's parameters mean, in plain words, for whoever decides about them."""

from __future__ import annotations

from collections.abc import Iterator

from touchstone import gas
from touchstone.terms import Terms
from touchstone.units import show_seconds, show_wei


def guarantees(terms: Terms) -> str:
    """A paragraph per question, with the figures of these parameters."""
    return "\n".join(f"{title}\n  {text}" for title, text in _answers(terms))


def _answers(terms: Terms) -> Iterator[tuple[str, str]]:
    given, conditions, dispute = terms.parameters, terms.conditions, terms.dispute
    price = conditions.gas_price
    longest = given.window + 2 * given.clock
    yield (
        "When a claim is final",
        f"Undisputed: {_time(given.window)} after its batch. Disputed at the last moment: {_time(longest)} after its batch "
        "at most (the window and both chess clocks), however many challengers there are.",
    )
    yield (
        "The longest dispute",
        f"In a trace tree of {conditions.leaf_depth} levels: {dispute.challenger_moves} moves of the challenger and "
        f"{dispute.defender_moves} of the claimant; each side has {_time(given.clock)} for all of its moves together. With the "
        "trace published: 2 moves of the challenger.",
    )
    yield (
        "What a liar loses",
        f"Its bond of {show_wei(given.claim_bond)}: {show_wei(given.reward)} go to whoever convicts it, the rest burns, so that "
        "convicting oneself is a loss.",
    )
    yield (
        "What a challenger risks and earns",
        f"A bond of {show_wei(given.challenge_bond)}, lost if the claim is right: {show_wei(given.move_fee)} of it to the claimant "
        f"for every node that was opened, {show_wei(given.collect_fee)} to whoever collects a timeout, the rest burns. It earns "
        f"{show_wei(given.reward)}, and pays up to {show_wei(dispute.challenger * price)} for gas at {show_wei(price)} a gas in the "
        "longest dispute.",
    )
    yield (
        "What an attack on an honest claim costs",
        _attack(terms, 1, gas.CHALLENGE, dispute.reveals // dispute.rounds + gas.TIMEOUT, "Challenge and silence")
        + " "
        + _attack(terms, dispute.defender_moves, gas.CHALLENGE + dispute.selects, dispute.defender, "Down to a leaf"),
    )
    yield (
        "How many disputes one account can play at once",
        f"{terms.games_at_once:,}: it makes one move per block of {_time(conditions.block_time)}, and an outage of "
        f"{_time(conditions.outage)} may fall into the clock. That many false claims cost {show_wei(given.claim_bond)} each; whoever "
        "expects more runs watchers with several accounts.",
    )
    yield (
        "What L1 must do",
        f"Include an honest party's transaction within {_time(given.clock - conditions.outage)} beyond an outage of "
        f"{_time(conditions.outage)}, and a first challenge within the window.",
    )
    yield (
        "Who can do what",
        "Anyone may register a model, post claims that their claimants signed, challenge, open nodes, and collect timeouts. "
        "Only a claimant's signature binds its bond. Nobody, the deployer included, can change a parameter, a model or a "
        "verdict, take a bond, or stop the contracts.",
    )


def _attack(terms: Terms, moves: int, attacker: int, defender: int, name: str) -> str:
    ratio = terms.attack_ratio(moves, attacker, defender)
    loss = show_wei(terms.parameters.challenge_bond)
    if ratio == float("inf"):
        return f"{name}: {loss} and gas; the claimant gains."
    return f"{name}: {loss} and gas, {ratio:.1f} times what it costs the claimant."


def _time(seconds: float) -> str:
    return show_seconds(seconds)
