"""What the contracts can be made to do at most for each thing that a proof consists of, in gas without calldata.

Every price is that of the slowest way through the contract, measured on the committed bytecode and asserted by
``tests/contracts/test_prices.py``, which also fails where a price is far above what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollup.ops import Opcode


@dataclass(frozen=True)
class Calldata:
    """What a byte of calldata costs, zero or not: ``byte`` beside execution, ``floor`` at least."""

    byte: int
    floor: int


PRAGUE = Calldata(16, 40)
"""EIP-7623, all bytes non-zero."""

EIP_7976 = Calldata(16, 64)

TRANSACTION = 21_000


@dataclass(frozen=True)
class Prices:
    """Gas for one of each. Memory is not in them: it is counted in words, because its price grows with the square."""

    prove: int = 150_000
    """DisputeGame, ledger and the fixed part of OneStepProver, per move."""
    settle: int = 170_000
    descend: int = 110_000
    padding: int = 120
    """One byte of a leaf that is looked at for padding."""
    byte: int = 2
    """A byte of witness that is handed on, and of a descriptor that is hashed."""
    leaf: int = 1_000
    run: int = 800
    node: int = 420
    tree: int = 2_500
    tree_access: int = 160
    """One tree and one access, which may have the tree's root."""
    output_dimension: int = 900
    box_dimension: int = 1_800
    access: int = 1_800
    dimension: int = 650
    """One dimension of an access, read."""
    term: int = 600
    load: int = 2_000
    load_dimension: int = 450
    search: int = 180
    """One halving in the search of a leaf among a tree's runs."""
    factor: int = 5_000
    """One factor made ready for its rows."""
    factor_dimension: int = 1_500
    factor_term: int = 800
    row: int = 4_000
    row_dimension: int = 900
    row_term: int = 500
    element: int = 230
    """A position of a row whose leaves are read in one piece: a product of two elements, or one element in order."""
    wide_element: int = 520
    """The same with a factor of 64 bits."""
    apart: int = 1_500
    """A position that is located for itself within its row, by factor: rows that skip leaves, products in order."""
    lone: int = 3_000
    """A position of a factor that is placed for itself: its index, or the value it is read from, changes over the box."""
    lone_dimension: int = 400
    lone_term: int = 250
    instruction: Mapping[Opcode, int] | None = None


_INSTRUCTIONS: Mapping[Opcode, int] = dict.fromkeys(Opcode, 900) | {Opcode.ISQRT: 6_000, Opcode.BITLEN: 1_800}

PRICES = Prices(instruction=_INSTRUCTIONS)
