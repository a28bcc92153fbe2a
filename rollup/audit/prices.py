"""What the contracts can be made to do at most for each thing that a proof consists of, in gas without calldata.

Every price is that of the slowest way through the contract, measured on the committed bytecode and asserted by
``tests/contracts/test_prices.py``: what a proof consists of by calls to OneStepProver, what the game adds by whole disputes that others
made as dear as they can. For most prices it also fails where one is far above what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollup.form.ops import Opcode


@dataclass(frozen=True)
class Calldata:
    """What a byte of calldata costs, zero or not: ``byte`` beside execution, ``floor`` at least."""

    byte: int
    floor: int


PRAGUE = Calldata(16, 40)
"""EIP-7623, all bytes non-zero."""

EIP_7976 = Calldata(16, 64)

TRANSACTION = 21_000


_INSTRUCTIONS: Mapping[Opcode, int] = {
    Opcode.CONST: 320,
    Opcode.INDEX: 550,
    Opcode.LOAD: 450,
    Opcode.GATHER: 600,
    Opcode.ADD: 850,
    Opcode.SUB: 850,
    Opcode.MUL: 900,
    Opcode.DIV: 1_150,
    Opcode.SHL: 1_000,
    Opcode.SHR: 1_100,
    Opcode.MULSHIFT: 1_500,
    Opcode.AND: 950,
    Opcode.OR: 1_000,
    Opcode.XOR: 1_000,
    Opcode.MIN: 1_050,
    Opcode.MAX: 1_100,
    Opcode.ABS: 620,
    Opcode.LESS: 1_100,
    Opcode.EQUAL: 1_150,
    Opcode.SELECT: 1_400,
    Opcode.BITLEN: 1_400,
    Opcode.ISQRT: 2_200,
}


@dataclass(frozen=True)
class Prices:
    """Gas for one of each. Memory is not in them: it is counted in words, because its price grows with the square."""

    prove: int = 97_000
    """DisputeGame and the ledger, by move: with an earlier challenger who stands on the place and gets the reward, the root opened by a
    stranger, the trace root given on dispute; a settlement with as many partial results as there can be.
    """
    settle: int = 107_000
    descend: int = 115_000
    call: int = 18_000
    """OneStepProver, about an op without accesses."""
    byte: int = 2
    """A byte of witness that is handed on, and of a descriptor that is hashed."""

    leaf: int = 1_400
    """A leaf hashed, and its place remembered."""
    run: int = 900
    node: int = 650
    tree: int = 3_500
    tree_access: int = 400
    """One tree and one access, which may have the tree's root."""
    search: int = 190
    """One halving in the search of a leaf among a tree's runs."""

    output_dimension: int = 680
    domain_dimension: int = 1_400
    access: int = 2_450
    dimension: int = 640
    """One dimension of an access, parsed."""
    term: int = 460
    instructions: Mapping[Opcode, int] = field(default_factory=lambda: _INSTRUCTIONS)
    load: int = 2_700
    """An element located for itself, and read."""
    load_dimension: int = 600

    factor: int = 5_500
    """A factor looked at before its rows: its margins, whether it is linear."""
    factor_dimension: int = 1_300
    factor_term: int = 1_450
    factor_index: int = 9_000
    """An index of a factor, read before its rows."""
    merged_row: int = 1_300
    """A row of a domain over which all factors are linear once their margins are cut off."""
    merged_factor: int = 700
    row: int = 900
    row_factor: int = 1_500
    """A factor placed at the beginning of a row."""
    row_dimension: int = 580
    row_slope: int = 680
    """More, for a dimension along which the row moves."""
    row_term: int = 420
    row_index: int = 6_000
    """An index of a factor, placed and read for a row."""
    piece: int = 650
    """A stretch of a row within which no factor enters or leaves its operand."""
    reach: int = 2_500
    """A factor read in one piece, or an element that is read for itself within its row."""
    mark: int = 130
    """A leaf of a piece noted as read."""
    word: int = 1_150
    """What a piece of adjacent elements costs more, as its last word may hold one element alone."""

    sum: int = 235
    """A position of a piece under a sum: one element; with 64 bits."""
    wide_sum: int = 360
    adjacent_sum: int = 46
    """Elements of at most 32 bits that lie side by side along a row."""
    adjacent_dot: int = 70
    """Products of at most 16 bits a factor, both of which lie side by side."""
    dot: int = 235
    """Two elements multiplied; with 64 bits."""
    wide_dot: int = 620
    extreme: int = 230
    """A position of a piece under a monoid with an order."""
    wide_extreme: int = 320
    product: int = 830
    wide_product: int = 1_100
    lone: int = 2_450
    """A factor or one of its indices, placed for one position alone."""


PRICES = Prices()
