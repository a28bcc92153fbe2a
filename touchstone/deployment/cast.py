"""Every attack that is counted, at its cheapest for the attacker and at its dearest for whoever defends.

The attacker pays gas by the cheaper price list and the defender by the dearer one. A reward is nobody's gain: a liar's own account
may be the one that takes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from touchstone.deployment import gas
from touchstone.deployment.attacks import Attack, Deterrent, Family
from touchstone.deployment.gas import FREE, GasCost
from touchstone.deployment.parameters import Terms

FLOOD = 1000
"""False claims of the flood that is told of."""


def cast(terms: Terms) -> tuple[Attack, ...]:
    """Every attack that is counted."""
    return (*judged(terms), *delays(terms), *copies(terms), *spam(terms), *on_requests(terms), *censorship(terms))


def judged(terms: Terms) -> tuple[Attack, ...]:
    """Those of which a deployment is refused if they are too cheap."""
    return (*lies(terms), *challenges(terms))


def lies(terms: Terms) -> tuple[Attack, ...]:
    """Ways to make an honest challenger pay for gas by a false claim, which a sequencer posts at its own cost."""
    given, dispute = terms.parameters, terms.dispute
    down = gas.CHALLENGE + dispute.selects
    proven, silent = given.reward, given.reward + given.collect_fee
    own = gas.CHALLENGE_AGAIN + gas.SIMPLE_PROOF

    def lie(name: str, defender: GasCost, returned: int, attacker: GasCost = FREE) -> Attack:
        return Attack(
            family=Family.LIES,
            name=name,
            attacker=attacker,
            defender=defender,
            bond=given.claim_bond,
            returned=returned,
            deterrent=Deterrent.CLAIM_BOND,
            stops=given.spacing,
        )

    return (
        lie("with its trace published", gas.CHALLENGE + gas.COMMIT + gas.PROOF, proven),
        lie("with its trace withheld, down to a leaf", down + gas.PROOF, proven),
        lie("in a part of a long reduction", dispute.challenger, proven),
        lie("whose claimant never answers", gas.CHALLENGE + gas.DEFENDER_TIMEOUT, silent),
        lie("whose claimant is silent in the end", dispute.challenger - gas.PROOF + gas.DEFENDER_TIMEOUT, silent),
        lie("convicted by an account of its own", dispute.challenger - gas.PROOF + gas.RECLAIM, proven, own),
    )


def challenges(terms: Terms) -> tuple[Attack, ...]:
    """Ways to make an honest claimant pay for gas: the cheapest, the ones that take longest, the one that leaves it no fees, and
    each further account that goes along.
    """
    given, dispute = terms.parameters, terms.dispute
    down = gas.CHALLENGE + dispute.selects
    inside = down + gas.DESCEND + gas.NARROW * (dispute.levels - 1)
    answers = gas.TRACE_ROOT + dispute.reveals + gas.REVEAL_LEAF
    every = answers + gas.PARTIALS * dispute.levels

    def challenge(
        name: str, attacker: GasCost, defender: GasCost, paid: int, stolen: int = 0, stops: int = given.spacing
    ) -> Attack:
        """``paid``: answers for which the bond pays the claimant, who also collects the timeout; ``stolen``: those that the
        attacker gives first, so that it is paid for them, and collects itself.
        """
        return Attack(
            family=Family.CHALLENGES,
            name=name,
            attacker=attacker,
            defender=defender,
            bond=given.challenge_bond,
            returned=stolen * given.move_fee + (given.collect_fee if stolen else 0),
            deterrent=Deterrent.CHALLENGE_BOND,
            fees=paid * given.move_fee + (0 if stolen else given.collect_fee),
            stops=stops,
            holds=given.clock + dispute.defender_moves * terms.reaction,
        )

    return (
        challenge("challenge, then silence", gas.CHALLENGE, gas.TRACE_ROOT + dispute.reveal + gas.TIMEOUT, 2),
        challenge("down to a leaf, then silence", down, answers + gas.TIMEOUT, dispute.rounds + 2),
        challenge("down to a part of an element, then silence", inside, every + gas.TIMEOUT, dispute.defender_moves),
        challenge(
            "down to a part, the attacker opening each node first",
            inside + dispute.reveals + gas.REVEAL_LEAF,
            every,
            paid=1 + dispute.levels,
            stolen=dispute.rounds + 1,
        ),
        challenge("each further account that challenges along", gas.CHALLENGE_AGAIN, gas.TIMEOUT_AGAIN, 2, stops=0),
    )


def delays(terms: Terms) -> tuple[Attack, ...]:
    """Ways to stop the challenge clock. Each claim stops it once, so that each takes a claim that nobody has challenged yet."""
    given = terms.parameters
    flood = lies(terms)[2]
    return (
        Attack(
            family=Family.DELAYS,
            name="a challenge of one's own right claim",
            attacker=gas.CHALLENGE,
            bond=given.challenge_bond,
            returned=given.challenge_bond - terms.burned,
            deterrent=Deterrent.CHALLENGE_BOND,
            stops=given.spacing,
        ),
        Attack(
            family=Family.DELAYS,
            name="a false claim that its own account convicts",
            attacker=gas.CHALLENGE + gas.DEFENDER_TIMEOUT,
            bond=given.claim_bond,
            returned=given.claim_bond - terms.lie,
            deterrent=Deterrent.CLAIM_BOND,
            stops=given.spacing,
        ),
        replace(
            flood,
            family=Family.DELAYS,
            name=f"a flood of {FLOOD:,} false claims",
            defender=flood.defender * FLOOD,
            bond=flood.bond * FLOOD,
            returned=flood.returned * FLOOD,
            deterrent=None,
            stops=FLOOD * given.spacing,
        ),
    )


def hour_of_delay(terms: Terms, price: int = 0) -> int:
    """Wei that holding everybody up for an hour costs at least."""
    return min(-(-3600 // attack.stops) * attack.loss(price) for attack in delays(terms))


def copies(terms: Terms) -> tuple[Attack, ...]:
    """Ways to be paid for a conviction that somebody else works for. Every bond but the liar's comes back."""
    dispute = terms.dispute
    down = gas.CHALLENGE + dispute.selects
    return (
        Attack(Family.COPIES, "a copy of a proof that is pending", gas.CHALLENGE_AGAIN + gas.RECLAIM),
        Attack(
            family=Family.COPIES,
            name="a copy of all selections by whoever challenged earlier",
            attacker=down,
            defender=down + gas.PROOF,
            gain=terms.parameters.reward,
        ),
    )


def spam(terms: Terms) -> tuple[Attack, ...]:
    """Ways to make a sequencer pay for posting."""
    given = terms.parameters
    resting = given.claim_bond * given.window
    return (
        Attack(
            family=Family.SPAM,
            name="a right claim that nobody needs",
            attacker=gas.RELEASE,
            defender=gas.CLAIM,
            idle=resting,
        ),
        Attack(
            family=Family.SPAM,
            name="claims posted in front of a sequencer's batch",
            attacker=gas.CLAIM + gas.RELEASE,
            defender=gas.CLAIM,
            idle=resting,
        ),
    )


def on_requests(terms: Terms) -> tuple[Attack, ...]:
    """Attacks on a request with the largest callback and the smallest fee."""
    given, dispute = terms.parameters, terms.dispute
    copying, resting = gas.CLAIM_ALONE + gas.RELEASE + gas.ANSWER, given.claim_bond * given.window
    return (
        Attack(
            family=Family.REQUESTS,
            name="a false claim that is noted and holds the fee",
            attacker=gas.NOTE,
            defender=dispute.challenger + gas.STRIKE,
            bond=given.claim_bond,
            returned=given.reward,
            deterrent=Deterrent.CLAIM_BOND,
            stops=given.spacing,
            holds=given.window + 2 * given.clock,
        ),
        Attack(
            family=Family.REQUESTS,
            name="a copy of the answer, posted in front of it",
            attacker=copying,
            defender=gas.CLAIM,
            gain_gas=gas.FEE.least,
            fee_gas=-gas.FEE.least,
            idle=resting,
        ),
        Attack(
            family=Family.REQUESTS,
            name="a copy, and a challenge that holds up the answer",
            attacker=gas.CHALLENGE + copying,
            defender=dispute.defender + gas.CLAIM,
            bond=given.challenge_bond,
            returned=given.challenge_bond - terms.burned,
            deterrent=Deterrent.CHALLENGE_BOND,
            gain_gas=gas.FEE.least,
            fee_gas=-gas.FEE.least,
            idle=resting,
            stops=given.spacing,
            holds=given.clock + dispute.defender_moves * terms.reaction,
        ),
        Attack(
            family=Family.REQUESTS,
            name="a consumer that refuses its answer and burns all gas",
            attacker=gas.REQUEST + gas.FEE,
            defender=gas.ANSWER,
            fee_gas=gas.FEE.least,
        ),
    )


def censorship(terms: Terms) -> Iterator[Attack]:
    """Full blocks, or a base fee above what an honest party bids, for as long as that one has time to move."""
    given, dispute = terms.parameters, terms.dispute
    challenger, claimant = given.challenge_bond, given.claim_bond
    cases = (
        ("all challengers for a whole window", given.window, 1, 0, 0),
        ("a challenger for its clock", given.clock, dispute.challenger_moves, challenger, challenger - terms.burned),
        ("a claimant for its clock", given.clock, dispute.defender_moves, claimant, claimant - terms.lie),
    )
    for name, seconds, moves, stake, gain in cases:
        blocks = max(0, seconds - moves * terms.reaction) // terms.conditions.block_time
        paid = blocks * terms.conditions.target_gas
        yield Attack(
            family=Family.CENSORSHIP,
            name=name,
            attacker=GasCost(paid, paid),
            stake=stake,
            gain=gain,
            holds=blocks * terms.conditions.block_time,
        )
