"""Measured gas of a dispute and of a request, for judging a deployment's parameters. The figures are those of docs/costs.md and its
sources, ``arity.json``, ``dispute_gas.json`` and ``request_gas.json`` of the tests; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from rollup.audit import GAS_LIMIT, GAS_LIMIT_7976
from rollup.form.encoding import MAX_DEPTH


@dataclass(frozen=True)
class GasCost:
    """One amount by both price lists: Prague's, and EIP-7976's, where a byte of calldata costs 64 gas at least."""

    prague: int
    eip7976: int

    def __add__(self, other: GasCost) -> GasCost:
        return GasCost(self.prague + other.prague, self.eip7976 + other.eip7976)

    def __sub__(self, other: GasCost) -> GasCost:
        return GasCost(self.prague - other.prague, self.eip7976 - other.eip7976)

    def __mul__(self, times: int) -> GasCost:
        return GasCost(times * self.prague, times * self.eip7976)

    @property
    def most(self) -> int:
        """By the dearer list."""
        return max(self.prague, self.eip7976)

    @property
    def least(self) -> int:
        """By the cheaper list: what an attacker is taken to pay."""
        return min(self.prague, self.eip7976)


MEASURED_DEPTH = 20
"""Levels of the trace tree in which the disputes below were played."""

SELECTS: Mapping[int, GasCost] = {
    1: GasCost(1_066_857, 1_066_857),
    2: GasCost(551_006, 551_006),
    3: GasCost(403_618, 403_618),
    4: GasCost(304_456, 304_456),
    5: GasCost(255_690, 255_690),
    6: GasCost(255_674, 255_674),
}
"""By arity: all selections of one dispute."""

REVEALS: Mapping[int, GasCost] = {
    1: GasCost(983_216, 983_216),
    2: GasCost(516_560, 516_560),
    3: GasCost(389_665, 389_665),
    4: GasCost(326_495, 326_495),
    5: GasCost(332_040, 379_936),
    6: GasCost(405_805, 533_245),
}
"""By arity: all revelations of nodes in one dispute."""

FREE = GasCost(0, 0)
CHALLENGE = GasCost(128_752, 128_752)
CHALLENGE_AGAIN = GasCost(112_566, 112_566)
"""A further challenge to a claim, with a commitment."""
COMMIT = GasCost(61_190, 61_190)
TRACE_ROOT = GasCost(70_979, 70_979)
REVEAL_LEAF = GasCost(68_880, 94_984)
DESCEND = GasCost(119_918, 119_918)
PARTIALS = GasCost(68_970, 111_368)
"""64 partial results with their positions."""
NARROW = GasCost(59_015, 119_560)
PROOF = GasCost(GAS_LIMIT, GAS_LIMIT_7976)
"""The largest proof of a program that passes the audit; going inside an element shows as much of the op at most."""
SIMPLE_PROOF = GasCost(118_985, 118_985)
"""The cheapest proof: that an input is not the claim's."""
TIMEOUT = GasCost(347_419, 347_419)
"""Of a challenger who lets as many accounts open nodes as one game can have to pay."""
TIMEOUT_AGAIN = GasCost(218_679, 218_679)
"""A further game of that kind in the same transaction."""
DEFENDER_TIMEOUT = GasCost(75_386, 75_386)
RECLAIM = GasCost(43_882, 43_882)
CLAIM = GasCost(77_348, 111_600)
"""A claim in a batch."""
CLAIM_ALONE = GasCost(178_038, 178_038)
"""A batch of one claim."""
RELEASE = GasCost(16_936, 30_209)
"""A further bond in a transaction that releases several."""

REQUEST = GasCost(148_220, 148_220)
NOTE = GasCost(85_009, 85_009)
STRIKE = GasCost(39_481, 39_481)
ANSWER = GasCost(5_138_699, 5_138_699)
"""With a callback that burns all that it may ask for."""

CALLBACK = 5_000_000
"""Gas that a callback may ask for at most."""
FEE = GasCost(2 * (250_000 + CALLBACK), 2 * (250_000 + CALLBACK))
"""What the smallest fee of a request with such a callback pays for at the base fee at which it is made."""

DEEPEST = 2 * MAX_DEPTH
"""Levels of the deepest trace that can be registered."""

MOST_LEVELS = 6
"""Answers inside one element at most: 64^6 parts are more than a descriptor can name."""


@dataclass(frozen=True)
class DisputeGas:
    """Moves and gas of the longest dispute, by side; ``rounds``: descents of one arity; ``levels``: answers inside an element."""

    rounds: int
    levels: int
    selects: GasCost
    reveals: GasCost

    @property
    def challenger_moves(self) -> int:
        """To challenge, select, go inside, narrow down, settle."""
        return 1 + self.rounds + 1 + (self.levels - 1) + 1

    @property
    def defender_moves(self) -> int:
        """The trace's root, nodes, the leaf, partial results."""
        return 1 + self.rounds + 1 + self.levels

    @property
    def challenger(self) -> GasCost:
        """What a challenger pays that wins by proof."""
        return reduce(GasCost.__add__, [CHALLENGE, self.selects, PROOF, NARROW * (self.levels - 1), PROOF])

    @property
    def defender(self) -> GasCost:
        """What a defender pays that answers everything and collects the timeout of a challenger who goes silent."""
        return reduce(GasCost.__add__, [TRACE_ROOT, self.reveals, REVEAL_LEAF, PARTIALS * self.levels, TIMEOUT])

    @property
    def reveal(self) -> GasCost:
        """What one revelation costs."""
        return GasCost(-(-self.reveals.prague // self.rounds), -(-self.reveals.eip7976 // self.rounds))


def dispute(arity: int, depth: int, levels: int = MOST_LEVELS) -> DisputeGas:
    """A dispute about a withheld trace whose tree has ``depth`` levels, by a challenger who also stops at an entry, at the depth
    at which that takes most selections. An arity that was not measured is taken for the nearest one.
    """
    arity = min(arity, max(SELECTS))
    rounds, measured = (depth + 2 * (arity - 1)) // arity, -(-MEASURED_DEPTH // arity)

    def scaled(total: GasCost) -> GasCost:
        return GasCost(-(-total.prague * rounds // measured), -(-total.eip7976 * rounds // measured))

    return DisputeGas(rounds, levels, scaled(SELECTS[arity]), scaled(REVEALS[arity]))
