"""Measured gas of a dispute, for judging a deployment's parameters. The figures are those of docs/costs.md and its
sources, ``tests/arity.json`` and ``tests/contracts/dispute_gas.json``; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MEASURED_DEPTH = 20
"""Levels of the trace tree in which the disputes below were played."""

SELECTS: Mapping[int, int] = {1: 981_309, 2: 508_251, 3: 366_659, 4: 271_336, 5: 224_497, 6: 224_496}
"""By arity: gas of all selections of one dispute."""

REVEALS: Mapping[int, int] = {1: 980_456, 2: 514_950, 3: 388_458, 4: 325_455, 5: 331_116, 6: 404_940}
"""By arity: gas of all revelations of nodes in one dispute."""

CHALLENGE = 119_956
REVEAL_LEAF = 69_657
PROVE = 745_750
"""A step of 4,096 products; most steps cost less, and none that passes the audit more than 5,000,000."""

TIMEOUT = 80_089
CLAIM = 76_753
"""A claim in a batch."""


@dataclass(frozen=True)
class DisputeGas:
    """Moves and gas of the longest dispute, by side; ``rounds``: descents of one arity."""

    rounds: int
    challenger_moves: int
    defender_moves: int
    selects: int
    reveals: int

    @property
    def challenger(self) -> int:
        """Gas of a challenger that wins by proof."""
        return CHALLENGE + self.selects + PROVE

    @property
    def defender(self) -> int:
        """Gas of a defender that opens everything and collects the timeout of a challenger who goes silent."""
        return self.reveals + REVEAL_LEAF + TIMEOUT


def dispute(arity: int, depth: int) -> DisputeGas:
    """A dispute about a withheld trace whose tree has ``depth`` levels. Arity 1 to 6: others were not measured."""
    rounds, measured = -(-depth // arity), -(-MEASURED_DEPTH // arity)
    selects = -(-SELECTS[arity] * rounds // measured)
    reveals = -(-REVEALS[arity] * rounds // measured)
    return DisputeGas(rounds, rounds + 2, rounds + 1, selects, reveals)
