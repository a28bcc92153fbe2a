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
    1: GasCost(1_067_057, 1_067_057),
    2: GasCost(551_106, 551_106),
    3: GasCost(403_688, 403_688),
    4: GasCost(304_506, 304_506),
    5: GasCost(255_730, 255_730),
    6: GasCost(255_714, 255_714),
}
"""By arity: all selections of one dispute."""

REVEALS: Mapping[int, GasCost] = {
    1: GasCost(983_656, 983_656),
    2: GasCost(516_780, 516_780),
    3: GasCost(389_819, 389_819),
    4: GasCost(326_605, 326_605),
    5: GasCost(332_128, 379_936),
    6: GasCost(405_893, 533_267),
}
"""By arity: all revelations of nodes in one dispute."""

FREE = GasCost(0, 0)
CHALLENGE = GasCost(131_992, 131_992)
CHALLENGE_AGAIN = GasCost(112_698, 112_698)
"""A further challenge to a claim, with a commitment."""
COMMIT = GasCost(61_212, 61_212)
TRACE_ROOT = GasCost(71_001, 71_001)
REVEAL_LEAF = GasCost(68_880, 94_984)
DESCEND = GasCost(119_850, 119_850)
PARTIALS = GasCost(68_980, 111_368)
"""64 partial results with their positions."""
NARROW = GasCost(59_027, 119_560)
PROOF = GasCost(GAS_LIMIT, GAS_LIMIT_7976)
"""The largest proof of a program that passes the audit; going inside an element shows as much of the op at most."""
SIMPLE_PROOF = GasCost(119_542, 119_542)
"""The cheapest proof: that an input is not the claim's."""
TIMEOUT = GasCost(349_071, 349_071)
"""Of a challenger who lets as many accounts open nodes as one game can have to pay."""
TIMEOUT_AGAIN = GasCost(219_872, 219_872)
"""A further game of that kind in the same transaction."""
DEFENDER_TIMEOUT = GasCost(75_873, 75_873)
RECLAIM = GasCost(44_063, 44_063)
CLAIM = GasCost(79_247, 120_680)
"""A claim in a batch."""
CLAIM_ALONE = GasCost(180_011, 180_011)
"""A batch of one claim."""
RELEASE = GasCost(15_991, 30_343)
"""A further bond in a transaction that releases several."""

REQUEST = GasCost(151_117, 151_117)
NOTE = GasCost(86_898, 86_898)
STRIKE = GasCost(39_983, 39_983)
ANSWER = GasCost(5_139_474, 5_139_474)
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
