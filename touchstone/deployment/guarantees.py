"""What a deployment's parameters mean, in plain words, for whoever decides about them."""

from __future__ import annotations

from collections.abc import Iterator

from rollup.words import show_wei
from touchstone.deployment.attacks import Attack
from touchstone.deployment.cast import FLOOD, challenges, hour_of_delay
from touchstone.deployment.parameters import Terms
from touchstone.settings.units import show_seconds


def guarantees(terms: Terms) -> str:
    """A paragraph per question, with the figures of these parameters."""
    return "\n".join(f"{title}\n  {text}" for title, text in _answers(terms))


def _answers(terms: Terms) -> Iterator[tuple[str, str]]:
    given, conditions, dispute = terms.parameters, terms.conditions, terms.dispute
    low, high = map(show_wei, conditions.gas_prices)
    price = conditions.highest
    cost = dispute.challenger.most * price
    longest = given.window + 2 * given.clock
    yield (
        "When a claim is final",
        f"Undisputed, and while nothing else is disputed: {_time(given.window)} after its batch. Disputed at the last moment: "
        f"{_time(longest)} after its batch (the window and both chess clocks), however many challengers there are. Every claim "
        f"that is challenged for the first time adds {_time(given.spacing)} to all windows that are open.",
    )
    yield (
        "The longest dispute",
        f"In a trace tree of {conditions.leaf_depth} levels, inside an element down to one of 64^{dispute.levels} parts: "
        f"{dispute.challenger_moves} moves of the challenger and {dispute.defender_moves} of the claimant; each side has "
        f"{_time(given.clock)} for all of its moves together. It costs the challenger {dispute.challenger.prague:,} gas at most, and "
        f"{dispute.challenger.eip7976:,} where a byte of calldata costs 64. With the trace published and a short reduction: 2 moves of the "
        "challenger.",
    )
    yield (
        "What a liar loses",
        f"Its bond of {show_wei(given.claim_bond)}: {show_wei(given.reward)} go to whoever convicts it, the rest burns. So "
        f"{show_wei(terms.lie)} are lost for certain, {_ratio(terms.lie, cost)} what the longest dispute costs an honest challenger "
        f"without a reward at {high} a gas.",
    )
    yield (
        "What a challenger risks and earns",
        f"A bond of {show_wei(given.challenge_bond)}, lost if the claim is right: {show_wei(given.move_fee)} of it for every answer to "
        f"whoever gave it, {show_wei(given.collect_fee)} to whoever collects a timeout, the rest burns. It earns "
        f"{show_wei(given.reward)}, and pays up to {show_wei(cost)} for gas at {high} a gas in the longest dispute.",
    )
    yield (
        "What an attack on an honest claim costs",
        " ".join(_attack(terms, attack) for attack in challenges(terms))
        + f" The gas price may be {low} to {high}. Fees alone pay for every answer of the claimant up to "
        f"{show_wei(terms.cover()[1])} a gas.",
    )
    yield (
        "How many false claims one watcher answers at once",
        f"{terms.capacity:,}, with {conditions.gas_share:g} of each block's {conditions.block_gas:,} gas, even if every liar waits for the "
        f"last moment and an outage of {_time(conditions.outage)} falls into the clock; more are taken on as games end.",
    )
    yield (
        "What a flood of false claims does",
        f"Each claim that is challenged stops the clock of all challenge periods once, for {_time(given.spacing)}"
        + (
            ""
            if terms.least_spacing is None
            else f"; from {_time(terms.least_spacing)} on a watcher that works without pause ends games as fast as windows can close"
        )
        + f". So {FLOOD:,} false claims at once stretch their own windows by {_time(FLOOD * given.spacing)}, in which the watcher "
        f"challenges them one after the other, and cost {show_wei(FLOOD * terms.lie)}.",
    )
    yield (
        "What delaying others costs",
        f"A pause of {_time(given.spacing)} takes a claim that nobody has challenged yet: on an honest claim the challenger loses "
        f"{show_wei(terms.burned)} for certain (the rest of its bond may come back to it as fees), on a false one its claimant "
        f"{show_wei(terms.lie)}. Holding everybody up for an hour costs {show_wei(hour_of_delay(terms))} "
        "at least.",
    )
    yield (
        "What a claimant can take out of its bonds",
        f"Free balance leaves {_time(given.withdrawal_delay)} after it was announced; nonces are cancelled with the same delay. A "
        f"sequencer whose batch is mined within {_time(conditions.hold)} of its last look loses no gas to either. Rewards, fees and "
        "returned challenge bonds can be withdrawn at once; they never stand for claims.",
    )
    yield (
        "What a contract that asks can rely on",
        "It is told an answer once it is final, never before. An answer that was posted in time is paid. If there is none, whoever "
        f"asked can have the fee back {_time(2 * given.window)} after the request's end, later only while a claim that answers is in "
        f"dispute. A request that is cancelled can still be answered for {_time(given.withdrawal_delay)}.",
    )
    yield (
        "What L1 must do",
        f"Include an honest party's transaction within {_time(given.clock - conditions.outage)} beyond an outage of "
        f"{_time(conditions.outage)}, and a first challenge within the window.",
    )
    yield (
        "Who can do what",
        "Anyone may register a model, post claims that their claimants signed, challenge, open nodes, and collect timeouts. "
        "Only a claimant's signature binds its bond, and only a claimant says what the parts of its sums are. Nobody, the deployer "
        "included, can change a parameter, a model or a verdict, take a bond, or stop the contracts.",
    )


def _attack(terms: Terms, attack: Attack) -> str:
    ratio = attack.ratio(terms.conditions.highest)
    name = attack.name[0].upper() + attack.name[1:]
    if ratio == float("inf"):
        return f"{name}: the claimant gains."
    return f"{name}: {ratio:.1f} times what it costs the claimant at {show_wei(terms.conditions.highest)} a gas."


def _ratio(much: int, little: int) -> str:
    return f"{much / little:.1f} times"


def _time(seconds: float) -> str:
    return show_seconds(seconds)
