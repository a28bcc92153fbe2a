"""The rules of a dispute: ``play(dispute, move, now)`` gives the next state, or raises Refusal and changes nothing.

One ``Dispute`` is one posted claim with all its games. Source: DESIGN D6; ARCHITECTURE, *Game*. The twin of
DisputeGame.sol; both run the vectors in ``tests/vectors/game``. What can be said of a move in general stands in
``TRANSITIONS``; what it then does is its function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from rollup.claim import NO_ROOT, Address
from rollup.game.clock import Clocks, Side
from rollup.game.ledger import Ledger
from rollup.game.moves import (
    Challenge,
    Commit,
    Commitment,
    Move,
    Partials,
    Prove,
    Reclaim,
    Reveal,
    RevealLeaf,
    Rule,
    Select,
    SetTraceRoot,
    Timeout,
)
from rollup.game.position import ROOT, is_at_or_below, relative
from rollup.game.refusal import Reason, Refusal
from rollup.merkle import Tree, depth_of, fold_branch, hash_leaf
from rollup.settings import Parameters
from rollup.types import LEAF_BYTES, Gindex, Root, Timestamp


@dataclass(frozen=True)
class Instant:
    """When a move is made: L1's time and block number."""

    time: Timestamp
    block: int


class Status(Enum):
    OPEN = "open"
    LOST = "lost"
    WON = "won"
    RECLAIMED = "reclaimed"


@dataclass(frozen=True)
class Game:
    """One challenger's contest. ``node``: not kept at the root, where it is the claim's trace root.

    ``committed_in``: the block of the commitment. ``moves``: nodes that were opened in this game and left behind.
    """

    challenger: Address
    clocks: Clocks
    position: Gindex = ROOT
    node: Root = NO_ROOT
    commitment: Commitment | None = None
    committed_in: int = 0
    moves: int = 0
    status: Status = Status.OPEN


@dataclass(frozen=True)
class Conviction:
    """How a claim became invalid, and through which game. ``place``: for a timeout, where the game stood."""

    rule: Rule
    game: int
    place: Gindex


@dataclass(frozen=True)
class Dispute:
    """One posted claim and its games. The claimant's bond is locked when it begins (``Dispute.begin``).

    ``root_at``: when the trace root was set, if it did not come with the claim. ``opened``: when each node was
    revealed, by its hash and the levels that were opened below it (0: a leaf's bytes).
    """

    parameters: Parameters
    claimant: Address
    posted_at: Timestamp
    trace_depth: int
    tensor_depth: int
    trace_root: Root
    ledger: Ledger
    root_at: Timestamp | None = None
    games: tuple[Game, ...] = ()
    opened: Mapping[tuple[Root, int], Timestamp] = field(default_factory=dict)
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
    ) -> Dispute:
        """``depths``: trace and tensor depth. ``trace_root``: NO_ROOT if it is given on dispute."""
        return cls(parameters, claimant, posted_at, *depths, trace_root, ledger.lock(claimant, parameters.claim_bond))

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
        return 0 <= number < len(self.games) and self.conviction is None and self.games[number].status is Status.OPEN

    @property
    def open_games(self) -> list[int]:
        return [number for number in range(len(self.games)) if self.is_live(number)]

    def node_of(self, game: Game) -> Root:
        """The hash that the game stands on; zero while the trace root is not set."""
        return self.trace_root if game.position == ROOT else game.node

    def levels_below(self, game: Game) -> int:
        """Levels that the next reveal opens; 0 at a leaf."""
        return min(self.parameters.arity, self.depth - depth_of(game.position))

    def opened_at(self, game: Game) -> Timestamp | None:
        """When the game's node was revealed; a root that was revealed before it was set counts from when it was set."""
        at = self.opened.get((self.node_of(game), self.levels_below(game)))
        if at is None or game.position != ROOT or self.root_at is None:
            return at
        return max(at, self.root_at)

    def turn(self, game: Game) -> Side:
        return Side.DEFENDER if self.opened_at(game) is None else Side.CHALLENGER

    def expired(self, game: Game, now: Timestamp) -> Side | None:
        return game.clocks.expired(self.opened_at(game), now)

    def is_final(self, now: Timestamp) -> bool:
        """Accepted for good: the window is over, nothing is open and nobody has proven it false."""
        over = now > self.posted_at + self.parameters.window
        return over and self.conviction is None and not self.open_games


class Who(Enum):
    ANYONE = "anyone"
    CHALLENGER = "the game's challenger"
    CLAIMANT = "the claimant"


class Live(Enum):
    """What a move makes of a game that has ended."""

    REQUIRED = "refused"
    PASSED_OVER = "nothing, so that nobody can spoil a batch of moves by being faster"
    UNASKED = "the same as of any other: an opening is a preimage, true wherever its node stands"


@dataclass(frozen=True)
class Transition:
    """What must hold before a move's own function runs.

    ``in_time``: both clocks must have time left. ``turn``: whose turn it must be, None for either.
    """

    who: Who
    live: Live
    in_time: bool
    turn: Side | None
    effect: Callable[[Dispute, Move, Instant], Dispute]


def _with_game(dispute: Dispute, number: int, game: Game) -> Dispute:
    return replace(dispute, games=(*dispute.games[:number], game, *dispute.games[number + 1 :]))


def _challenge(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Challenge)
    end = dispute.posted_at + dispute.parameters.window
    if now.time > end:
        raise Refusal(Reason.WINDOW_OVER, f"the challenge period ended at {end}, it is {now.time}; the claim stands")
    clocks = Clocks.start(dispute.parameters.clock, now.time)
    game = Game(move.by, clocks, commitment=move.commitment, committed_in=now.block)
    ledger = dispute.ledger.lock(move.by, dispute.parameters.challenge_bond)
    return replace(dispute, games=(*dispute.games, game), ledger=ledger)


def _commit(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Commit)
    game = replace(dispute.games[move.at.game], commitment=move.commitment, committed_in=now.block)
    return _with_game(dispute, move.at.game, game)


def _set_trace_root(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, SetTraceRoot)
    if not dispute.games:
        raise Refusal(
            Reason.NOT_CHALLENGED, "nobody has challenged this claim; keep its trace root until somebody does"
        )
    if dispute.trace_root != NO_ROOT:
        raise Refusal(Reason.TRACE_ROOT_ALREADY_SET, "the claim has a trace root, which stays; go on with it")
    if move.root == NO_ROOT:
        raise Refusal(Reason.NO_TRACE_ROOT, "a trace root cannot be zero; give the root of the trace")
    if move.by != dispute.claimant:
        raise Refusal(Reason.NOT_CLAIMANT, f"only the claimant {dispute.claimant} sets the trace root")
    return replace(dispute, trace_root=move.root, root_at=now.time)


def _open(dispute: Dispute, node: Root, levels: int, now: Instant) -> Dispute:
    """What is known already is passed over, so that nobody can spoil a batch of reveals by being faster."""
    if (node, levels) in dispute.opened:
        return dispute
    return replace(dispute, opened={**dispute.opened, (node, levels): now.time})


def _reveal(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Reveal)
    count, most = len(move.children), 1 << dispute.parameters.arity
    if not 2 <= count <= most or count & (count - 1):
        raise Refusal(
            Reason.CHILD_COUNT,
            f"{count} children were given; give all descendants of one level, a power of two and {most} at most",
        )
    levels = count.bit_length() - 1
    return _open(dispute, Tree(move.children, levels).root, levels, now)


def _reveal_leaf(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, RevealLeaf)
    if len(move.data) != LEAF_BYTES:
        raise Refusal(Reason.LEAF_LENGTH, f"a leaf has {LEAF_BYTES} bytes, not {len(move.data)}; pad it with zeros")
    return _open(dispute, hash_leaf(move.data), 0, now)


def _select(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Select)
    game = dispute.games[move.at.game]
    if not is_at_or_below(move.position, game.position):
        raise Refusal(
            Reason.NOT_BELOW, f"node {move.position} does not lie below node {game.position}; select one that does"
        )
    if move.position == game.position or depth_of(move.position) > dispute.depth:
        raise Refusal(
            Reason.CANNOT_SELECT,
            f"node {move.position} is the game's own or lies below the leaves; select one in between",
        )
    if len(move.siblings) != depth_of(move.position) - depth_of(game.position):
        raise Refusal(
            Reason.SIBLING_COUNT,
            (
                f"{len(move.siblings)} siblings lead from node {move.position} to no node {game.position}; "
                "give one a level"
            ),
        )
    if fold_branch(move.child, relative(move.position, game.position), move.siblings) != move.at.node:
        raise Refusal(Reason.HASH_MISMATCH, f"the path does not lead to node {game.position}; take revealed siblings")
    clocks = game.clocks.charged(dispute.opened_at(game), now.time)
    game = replace(game, position=move.position, node=move.child, clocks=clocks, moves=game.moves + 1)
    return _with_game(dispute, move.at.game, game)


def _convict(dispute: Dispute, conviction: Conviction, payments: list[tuple[Address, int]]) -> Dispute:
    number = conviction.game
    game = dispute.games[number]
    ledger = dispute.ledger.unlock(game.challenger, dispute.parameters.challenge_bond)
    ledger = ledger.forfeit(dispute.claimant, dispute.parameters.claim_bond, payments)
    won = _with_game(dispute, number, replace(game, status=Status.WON))
    return replace(won, ledger=ledger, conviction=conviction)


def _prove(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Prove)
    game, position = dispute.games[move.at.game], move.place.position
    if dispute.trace_root == NO_ROOT:
        raise Refusal(Reason.NO_TRACE_ROOT, "the claim has no trace root yet; wait for the claimant to set it")
    committed = game.commitment == Commitment(dispute.trace_root, move.place) and game.committed_in < now.block
    if game.position != position and not committed:
        raise Refusal(
            Reason.PLACE_NOT_REACHED,
            f"the game neither stands on node {position} nor committed to it in an earlier block; commit, then prove",
        )
    at_entry = move.rule in (Rule.INPUT, Rule.OUTPUT)
    if move.rule is Rule.TIMEOUT or depth_of(position) != (dispute.trace_depth if at_entry else dispute.depth):
        raise Refusal(
            Reason.RULE_NOT_APPLICABLE,
            f"node {position} is no place for the rule {move.rule.name.lower()}; name a leaf or an entry",
        )
    if not move.differs:
        raise Refusal(Reason.NO_MISMATCH, f"the trace is right at node {position}; nothing is proven")
    conviction = Conviction(move.rule, move.at.game, position)
    return _convict(dispute, conviction, [(game.challenger, dispute.parameters.reward)])


def _lose(dispute: Dispute, number: int, collector: Address) -> Dispute:
    game, terms = dispute.games[number], dispute.parameters
    # The challenger lost in its own turn, so the node on which it stood was opened as well.
    fees = min(terms.move_fee * (game.moves + 1), terms.challenge_bond - terms.collect_fee)
    payments = [(dispute.claimant, fees), (collector, terms.collect_fee)]
    ledger = dispute.ledger.forfeit(game.challenger, terms.challenge_bond, payments)
    return replace(_with_game(dispute, number, replace(game, status=Status.LOST)), ledger=ledger)


def _timeout(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Timeout)
    terms, before = dispute.parameters, dispute
    for number in move.games:
        if not dispute.is_live(number):
            continue
        game = dispute.games[number]
        loser = dispute.expired(game, now.time)
        if loser is Side.DEFENDER:
            payments = [(game.challenger, terms.reward), (move.by, terms.collect_fee)]
            dispute = _convict(dispute, Conviction(Rule.TIMEOUT, number, game.position), payments)
        elif loser is Side.CHALLENGER:
            dispute = _lose(dispute, number, move.by)
    if dispute is before:
        raise Refusal(
            Reason.NOTHING_TO_COLLECT, f"no clock of games {list(move.games)} has run out, or they have ended; wait"
        )
    return dispute


def _reclaim(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Reclaim)
    before = dispute
    for number in move.games:
        if dispute.conviction is None or not 0 <= number < len(dispute.games):
            continue
        game = dispute.games[number]
        if game.status is Status.OPEN:
            ledger = dispute.ledger.unlock(game.challenger, dispute.parameters.challenge_bond)
            dispute = _with_game(replace(dispute, ledger=ledger), number, replace(game, status=Status.RECLAIMED))
    if dispute is before:
        raise Refusal(
            Reason.NOTHING_TO_RECLAIM, f"no other game's conviction ended games {list(move.games)}; play them on"
        )
    return dispute


TRANSITIONS: Mapping[type[Move], Transition] = {
    #                        who             a game that ended  in time  turn             effect
    Challenge:    Transition(Who.ANYONE,     Live.REQUIRED,     False,   None,            _challenge),
    Commit:       Transition(Who.CHALLENGER, Live.REQUIRED,     True,    None,            _commit),
    SetTraceRoot: Transition(Who.CLAIMANT,   Live.REQUIRED,     False,   None,            _set_trace_root),
    Reveal:       Transition(Who.ANYONE,     Live.UNASKED,      False,   None,            _reveal),
    RevealLeaf:   Transition(Who.ANYONE,     Live.UNASKED,      False,   None,            _reveal_leaf),
    Select:       Transition(Who.CHALLENGER, Live.REQUIRED,     True,    Side.CHALLENGER, _select),
    Prove:        Transition(Who.CHALLENGER, Live.REQUIRED,     True,    None,            _prove),
    Timeout:      Transition(Who.ANYONE,     Live.PASSED_OVER,  False,   None,            _timeout),
    Reclaim:      Transition(Who.ANYONE,     Live.PASSED_OVER,  False,   None,            _reclaim),
}  # fmt: skip
"""The rules of the game at a glance."""


def _guard(dispute: Dispute, transition: Transition, move: Move, now: Instant) -> None:
    """Raises Refusal if the move's effect may not run."""
    if isinstance(move, Challenge | SetTraceRoot):
        if dispute.conviction is not None:
            raise Refusal(Reason.ALREADY_CONVICTED, "the claim is invalid already; there is nothing left to win")
        return
    if isinstance(move, Reveal | RevealLeaf | Partials | Timeout | Reclaim):
        return
    at = move.at
    if not 0 <= at.game < len(dispute.games):
        raise Refusal(Reason.GAME_OVER, f"the claim has no game {at.game}, it has {len(dispute.games)}; open one")
    if at.trace_root != dispute.trace_root and dispute.root_came_with_claim:
        raise Refusal(Reason.GAME_OVER, f"no game {at.game} is about that trace root; read the claim again")
    game = dispute.games[at.game]
    if not dispute.is_live(at.game):
        raise Refusal(Reason.GAME_OVER, f"game {at.game} has ended; open another one, or reclaim its bond")
    if at.trace_root != dispute.trace_root:
        raise Refusal(
            Reason.WRONG_TRACE_ROOT, "the move names another trace root than the claim's; read the claim again"
        )
    if at.node != dispute.node_of(game):
        raise Refusal(
            Reason.WRONG_NODE, f"game {at.game} does not stand on the node that the move names; read it again"
        )
    if transition.who is Who.CHALLENGER and move.by != game.challenger:
        raise Refusal(
            Reason.NOT_CHALLENGER, f"{move.by} is not the challenger of game {at.game}; open a game of your own"
        )
    if transition.in_time and (side := dispute.expired(game, now.time)) is not None:
        raise Refusal(
            Reason.CLOCK_EXPIRED, f"the {side.value}'s clock of game {at.game} has run out; collect the timeout"
        )
    if transition.turn is Side.CHALLENGER and dispute.turn(game) is Side.DEFENDER:
        raise Refusal(
            Reason.NOT_OPENED, f"node {game.position} of game {at.game} was not opened yet; wait for the defender"
        )


def play(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    """The state after a move; raises Refusal, naming the reason and the remedy, if the move is not allowed now."""
    transition = TRANSITIONS[type(move)]
    _guard(dispute, transition, move, now)
    return transition.effect(dispute, move, now)


def release(dispute: Dispute, now: Timestamp) -> Dispute:
    """Free the claimant's bond of a final claim, once."""
    if not dispute.is_final(now):
        raise Refusal(Reason.NOT_FINAL, "the claim is not final; wait for the end of its challenge period and games")
    if dispute.released:
        raise Refusal(Reason.ALREADY_RELEASED, "the claim's bond was released before; withdraw it from the balance")
    ledger = dispute.ledger.unlock(dispute.claimant, dispute.parameters.claim_bond)
    return replace(dispute, released=True, ledger=ledger)
