"""Where a dispute stands: one posted claim with all its games, and what is known of the nodes on which they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from rollup.claim import NO_ROOT, Address
from rollup.game.clock import Clocks, Side
from rollup.game.ledger import Ledger
from rollup.game.moves import Commitment, Node, Rule
from rollup.game.position import ROOT
from rollup.game.question import Asked, Partial
from rollup.game.stopping import StoppingClock
from rollup.merkle import depth_of
from rollup.settings import Parameters
from rollup.types import Gindex, Root, Timestamp


@dataclass(frozen=True)
class Instant:
    """When a move is made: L1's time and block number."""

    time: Timestamp
    block: int


class GameStatus(Enum):
    OPEN = "open"
    LOST = "lost"
    WON = "won"
    RECLAIMED = "reclaimed"


@dataclass(frozen=True)
class Game:
    """One challenger's contest. ``node``: not kept at the root, where it is the claim's trace root.

    ``committed_in``: the block of the commitment. ``openers``: of the nodes that were opened in this game and left behind,
    who opened them.
    """

    challenger: Address
    clocks: Clocks
    position: Gindex = ROOT
    node: Node = NO_ROOT
    commitment: Commitment | None = None
    committed_in: int = 0
    openers: tuple[Address, ...] = ()
    status: GameStatus = GameStatus.OPEN

    @property
    def inside(self) -> bool:
        """Whether it has gone into an element; its position is then that of the leaf."""
        return isinstance(self.node, Asked)


@dataclass(frozen=True)
class Opening:
    """When a node was opened, by whom, and (a question) with which partial results."""

    time: Timestamp
    by: Address
    results: tuple[Partial, ...] = ()


@dataclass(frozen=True)
class Conviction:
    """How a claim became invalid, and through which game. ``place``: for a timeout, where the game stood. ``part``: its
    number, for the rule of that name.
    """

    rule: Rule
    game: int
    place: Gindex
    part: int = 0


@dataclass(frozen=True)
class Dispute:
    """One posted claim and its games. The claimant's bond is locked when it begins (``Dispute.begin``).

    ``closes_at``: the end of its challenge period on the chain's ``clock``. ``root_at``, ``root_by``: when and by whom the
    trace root was set, if it did not come with the claim. ``opened``: what is known of each node, by the node and the
    levels that were opened below it (0: a leaf's bytes, the answer to a question). ``first``: the game that is noted for
    the reward at a leaf or entry.

    Ledger, clock and openings are the chain's: whoever plays several claims hands them on from one to the next.
    """

    parameters: Parameters
    claimant: Address
    closes_at: Timestamp
    trace_depth: int
    tensor_depth: int
    trace_root: Root
    ledger: Ledger
    clock: StoppingClock
    root_at: Timestamp | None = None
    root_by: Address | None = None
    games: tuple[Game, ...] = ()
    opened: Mapping[tuple[Node, int], Opening] = field(default_factory=dict)
    first: Mapping[Gindex, int] = field(default_factory=dict)
    conviction: Conviction | None = None
    released: bool = False

    @classmethod
    def begin(
        cls,
        parameters: Parameters,
        claimant: Address,
        posted_at: Timestamp,
        depths: tuple[int, int],
        trace_root: Root,
        ledger: Ledger,
        clock: StoppingClock | None = None,
    ) -> Dispute:
        """``depths``: trace and tensor depth; the first is 1 at least, since every program has an op. ``trace_root``: NO_ROOT if it
        is given on dispute.
        """
        clock = clock or StoppingClock()
        closes_at = Timestamp(clock.reading(posted_at) + parameters.window)
        ledger = ledger.lock_claim(claimant, parameters.claim_bond)
        return cls(parameters, claimant, closes_at, *depths, trace_root, ledger, clock)

    @property
    def depth(self) -> int:
        """Levels from the trace root to its leaves."""
        return self.trace_depth + self.tensor_depth

    @property
    def root_came_with_claim(self) -> bool:
        """If so, the trace root is a part of what names a game."""
        return self.trace_root != NO_ROOT and self.root_at is None

    def is_live(self, number: int) -> bool:
        """Whether the game exists and nothing has ended it."""
        return (
            0 <= number < len(self.games) and self.conviction is None and self.games[number].status is GameStatus.OPEN
        )

    def with_game(self, number: int, game: Game) -> Dispute:
        """The dispute with another state of one of its games."""
        return replace(self, games=(*self.games[:number], game, *self.games[number + 1 :]))

    @property
    def open_games(self) -> list[int]:
        return [number for number in range(len(self.games)) if self.is_live(number)]

    def node_of(self, game: Game) -> Node:
        """What the game stands on; zero while the trace root is not set."""
        return self.trace_root if game.position == ROOT else game.node

    def levels_below(self, game: Game) -> int:
        """Levels that the next reveal opens; 0 at a leaf."""
        return min(self.parameters.arity, self.depth - depth_of(game.position))

    def opening_of(self, game: Game) -> Opening | None:
        """What is known of the game's node; None while it was not opened as deep as this game goes next."""
        return self.opened.get((self.node_of(game), self.levels_below(game)))

    def opened_at(self, game: Game) -> Timestamp | None:
        """When the game's node was opened; a root that was opened before it was set counts from when it was set."""
        opening = self.opening_of(game)
        if opening is None:
            return None
        if game.position == ROOT and self.root_at is not None:
            return max(opening.time, self.root_at)
        return opening.time

    def stands_at(self, number: int, place: Gindex) -> bool:
        return self.is_live(number) and self.games[number].position == place

    def turn(self, game: Game) -> Side:
        return Side.DEFENDER if self.opened_at(game) is None else Side.CHALLENGER

    def expired(self, game: Game, now: Timestamp) -> Side | None:
        return game.clocks.expired(self.opened_at(game), now)

    def is_final(self, now: Timestamp) -> bool:
        """Accepted for good: the challenge period is over, nothing is open and nobody has proven it false."""
        over = self.clock.is_over(self.closes_at, now)
        return over and self.conviction is None and not self.open_games
