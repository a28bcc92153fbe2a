"""Questions inside an element and their answers: numbers, bytes and the hash that stands on L1."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from rollup.claim import ClaimId
from rollup.errors import EncodingError
from rollup.form.ops import FAN_OUT, Monoid
from rollup.form.parts import levels
from rollup.game.question import (
    ARGUMENTS,
    Partial,
    Question,
    accumulator,
    child_of,
    combine,
    decode_results,
    disputed_number,
    encode_results,
)
from rollup.l1.account.signing import question_node
from rollup.types import Gindex, Root

REDUCING = [monoid for monoid in Monoid if monoid is not Monoid.NONE]
VALUES = st.integers(-(1 << 63), (1 << 63) - 1)


def partials(monoid: Monoid) -> st.SearchStrategy[Partial]:
    positions = st.integers(0, (1 << 64) - 1) if monoid in ARGUMENTS else st.just(0)
    few = st.integers(-2, 2) | VALUES
    return st.builds(Partial, few, positions)


@given(st.sampled_from(REDUCING), st.data())
def test_partial_results_survive_their_bytes(monoid: Monoid, data: st.DataObject) -> None:
    results = tuple(data.draw(st.lists(partials(monoid), max_size=5)))
    assert decode_results(monoid, encode_results(monoid, results)) == results


def test_bytes_of_another_length_are_no_partial_results() -> None:
    with pytest.raises(EncodingError, match="9 bytes"):
        decode_results(Monoid.SUM, bytes(9))
    with pytest.raises(EncodingError, match="8 bytes"):
        decode_results(Monoid.ARGMIN, bytes(8))


@given(st.sampled_from(REDUCING), st.data())
def test_it_does_not_matter_how_partial_results_are_grouped(monoid: Monoid, data: st.DataObject) -> None:
    results = data.draw(st.lists(partials(monoid), min_size=2, max_size=8))
    cut = data.draw(st.integers(1, len(results) - 1))
    both = [combine(monoid, results[:cut]), combine(monoid, results[cut:])]
    assert combine(monoid, both) == combine(monoid, results)


def test_sums_wrap_and_of_equal_arguments_the_lowest_position_is_first() -> None:
    most = (1 << 63) - 1
    assert combine(Monoid.SUM, [Partial(most), Partial(1)]) == Partial(-(1 << 63))
    tied = [Partial(5, 9), Partial(7, 8), Partial(7, 3), Partial(5, 1)]
    assert combine(Monoid.ARGMAX, tied) == Partial(7, 3)
    assert combine(Monoid.ARGMIN, tied) == Partial(5, 1)
    assert [combine(monoid, tied).value for monoid in (Monoid.MAX, Monoid.MIN)] == [7, 5]
    with pytest.raises(EncodingError, match="whole"):
        combine(Monoid.NONE, tied)


def test_the_accumulator_of_an_argument_is_its_position() -> None:
    assert accumulator(Monoid.ARGMAX, Partial(-7, 3)) == 3
    assert accumulator(Monoid.ARGMAX, Partial(-7, (1 << 64) - 1)) == -1
    assert accumulator(Monoid.SUM, Partial(-7)) == -7
    assert disputed_number(Monoid.SUM, Partial(-1)) == (1 << 256) - 1
    assert disputed_number(Monoid.ARGMIN, Partial(-1, 2)) == 2 << 64 | (1 << 64) - 1


@given(st.integers(2, FAN_OUT**3 + 5), st.data())
def test_the_children_of_a_question_cover_its_parts_in_order(parts: int, data: st.DataObject) -> None:
    question = Question(Gindex(9), 1, Monoid.SUM, parts)
    assert question.covers() == range(parts) and question.disputed is None
    while not question.asks_for_parts:
        below = [child_of(question, [Partial(0)] * question.children, child) for child in range(question.children)]
        assert [part.covers().start for part in below[1:]] == [part.covers().stop for part in below[:-1]]
        assert (below[0].covers().start, below[-1].covers().stop) == (question.covers().start, question.covers().stop)
        question = data.draw(st.sampled_from(below))
        assert question.disputed == Partial(0)
    assert question.level == levels(parts) - 1
    assert [question.part(child) for child in range(question.children)] == list(question.covers())


def test_a_childs_question_holds_its_partial_result() -> None:
    question = Question(Gindex(9), 1, Monoid.ARGMAX, 5000, 1, 2, 4, 4)
    results = [Partial(j, 10 * j) for j in range(FAN_OUT)]
    below = child_of(question, results, 3)
    assert below == Question(Gindex(9), 1, Monoid.ARGMAX, 5000, 2, 2 * FAN_OUT + 3, 3, 30)


def test_a_questions_hash_is_that_of_its_abi_encoding() -> None:
    question = Question(Gindex(0x1234), 5, Monoid.ARGMIN, 700, 1, 6, -2, 8)
    claim, root = ClaimId(b"c" * 32), Root(b"r" * 32)
    words = [0x1234, 5, int(Monoid.ARGMIN), 700, 1, 6, -2, 8]
    encoded = claim + root + b"".join(word.to_bytes(32, "big", signed=True) for word in words)
    assert question_node(claim, root, question) == keccak(encoded)
    assert question_node(claim, Root(bytes(32)), question) != question_node(claim, root, question)
