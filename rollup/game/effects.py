"""What moves about the trace do to a dispute, once ``rollup.game.game`` has let them: challenge, commit, open, go down, prove."""

from __future__ import annotations

from dataclasses import replace

from rollup.claim import NO_ROOT
from rollup.game.clock import Clocks
from rollup.game.dispute import Conviction, Dispute, Game, Instant, Opening
from rollup.game.endings import won
from rollup.game.moves import (
    Challenge,
    Commit,
    Commitment,
    GameAt,
    HiddenPlace,
    Node,
    Prove,
    Reveal,
    RevealLeaf,
    Rule,
    Select,
    SetTraceRoot,
)
from rollup.game.position import is_at_or_below, relative
from rollup.game.refusal import Reason, Refusal
from rollup.merkle import Tree, depth_of, fold_branch, hash_leaf
from rollup.types import LEAF_BYTES, Gindex


def challenge(dispute: Dispute, move: Challenge, now: Instant) -> Dispute:
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


def commit(dispute: Dispute, move: Commit, now: Instant) -> Dispute:
    game = replace(dispute.games[move.at.game], commitment=move.commitment, committed_in=now.block)
    return dispute.with_game(move.at.game, game)


def require_no_root(dispute: Dispute, move: SetTraceRoot) -> None:
    """The claim was challenged and has no trace root, and the move gives one."""
    if not dispute.games:
        raise Refusal(
            Reason.NOT_CHALLENGED, "nobody has challenged this claim; keep its trace root until somebody does"
        )
    if dispute.trace_root != NO_ROOT:
        raise Refusal(Reason.TRACE_ROOT_ALREADY_SET, "the claim has a trace root, which stays; go on with it")
    if move.root == NO_ROOT:
        raise Refusal(Reason.NO_TRACE_ROOT, "a trace root cannot be zero; give the root of the trace")


def set_trace_root(dispute: Dispute, move: SetTraceRoot, now: Instant) -> Dispute:
    return replace(dispute, trace_root=move.root, root_at=now.time, root_by=move.by)


def open_node(dispute: Dispute, node: Node, levels: int, opening: Opening) -> Dispute:
    """What is known already is passed over, so that nobody can spoil a batch of openings by being faster."""
    if (node, levels) in dispute.opened:
        return dispute
    return replace(dispute, opened={**dispute.opened, (node, levels): opening})


def reveal(dispute: Dispute, move: Reveal, now: Instant) -> Dispute:
    count, most = len(move.children), 1 << dispute.parameters.arity
    if not 2 <= count <= most or count & (count - 1):
        raise Refusal(
            Reason.CHILD_COUNT,
            f"{count} children were given; give all descendants of one level, a power of two and {most} at most",
        )
    levels = count.bit_length() - 1
    return open_node(dispute, Tree(move.children, levels).root, levels, Opening(now.time, move.by))


def reveal_leaf(dispute: Dispute, move: RevealLeaf, now: Instant) -> Dispute:
    if len(move.data) != LEAF_BYTES:
        raise Refusal(Reason.LEAF_LENGTH, f"a leaf has {LEAF_BYTES} bytes, not {len(move.data)}; pad it with zeros")
    return open_node(dispute, hash_leaf(move.data), 0, Opening(now.time, move.by))


def select(dispute: Dispute, move: Select, now: Instant) -> Dispute:
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
    dispute = moved(dispute, move.at.game, move.position, move.child, now)
    is_place = depth_of(move.position) in (dispute.trace_depth, dispute.depth)
    return arrived(dispute, move.at.game, now) if is_place else dispute


def moved(dispute: Dispute, number: int, position: Gindex, node: Node, now: Instant) -> Dispute:
    """The game leaves its node for another one: the clocks are charged, and who opened the old one is remembered."""
    game = dispute.games[number]
    opening = dispute.opening_of(game)
    openers = (*game.openers, opening.by) if opening else game.openers
    clocks = game.clocks.charged(dispute.opened_at(game), now.time)
    return dispute.with_game(number, replace(game, position=position, node=node, clocks=clocks, openers=openers))


def arrived(dispute: Dispute, number: int, now: Instant) -> Dispute:
    """The game came to a place where something can be proven. Like a commitment this counts from the next block on."""
    game = dispute.games[number]
    place = game.position
    dispute = dispute.with_game(number, replace(game, committed_in=now.block))
    noted = dispute.first.get(place)
    if noted is not None and noted < number and dispute.stands_at(noted, place):
        return dispute
    return replace(dispute, first={**dispute.first, place: number})


def require_reached(dispute: Dispute, at: GameAt, place: HiddenPlace, now: Instant, standing: bool = False) -> None:
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


def prove(dispute: Dispute, move: Prove, now: Instant) -> Dispute:
    require_reached(dispute, move.at, move.place, now)
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
    return won(dispute, Conviction(move.rule, move.at.game, position), now)
