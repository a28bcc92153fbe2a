"""What to play inside an element of a long reduction, as pure functions (docs/contracts.md, *Inside an element*).

Whatever a liar answers: either its partial results combine to the right accumulator, from which the op's code gives another
element; or one of them differs from one's own, and below it again one, down to a part that is recomputed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from challenger.play.actions import ToNarrow, ToPartials, ToSettle
from rollup.game.question import Partial, Question, accumulator, combine


class Elements(Protocol):
    """What the elements of one trace reduce to, part by part."""

    def partials(self, question: Question) -> Sequence[Partial]:
        """The answer to a question, from the trace's own operands."""
        ...


@dataclass(frozen=True)
class Inside:
    """The question on which a game stands. ``results``: the claimant's answer, as far as it is known."""

    question: Question
    results: tuple[Partial, ...] | None = None


def dispute(inside: Inside, own: Elements) -> ToNarrow | ToSettle | None:
    """The challenger's next action once the question was answered; None while the answer is not known, or holds no fault."""
    question, given = inside.question, inside.results
    if given is None:
        return None
    right = tuple(own.partials(question))
    if question.level == 0:
        said, found = (accumulator(question.monoid, combine(question.monoid, results)) for results in (given, right))
        if said == found:
            return ToSettle(question, given, None)
    for child, (theirs, ours) in enumerate(zip(given, right, strict=False)):
        if theirs != ours:
            if question.asks_for_parts:
                return ToSettle(question, given, child)
            return ToNarrow(question, given, child)
    return None


def answer(inside: Inside, own: Elements) -> ToPartials:
    """The claimant's answer."""
    return ToPartials(inside.question, tuple(own.partials(inside.question)))
