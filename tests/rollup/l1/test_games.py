"""Where games stand, move by move; inside an element, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollup.claim import NO_ROOT, Address, ClaimId
from rollup.form.ops import Monoid
from rollup.game.moves import MoveKind, Rule
from rollup.game.question import Partial, Question, child_of, encode_results, question_json, question_of_json
from rollup.l1.account.signing import question_node
from rollup.l1.events import Answered, Challenged, Convicted, Descended, Event, Narrowed, TraceRootSet
from rollup.l1.games import Board
from rollup.l1.records import MoveRecord, Outcome, Said
from rollup.types import Gindex, Root, Timestamp
from tests.sequencer.examples import ALICE, claim_id

CLAIM, OTHER = claim_id(1), claim_id(2)
ROOT, LEAF = Root(b"r" * 32), Gindex((1 << 9) | 5)
GAME, SECOND = b"g" * 32, b"h" * 32
QUESTION = Question(LEAF, 7, Monoid.ARGMAX, 100)
RESULTS = (Partial(-3, 40), Partial(9, 80))


def said(block: int = 1, sender: Address = ALICE) -> Said:
    return Said(block, 0, b"t" * 32, Timestamp(block), sender, 50_000)


def challenged(game: bytes = GAME, claim: ClaimId = CLAIM, root: Root = ROOT, counter: int = 0) -> Challenged:
    return Challenged(claim, game, ALICE, counter, root, bytes(32))


def note(board: Board, *events: Event) -> list[MoveRecord]:
    return [move for event in events for move in board.note(event, said())]


@pytest.mark.parametrize("root", [ROOT, NO_ROOT], ids=["with the claim", "on dispute"])
def test_inside_an_element_a_game_stands_on_the_questions_hash(root: Root) -> None:
    board = Board()
    note(board, challenged(root=root), *([TraceRootSet(CLAIM, ROOT)] if root == NO_ROOT else []))
    (down,) = note(board, Descended(GAME, QUESTION))
    game = board.games[GAME]
    assert game.node == question_node(CLAIM, ROOT, QUESTION)
    assert (game.position, game.question) == (LEAF, question_json(QUESTION))
    assert (down.kind, down.position, down.node) == (MoveKind.DESCEND, LEAF, game.node)
    deeper = child_of(QUESTION, RESULTS, 1)
    note(board, Answered(game.node, CLAIM, encode_results(Monoid.ARGMAX, RESULTS)), Narrowed(GAME, deeper))
    game = board.games[GAME]
    assert game.node == question_node(CLAIM, ROOT, deeper)
    assert game.question is not None and question_of_json(game.position, game.question) == deeper


def test_an_answer_is_said_in_every_open_game_that_stands_on_its_question() -> None:
    board = Board()
    note(board, challenged(), challenged(SECOND, counter=1), challenged(b"o" * 32, OTHER))
    note(board, Descended(GAME, QUESTION), Descended(SECOND, QUESTION), Descended(b"o" * 32, QUESTION))
    node = board.games[GAME].node
    answers = note(board, Answered(node, CLAIM, encode_results(Monoid.ARGMAX, RESULTS)))
    assert {(move.game_id, move.kind) for move in answers} == {(GAME, MoveKind.PARTIALS), (SECOND, MoveKind.PARTIALS)}
    assert answers[0].extra["results"] == [{"value": "-3", "position": "40"}, {"value": "9", "position": "80"}]


def test_what_was_noted_can_be_applied_again_from_the_moves_alone() -> None:
    board = Board()
    node = Root(question_node(CLAIM, ROOT, QUESTION))
    deeper = child_of(QUESTION, RESULTS, 0)
    verdict = Convicted(CLAIM, GAME, Rule.PART, LEAF, 3, 7, 12, bytes(32), b"c" * 32)
    moves = note(
        board,
        challenged(root=NO_ROOT),
        TraceRootSet(CLAIM, ROOT),
        Descended(GAME, QUESTION),
        Answered(node, CLAIM, encode_results(Monoid.ARGMAX, RESULTS)),
        Narrowed(GAME, deeper),
        verdict,
    )
    again = Board()
    for move in moves:
        again.apply(move)
    assert again.games == board.games
    assert board.games[GAME].ended is Outcome.CONVICTED
    assert moves[-1].kind is MoveKind.SETTLE and moves[-1].convicted == verdict


def test_moves_of_games_that_nobody_knows_say_nothing() -> None:
    board = Board()
    assert note(board, Descended(GAME, QUESTION), Narrowed(GAME, QUESTION), Answered(ROOT, CLAIM, bytes(16))) == []
    assert board.games == {}


@pytest.mark.parametrize("monoid", [Monoid.SUM, Monoid.MAX, Monoid.MIN, Monoid.ARGMAX, Monoid.ARGMIN])
def test_a_question_is_stored_whole(monoid: Monoid) -> None:
    position = (1 << 64) - 1 if monoid in (Monoid.ARGMAX, Monoid.ARGMIN) else 0
    asked = replace(QUESTION, monoid=monoid, parts=5000, level=1, index=3, value=-(1 << 63), position=position)
    assert question_of_json(LEAF, question_json(asked)) == asked
    whole = replace(QUESTION, monoid=monoid)
    assert question_json(whole)["value"] is None
    assert question_of_json(LEAF, question_json(whole)) == whole
