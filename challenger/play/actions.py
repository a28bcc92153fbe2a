"""What a player is to do next: ``ToSelect`` becomes the move ``Select`` (``rollup.game.moves``), and so on. An action says what
the strategy knows; the player adds who moves, where the game stands, and how a commitment is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

from challenger.play.accusation import Accusation
from rollup.game.clock import Side
from rollup.game.question import Partial, Question
from rollup.types import Gindex, Root


@dataclass(frozen=True)
class ToChallenge:
    """With a place: commit to it at once."""

    place: Gindex | None


@dataclass(frozen=True)
class ToCommit:
    place: Gindex


@dataclass(frozen=True)
class ToSetTraceRoot:
    root: Root


@dataclass(frozen=True)
class ToReveal:
    """The descendants of the game's node, from left to right."""

    children: tuple[Root, ...]


@dataclass(frozen=True)
class ToRevealLeaf:
    data: bytes


@dataclass(frozen=True)
class ToSelect:
    """A descendant: position, hash, siblings up to the game's node."""

    position: Gindex
    child: Root
    siblings: tuple[Root, ...]


@dataclass(frozen=True)
class ToProve:
    accusation: Accusation


@dataclass(frozen=True)
class ToDescend:
    """Into the accused element, which is too long to be proven as a whole."""

    accusation: Accusation


@dataclass(frozen=True)
class ToPartials:
    """The partial results below a question."""

    question: Question
    results: tuple[Partial, ...]


@dataclass(frozen=True)
class ToNarrow:
    """To a partial result that stands for several parts."""

    question: Question
    results: tuple[Partial, ...]
    child: int


@dataclass(frozen=True)
class ToSettle:
    """Prove that partial result ``child`` is not what its part reduces to; None: that the element is not what the op's code makes
    of the accumulator.
    """

    question: Question
    results: tuple[Partial, ...]
    child: int | None


@dataclass(frozen=True)
class ToTimeout:
    """Collect the clock of the side that ran out of it."""

    loser: Side


Action = (
    ToChallenge
    | ToCommit
    | ToSetTraceRoot
    | ToReveal
    | ToRevealLeaf
    | ToSelect
    | ToProve
    | ToDescend
    | ToPartials
    | ToNarrow
    | ToSettle
    | ToTimeout
)
