"""The rules of a dispute: ``play(dispute, move, now)`` gives the next state, or raises Refusal and changes nothing.

One ``Dispute`` is one posted claim with all its games. Source: docs/contracts.md, *Game*. The twin of
DisputeGame.sol; both run the vectors in ``tests/vectors/game``. What can be said of a move in general stands in
``TRANSITIONS``; what it then does is its function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from rollup.claim import NO_ROOT, Address
from rollup.form.ops import Monoid
from rollup.game.clock import Clocks, Side
from rollup.game.dispute import Conviction, Dispute, Game, Instant, Opening, Status
from rollup.game.moves import (
    At,
    Challenge,
    Commit,
    Commitment,
    Descend,
    Move,
    Narrow,
    Node,
    Openings,
    Partials,
    Place,
    Prove,
    Reclaim,
    Reveal,
    RevealLeaf,
    Rule,
    Select,
    Settle,
    SetTraceRoot,
    Timeout,
)
from rollup.game.position import is_at_or_below, relative
from rollup.game.question import Asked, Partial, Question, child_of, combine
from rollup.game.refusal import Reason, Refusal
from rollup.merkle import Tree, depth_of, fold_branch, hash_leaf
from rollup.types import LEAF_BYTES, Gindex, Timestamp

MAX_HELPERS = 8
"""Accounts other than the claimant that are noted in one game for the nodes that they opened."""


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
    terms, clock = dispute.parameters, dispute.clock
    if clock.is_over(dispute.closes_at, now.time):
        raise Refusal(
            Reason.WINDOW_OVER,
            f"the challenge period ended at {dispute.closes_at} on the clock that stops, which is at "
            f"{clock.reading(now.time)}; the claim stands",
        )
    if not dispute.games:
        clock = clock.pause(now.time, terms.spacing)
    game = Game(move.by, Clocks.start(terms.clock, now.time), commitment=move.commitment, committed_in=now.block)
    ledger = dispute.ledger.fund(move.by, move.value).lock_challenge(move.by, terms.challenge_bond)
    return replace(dispute, games=(*dispute.games, game), ledger=ledger, clock=clock)


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
    return replace(dispute, trace_root=move.root, root_at=now.time, root_by=move.by)


def _open(dispute: Dispute, node: Node, levels: int, opening: Opening) -> Dispute:
    """What is known already is passed over, so that nobody can spoil a batch of openings by being faster."""
    if (node, levels) in dispute.opened:
        return dispute
    return replace(dispute, opened={**dispute.opened, (node, levels): opening})


def _reveal(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Reveal)
    count, most = len(move.children), 1 << dispute.parameters.arity
    if not 2 <= count <= most or count & (count - 1):
        raise Refusal(
            Reason.CHILD_COUNT,
            f"{count} children were given; give all descendants of one level, a power of two and {most} at most",
        )
    levels = count.bit_length() - 1
    return _open(dispute, Tree(move.children, levels).root, levels, Opening(now.time, move.by))


def _reveal_leaf(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, RevealLeaf)
    if len(move.data) != LEAF_BYTES:
        raise Refusal(Reason.LEAF_LENGTH, f"a leaf has {LEAF_BYTES} bytes, not {len(move.data)}; pad it with zeros")
    return _open(dispute, hash_leaf(move.data), 0, Opening(now.time, move.by))


def _partials(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Partials)
    question, results = move.question, move.results
    if not dispute.games or move.by != dispute.claimant:
        raise Refusal(
            Reason.NOT_CLAIMANT,
            f"partial results are the word of the claimant {dispute.claimant} about its challenged claim; only it gives them",
        )
    if len(results) != question.children or not results:
        raise Refusal(
            Reason.PARTIAL_COUNT,
            f"{len(results)} partial results were given, the question asks for {question.children}",
        )
    if question.disputed is not None and combine(question.monoid, results) != question.disputed:
        raise Refusal(
            Reason.PARTIALS_DO_NOT_COMBINE,
            f"the results combine to {combine(question.monoid, results)}, not to the disputed {question.disputed}",
        )
    return _open(dispute, Asked(move.trace_root, question), 0, Opening(now.time, move.by, results))


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
    # Only at an entry may a game stop above what was opened: answers are bounded by depth and arity.
    if depth_of(move.position) - depth_of(game.position) < dispute.levels_below(game) and (
        depth_of(move.position) != dispute.trace_depth
    ):
        raise Refusal(
            Reason.CANNOT_SELECT,
            f"node {move.position} is less than {dispute.levels_below(game)} levels below node {game.position}, and no entry; go down "
            "to what was opened",
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
    dispute = _moved(dispute, move.at.game, move.position, move.child, now)
    is_place = depth_of(move.position) in (dispute.trace_depth, dispute.depth)
    return _arrived(dispute, move.at.game, now) if is_place else dispute


def _moved(dispute: Dispute, number: int, position: Gindex, node: Node, now: Instant) -> Dispute:
    """The game leaves its node for another one: the clocks are charged, and who opened the old one is remembered."""
    game = dispute.games[number]
    opening = dispute.opening_of(game)
    openers = (*game.openers, opening.by) if opening else game.openers
    clocks = game.clocks.charged(dispute.opened_at(game), now.time)
    return _with_game(dispute, number, replace(game, position=position, node=node, clocks=clocks, openers=openers))


def _arrived(dispute: Dispute, number: int, now: Instant) -> Dispute:
    """The game came to a place where something can be proven. Like a commitment this counts from the next block on."""
    game = dispute.games[number]
    place = game.position
    dispute = _with_game(dispute, number, replace(game, committed_in=now.block))
    noted = dispute.first.get(place)
    if noted is not None and noted < number and dispute.stands_at(noted, place):
        return dispute
    return replace(dispute, first={**dispute.first, place: number})


def _convict(dispute: Dispute, conviction: Conviction, payments: list[tuple[Address, int]]) -> Dispute:
    number = conviction.game
    game = dispute.games[number]
    ledger = dispute.ledger.release_challenge(game.challenger, dispute.parameters.challenge_bond)
    ledger = ledger.forfeit(dispute.claimant, dispute.parameters.claim_bond, payments)
    won = _with_game(dispute, number, replace(game, status=Status.WON))
    return replace(won, ledger=ledger, conviction=conviction)


def _require_reached(dispute: Dispute, at: At, place: Place, now: Instant, standing: bool = False) -> None:
    """The game has stood on the place, or was committed to it, since an earlier block: nobody can come to the place of a
    pending proof in front of it. ``standing``: standing there is enough, since when does not matter.
    """
    if dispute.trace_root == NO_ROOT:
        raise Refusal(Reason.NO_TRACE_ROOT, "the claim has no trace root yet; wait for the claimant to set it")
    game = dispute.games[at.game]
    reached = game.position == place.position or game.commitment == Commitment(dispute.trace_root, place)
    stands = standing and game.position == place.position
    if not reached or (game.committed_in >= now.block and not stands):
        raise Refusal(
            Reason.PLACE_NOT_REACHED,
            f"the game has neither stood on node {place.position} nor been committed to it since an earlier block; commit, "
            "and prove in the next one",
        )


def _won(dispute: Dispute, conviction: Conviction, now: Instant) -> Dispute:
    """The claim is invalid; the reward goes to the earliest challenge that was at the place before the proof was seen."""
    earliest, place = conviction.game, conviction.place
    noted = dispute.first.get(place, earliest)
    if noted < earliest and dispute.stands_at(noted, place) and dispute.games[noted].committed_in < now.block:
        earliest = noted
    payments = [(dispute.games[earliest].challenger, dispute.parameters.reward)]
    return _convict(dispute, conviction, payments)


def _prove(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Prove)
    _require_reached(dispute, move.at, move.place, now)
    position = move.place.position
    at_entry = move.rule in (Rule.INPUT, Rule.OUTPUT)
    inside = move.rule in (Rule.TIMEOUT, Rule.PART, Rule.EPILOGUE)
    if inside or depth_of(position) != (dispute.trace_depth if at_entry else dispute.depth):
        raise Refusal(
            Reason.RULE_NOT_APPLICABLE,
            f"node {position} is no place for the rule {move.rule.name.lower()}; name a leaf or an entry",
        )
    if not move.differs:
        raise Refusal(Reason.NO_MISMATCH, f"the trace is right at node {position}; nothing is proven")
    return _won(dispute, Conviction(move.rule, move.at.game, position), now)


def _descend(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Descend)
    position = move.place.position
    if dispute.games[move.at.game].inside:
        raise Refusal(Reason.INSIDE_ELEMENT, "the game is inside an element already; narrow it down or settle it")
    # Coming there and going inside may be one transaction: neither convicts, and settling has to wait for a later block.
    _require_reached(dispute, move.at, move.place, now, standing=True)
    if depth_of(position) != dispute.depth:
        raise Refusal(Reason.RULE_NOT_APPLICABLE, f"node {position} has no elements; name a leaf")
    if move.monoid is Monoid.NONE or move.parts <= 1:
        raise Refusal(
            Reason.NOT_DIVIDED, f"element {move.element} of node {position} has {move.parts} part; prove it whole"
        )
    question = Question(position, move.element, move.monoid, move.parts)
    dispute = _moved(dispute, move.at.game, position, Asked(dispute.trace_root, question), now)
    return _arrived(dispute, move.at.game, now)


def _require_answer(dispute: Dispute, move: Narrow | Settle) -> None:
    """The game stands on the question, which was answered so."""
    game = dispute.games[move.at.game]
    if game.node != Asked(dispute.trace_root, move.question):
        raise Refusal(Reason.NOT_THIS_QUESTION, f"game {move.at.game} does not stand on that question; read it again")
    opening = dispute.opening_of(game)
    if opening is None or opening.results != move.results:
        raise Refusal(Reason.NOT_THESE_RESULTS, "the claimant gave other partial results; take those of its answer")


def _require_child(results: Sequence[Partial], child: int) -> None:
    if not 0 <= child < len(results):
        raise Refusal(Reason.NO_SUCH_CHILD, f"the answer has {len(results)} partial results and no number {child}")


def _narrow(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Narrow)
    _require_answer(dispute, move)
    _require_child(move.results, move.child)
    if move.question.asks_for_parts:
        raise Refusal(Reason.WRONG_LEVEL, "every partial result stands for a single part; settle one")
    below = child_of(move.question, move.results, move.child)
    return _moved(dispute, move.at.game, below.place, Asked(dispute.trace_root, below), now)


def _settle(dispute: Dispute, move: Move, now: Instant) -> Dispute:
    assert isinstance(move, Settle)
    question, child, game = move.question, move.child, move.at.game
    _require_answer(dispute, move)
    if dispute.games[game].committed_in >= now.block:
        raise Refusal(
            Reason.PLACE_NOT_REACHED, f"game {game} came to node {question.place} in this block; settle in the next one"
        )
    if child is None:
        if question.level:
            raise Refusal(Reason.WRONG_LEVEL, "the op's code is disputed at level 0; narrow down to a part here")
        conviction = Conviction(Rule.EPILOGUE, game, question.place)
    else:
        _require_child(move.results, child)
        if not question.asks_for_parts:
            raise Refusal(Reason.WRONG_LEVEL, "a partial result stands for several parts here; narrow it down")
        conviction = Conviction(Rule.PART, game, question.place, question.part(child))
    if not move.differs:
        raise Refusal(Reason.NO_MISMATCH, f"the claimant's answer is right at node {question.place}; nothing is proven")
    return _won(dispute, conviction, now)


def compensation(dispute: Dispute, game: Game) -> list[Address]:
    """Who is due a fee when the challenger loses: for each opened node, and for a trace root that was given on dispute.

    The claimant comes first, then others in the order of what they opened. Of those at most ``MAX_HELPERS`` are noted, one after
    the other, so that nobody can make an ending dear: what else was opened is the claimant's.
    """
    opening = dispute.opening_of(game)
    mine, helped, noted = 0, list[Address](), list[Address]()
    for by in (*game.openers, *([opening.by] if opening else [])):
        if by != dispute.claimant and by not in noted[-1:] and len(noted) < MAX_HELPERS:
            noted.append(by)
        if by in noted[-1:]:
            helped.append(by)
        else:
            mine += 1
    if dispute.root_by is not None:
        mine += dispute.root_by == dispute.claimant
        helped += [dispute.root_by] if dispute.root_by != dispute.claimant else []
    return [dispute.claimant] * mine + helped


def _lose(dispute: Dispute, number: int, collector: Address) -> Dispute:
    game, terms = dispute.games[number], dispute.parameters
    rest = terms.challenge_bond - terms.collect_fee
    payments = [(collector, terms.collect_fee)]
    for who in compensation(dispute, game):
        payments.append((who, min(terms.move_fee, rest)))
        rest -= payments[-1][1]
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
            ledger = dispute.ledger.release_challenge(game.challenger, dispute.parameters.challenge_bond)
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
    Descend:      Transition(Who.CHALLENGER, Live.REQUIRED,     True,    None,            _descend),
    Partials:     Transition(Who.CLAIMANT,   Live.UNASKED,      False,   None,            _partials),
    Narrow:       Transition(Who.CHALLENGER, Live.REQUIRED,     True,    Side.CHALLENGER, _narrow),
    Settle:       Transition(Who.CHALLENGER, Live.REQUIRED,     True,    Side.CHALLENGER, _settle),
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
    if isinstance(move, Openings | Timeout | Reclaim):
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


def multicall(dispute: Dispute, moves: Sequence[Move], now: Instant) -> tuple[Dispute, list[Refusal | None]]:
    """Many moves of one account in one transaction: each stands or is refused on its own."""
    refusals: list[Refusal | None] = []
    for move in moves:
        try:
            dispute = play(dispute, move, now)
            refusals.append(None)
        except Refusal as refusal:
            refusals.append(refusal)
    return dispute, refusals


def release(dispute: Dispute, now: Timestamp) -> Dispute:
    """Free the claimant's bond of a final claim, once."""
    if not dispute.is_final(now):
        raise Refusal(Reason.NOT_FINAL, "the claim is not final; wait for the end of its challenge period and games")
    if dispute.released:
        raise Refusal(Reason.ALREADY_RELEASED, "the claim's bond was released before; withdraw it from the balance")
    ledger = dispute.ledger.release_claim(dispute.claimant, dispute.parameters.claim_bond)
    return replace(dispute, released=True, ledger=ledger)
