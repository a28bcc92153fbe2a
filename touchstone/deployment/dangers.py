"""What is dangerous about parameters that are to hold real money.

The judgement takes the worst of everything: the largest proof that any accepted program can ask for, an op that is disputed down
to a single part inside of one element, both price lists of calldata, every gas price of the range, and a challenger that gets no
reward, since a liar's own second account may be faster.
"""

from __future__ import annotations

from collections.abc import Iterator

from rollup.types import Duration
from rollup.words import show_wei
from touchstone.deployment import gas
from touchstone.deployment.attacks import FACTOR, Attack, Deterrent, Family
from touchstone.deployment.cast import judged
from touchstone.deployment.parameters import Terms
from touchstone.settings.units import show_seconds

SHORTEST_WINDOW = Duration(3600)
LONGEST = Duration(366 * 86400)

USUAL = 4
"""Fees pay for a defence in full up to this part of the highest gas price."""

PAUSES = 1000
"""Pauses of the clock that are as long as the window, at least: no handful of challenges doubles it."""


def dangers(terms: Terms) -> Iterator[str]:
    """What is wrong with parameters that are to hold real money, a sentence each: the thing and the remedy."""
    yield from times(terms)
    yield from bonds(terms)


def times(terms: Terms) -> Iterator[str]:
    """Dangers of durations."""
    given, conditions, dispute = terms.parameters, terms.conditions, terms.dispute
    if given.arity not in gas.SELECTS:
        yield f"arity {given.arity} was never measured; choose one of {', '.join(map(str, gas.SELECTS))} (docs/costs.md)"
    if given.window < SHORTEST_WINDOW:
        yield (
            f"a window of {show_seconds(given.window)} gives watchers no time; choose {show_seconds(SHORTEST_WINDOW)} "
            "at least, or deploy with --development where no money is real"
        )
    both = (dispute.challenger_moves + dispute.defender_moves) * terms.reaction
    if given.window < conditions.outage + both:
        yield (
            f"a window of {show_seconds(given.window)} is shorter than an outage of L1 ({show_seconds(conditions.outage)}) "
            f"and a whole dispute's moves ({show_seconds(both)}); raise window"
        )
    own = max(dispute.challenger_moves, dispute.defender_moves) * terms.reaction
    if given.clock < conditions.outage + own:
        yield (
            f"a clock of {show_seconds(given.clock)} is too short for {dispute.challenger_moves} moves at "
            f"{show_seconds(conditions.block_time)} a block and an outage of {show_seconds(conditions.outage)}; "
            f"raise clock to {show_seconds(conditions.outage + own)} at least"
        )
    for name, value in (("window", given.window), ("clock", given.clock), ("withdrawal_delay", given.withdrawal_delay)):
        if value > LONGEST:
            yield f"a {name} of {show_seconds(value)} binds money for more than a year; lower {name}"
    if given.withdrawal_delay < conditions.hold:
        yield (
            f"a withdrawal_delay of {show_seconds(given.withdrawal_delay)} is shorter than a sequencer may hold a claim "
            f"({show_seconds(conditions.hold)}), so that a claimant takes its money out in front of a batch which pays for its "
            "claims; raise withdrawal_delay"
        )
    yield from _flood(terms)


def _flood(terms: Terms) -> Iterator[str]:
    given, conditions = terms.parameters, terms.conditions
    if conditions.share < gas.PROOF.most:
        yield (
            f"{conditions.gas_share:g} of a block of {conditions.block_gas:,} gas is {int(conditions.share):,}, less than one proof may "
            f"take ({gas.PROOF.most:,}); raise gas_share"
        )
        return
    least = terms.least_spacing
    if least is None or given.spacing < least:
        need = "a longer clock" if least is None else f"{show_seconds(least)} at least"
        yield (
            f"a spacing of {show_seconds(given.spacing)} lets a flood of false claims outrun a watcher with {conditions.gas_share:g} of "
            f"each block's gas, which wins {terms.capacity:,} games at once; choose {need}"
        )
    if PAUSES * given.spacing > given.window:
        yield (
            f"a spacing of {show_seconds(given.spacing)} lets {-(-given.window // given.spacing)} disputed claims double the window of "
            f"{show_seconds(given.window)}, which should take {PAUSES} of them; lower spacing, or raise window"
        )


def bonds(terms: Terms) -> Iterator[str]:
    """Dangers of amounts, over all gas prices: the highest is always the worst one."""
    given, price = terms.parameters, terms.conditions.highest
    for attack in judged(terms):
        if not attack.deters(price, FACTOR):
            yield _too_cheap(attack, price)
    if 2 * terms.burned < given.challenge_bond:
        yield (
            f"whoever challenges itself gets {show_wei(given.challenge_bond - terms.burned)} of {show_wei(given.challenge_bond)} back as "
            f"fees for {terms.answers} answers and a timeout, so that stopping the clock is cheap; lower move_fee or raise "
            "challenge_bond until half of it burns"
        )
    dearest, covered = terms.cover()
    if covered < price // USUAL:
        yield (
            f"a move_fee of {show_wei(given.move_fee)} pays for an answer of {dearest:,} gas up to {show_wei(covered)} a gas only, which "
            f"should be {show_wei(price // USUAL)}; raise move_fee"
        )
    if given.collect_fee < gas.TIMEOUT.most * price // FACTOR:
        yield (
            f"a collect_fee of {show_wei(given.collect_fee)} is far below the {show_wei(gas.TIMEOUT.most * price)} of gas that "
            "collecting a timeout costs, so that nobody else will; raise collect_fee"
        )


def _too_cheap(attack: Attack, price: int) -> str:
    if attack.family is Family.LIES:
        return (
            f"a false claim {attack.name} costs its liar {show_wei(attack.loss(price))} if its own account takes the reward, and an "
            f"honest challenger without one {show_wei(attack.defence(price))} for {attack.defender.most:,} gas at {show_wei(price)} a "
            f"gas; raise claim_bond or lower reward until the first is {FACTOR} times the second"
        )
    remedy = " or move_fee" if attack.fees else ""
    return (
        f"{attack.name}: costs an attacker {attack.ratio(price):.1f} times what it costs an honest claimant at {show_wei(price)} a gas; "
        f"raise {Deterrent.CHALLENGE_BOND}{remedy} until it is {FACTOR}"
    )
