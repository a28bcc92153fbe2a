"""What the contracts answer, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeVar

from rollup.claim import Address, ClaimId
from rollup.errors import ChainError
from rollup.game.clock import Clocks, Side
from rollup.l1.calls import EPILOGUE as EPILOGUE
from rollup.l1.events import Event
from rollup.types import Gindex, Root, Timestamp

E = TypeVar("E")


BASE_GAS = 21_000


FLOOR_7976 = 64
"""Gas of a transaction before anything else; least gas for each byte of calldata under EIP-7976 (Prague, EIP-7623: 10 and 40)."""


class ClaimStatus(IntEnum):
    """What L1 says about a claim."""

    UNKNOWN = 0
    POSTED = 1
    CHALLENGED = 2
    FINAL = 3
    INVALID = 4


@dataclass(frozen=True)
class Receipt:
    """What a transaction cost and said. ``call``: the contract function; ``data_bytes``: its calldata; ``fee``: wei that were
    paid for its gas.
    """

    call: str
    sender: Address
    gas: int
    data_bytes: int
    block: int
    transaction: bytes
    events: tuple[Event, ...]
    fee: int = 0

    @property
    def gas_7976(self) -> int:
        """What it would cost under EIP-7976, whose floor is 64 gas for every byte of calldata."""
        return max(self.gas, BASE_GAS + FLOOR_7976 * self.data_bytes)

    def one(self, kind: type[E]) -> E:
        """The only event of a kind; raises ChainError if there is none, or more than one."""
        found = [event for event in self.events if isinstance(event, kind)]
        if len(found) != 1:
            raise ChainError(
                f"{self.call} logged {len(found)} {kind.__name__} events where one was expected; read its receipt"
            )
        return found[0]


class BatchInfo(NamedTuple):
    """A batch as L1 keeps it. ``claims``: how many, those included that are not posted. ``closes_at``: the last reading of the challenge
    clock at which they can be challenged for the first time. ``challenged``: bit j for every challenged claim whose index is j, or j
    more than a multiple of 128; claims with such a bit are not released with their group.
    """

    root: Root
    posted_at: Timestamp
    closes_at: Timestamp
    claims: int
    challenged: int

    def apart(self, index: int) -> bool:
        """Whether the bond of the claim at this index is freed alone, not with its group."""
        return bool(self.challenged >> index % 128 & 1)


@dataclass(frozen=True)
class DisputeInfo:
    """What all games about a claim share, as L1 keeps it. ``games``: ever opened. ``trace_depth``, ``leaf_depth``: levels
    from the trace root down to the entries and to the leaves. ``trace_root``: of a claim that was posted without one, once
    it is set; zero for all others.
    """

    claimant: Address
    games: int
    open_games: int
    trace_depth: int
    leaf_depth: int
    convicted: bool
    trace_root: Root
    root_at: Timestamp


@dataclass(frozen=True)
class GameRef:
    """What names a game (the contract's ``GameRef``). ``trace_root``: the claim's; zero while it is not set."""

    claim_id: ClaimId
    trace_root: Root
    challenger: Address
    counter: int


@dataclass(frozen=True)
class At:
    """What a challenger's move names (the contract's ``Move``): a game and the node that it stands on."""

    game: GameRef
    node: Root


@dataclass(frozen=True)
class GameInfo:
    """One game as L1 keeps it, and where it stands now. ``live``: neither ended nor the claim convicted. ``inside``: an
    element of the leaf at ``position``, so that ``node`` is a question's hash. ``committed_in``: the block of its commitment,
    or in which it came to a leaf or an entry; what it proves there is taken in later blocks.

    L1 forgets a game that has ended: it is then not ``open``, and the numbers are 0.
    """

    ref: GameRef
    committed_in: int
    moves: int
    open: bool
    inside: bool
    position: Gindex
    commitment: bytes
    live: bool
    node: Root
    turn: Side | None
    clocks: Clocks | None
    expired: Side | None

    @property
    def at(self) -> At:
        """What a move about it must name now."""
        return At(self.ref, self.node)
