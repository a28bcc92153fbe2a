"""Measured gas of a dispute, for judging a deployment's parameters. The figures are those of docs/costs.md and its
sources, ``tests/arity.json`` and ``tests/contracts/dispute_gas.json``; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from rollup.audit import GAS_LIMIT, GAS_LIMIT_7976


@dataclass(frozen=True)
class Gas:
    """One amount by both price lists: Prague's, and EIP-7976's, where a byte of calldata costs 64 gas at least."""

    prague: int
    eip7976: int

    def __add__(self, other: Gas) -> Gas:
        return Gas(self.prague + other.prague, self.eip7976 + other.eip7976)

    def __sub__(self, other: Gas) -> Gas:
        return Gas(self.prague - other.prague, self.eip7976 - other.eip7976)

    def __mul__(self, times: int) -> Gas:
        return Gas(times * self.prague, times * self.eip7976)

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

SELECTS: Mapping[int, Gas] = {
    1: Gas(981_309, 981_309),
    2: Gas(508_251, 508_251),
    3: Gas(366_659, 366_659),
    4: Gas(271_336, 271_336),
    5: Gas(224_497, 224_497),
    6: Gas(224_496, 224_496),
}
"""By arity: all selections of one dispute."""

REVEALS: Mapping[int, Gas] = {
    1: Gas(980_456, 980_456),
    2: Gas(514_950, 514_950),
    3: Gas(388_458, 388_458),
    4: Gas(325_455, 325_455),
    5: Gas(331_116, 379_936),
    6: Gas(404_940, 533_142),
}
"""By arity: all revelations of nodes in one dispute."""

CHALLENGE = Gas(119_956, 119_956)
TRACE_ROOT = Gas(70_909, 70_909)
REVEAL_LEAF = Gas(68_781, 94_984)
DESCEND = Gas(120_000, 120_000)
PARTIALS = Gas(100_000, 130_000)
"""64 partial results with their positions."""
NARROW = Gas(100_000, 130_000)
PROOF = Gas(GAS_LIMIT, GAS_LIMIT_7976)
"""The largest proof of a program that passes the audit; going inside an element shows as much of the op at most."""
TIMEOUT = Gas(80_089, 80_089)
CLAIM = Gas(76_753, 112_173)
"""A claim in a batch."""

MOST_LEVELS = 6
"""Answers inside one element at most: 64^6 parts are more than a descriptor can name."""


@dataclass(frozen=True)
class DisputeGas:
    """Moves and gas of the longest dispute, by side; ``rounds``: descents of one arity; ``levels``: answers inside an element."""

    rounds: int
    levels: int
    selects: Gas
    reveals: Gas

    @property
    def challenger_moves(self) -> int:
        """To challenge, select, go inside, narrow down, settle."""
        return 1 + self.rounds + 1 + (self.levels - 1) + 1

    @property
    def defender_moves(self) -> int:
        """The trace's root, nodes, the leaf, partial results."""
        return 1 + self.rounds + 1 + self.levels

    @property
    def challenger(self) -> Gas:
        """What a challenger pays that wins by proof."""
        return reduce(Gas.__add__, [CHALLENGE, self.selects, PROOF, NARROW * (self.levels - 1), PROOF])

    @property
    def defender(self) -> Gas:
        """What a defender pays that answers everything and collects the timeout of a challenger who goes silent."""
        return reduce(Gas.__add__, [TRACE_ROOT, self.reveals, REVEAL_LEAF, PARTIALS * self.levels, TIMEOUT])

    @property
    def reveal(self) -> Gas:
        """What one revelation costs."""
        return Gas(-(-self.reveals.prague // self.rounds), -(-self.reveals.eip7976 // self.rounds))


def dispute(arity: int, depth: int, levels: int = MOST_LEVELS) -> DisputeGas:
    """A dispute about a withheld trace whose tree has ``depth`` levels. Arity 1 to 6: others were not measured."""
    rounds, measured = -(-depth // arity), -(-MEASURED_DEPTH // arity)

    def scaled(total: Gas) -> Gas:
        return Gas(-(-total.prague * rounds // measured), -(-total.eip7976 * rounds // measured))

    return DisputeGas(rounds, levels, scaled(SELECTS[arity]), scaled(REVEALS[arity]))
