"""Inside an element every lie is settled, by the rule that must catch it, at the first fault from the left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenger.play.accusation import Accusation
from challenger.play.actions import ToChallenge, ToCommit, ToDescend, ToNarrow, ToPartials, ToSettle
from challenger.play.inside import Inside, answer, dispute
from challenger.play.strategy import SeenGame, challenger, defender
from rollup.form.ops import FAN_OUT, Monoid
from rollup.form.parts import children
from rollup.game.clock import Side
from rollup.game.moves import Rule
from rollup.game.position import ROOT
from rollup.game.question import Partial, Question, accumulator, child_of, combine
from rollup.types import Gindex
from tests.challenger.test_strategy import OUTPUT, RIGHT, leaf
from tests.rollup.game import toy

MONOIDS = [monoid for monoid in Monoid if monoid is not Monoid.NONE]
LAYOUT = replace(toy.layout(OUTPUT), parts=lambda value: 100 if value == 4 else 1)


@dataclass
class Parts:
    """A trace's element whose parts are given. ``asked``: what was asked for."""

    monoid: Monoid
    parts: Sequence[Partial]
    asked: list[Question] = field(default_factory=list)

    def partials(self, question: Question) -> list[Partial]:
        self.asked.append(question)
        return [
            self._below(child_of(replace(question), [Partial(0)] * 64, child)) for child in range(question.children)
        ]

    def _below(self, question: Question) -> Partial:
        span = question.covers()
        return combine(self.monoid, self.parts[span.start : span.stop])


def question(monoid: Monoid, parts: int) -> Question:
    return Question(leaf(4), 0, monoid, parts)


def parts_of(monoid: Monoid, values: Sequence[int]) -> list[Partial]:
    argument = monoid in (Monoid.ARGMAX, Monoid.ARGMIN)
    return [Partial(value, 10 * number if argument else 0) for number, value in enumerate(values)]


def played(asked: Question, own: Parts, liar: Callable[[Question], Sequence[Partial]]) -> ToSettle:
    """Question and answer until something is settled; every answer combines to what was asked about."""
    while True:
        results = tuple(liar(asked))
        assert len(results) == asked.children
        assert asked.level == 0 or combine(asked.monoid, results) == asked.disputed
        action = dispute(Inside(asked, results), own)
        assert action is not None
        if isinstance(action, ToSettle):
            return action
        asked = child_of(asked, action.results, action.child)


@given(st.sampled_from(MONOIDS), st.integers(2, 5000), st.data())
def test_a_liar_whose_parts_are_false_is_settled_at_the_first_false_part(
    monoid: Monoid, count: int, data: st.DataObject
) -> None:
    values = [(7 * number) % 101 - 50 for number in range(count)]
    at = data.draw(st.integers(0, count - 1))
    false = list(values)
    # Better than all others by the monoid, so that it changes what they combine to.
    false[at] += -1000 if monoid in (Monoid.MIN, Monoid.ARGMIN) else 1000
    own, lying = Parts(monoid, parts_of(monoid, values)), Parts(monoid, parts_of(monoid, false))
    settled = played(question(monoid, count), own, lying.partials)
    right_acc = accumulator(monoid, combine(monoid, own.parts))
    false_acc = accumulator(monoid, combine(monoid, lying.parts))
    if right_acc == false_acc:
        # The best stays where it was: the accumulator is right, whatever the parts say.
        assert settled.child is None
    else:
        assert settled.child is not None and settled.question.part(settled.child) == at


@given(st.sampled_from(MONOIDS), st.integers(2, 5000))
def test_a_liar_whose_accumulator_is_right_is_settled_by_the_ops_code(monoid: Monoid, count: int) -> None:
    own = Parts(monoid, parts_of(monoid, [(11 * number) % 97 for number in range(count)]))
    settled = played(question(monoid, count), own, own.partials)
    assert (settled.child, settled.question.level) == (None, 0)


@given(st.integers(65, 5000), st.integers(0, 63))
def test_a_liar_who_moves_its_fault_at_every_level_is_settled(count: int, shift: int) -> None:
    """Its partial results always combine to what it said before, and are false somewhere else each time."""
    own = Parts(Monoid.SUM, parts_of(Monoid.SUM, range(count)))

    def shifting(asked: Question) -> list[Partial]:
        right = own.partials(asked)
        fault = 5 if asked.level == 0 else asked.value - combine(asked.monoid, right).value
        at = shift % len(right)
        return [Partial(one.value + fault * (number == at)) for number, one in enumerate(right)]

    settled = played(question(Monoid.SUM, count), own, shifting)
    assert settled.child == shift % len(settled.results) and settled.question.asks_for_parts


def test_nothing_is_disputed_before_the_answer_is_known_or_where_it_is_right() -> None:
    own = Parts(Monoid.SUM, parts_of(Monoid.SUM, range(100)))
    asked = question(Monoid.SUM, 100)
    assert dispute(Inside(asked), own) is None and own.asked == []
    below = child_of(asked, own.partials(asked), 1)
    assert dispute(Inside(below, tuple(own.partials(below))), own) is None


def test_the_claimant_answers_from_its_own_operands() -> None:
    own = Parts(Monoid.MAX, parts_of(Monoid.MAX, range(100)))
    asked = question(Monoid.MAX, 100)
    assert answer(Inside(asked), own) == ToPartials(asked, (Partial(63), Partial(99)))


# Beside the moves outside of elements


def test_a_leaf_of_a_divided_op_is_descended_into_where_others_are_proven() -> None:
    lie = toy.altered(RIGHT, 4, consistent=True)
    accusation = Accusation(leaf(4), Rule.STEP, 0)
    assert challenger(LAYOUT, RIGHT, lie, lie.root, None) == [ToChallenge(leaf(4))]
    committed = SeenGame(ROOT, lie.root, Side.DEFENDER, lie.root, committed=leaf(4), commitment_counts=True)
    assert challenger(LAYOUT, RIGHT, lie, lie.root, committed) == [ToDescend(accusation)]
    standing = SeenGame(leaf(4), lie.node(leaf(4)), Side.CHALLENGER, lie.root)
    assert challenger(LAYOUT, RIGHT, lie, lie.root, standing) == [ToDescend(accusation)]
    late = SeenGame(ROOT, lie.root, Side.DEFENDER, lie.root)
    assert challenger(LAYOUT, RIGHT, lie, lie.root, late) == [ToCommit(leaf(4))]


def test_inside_an_element_the_challenger_waits_for_the_answer_and_then_disputes_it() -> None:
    lie = toy.altered(RIGHT, 4, consistent=True)
    own = Parts(Monoid.SUM, parts_of(Monoid.SUM, range(100)))
    asked = question(Monoid.SUM, 100)
    given = (Partial(7), *own.partials(asked)[1:])

    def view(turn: Side, inside: Inside) -> SeenGame:
        return SeenGame(leaf(4), lie.node(leaf(4)), turn, lie.root, inside=inside)

    assert challenger(LAYOUT, RIGHT, lie, lie.root, view(Side.DEFENDER, Inside(asked)), own) == []
    assert challenger(LAYOUT, RIGHT, lie, lie.root, view(Side.CHALLENGER, Inside(asked)), own) == []
    answered = view(Side.CHALLENGER, Inside(asked, given))
    assert challenger(LAYOUT, RIGHT, lie, lie.root, answered, own) == [ToNarrow(asked, given, 0)]


def test_whoever_is_not_the_claimant_answers_nothing_inside_an_element() -> None:
    own = Parts(Monoid.SUM, parts_of(Monoid.SUM, range(100)))
    view = SeenGame(leaf(4), RIGHT.node(leaf(4)), Side.DEFENDER, RIGHT.root, inside=Inside(question(Monoid.SUM, 100)))
    assert defender(LAYOUT, RIGHT, 2, view) == []
    (given,) = defender(LAYOUT, RIGHT, 2, view, own)
    assert isinstance(given, ToPartials) and len(given.results) == children(100, 0, 0)
    over = replace(view, turn=Side.CHALLENGER, expired=Side.CHALLENGER)
    assert len(defender(LAYOUT, RIGHT, 2, over)) == 1


@pytest.mark.parametrize("count", [2, FAN_OUT, FAN_OUT + 1, FAN_OUT**2, FAN_OUT**2 + 1])
def test_a_dispute_takes_one_answer_a_level(count: int) -> None:
    values = list(range(count))
    own, lying = (
        Parts(Monoid.SUM, parts_of(Monoid.SUM, values)),
        Parts(Monoid.SUM, parts_of(Monoid.SUM, [9, *values[1:]])),
    )
    played(question(Monoid.SUM, count), own, lying.partials)
    levels = 1 if count <= FAN_OUT else 2 if count <= FAN_OUT**2 else 3
    assert [asked.level for asked in lying.asked] == list(range(levels))
    assert Gindex(lying.asked[0].place) == leaf(4)
