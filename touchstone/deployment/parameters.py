"""A deployment's parameter file: what goes to L1 for good, the conditions that it must hold under, and what follows from both."""

from __future__ import annotations

import tomllib
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
from touchstone.settings.section import Section
from touchstone.settings.sources import read
from touchstone.settings.units import Wei, WholeSeconds

DEVELOPMENT_CHAINS = frozenset({1337, 31337})
"""Ids of chains that run on one's own machine and hold no money."""

REACTION_BLOCKS = 3
"""Blocks that one move takes: seeing the other's, deciding, being included."""


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
    time that L1 may take no transaction of an honest party. ``elasticity``: how many times its target a full block holds (EIP-1559:
    above the target the base fee rises). ``hold``: the longest time between a sequencer's last look at a
    claimant's money and the block with its batch. ``gas_prices``: lowest and highest. ``leaf_depth``: levels of the largest trace tree.
    """

    table: ClassVar[str] = "conditions"

    chain_id: int | None = Field(None, gt=0)
    block_time: WholeSeconds = Field(gt=0)
    block_gas: int = Field(gt=0)
    elasticity: int = Field(2, ge=1)
    gas_share: float = Field(gt=0, le=1)
    outage: WholeSeconds = Field(ge=0)
    hold: WholeSeconds = Field(gt=0)
    gas_prices: tuple[Wei, Wei] = Field(("1 gwei", "200 gwei"), validate_default=True)
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
    def target_gas(self) -> int:
        """Gas of a block with which the base fee stays where it is."""
        return self.block_gas // self.elasticity

    @property
    def share(self) -> Fraction:
        """Gas that a watcher has in a block."""
        return Fraction(str(self.gas_share)) * self.block_gas


class _File(Section):
    parameters: ParameterTable
    conditions: Conditions


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

    def cover(self) -> tuple[int, int]:
        """(gas of the claimant's dearest answer, the gas price up to which the fee pays for it)."""
        dearest = max(one.most for one in (gas.TRACE_ROOT, self.dispute.reveal, gas.REVEAL_LEAF, gas.PARTIALS))
        return dearest, self.parameters.move_fee // dearest


def _problem(file: Path, where: tuple[int | str, ...], message: str) -> str:
    table, *key = map(str, where)
    return f"{file}: [{table}] {' '.join(key)}: {message.removeprefix('Value error, ')}".replace(" :", ":")
