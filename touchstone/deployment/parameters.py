"""A deployment's parameter file: what goes to L1 for good, the conditions that it must hold under, and what is dangerous.

The judgement takes the worst of everything: the largest proof that any accepted program can ask for, an op that is disputed down
to a single part inside of one element, both price lists of calldata, every gas price of the range, and a challenger that gets no
reward, since a liar's own second account may be faster.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationError, field_validator

from rollup.errors import ChainError, SettingsError
from rollup.settings import MAX_ARITY, Parameters
from rollup.types import Duration
from touchstone.deployment import gas
from touchstone.deployment.gas import GasCost
from touchstone.settings.section import Section
from touchstone.settings.sources import read
from touchstone.settings.units import GWEI, Wei, WholeSeconds, show_seconds, show_wei

DEVELOPMENT_CHAINS = frozenset({1337, 31337})
"""Ids of chains that run on one's own machine and hold no money."""

SHORTEST_WINDOW = Duration(3600)
LONGEST = Duration(366 * 86400)
REACTION_BLOCKS = 3
"""Blocks that one move takes: seeing the other's, deciding, being included."""

FACTOR = 10
"""How many times what defending costs attacking must cost (docs/decisions.md)."""

USUAL = 4
"""Fees pay for a defence in full up to this part of the highest gas price."""

PAUSES = 1000
"""Pauses of the clock that are as long as the window, at least: no handful of challenges doubles it."""


class ParameterTable(Section):
    """``[parameters]``: what RollupChain is deployed with. See rollup.settings.Parameters."""

    table: ClassVar[str] = "parameters"

    window: WholeSeconds
    clock: WholeSeconds
    spacing: WholeSeconds
    withdrawal_delay: WholeSeconds
    arity: int = Field(ge=1, le=MAX_ARITY)
    claim_bond: Wei
    challenge_bond: Wei
    reward: Wei
    move_fee: Wei
    collect_fee: Wei


class Conditions(Section):
    """``[conditions]``: what the parameters are judged against. They are not stored on L1.

    ``block_gas``, ``gas_share``: gas of a block, and the part of it that one watcher gets when it needs it. ``outage``: the longest
    time that L1 may take no transaction of an honest party. ``hold``: the longest time between a sequencer's last look at a
    claimant's money and the block with its batch. ``gas_prices``: lowest and highest. ``leaf_depth``: levels of the largest trace tree.
    """

    table: ClassVar[str] = "conditions"

    chain_id: int | None = Field(None, gt=0)
    block_time: WholeSeconds = Field(gt=0)
    block_gas: int = Field(gt=0)
    gas_share: float = Field(gt=0, le=1)
    outage: WholeSeconds = Field(ge=0)
    hold: WholeSeconds = Field(gt=0)
    gas_prices: tuple[Wei, Wei] = (GWEI, 200 * GWEI)
    leaf_depth: int = Field(ge=1, le=64)

    @field_validator("gas_prices")
    @classmethod
    def _from_low_to_high(cls, prices: tuple[int, int]) -> tuple[int, int]:
        if not 0 < prices[0] <= prices[1]:
            raise ValueError("write the lowest gas price and the highest one, both above 0")
        return prices

    @property
    def highest(self) -> int:
        """The gas price at which every figure of the judgement is worst: bonds are fixed, gas is not."""
        return self.gas_prices[1]

    @property
    def share(self) -> Fraction:
        """Gas that a watcher has in a block."""
        return Fraction(str(self.gas_share)) * self.block_gas


class _File(Section):
    parameters: ParameterTable
    conditions: Conditions


@dataclass(frozen=True)
class Attack:
    """One way to challenge an honest claim and lose: gas of both sides. ``paid``: answers for which the bond pays the claimant, who
    also collects the timeout; ``stolen``: those that the attacker gives first, so that it is paid for them, and collects itself.
    """

    name: str
    attacker: GasCost
    defender: GasCost
    paid: int
    stolen: int = 0

    def ratio(self, given: Parameters, price: int) -> float:
        """What the attacker loses over what the claimant does at ``price`` wei a gas; infinite if the claimant gains."""
        back = self.stolen * given.move_fee + (given.collect_fee if self.stolen else 0)
        fees = self.paid * given.move_fee + (0 if self.stolen else given.collect_fee)
        loss = max(0, given.challenge_bond - back) + self.attacker.least * price
        defence = self.defender.most * price - min(fees, given.challenge_bond)
        return loss / defence if defence > 0 else float("inf")


@dataclass(frozen=True)
class Terms:
    """A parameter file that was read."""

    parameters: Parameters
    conditions: Conditions

    @classmethod
    def load(cls, file: Path) -> Terms:
        """Raises SettingsError for what is no parameter file, and for parameters that no contract would take."""
        try:
            found = _File.model_validate(tomllib.loads(read(file, "the parameters")))
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{file} is no TOML: {error}; correct it there") from None
        except ValidationError as error:
            raise SettingsError("; ".join(_problem(file, one["loc"], one["msg"]) for one in error.errors())) from None
        try:
            parameters = Parameters(**found.parameters.model_dump())
        except ChainError as error:
            raise SettingsError(f"{file}: {error}") from None
        return cls(parameters, found.conditions)

    @property
    def dispute(self) -> gas.DisputeGas:
        """The longest dispute that is possible about an expected model."""
        return gas.dispute(self.parameters.arity, self.conditions.leaf_depth)

    @property
    def reaction(self) -> Duration:
        """Seconds that one move takes an honest party."""
        return Duration(REACTION_BLOCKS * self.conditions.block_time)

    @property
    def games_a_block(self) -> Fraction:
        """Whole games of a challenger for which its share of a block's gas suffices."""
        return self.conditions.share / self.dispute.challenger.most

    @property
    def capacity(self) -> int:
        """Games that one watcher wins beside each other, even if every liar answers at the last moment, and in the same one: all of
        its moves fit into its own clock, less an outage and what its last moves take.
        """
        conditions, own = self.conditions, self.dispute.challenger_moves * self.reaction
        return int(
            max(0, self.parameters.clock - conditions.outage - own)
            / Fraction(conditions.block_time)
            * self.games_a_block
        )

    @property
    def least_spacing(self) -> int | None:
        """Seconds that each disputed claim must stop the clock for, so that games end as fast as claims are disputed: a game
        takes both clocks at most, and ``capacity`` of them are played beside each other. None if none can be.
        """
        return ceil(Fraction(2 * self.parameters.clock, self.capacity)) if self.capacity else None

    @property
    def answers(self) -> int:
        """Answers in the longest dispute about any model: whoever challenges itself chooses one of its own."""
        return gas.dispute(self.parameters.arity, gas.DEEPEST).defender_moves

    @property
    def burned(self) -> int:
        """What a lost challenge costs for certain, even if all fees go to accounts of its own."""
        given = self.parameters
        return max(0, given.challenge_bond - given.collect_fee - self.answers * given.move_fee)

    @property
    def lie(self) -> int:
        """What a false claim costs for certain, even if its own account convicts it."""
        return self.parameters.claim_bond - self.parameters.reward - self.parameters.collect_fee

    def attacks(self) -> tuple[Attack, ...]:
        """Ways to make an honest claimant pay for gas."""
        return attacks(self.dispute)

    def cover(self) -> tuple[int, int]:
        """(gas of the claimant's dearest answer, the gas price up to which the fee pays for it)."""
        dearest = max(one.most for one in (gas.TRACE_ROOT, self.dispute.reveal, gas.REVEAL_LEAF, gas.PARTIALS))
        return dearest, self.parameters.move_fee // dearest


def attacks(dispute: gas.DisputeGas) -> tuple[Attack, ...]:
    """The cheapest way to challenge an honest claim, the ones that take longest, and the one that leaves the claimant no fees."""
    down = gas.CHALLENGE + dispute.selects
    inside = down + gas.DESCEND + gas.NARROW * (dispute.levels - 1)
    answers = gas.TRACE_ROOT + dispute.reveals + gas.REVEAL_LEAF
    every = answers + gas.PARTIALS * dispute.levels
    return (
        Attack("challenge, then silence", gas.CHALLENGE, gas.TRACE_ROOT + dispute.reveal + gas.TIMEOUT, 2),
        Attack("down to a leaf, then silence", down, answers + gas.TIMEOUT, dispute.rounds + 2),
        Attack("down to a part of an element, then silence", inside, every + gas.TIMEOUT, dispute.defender_moves),
        Attack(
            "down to a part, the attacker opening each node first",
            inside + dispute.reveals + gas.REVEAL_LEAF,
            every,
            1 + dispute.levels,
            dispute.rounds + 1,
        ),
    )


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
    for attack in terms.attacks():
        ratio = attack.ratio(given, price)
        if ratio < FACTOR:
            yield (
                f"{attack.name}: costs an attacker {ratio:.1f} times what it costs an honest claimant at {show_wei(price)} a gas; "
                f"raise challenge_bond{' or move_fee' if attack.paid else ''} until it is {FACTOR}"
            )
    cost = terms.dispute.challenger.most * price
    if terms.lie < FACTOR * cost:
        yield (
            f"a lie costs its liar {show_wei(max(0, terms.lie))} if its own account takes the reward, and an honest challenger without one "
            f"{show_wei(cost)} for {terms.dispute.challenger.most:,} gas at {show_wei(price)} a gas; raise claim_bond or lower reward "
            f"until the first is {FACTOR} times the second"
        )
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


def _problem(file: Path, where: tuple[int | str, ...], message: str) -> str:
    table, *key = map(str, where)
    return f"{file}: [{table}] {' '.join(key)}: {message.removeprefix('Value error, ')}".replace(" :", ":")
