"""Attacks played move by move in the pure game, with accounts on a ledger: what the figures of attacks are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rollup.claim import NO_ROOT, Address
from rollup.form.ops import FAN_OUT, Monoid
from rollup.game.dispute import Dispute, Instant
from rollup.game.game import play
from rollup.game.ledger import Ledger
from rollup.game.moves import (
    Challenge,
    Commitment,
    Descend,
    GameAt,
    HiddenPlace,
    Move,
    Narrow,
    Partials,
    Prove,
    Reveal,
    RevealLeaf,
    Rule,
    Select,
    Settle,
    SetTraceRoot,
    Timeout,
)
from rollup.game.question import Asked, Partial, Question
from rollup.merkle import depth_of, hash_leaf, hash_node, zero
from rollup.settings import Parameters
from rollup.types import LEAF_BYTES, Gindex, Root, Timestamp
from touchstone.deployment.gas import MOST_LEVELS

LEAF = b"\x07" * LEAF_BYTES
"""The only leaf of the trace that is not zero, and the first one: every game goes down to it."""

CLAIMANT, CHALLENGER, OTHER = (Address("0x" + byte * 20) for byte in ("c1", "a1", "b0"))
MONEY = 10**27
PLACE_SALT = b"s" * 32


@dataclass
class Played:
    """One claim without a trace root and the games about it. ``moves``: how often each kind was made, by account."""

    parameters: Parameters
    trace_depth: int
    depth: int
    moves: Counter[tuple[Address, type[Move]]] = field(default_factory=Counter)
    now: int = 1000
    block: int = 1

    def __post_init__(self) -> None:
        ledger = Ledger()
        for account in (CLAIMANT, CHALLENGER, OTHER):
            ledger = ledger.deposit(account, MONEY).fund(account, MONEY)
        depths = (self.trace_depth, self.depth - self.trace_depth)
        self.dispute = Dispute.begin(self.parameters, CLAIMANT, Timestamp(self.now), depths, NO_ROOT, ledger)

    def node(self, depth: int) -> Root:
        """The first node of a level."""
        node = hash_leaf(LEAF)
        for level in range(self.depth, depth, -1):
            node = hash_node(node, zero(self.depth - level))
        return node

    def make(self, move: Move) -> None:
        """Make a move in a block of its own."""
        self.block += 1
        self.dispute = play(self.dispute, move, self.instant)
        self.moves[move.by, type(move)] += 1
        assert self.dispute.ledger.balanced

    @property
    def instant(self) -> Instant:
        return Instant(Timestamp(self.now), self.block)

    def at(self, number: int = 0) -> GameAt:
        return GameAt(number, self.dispute.trace_root, self.dispute.node_of(self.dispute.games[number]))

    @property
    def place(self) -> HiddenPlace:
        return HiddenPlace(Gindex(1 << self.depth), PLACE_SALT)

    def challenge(self, by: Address = CHALLENGER, committed: bool = False) -> None:
        self.make(Challenge(by, Commitment(self.node(0), self.place) if committed else None))

    def answer_root(self) -> None:
        self.make(SetTraceRoot(CLAIMANT, self.node(0)))

    def open(self, *accounts: Address, number: int = 0) -> None:
        """Open the node of the tree on which a game stands; all but the first of the accounts come too late."""
        depth = depth_of(self.dispute.games[number].position)
        levels = self.dispute.levels_below(self.dispute.games[number])
        others = [zero(self.depth - depth - levels)] * ((1 << levels) - 1)
        for by in accounts:
            self.make(Reveal(by, (self.node(depth + levels), *others)) if levels else RevealLeaf(by, LEAF))

    def select(self, number: int = 0) -> None:
        """Go down as little as is allowed: to what was opened, or to an entry before."""
        game = self.dispute.games[number]
        depth = depth_of(game.position)
        to = depth + self.dispute.levels_below(game)
        to = self.trace_depth if depth < self.trace_depth < to else to
        siblings = tuple(zero(self.depth - level) for level in range(to, depth, -1))
        self.make(Select(game.challenger, self.at(number), Gindex(1 << to), self.node(to), siblings))

    def at_leaf(self, number: int) -> bool:
        return depth_of(self.dispute.games[number].position) == self.depth

    def down(self, *openers: Address, number: int = 0) -> None:
        """From the root to the opened leaf."""
        while not self.at_leaf(number):
            self.open(*openers, number=number)
            self.select(number)
        self.open(*openers, number=number)

    def inside(self, number: int = 0, answers: int = MOST_LEVELS) -> tuple[Question, tuple[Partial, ...]]:
        """From the leaf into an element of as many parts as can be, until the claimant has given so many answers; the last question,
        and its answer if there is one.
        """
        by = self.dispute.games[number].challenger
        self.make(Descend(by, self.at(number), self.place, 0, Monoid.SUM, FAN_OUT**MOST_LEVELS))
        while True:
            asked = self.at(number).node
            assert isinstance(asked, Asked)
            question, results = asked.question, (Partial(0),) * asked.question.children
            if not answers:
                return question, ()
            answers -= 1
            self.make(Partials(CLAIMANT, self.dispute.trace_root, question, results))
            if question.asks_for_parts:
                return question, results
            self.make(Narrow(by, self.at(number), question, results, 0))

    def settle(self, number: int = 0) -> None:
        question, results = self.inside(number)
        self.make(Settle(self.dispute.games[number].challenger, self.at(number), question, results, 0, True))

    def prove(self, number: int = 0) -> None:
        self.make(Prove(self.dispute.games[number].challenger, self.at(number), self.place, Rule.STEP, True))

    def run_out(self, collector: Address) -> None:
        """Let whoever should move be silent for longer than its clock, and collect all games."""
        self.now += self.parameters.clock + 1
        self.make(Timeout(collector, tuple(self.dispute.open_games)))

    def lost(self, *accounts: Address) -> int:
        """Wei that accounts have lost together."""
        return 2 * MONEY * len(accounts) - sum(self.dispute.ledger.wealth(account) for account in accounts)

    def count(self, kind: type[Move], accounts: Iterable[Address] = (CLAIMANT, CHALLENGER, OTHER)) -> int:
        """How often they made it."""
        return sum(self.moves[account, kind] for account in accounts)
