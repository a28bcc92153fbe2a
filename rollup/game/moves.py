"""Everything that can be said in a dispute. ``by`` is who says it.

A move about one game, but a reveal, names where its mover believes the game to stand (``At``): after a reorg no move can hit
another state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rollup.claim import Address
from rollup.types import Gindex, Root


class Rule(Enum):
    """What convicts a claim. The values are the contract's numbers."""

    STEP = 0
    PADDING = 1
    INPUT = 2
    OUTPUT = 3
    TIMEOUT = 4


@dataclass(frozen=True)
class At:
    """A game by its number within the dispute, the claim's trace root (zero while unset) and the node the game stands
    on.
    """

    game: int
    trace_root: Root
    node: Root


@dataclass(frozen=True)
class Place:
    """What a challenger accuses: a leaf (step, padding) or an entry (input, output), with the salt that hides it."""

    position: Gindex
    salt: bytes


@dataclass(frozen=True)
class Commitment:
    """On L1 a hash of these and of who commits; here the content, which nobody else can say."""

    trace_root: Root
    place: Place


@dataclass(frozen=True)
class Challenge:
    """Open a game; it may commit to a place already."""

    by: Address
    commitment: Commitment | None = None


@dataclass(frozen=True)
class Commit:
    """Set or replace the commitment of one's own game."""

    by: Address
    at: At
    commitment: Commitment


@dataclass(frozen=True)
class SetTraceRoot:
    """The claimant's trace root, once per challenged claim, where the policy is *on dispute*."""

    by: Address
    root: Root


@dataclass(frozen=True)
class Reveal:
    """All descendants of a node some levels below it, left to right. Anyone may; the node is what they hash to."""

    by: Address
    children: tuple[Root, ...]


@dataclass(frozen=True)
class RevealLeaf:
    """The 1,024 bytes of a leaf. Anyone may; the leaf is what they hash to."""

    by: Address
    data: bytes


@dataclass(frozen=True)
class Select:
    """Go down to a descendant: its position, hash and the siblings from it up to the game's node."""

    by: Address
    at: At
    position: Gindex
    child: Root
    siblings: tuple[Root, ...]


@dataclass(frozen=True)
class Prove:
    """Show that the trace is wrong at the place. ``differs`` is the machine's verdict; the game sees no witness."""

    by: Address
    at: At
    place: Place
    rule: Rule
    differs: bool


@dataclass(frozen=True)
class Timeout:
    """Collect clocks that have run out; anyone may, and is paid for it."""

    by: Address
    games: tuple[int, ...]


@dataclass(frozen=True)
class Reclaim:
    """Free the bonds of games that another game's conviction ended. Anyone may."""

    by: Address
    games: tuple[int, ...]


Move = Challenge | Commit | SetTraceRoot | Reveal | RevealLeaf | Select | Prove | Timeout | Reclaim
