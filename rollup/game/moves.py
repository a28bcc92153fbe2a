"""Everything that can be said in a dispute. ``by`` is who says it.

A move about one game names where its mover believes the game to stand (``GameAt``): after a reorg no move can hit another
state. Openings (``Reveal``, ``RevealLeaf``, ``Partials``) are about a node, for all games on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from rollup.claim import Address
from rollup.form.ops import Monoid
from rollup.game.question import Asked, Partial, Question
from rollup.types import Gindex, Root

Node = Root | Asked
"""What a game stands on: a hash of the trace tree, or a question about an element (on L1 its hash)."""


class Rule(Enum):
    """What convicts a claim. The values are the contract's numbers."""

    STEP = 0
    PADDING = 1
    INPUT = 2
    OUTPUT = 3
    TIMEOUT = 4
    PART = 5
    EPILOGUE = 6


@dataclass(frozen=True)
class GameAt:
    """A game by its number within the dispute, the claim's trace root (zero while unset) and the node the game stands
    on.
    """

    game: int
    trace_root: Root
    node: Node


@dataclass(frozen=True)
class HiddenPlace:
    """What a challenger accuses: a leaf (step, padding) or an entry (input, output), with the salt that hides it."""

    position: Gindex
    salt: bytes


@dataclass(frozen=True)
class Commitment:
    """On L1 a hash of these and of who commits; here the content, which nobody else can say."""

    trace_root: Root
    place: HiddenPlace


@dataclass(frozen=True)
class Challenge:
    """Open a game; it may commit to a place already. ``value``: wei that are sent along, for the bond first."""

    by: Address
    commitment: Commitment | None = None
    value: int = 0


@dataclass(frozen=True)
class Commit:
    """Set or replace the commitment of one's own game."""

    by: Address
    at: GameAt
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
    at: GameAt
    position: Gindex
    child: Root
    siblings: tuple[Root, ...]


@dataclass(frozen=True)
class Prove:
    """Show that the trace is wrong at the place. ``differs`` is the machine's verdict; the game sees no witness."""

    by: Address
    at: GameAt
    place: HiddenPlace
    rule: Rule
    differs: bool


@dataclass(frozen=True)
class Descend:
    """Go into one element of a leaf. ``monoid``, ``parts``: what the machine reads in the op's descriptor."""

    by: Address
    at: GameAt
    place: HiddenPlace
    element: int
    monoid: Monoid
    parts: int


@dataclass(frozen=True)
class Partials:
    """The claimant's answer to a question, for all games that stand on it."""

    by: Address
    trace_root: Root
    question: Question
    results: tuple[Partial, ...]


@dataclass(frozen=True)
class Narrow:
    """Dispute one partial result of the answer, which stands for several parts."""

    by: Address
    at: GameAt
    question: Question
    results: tuple[Partial, ...]
    child: int


@dataclass(frozen=True)
class Settle:
    """Show that one partial result is not what its part reduces to, or (``child`` is None) that the element is not what
    the op's code makes of the accumulator. ``differs`` is the machine's verdict.
    """

    by: Address
    at: GameAt
    question: Question
    results: tuple[Partial, ...]
    child: int | None
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


class MoveKind(StrEnum):
    """The name of each move, wherever moves are stored, shown or told: the class above in snake case."""

    CHALLENGE = "challenge"
    COMMIT = "commit"
    SET_TRACE_ROOT = "set_trace_root"
    REVEAL = "reveal"
    REVEAL_LEAF = "reveal_leaf"
    SELECT = "select"
    PROVE = "prove"
    DESCEND = "descend"
    PARTIALS = "partials"
    NARROW = "narrow"
    SETTLE = "settle"
    TIMEOUT = "timeout"
    RECLAIM = "reclaim"


Openings = Reveal | RevealLeaf | Partials
OfOneGame = Commit | Select | Prove | Descend | Narrow | Settle
Move = Challenge | SetTraceRoot | Openings | OfOneGame | Timeout | Reclaim
