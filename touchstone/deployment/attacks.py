"""What attacks cost both sides: the home of every such formula. ``dangers`` refuses by them, ``touchstone economics`` shows them.

Each attack is counted at its cheapest for the attacker and at its dearest for whoever defends. The attacker pays gas by the cheaper
price list and the defender by the dearer one. A reward is nobody's gain: a liar's own account may be the one that takes it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from rollup.settings import MOST_MONEY
from touchstone.deployment import gas
from touchstone.deployment.gas import FREE, GasCost
from touchstone.settings.units import GWEI

if TYPE_CHECKING:
    from touchstone.deployment.parameters import Terms

FACTOR = 10
"""How many times what defending costs attacking must cost (docs/decisions.md)."""

YEAR = 365 * 86400
FLOOD = 1000
"""False claims of the flood that is told of."""


class Family(StrEnum):
    """What is attacked."""

    LIES = "a false claim, against a challenger without a reward"
    CHALLENGES = "a challenge of a right claim, against its claimant"
    DELAYS = "delay of everybody's finality"
    COPIES = "taking what somebody else proved"
    SPAM = "work for a sequencer"
    REQUESTS = "requests"
    CENSORSHIP = "keeping an honest party's transactions out of L1"


class Deterrent(StrEnum):
    """The parameter that makes an attack dearer."""

    CLAIM_BOND = "claim_bond"
    CHALLENGE_BOND = "challenge_bond"


@dataclass(frozen=True)
class Attack:
    """Gas in ``GasCost``, everything else in wei and seconds.

    ``attacker``, ``defender``: gas that each side pays. ``bond``: what the attacker puts at stake and loses, but for what is
    ``returned`` to accounts of its own. ``deterrent``: which parameter that bond is. ``fees``: what the defender is due of it.
    ``fee_gas``: what the defender is paid beside it, or below 0 misses, as gas at the price of the day. ``stake``: what the defender
    loses. ``gain`` and ``gain_gas``: what the attacker gains at most, in wei and as gas at the price of the day. ``idle``: wei times
    seconds for which the attacker's own money lies idle. ``stops``: seconds for which every challenge period is held up; ``holds``:
    seconds for which the claim or fee that is attacked is.
    """

    family: Family
    name: str
    attacker: GasCost = FREE
    defender: GasCost = FREE
    bond: int = 0
    returned: int = 0
    deterrent: Deterrent | None = None
    fees: int = 0
    fee_gas: int = 0
    stake: int = 0
    gain: int = 0
    gain_gas: int = 0
    idle: int = 0
    stops: int = 0
    holds: int = 0

    def loss(self, price: int, interest: Fraction = Fraction(0)) -> int:
        """Wei that the attacker loses at least, at ``price`` wei a gas; ``interest``: of idle money, a year."""
        resting = int(self.idle * interest / YEAR)
        return max(0, self.bond - self.returned) + self.attacker.least * price + resting

    def gains(self, price: int) -> int:
        """Wei that the attacker is paid at most."""
        return self.gain + self.gain_gas * price

    def pays(self, price: int) -> int:
        """Wei that the defender pays or loses at most, before it is paid anything."""
        return self.defender.most * price + self.stake

    def back(self, price: int) -> int:
        """Wei that the defender is paid."""
        return min(self.fees, self.bond) + self.fee_gas * price

    def defence(self, price: int) -> int:
        """Wei that the defender is left without at most; below 0 if it gains."""
        return self.pays(price) - self.back(price)

    def ratio(self, price: int, interest: Fraction = Fraction(0)) -> float:
        """What the attacker loses over what the defender does; infinite if that one loses nothing."""
        defence = self.defence(price)
        return self.loss(price, interest) / defence if defence > 0 else float("inf")

    def deters(self, price: int, factor: int) -> bool:
        """Whether the attacker loses ``factor`` times what the defender does, exactly."""
        return self.loss(price) >= factor * self.defence(price)

    def bond_for(self, factor: int, price: int) -> int | None:
        """The smallest bond, in whole gwei, with which the attack costs ``factor`` times the defence; None without a bond."""
        if self.deterrent is None:
            return None
        bonds = range(0, MOST_MONEY + 1, GWEI)
        at = bisect_left(bonds, True, key=lambda wei: replace(self, bond=wei).deters(price, factor))
        return bonds[at] if at < len(bonds) else None


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
            *(Family.LIES, name, attacker, defender, given.claim_bond, returned, Deterrent.CLAIM_BOND),
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
            *(Family.CHALLENGES, name, attacker, defender, given.challenge_bond),
            stolen * given.move_fee + (given.collect_fee if stolen else 0),
            Deterrent.CHALLENGE_BOND,
            paid * given.move_fee + (0 if stolen else given.collect_fee),
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
            1 + dispute.levels,
            dispute.rounds + 1,
        ),
        challenge("each further account that challenges along", gas.CHALLENGE_AGAIN, gas.TIMEOUT_AGAIN, 2, stops=0),
    )


def delays(terms: Terms) -> tuple[Attack, ...]:
    """Ways to stop the challenge clock. Each claim stops it once, so that each takes a claim that nobody has challenged yet."""
    given = terms.parameters
    silent = given.claim_bond - terms.lie
    flood = lies(terms)[2]
    return (
        Attack(
            *(Family.DELAYS, "a challenge of one's own right claim", gas.CHALLENGE, FREE, given.challenge_bond),
            returned=given.challenge_bond - terms.burned,
            deterrent=Deterrent.CHALLENGE_BOND,
            stops=given.spacing,
        ),
        Attack(
            *(Family.DELAYS, "a false claim that its own account convicts", gas.CHALLENGE + gas.DEFENDER_TIMEOUT, FREE),
            bond=given.claim_bond,
            returned=silent,
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
            *(Family.COPIES, "a copy of all selections by whoever challenged earlier", down, down + gas.PROOF),
            gain=terms.parameters.reward,
        ),
    )


def spam(terms: Terms) -> tuple[Attack, ...]:
    """Ways to make a sequencer pay for posting."""
    given = terms.parameters
    resting = given.claim_bond * given.window
    return (
        Attack(Family.SPAM, "a right claim that nobody needs", gas.RELEASE, gas.CLAIM, idle=resting),
        Attack(
            Family.SPAM,
            "claims posted in front of a sequencer's batch",
            gas.CLAIM + gas.RELEASE,
            gas.CLAIM,
            idle=resting,
        ),
    )


def on_requests(terms: Terms) -> tuple[Attack, ...]:
    """Attacks on a request with the largest callback and the smallest fee."""
    given, dispute = terms.parameters, terms.dispute
    showing = gas.CLAIM_ALONE + gas.RELEASE + gas.ANSWER + GasCost(gas.CALLBACK, gas.CALLBACK)
    fee, resting = GasCost(gas.LEAST_FEE, gas.LEAST_FEE), given.claim_bond * given.window
    answering = gas.ANSWER + GasCost(gas.CALLBACK, gas.CALLBACK)
    return (
        Attack(
            *(
                Family.REQUESTS,
                "a false claim that is noted and holds the fee",
                gas.NOTE,
                dispute.challenger + gas.STRIKE,
            ),
            *(given.claim_bond, given.reward, Deterrent.CLAIM_BOND),
            stops=given.spacing,
            holds=given.window + 2 * given.clock,
        ),
        Attack(
            *(Family.REQUESTS, "a copy of the answer, posted in front of it", showing, gas.CLAIM),
            gain_gas=gas.LEAST_FEE,
            fee_gas=-gas.LEAST_FEE,
            idle=resting,
        ),
        Attack(
            *(Family.REQUESTS, "a copy, and a challenge that holds up the answer", gas.CHALLENGE + showing),
            *(terms.dispute.defender, given.challenge_bond, given.challenge_bond - terms.burned),
            deterrent=Deterrent.CHALLENGE_BOND,
            gain_gas=gas.LEAST_FEE,
            fee_gas=-gas.LEAST_FEE,
            idle=resting,
            stops=given.spacing,
            holds=given.clock + dispute.defender_moves * terms.reaction,
        ),
        Attack(
            *(Family.REQUESTS, "a consumer that refuses its answer and burns all gas", gas.REQUEST + fee, answering),
            fee_gas=gas.LEAST_FEE,
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
            *(Family.CENSORSHIP, name, GasCost(paid, paid)),
            stake=stake,
            gain=gain,
            holds=blocks * terms.conditions.block_time,
        )
