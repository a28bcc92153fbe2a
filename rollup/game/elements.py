"""What moves inside an element do to a dispute, once ``rollup.game.game`` has let them: descend, partials, narrow, settle."""

from __future__ import annotations

from collections.abc import Sequence

from rollup.form.ops import Monoid
from rollup.game.dispute import Conviction, Dispute, Instant, Opening
from rollup.game.effects import arrived, moved, open_node, require_reached
from rollup.game.endings import won
from rollup.game.moves import Descend, Narrow, Partials, Rule, Settle
from rollup.game.question import Asked, Partial, Question, child_of, combine
from rollup.game.refusal import Reason, Refusal
from rollup.merkle import depth_of


def partials(dispute: Dispute, move: Partials, now: Instant) -> Dispute:
    question, results = move.question, move.results
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
    return open_node(dispute, Asked(move.trace_root, question), 0, Opening(now.time, move.by, results))


def descend(dispute: Dispute, move: Descend, now: Instant) -> Dispute:
    position = move.place.position
    if dispute.games[move.at.game].inside:
        raise Refusal(Reason.INSIDE_ELEMENT, "the game is inside an element already; narrow it down or settle it")
    # Coming there and going inside may be one transaction: neither convicts, and settling has to wait for a later block.
    require_reached(dispute, move.at, move.place, now, standing=True)
    if depth_of(position) != dispute.depth:
        raise Refusal(Reason.RULE_NOT_APPLICABLE, f"node {position} has no elements; name a leaf")
    if move.monoid is Monoid.NONE or move.parts <= 1:
        raise Refusal(
            Reason.NOT_DIVIDED, f"element {move.element} of node {position} has {move.parts} part; prove it whole"
        )
    question = Question(position, move.element, move.monoid, move.parts)
    dispute = moved(dispute, move.at.game, position, Asked(dispute.trace_root, question), now)
    return arrived(dispute, move.at.game, now)


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


def narrow(dispute: Dispute, move: Narrow, now: Instant) -> Dispute:
    _require_answer(dispute, move)
    _require_child(move.results, move.child)
    if move.question.asks_for_parts:
        raise Refusal(Reason.WRONG_LEVEL, "every partial result stands for a single part; settle one")
    below = child_of(move.question, move.results, move.child)
    return moved(dispute, move.at.game, below.place, Asked(dispute.trace_root, below), now)


def settle(dispute: Dispute, move: Settle, now: Instant) -> Dispute:
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
    return won(dispute, conviction, now)
