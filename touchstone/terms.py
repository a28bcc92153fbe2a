"""A deployment's parameter file: what goes to L1 for good, the conditions that it must hold under, and what is dangerous."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationError

from rollup.errors import ChainError, SettingsError
from rollup.settings import MAX_ARITY, Parameters
from rollup.types import Duration
from touchstone import gas
from touchstone.sources import Section, read
from touchstone.units import Wei, WholeSeconds, show_seconds, show_wei

DEVELOPMENT_CHAINS = frozenset({1337, 31337})
"""Ids of chains that run on one's own machine and hold no money."""

SHORTEST_WINDOW = Duration(3600)
LONGEST = Duration(366 * 86400)
REACTION_BLOCKS = 3
"""Blocks that one move takes: seeing the other's, deciding, being included."""

FACTOR = 10
"""How many times what defending costs attacking must cost (DESIGN, D8)."""


class ParameterTable(Section):
    """``[parameters]``: what RollupChain is deployed with. See rollup.settings.Parameters."""

    table: ClassVar[str] = "parameters"

    window: WholeSeconds
    clock: WholeSeconds
    arity: int = Field(ge=1, le=MAX_ARITY)
    claim_bond: Wei
    challenge_bond: Wei
    reward: Wei
    move_fee: Wei
    collect_fee: Wei


class Conditions(Section):
    """``[conditions]``: what the parameters are judged against. They are not stored on L1."""

    table: ClassVar[str] = "conditions"

    chain_id: int | None = Field(None, gt=0)
    block_time: WholeSeconds = Field(gt=0)
    outage: WholeSeconds = Field(ge=0)
    gas_price: Wei = Field(gt=0)
    leaf_depth: int = Field(ge=1, le=64)


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
        given = found.parameters.model_dump()
        try:
            parameters = Parameters(Duration(given.pop("window")), Duration(given.pop("clock")), **given)
        except ChainError as error:
            raise SettingsError(f"{file}: {error}") from None
        return cls(parameters, found.conditions)

    @property
    def dispute(self) -> gas.DisputeGas:
        """The longest dispute that is expected. An arity that was not measured is taken for the nearest one."""
        return gas.dispute(min(self.parameters.arity, max(gas.SELECTS)), self.conditions.leaf_depth)

    @property
    def reaction(self) -> Duration:
        """Seconds that one move takes an honest party."""
        return Duration(REACTION_BLOCKS * self.conditions.block_time)

    @property
    def games_at_once(self) -> int:
        """Disputes that one account can play to the end beside each other, at one move per block, an outage included."""
        blocks = max(0, self.parameters.clock - self.conditions.outage) // self.conditions.block_time
        return int(blocks // self.dispute.challenger_moves)

    def attack_ratio(self, moves: int, attacker_gas: int, defender_gas: int) -> float:
        """What a challenger of an honest claim loses, over what the claimant does; infinite if the claimant gains."""
        terms, price = self.parameters, self.conditions.gas_price
        defence = defender_gas * price - moves * terms.move_fee - terms.collect_fee
        return (terms.challenge_bond + attacker_gas * price) / defence if defence > 0 else float("inf")


def dangers(terms: Terms) -> Iterator[str]:
    """What is wrong with parameters that are to hold real money, a sentence each: the thing and the remedy."""
    yield from _times(terms)
    yield from _bonds(terms)


def _times(terms: Terms) -> Iterator[str]:
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
    for name, value in (("window", given.window), ("clock", given.clock)):
        if value > LONGEST:
            yield f"a {name} of {show_seconds(value)} binds bonds for more than a year; lower {name}"


def _bonds(terms: Terms) -> Iterator[str]:
    given, price, dispute = terms.parameters, terms.conditions.gas_price, terms.dispute
    games = (
        ("challenging and going silent", 1, gas.CHALLENGE, dispute.reveals // dispute.rounds + gas.TIMEOUT),
        (
            "disputing down to a leaf and going silent",
            dispute.defender_moves,
            gas.CHALLENGE + dispute.selects,
            dispute.defender,
        ),
    )
    for name, moves, attacker, defender in games:
        ratio = terms.attack_ratio(moves, attacker, defender)
        if ratio < FACTOR:
            yield (
                f"{name} costs an attacker {ratio:.1f} times what it costs an honest claimant at {show_wei(price)} a gas; "
                f"raise challenge_bond or move_fee until it is {FACTOR}"
            )
    cost = dispute.challenger * price
    net = cost - given.reward
    if net > 0 and given.claim_bond < FACTOR * net:
        yield (
            f"a lie costs its liar {show_wei(given.claim_bond)} and an honest challenger {show_wei(net)} of gas beyond its "
            f"reward at {show_wei(price)} a gas; raise claim_bond or reward until the first is {FACTOR} times the second"
        )
    if given.collect_fee < gas.TIMEOUT * price // FACTOR:
        yield (
            f"a collect_fee of {show_wei(given.collect_fee)} is far below the {show_wei(gas.TIMEOUT * price)} of gas that "
            "collecting a timeout costs, so that nobody else will; raise collect_fee"
        )


def _problem(file: Path, where: tuple[int | str, ...], message: str) -> str:
    table, *key = map(str, where)
    return f"{file}: [{table}] {' '.join(key)}: {message.removeprefix('Value error, ')}".replace(" :", ":")
